/* SPDX-License-Identifier: MIT */
/*
 * What is old goes: results, runs, logs and bodies of jobs that are over after keep_done or
 * keep_dead, their ids after dedupe_keep at least, tombstones after their time. In small batches,
 * from the low end of the table of jobs, so that it costs the others nothing that they would
 * notice.
 */
#ifndef SKEP_STORE_SWEEP_H
#define SKEP_STORE_SWEEP_H

#include "daemon/store/ledger.h"

#define SWEEP_ROWS 200

struct sweep {
	int64_t at; /* seq reached in this pass */
};

/* One batch. Returns the milliseconds until the next is due. */
int64_t sweep_turn(struct sweep *s, struct ledger *l, int64_t now_wall_ms);

#endif
