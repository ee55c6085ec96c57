/* SPDX-License-Identifier: MIT */
/*
 * The gateway's side of the database: read-only, opened when it is first needed, read in short
 * transactions. A database that is not there yet, or is being made, is one without jobs.
 *
 *     if (reader_begin(r, err) == 0) { ...read...; reader_end(r); }
 */
#ifndef SKEP_GATEWAY_READER_H
#define SKEP_GATEWAY_READER_H

#include "daemon/gateway/jobs.h"

struct reader;

struct reader *reader_new(char *path_take);
void reader_free(struct reader *r);

/* Begins a transaction: what follows sees one state of the database. -ENOENT: there is none yet;
 * others: it cannot be read. Each success is followed by reader_end(). */
int reader_begin(struct reader *r, struct err *err);
void reader_end(struct reader *r);

/* Finds a job by its id; an empty queue matches any. 1, with the row (borrowed until the next
 * call); 0: unknown; -EEXIST: several queues know the id, err names them. Results above max_result
 * bytes are left out. */
int reader_job(struct reader *r, struct slice queue, struct slice id, int64_t max_result,
    struct job_row *ret, struct err *err);

/* The result; absent p when there is none. Borrowed until reader_end(). */
int reader_result(struct reader *r, int64_t seq, struct slice *ret, struct err *err);

/* All runs of a job as a JSON array for jobs_json(); NULL on error. */
struct json *reader_attempts(struct reader *r, int64_t seq, struct err *err);

/* Standard error of the last run, or of the last with that number if attempt > 0. 1, or 0 if there
 * is none. Borrowed until reader_end(). */
int reader_logs(struct reader *r, int64_t seq, int64_t attempt, struct slice *ret, struct err *err);

/* The last changes of a pool's workers, newest first, as a JSON array; NULL on error. */
struct json *reader_changes(struct reader *r, struct slice pool, int64_t limit, struct err *err);

/* The least and the greatest seq; both 0 when there is no job. */
int reader_span(struct reader *r, int64_t *ret_least, int64_t *ret_most, struct err *err);

struct reader_filter {
	struct slice type, queue; /* empty: any */
	bool has_state;
	enum job_state state;
};

/* Calls fn for the jobs of least..most that pass, newest first, at most `limit`, until it returns
 * false. How many it was called for, or negative. The rows are borrowed for the call, which may use
 * reader_attempts(). */
typedef bool reader_row_fn(const struct job_row *row, void *arg);
int reader_list(struct reader *r, const struct reader_filter *f, int64_t least, int64_t most,
    int limit, reader_row_fn *fn, void *arg, struct err *err);

#endif
