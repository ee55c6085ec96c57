/* SPDX-License-Identifier: MIT */
/*
 * When commits come thick and are small, as with a thousand short commands a second, each costs more
 * than what is in it: its pages, its fsync, an answer, an ack. Then workers are left unread for a
 * moment after a commit, so that more is in the next. Who is alone never waits, nor who has nothing
 * left to run before he is answered, nor where so much is done that batches are large by themselves.
 *
 * For how long they can be left is for them to show: the moment is doubled as long as all of them have something to run
 * when it is over, and halved when one has not. Pure.
 */
#ifndef SKEP_STORE_PACE_H
#define SKEP_STORE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_REST_MIN_MS 5
#define PACE_REST_MAX_MS 20  /* by so much a result may be known later */
#define PACE_COMMITS 8       /* so many commits... */
#define PACE_SPAN_US 16000   /* ...within so long, rests not counted, are thick */
#define PACE_MANY_ROWS 10    /* row changes for each millisecond, rests counted: no need to wait for more */
#define PACE_FEW_ROWS 2      /* less than one for so many milliseconds of a rest: there was nothing to wait for */

struct pace {
	struct {
		int64_t at_us, rested_us; /* when it was, and how long all rests before it were; 0: never */
		uint64_t rows;
	} last[PACE_COMMITS];
	unsigned next;
	int64_t rest_ms;   /* the last one; 0: none */
	int64_t rested_us; /* all of them */
	uint64_t rows;     /* of the last commits, together */
};

/* After a commit of so many row changes; `hungry`: a worker whose outcome is in it has nothing else
 * to run. How long workers are not to be read, in ms; 0: read on. */
int64_t pace_committed(struct pace *p, uint64_t rows, bool hungry, int64_t now_us);

#endif
