-- SPDX-License-Identifier: MIT
-- Every statement of the store, by module. Numbers of states: lib/job/states.def (0 queued, 3 done, 4 dead), parcels.h.

-- batch.c
-- name: begin
BEGIN IMMEDIATE;
-- name: commit
COMMIT;

-- jobs.c
-- name: job_insert
INSERT INTO job (queue, id, type, state, attempt, runs, losses, priority, created_wall_ms, due_wall_ms,
	started_wall_ms, ended_wall_ms, body, error, result_cut, result)
VALUES (?12, ?13, ?14, ?2, ?3, ?4, ?5, ?15, ?16, ?6, ?7, ?8, ?9, ?10, ?11, ?17)
ON CONFLICT (id, queue) DO NOTHING;
-- name: job_save
UPDATE job SET state = ?2, attempt = ?3, runs = ?4, losses = ?5, due_wall_ms = ?6, started_wall_ms = ?7,
	ended_wall_ms = ?8, body = ?9, error = ?10, result_cut = ?11, result = ?17
WHERE seq = ?1;
-- name: job_touch
UPDATE job SET runs = ?2, due_wall_ms = ?3 WHERE seq = ?1;
-- name: job_find
SELECT seq, state, attempt, runs, losses, priority, created_wall_ms, due_wall_ms, started_wall_ms, ended_wall_ms, body
FROM job WHERE id = ?1 AND queue = ?2;
-- name: job_get
SELECT seq, state, attempt, runs, losses, priority, created_wall_ms, due_wall_ms, started_wall_ms, ended_wall_ms, body,
	queue, id, type
FROM job WHERE seq = ?1;
-- name: job_queues
SELECT queue FROM job WHERE id = ?1 ORDER BY queue LIMIT ?2;
-- name: job_delete
DELETE FROM job WHERE seq = ?1;
-- name: job_walk
SELECT seq, state, attempt, runs, losses, priority, created_wall_ms, due_wall_ms, started_wall_ms, ended_wall_ms, body
FROM job WHERE seq > ?1 ORDER BY seq LIMIT ?2;
-- name: job_strip
UPDATE job SET runs = 0, body = NULL, error = NULL, result = NULL WHERE seq = ?1;
-- name: run_insert
INSERT OR REPLACE INTO run (key, id, attempt, outcome, exit_code, signal, started_wall_ms, wall_ms, cpu_ms, max_rss_kb,
	worker, error, logs_cut, logs)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14);
-- name: run_find
SELECT key & 4095, outcome FROM run WHERE key BETWEEN ?1 * 4096 AND ?1 * 4096 + 4095 AND id = ?2;
-- name: run_delete
DELETE FROM run WHERE key = ?1;
-- name: runs_delete
DELETE FROM run WHERE key BETWEEN ?1 * 4096 AND ?1 * 4096 + 4095;

-- bodies.c
-- name: body_insert
INSERT INTO body (envelope, data) VALUES (?1, ?2);
-- name: body_get
SELECT envelope, data FROM body WHERE id = ?1;
-- name: body_delete
DELETE FROM body WHERE id = ?1;

-- parcels.c
-- name: parcel_insert
INSERT INTO parcel (job, kind, ended, state, destination, priority, attempt, due_wall_ms, delay_ms, body)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10);
-- name: parcel_get
SELECT id, job, kind, ended, state, destination, priority, attempt, tries, body, due_wall_ms FROM parcel WHERE id = ?1;
-- name: parcel_of_job
SELECT id, job, kind, ended, state, destination, priority, attempt, tries, body, due_wall_ms FROM parcel WHERE job = ?1 LIMIT 1;
-- name: parcel_delete
DELETE FROM parcel WHERE id = ?1;
-- name: parcel_set
UPDATE parcel SET state = ?2, due_wall_ms = ?3, delay_ms = ?4, tries = ?5 WHERE id = ?1;
-- name: parcel_ready_of
SELECT id FROM parcel WHERE state = 0 AND destination = ?1 ORDER BY priority DESC, id LIMIT ?2;
-- name: parcel_early_of
SELECT id FROM parcel WHERE state IN (1, 3) AND destination = ?1 ORDER BY due_wall_ms, id LIMIT ?2;
-- name: parcel_due
SELECT id, job, kind, ended, state, destination, priority, attempt, tries, body, due_wall_ms FROM parcel
WHERE state IN (1, 3) AND due_wall_ms <= ?1 ORDER BY due_wall_ms LIMIT ?2;
-- name: parcel_next_due
SELECT min(due_wall_ms) FROM parcel WHERE state IN (1, 3);
-- name: parcel_clamp
UPDATE parcel SET due_wall_ms = ?1 + delay_ms WHERE state IN (1, 3) AND delay_ms > 0 AND due_wall_ms > ?1 + delay_ms;
-- name: parcel_ready_counts
SELECT destination, count(*) FROM parcel WHERE state = 0 GROUP BY destination;
-- name: parcel_early_counts
SELECT destination, count(*) FROM parcel WHERE state IN (1, 3) GROUP BY destination;
-- name: parcel_delayed_count
SELECT count(*) FROM parcel WHERE state IN (1, 3);
-- name: parcel_held_count
SELECT count(*) FROM parcel WHERE state = 2;
-- name: parcel_held
SELECT id, job FROM parcel WHERE state = 2 AND id > ?1 ORDER BY id LIMIT 1;

-- wares.c
-- name: ware_get
SELECT p.id, p.job, p.kind, p.ended, p.state, p.destination, p.priority, p.attempt, p.tries, p.body, p.due_wall_ms,
	j.seq, j.state, j.attempt, j.runs, j.losses, j.priority, j.created_wall_ms, j.due_wall_ms, j.started_wall_ms,
	j.ended_wall_ms, j.body, j.queue, j.id, j.type, b.envelope, b.data
FROM parcel p LEFT JOIN job j ON j.seq = p.job LEFT JOIN body b ON b.id = p.body
WHERE p.id = ?1;

-- ledger.c
-- name: scaling_insert
INSERT INTO scaling (pool, at_wall_ms, before, after, reason) VALUES (?1, ?2, ?3, ?4, ?5);
-- name: scaling_trim
DELETE FROM scaling WHERE id <= (SELECT max(id) FROM scaling) - ?1;

-- name: pause_insert
INSERT OR IGNORE INTO pause (queue) VALUES (?1);
-- name: pause_delete
DELETE FROM pause WHERE queue = ?1;
-- name: pause_list
SELECT queue FROM pause;
-- name: claim_insert
INSERT OR REPLACE INTO claim (run, job, claimed_wall_ms, worker) VALUES (?1, ?2, ?3, ?4);
-- name: claim_delete
DELETE FROM claim WHERE run = ?1;
-- name: claim_list
SELECT c.run, c.job, c.claimed_wall_ms, c.worker, j.queue, j.id, j.type, j.attempt, j.losses
FROM claim c JOIN job j ON j.seq = c.job;

-- tombs.c
-- name: tomb_insert
INSERT OR REPLACE INTO tombstone (job, queue, until_wall_ms) VALUES (?1, ?2, ?3);
-- name: tomb_find
SELECT 1 FROM tombstone WHERE job = ?1;
-- name: tomb_delete
DELETE FROM tombstone WHERE job = ?1;
-- name: tomb_counts
SELECT queue, count(*) FROM tombstone GROUP BY queue;
-- name: tomb_expired
SELECT job, queue FROM tombstone WHERE until_wall_ms < ?1 LIMIT ?2;
