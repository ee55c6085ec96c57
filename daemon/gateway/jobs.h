/* SPDX-License-Identifier: MIT */
/* Jobs and runs as JSON, from what the database holds and, for those that run, from the board.
 * Pure. */
#ifndef SKEP_GATEWAY_JOBS_H
#define SKEP_GATEWAY_JOBS_H

#include "daemon/gateway/fleet.h"
#include "lib/base/json.h"
#include "lib/job/job.h"

#define JOBS_RESULT_MAX_BYTES                                                                      \
	(1u << 20) /* of a result within a job; a larger one comes from /result */
#define JOBS_LISTED_RESULT_MAX_BYTES 4096

/* One row of table job; slices are borrowed, those that are NULL have p == NULL; times are 0 when
 * NULL. */
struct job_row {
	int64_t seq;
	struct slice queue, id, type;
	enum job_state state;
	int64_t attempt, losses, priority;
	int64_t runs; /* 0 of a job that is done: all but its id is no longer kept */
	int64_t created_wall_ms, due_wall_ms, started_wall_ms, ended_wall_ms;
	struct slice error;
	bool result_cut;
	int64_t result_bytes;
	struct slice result; /* absent as well when it is too large to be shown */
};

/* One row of table run. */
struct run_row {
	int64_t n; /* from 1 */
	int64_t attempt;
	enum outcome outcome;
	bool has_exit_code, has_signal;
	int64_t exit_code, signal;
	int64_t started_wall_ms, wall_ms, cpu_ms, max_rss_kb;
	struct slice worker, error;
};

/* The job; takes `attempts` over. `running` is its run on the board, or NULL; a job that is over
 * does not run, whatever the board still shows. */
struct json *jobs_json(
    const struct job_row *row, struct json *attempts, const struct fleet_run *running);

/* A job that only the board knows: the first run of a foreign message. */
struct json *jobs_json_of_run(const struct fleet_run *running);

struct json *jobs_attempt_json(const struct run_row *run);

/* What is shown as its state. */
enum job_state jobs_state(const struct job_row *row, const struct fleet_run *running);

#endif
