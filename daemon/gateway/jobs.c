/* SPDX-License-Identifier: MIT */
#include "daemon/gateway/jobs.h"

#include "lib/base/base64.h"

static void add_text(struct json *j, const char *key, struct slice text)
{
	if (text.p)
		json_add_str(j, key, text);
	else
		json_add_null(j, key);
}

static void add_result(struct json *j, const struct job_row *row)
{
	if (row->result.p && !json_utf8_valid(row->result)) {
		auto_free char *text = base64_encode(row->result);

		json_add_null(j, "result");
		json_add_strz(j, "result_base64", text);
	} else {
		add_text(j, "result", row->result);
	}
	json_add_int(j, "result_bytes", row->result_bytes);
	json_add_bool(j, "result_cut", row->result_cut);
}

enum job_state jobs_state(const struct job_row *row, const struct fleet_run *running)
{
	return running && !job_state_over(row->state) ? JOB_RUNNING : row->state;
}

struct json *jobs_json(
    const struct job_row *row, struct json *attempts, const struct fleet_run *running)
{
	enum job_state state = jobs_state(row, running);
	bool runs = state == JOB_RUNNING && running;
	struct json *j = json_object();

	json_add_str(j, "id", row->id);
	json_add_str(j, "type", row->type);
	json_add_str(j, "queue", row->queue);
	json_add_strz(j, "state", job_state_name(state));
	json_add_int(j, "attempt", runs ? running->run.attempt : row->attempt);
	json_add(j, "attempts", attempts);
	add_result(j, row);
	add_text(j, "error", row->error);
	json_add_int(j, "losses", row->losses);
	json_add_int(j, "priority", row->priority);
	json_add_time(j, "created_at", row->created_wall_ms);
	json_add_time(j, "due_at", runs ? 0 : row->due_wall_ms);
	json_add_time(j, "started_at", runs ? running->run.since_wall_ms : row->started_wall_ms);
	json_add_time(j, "ended_at", row->ended_wall_ms);
	if (row->seq)
		json_add_int(j, "seq", row->seq);
	if (runs)
		json_add(j, "running", fleet_run_json(running));
	return j;
}

struct json *jobs_json_of_run(const struct fleet_run *running)
{
	const struct board_run *run = &running->run;
	struct job_row row = {
	    .queue = running->queue,
	    .id = slice_of(run->job, strnlen(run->job, sizeof run->job)),
	    .type = running->type,
	    .state = JOB_RUNNING,
	    .created_wall_ms = run->since_wall_ms,
	};

	return jobs_json(&row, json_array(), running);
}

struct json *jobs_attempt_json(const struct run_row *run)
{
	struct json *j = json_object();

	json_add_int(j, "n", run->n);
	json_add_int(j, "attempt", run->attempt);
	json_add_strz(j, "outcome", outcome_name(run->outcome));
	if (run->has_exit_code)
		json_add_int(j, "exit_code", run->exit_code);
	if (run->has_signal)
		json_add_int(j, "signal", run->signal);
	json_add_int(j, "wall_ms", run->wall_ms);
	json_add_int(j, "cpu_ms", run->cpu_ms);
	json_add_int(j, "max_rss_kb", run->max_rss_kb);
	add_text(j, "worker", run->worker);
	add_text(j, "error", run->error);
	json_add_time(j, "started_at", run->started_wall_ms);
	return j;
}
