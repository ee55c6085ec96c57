-- SPDX-License-Identifier: MIT
-- What the gateway reads. Results and logs are large: length() reads none of their pages, and the bytes are fetched
-- only up to a bound. Columns of a job: see job_row_read() in reader.c.

-- name: job_queues
SELECT queue FROM job WHERE id = ?1 ORDER BY queue LIMIT 10;

-- name: job_find
SELECT seq, queue, id, type, state, attempt, losses, priority, created_wall_ms, due_wall_ms, started_wall_ms,
	ended_wall_ms, error, result_cut, length(result), CASE WHEN length(result) <= ?3 THEN result END, runs
FROM job WHERE id = ?1 AND queue = ?2;

-- name: job_result
SELECT result FROM job WHERE seq = ?1;

-- name: job_span
SELECT (SELECT min(seq) FROM job), (SELECT max(seq) FROM job);

-- A part of a list, from ?2 down to ?1. The second form can use the index on state, which leaves out the jobs that are
-- done.
-- name: job_list
SELECT seq, queue, id, type, state, attempt, losses, priority, created_wall_ms, due_wall_ms, started_wall_ms,
	ended_wall_ms, error, result_cut, length(result), CASE WHEN length(result) <= ?3 THEN result END, runs
FROM job WHERE seq BETWEEN ?1 AND ?2 AND (?4 IS NULL OR type = ?4) AND (?5 IS NULL OR queue = ?5)
	AND (?6 IS NULL OR state = ?6)
ORDER BY seq DESC LIMIT ?7;

-- name: job_list_state
SELECT seq, queue, id, type, state, attempt, losses, priority, created_wall_ms, due_wall_ms, started_wall_ms,
	ended_wall_ms, error, result_cut, length(result), CASE WHEN length(result) <= ?3 THEN result END, runs
FROM job WHERE state = ?6 AND state <> 3 AND seq BETWEEN ?1 AND ?2 AND (?4 IS NULL OR type = ?4)
	AND (?5 IS NULL OR queue = ?5)
ORDER BY seq DESC LIMIT ?7;

-- name: run_list
SELECT key & 4095, attempt, outcome, exit_code, signal, started_wall_ms, wall_ms, cpu_ms, max_rss_kb, worker, error
FROM run WHERE key BETWEEN ?1 * 4096 AND ?1 * 4096 + 4095 ORDER BY key;

-- name: run_logs
SELECT logs FROM run WHERE key BETWEEN ?1 * 4096 AND ?1 * 4096 + 4095 AND (?2 IS NULL OR attempt = ?2)
ORDER BY key DESC LIMIT 1;

-- name: scaling_list
SELECT at_wall_ms, before, after, reason FROM scaling WHERE pool = ?1 ORDER BY id DESC LIMIT ?2;
