/* SPDX-License-Identifier: MIT */
/*
 * Counting for people, by queue and type: the series of the board (lib/board/series.h). What the configuration does not
 * know is counted as `other`, so that messages of strangers cannot use the rows up. Nothing is decided by these
 * numbers, and they begin at 0 with each store.
 */
#ifndef SKEP_STORE_TALLY_H
#define SKEP_STORE_TALLY_H

#include "daemon/store/ledger.h"

/* Before anything else: makes l->series, with a row for each queue's own handler. */
void tally_open(struct ledger *l, int64_t now_wall_ms);

void tally_submitted(struct ledger *l, const struct job_names *job);

/* A run has begun, and with it the job's wait is over if it is known since when it was ready. */
void tally_begun(
    struct ledger *l, const struct job_names *job, int64_t ready_wall_ms, int64_t begun_wall_ms);

/* A run was recorded. One that is taken for lost and reports later counts as both. */
void tally_run(struct ledger *l, const struct job_names *job, const struct run_row *run);

/* A job has ended. */
void tally_over(struct ledger *l, const struct job_names *job, enum job_state state);

#endif
