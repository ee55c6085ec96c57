/* SPDX-License-Identifier: MIT */
/*
 * The rows of jobs and of their runs. A row is read without its large columns, changed here in
 * memory, and written back as a whole. What the changes mean is decided elsewhere (record.h,
 * asks.h, requests.h).
 *
 * A job that was just dealt with is one of those that are dealt with next: its outcome comes. So the last rows
 * are kept in memory as well, each in the place that its seq has; every change passes here.
 */
#ifndef SKEP_STORE_JOBS_H
#define SKEP_STORE_JOBS_H

#include "daemon/store/batch.h"
#include "lib/base/id.h"
#include "lib/job/job.h"

#define JOBS_RUNS_MAX 4096 /* of one job: the low 12 bits of run.key */
#define JOBS_RECENT 4096   /* rows in memory, a power of two: more than are in hand at a time */

struct jobs {
	struct batch *batch;
	struct db_stmt *stmts[16];
	struct job_row *recent; /* JOBS_RECENT of them; seq 0: none */
};

struct job_names {
	struct slice queue, id, type;
};

/* Times and body: 0 = none. */
struct job_row {
	int64_t seq;
	enum job_state state;
	int64_t attempt, runs, losses, priority;
	int64_t created_wall_ms, due_wall_ms, started_wall_ms, ended_wall_ms;
	int64_t body; /* bodies.h; kept of a job that is over */
};

/* The columns that are written and not read back; all empty for most states. */
struct job_text {
	struct slice error, result; /* p == NULL: none */
	bool result_cut;
};

struct run_row {
	struct id id;
	int64_t attempt;
	enum outcome outcome;
	int64_t exit_code; /* negative: none */
	int64_t signal;	   /* 0 or less: none */
	int64_t started_wall_ms, wall_ms, cpu_ms, max_rss_kb;
	struct slice worker, error, logs;
	bool logs_cut;
};

int jobs_open(struct jobs *j, struct batch *batch, struct err *err);
void jobs_close(struct jobs *j); /* also one that was not opened */

/* Makes a row; false if (queue, id) is known already, and then nothing is changed. Sets row->seq.
 */
bool jobs_insert(struct jobs *j, const struct job_names *names, struct job_row *row,
    const struct job_text *text);

bool jobs_find(struct jobs *j, struct slice queue, struct slice id, struct job_row *ret);
void jobs_save(struct jobs *j, const struct job_row *row, const struct job_text *text);
void jobs_touch(struct jobs *j, const struct job_row *row); /* runs and due alone */
void jobs_delete(struct jobs *j, int64_t seq);		    /* with its runs */

/* By seq, with its names: `ret_names` points into `text`. */
#define JOBS_TEXT_BYTES (3 * JOB_NAME_BYTES)
bool jobs_get(struct jobs *j, int64_t seq, struct job_row *ret, struct job_names *ret_names,
    uint8_t text[static JOBS_TEXT_BYTES]);

/* By seq, the row alone: of one that is in memory without a query. */
bool jobs_row(struct jobs *j, int64_t seq, struct job_row *ret);

/* For a query of another module: reads a row from the columns `column` and following, which are as in job_get, and its
 * names, which come behind. */
#define JOBS_COLUMNS 11
void jobs_read(struct jobs *j, struct db_stmt *s, int column, struct job_row *ret);
void jobs_read_names(struct db_stmt *s, int column, struct job_names *ret,
    uint8_t text[static JOBS_TEXT_BYTES]);

/* The queues that know this id: their number, at most `most`; `each` is called with every one. */
size_t jobs_queues(struct jobs *j, struct slice id, size_t most,
    void (*each)(void *arg, struct slice queue), void *arg);

/* Adds a run and counts it in row->runs; the caller saves the row. A job with JOBS_RUNS_MAX of them
 * (handed back over and over) has its last one replaced. */
void jobs_add_run(struct jobs *j, struct job_row *row, const struct run_row *run);

/* Is this run recorded, and as what? */
bool jobs_find_run(
    struct jobs *j, const struct job_row *row, struct id run, int64_t *ret_n, enum outcome *ret);
void jobs_drop_run(struct jobs *j, struct job_row *row, int64_t n);

/* For the sweep: rows beyond `seq` in order of arrival, `most` of them at most, into ret. */
size_t jobs_walk(struct jobs *j, int64_t seq, size_t most, struct job_row *ret);
void jobs_strip(
    struct jobs *j, const struct job_row *row); /* keeps the identity and the state alone */

#endif
