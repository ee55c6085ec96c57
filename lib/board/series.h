/* SPDX-License-Identifier: MIT */
/*
 * The series on the board: what is counted of each queue and type, and outlasts the processes that did it. The store
 * counts in memory of its own (struct series) and shows the rows that have changed once per turn, each in the way of
 * the slots (shown.h), so that a reader never sees a torn histogram. The number of rows is fixed, and so
 * are their labels: row 0 is that of everything for which none is left.
 *
 * A store that starts begins with no rows; a counter that has gone back to 0 is what readers of metrics expect then.
 * Restarts of processes are the supervisor's to count, in a place of their own.
 */
#ifndef SKEP_BOARD_SERIES_H
#define SKEP_BOARD_SERIES_H

#include "lib/board/board.h"

#define SERIES_ROWS 128
#define SERIES_NAME_BYTES 256 /* with the NUL: the longest name that AMQP has */
#define SERIES_OTHER "other"  /* the queue or type of what has no row of its own */
#define SERIES_OUTCOMES 8     /* room for enum outcome */
#define SERIES_STATES 8	      /* and for enum job_state */
#define SERIES_ROLES 8	      /* and for enum role_id */
#define SERIES_BOUNDS_MAX 20

enum metric_id {
#define METRIC(NAME, ...) METRIC_##NAME,
#include "lib/board/metrics.def"
#undef METRIC
	METRIC_COUNT
};

/* The bounds of a histogram. */
struct series_bounds {
	size_t n;
	uint64_t scale; /* so many of its units are a second */
	uint64_t most[SERIES_BOUNDS_MAX];
	const char *text[SERIES_BOUNDS_MAX]; /* in seconds */
};
extern const struct series_bounds series_job_bounds;	/* milliseconds */
extern const struct series_bounds series_commit_bounds; /* microseconds */

/* How many were at most each bound, and above the one before; the last behind the bounds is of those above all. */
struct series_histogram {
	uint64_t sum;
	uint64_t in[SERIES_BOUNDS_MAX + 1];
};
void series_observe(struct series_histogram *h, const struct series_bounds *bounds, uint64_t value);

struct series_row {
	char queue[SERIES_NAME_BYTES], type[SERIES_NAME_BYTES];
	uint64_t submitted, begun;
	uint64_t runs[SERIES_OUTCOMES]; /* that ended, by enum outcome */
	uint64_t jobs[SERIES_STATES];	/* that ended, by enum job_state */
	struct series_histogram run_ms, wait_ms;
};

/* What is counted of the store itself. */
struct series_store {
	int64_t since_wall_ms; /* all counters were 0; 0: there has been no store yet */
	struct series_histogram commit_us;
	uint64_t rows, parcels_held;
};

/* --- the store's side ------------------------------------------------------------------------- */

struct series;

struct series *series_new(int64_t now_wall_ms);
void series_free(struct series *s);

/* The row of that queue and type, to be counted in now: it will be shown. NULL: it has none. */
struct series_row *series_find(struct series *s, struct slice queue, struct slice type);

/* Makes one, if it has none; row 0 if all are in use. */
struct series_row *series_add(struct series *s, struct slice queue, struct slice type);

/* To be changed now: it will be shown. */
struct series_store *series_of_store(struct series *s);

/* Shows what has changed. The first call makes the board forget what the last store had counted. */
void series_publish(struct series *s, struct board *b);

/* --- the supervisor's side -------------------------------------------------------------------- */

void series_made(struct board *b, int64_t now_wall_ms); /* by board_create() */
void series_restarted(struct board *b, unsigned role);

/* --- readers ---------------------------------------------------------------------------------- */

struct series_seen {
	struct series_store store;
	size_t n;
	struct series_row rows[SERIES_ROWS];
	int64_t board_wall_ms; /* since when restarts are counted */
	uint64_t restarts[SERIES_ROLES];
};

/* A copy of all that is shown; rows of one store only. The caller frees it. */
struct series_seen *series_read(const struct board *b);

size_t series_bytes(void); /* of its memory on a board */

#endif
