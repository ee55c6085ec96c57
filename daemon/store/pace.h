/* SPDX-License-Identifier: MIT */
/*
 * When commits come thick and are small, as with a thousand short commands a second, each costs more
 * than what is in it: its pages, its fsync, an answer, an ack. Then workers are left unread for a
 * moment after a commit, so that more is in the next. Who is alone never waits, nor who has nothing
 * left to run before he is answered, nor does a burst, whose batches are large by themselves. Pure.
 */
#ifndef SKEP_STORE_PACE_H
#define SKEP_STORE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_COMMITS 8       /* so many of them... */
#define PACE_SPAN_US 48000   /* ...within so long are thick: also while they rest between them */
#define PACE_ROWS 16         /* fewer row changes: it was small */
#define PACE_REST_MS 5

struct pace {
	int64_t at_us[PACE_COMMITS]; /* when the last ones were; 0: never */
	unsigned next;
};

/* After a commit of so many row changes; `hungry`: a worker whose outcome is in it has nothing else
 * to run. How long workers are not to be read, in ms; 0: read on. */
int64_t pace_committed(struct pace *p, uint64_t rows, bool hungry, int64_t now_us);

#endif
