/* SPDX-License-Identifier: MIT */
/*
 * Whatever must still be delivered. A job has one parcel at most; replies belong to no job. Ids are
 * never used again.
 *
 *              submit, retry at once, take-over          confirmed
 *      --------------------------------------> READY ------------------> (deleted)
 *        retry, delay, nacked    due  ^   |  ^
 *      -----------------> DELAYED ----'   |  '--- due --- UNROUTABLE
 *        taken over while its job runs    '-- returned ----^
 *      -----------------> HELD ---- its run was lost or released ----> READY
 *
 * and any of them is deleted when an outcome of its job is recorded. The lanes (lanes.h) count what
 * is ready.
 *
 * In the embedded queue a parcel is held for nearly every run, and is looked for by its job when that
 * ends. So where the last ones are is kept in memory as well, each in the place that its job's seq has;
 * every change passes here.
 */
#ifndef SKEP_STORE_PARCELS_H
#define SKEP_STORE_PARCELS_H

#include "daemon/store/bodies.h"
#include "daemon/store/lanes.h"
#include "lib/ipc/codec.h"

/* The numbers are stored. */
enum parcel_state { PARCEL_READY, PARCEL_DELAYED, PARCEL_HELD, PARCEL_UNROUTABLE };

struct parcel_row {
	int64_t id;
	int64_t job; /* job.seq; 0: a reply */
	enum parcel_kind kind;
	enum job_state ended; /* of a reply */
	enum parcel_state state;
	int64_t priority, attempt, tries, body;
	int64_t due_wall_ms; /* when it was to be ready: also of one that is ready, or is held */
	int64_t delay_ms;    /* written only */
	struct slice destination;      /* read into `text` */
	uint8_t text[JOB_NAME_BYTES];
};

#define PARCELS_RECENT 4096 /* a power of two: more than are held at a time */

/* One that is held. */
struct parcel_held {
	int64_t job, id, body; /* id 0: none */
};

struct parcels {
	struct batch *batch;
	struct bodies *bodies;
	struct lanes *lanes;
	struct db_stmt *stmts[16];
	bool early;          /* what is delayed or unroutable counts as ready too */
	uint64_t delayed;    /* in state delayed or unroutable */
	uint64_t held;
	struct parcel_held *recent; /* PARCELS_RECENT of them */
	int64_t next_due_ms; /* wall clock, not later than the earliest of them; INT64_MAX: none */
};

/* Counts what is there; clamps backoffs in case the clock was set back meanwhile. */
int parcels_open(struct parcels *p, struct batch *batch, struct bodies *bodies, struct lanes *lanes,
    int64_t now_wall_ms, struct err *err);
void parcels_close(struct parcels *p); /* also one that was not opened */

/* Adds one (its body was added before), in the state that its due time asks for unless it is HELD.
 */
int64_t parcels_add(struct parcels *p, struct parcel_row *row, int64_t now_wall_ms);

bool parcels_get(struct parcels *p, int64_t id, struct parcel_row *ret);

/* For a query of another module: reads one from the columns `column` and following, which are as in parcel_get. */
#define PARCELS_COLUMNS 11
void parcels_read(struct db_stmt *s, int column, struct parcel_row *ret);

bool parcels_of_job(struct parcels *p, int64_t seq, struct parcel_row *ret);

/* Since when a ready one could have gone out; JOB_NOT_GIVEN when that is forgotten, since the broker
 * did not take it at first. */
int64_t parcels_ready_since(const struct parcel_row *row);

/* Deletes one, with its body unless `keep_body`. */
void parcels_remove(struct parcels *p, const struct parcel_row *row, bool keep_body);

/* Deletes what the job has; returns the id of the body that was kept, 0 if none. */
int64_t parcels_remove_of_job(struct parcels *p, int64_t seq, bool keep_body);

/* Moves one to another state; row->tries is written too. */
void parcels_set_state(struct parcels *p, struct parcel_row *row, enum parcel_state state,
    int64_t due_wall_ms, int64_t delay_ms);

/* Makes ready what is due, `most` at most; returns how many. */
size_t parcels_promote(struct parcels *p, int64_t now_wall_ms, size_t most);

/* From now on everything that is not held may go out. That is known in memory alone: in the database
 * each keeps its state and its due time, for the node that opens it after this one. Once, after
 * parcels_open(). */
void parcels_hasten(struct parcels *p);

/* When one that may go out is to run; JOB_NOT_GIVEN: now. */
int64_t parcels_due(const struct parcels *p, const struct parcel_row *row);

/* After a step of the clock: a backoff ends not later than now plus its length. */
void parcels_clamp(struct parcels *p, int64_t now_wall_ms);

/* The first ready ones of a destination, in the order of their delivery; behind them those that are
 * early, by their due time. */
size_t parcels_ready_of(struct parcels *p, struct slice destination, size_t most, int64_t *ret_ids);

/* The next held one after `id`: false at the end. */
bool parcels_held(struct parcels *p, int64_t id, int64_t *ret_id, int64_t *ret_job);

#endif
