/* SPDX-License-Identifier: MIT */
/*
 * The end of runs and of jobs: outcomes as workers report them, losses and releases as the store
 * judges them. Each is recorded at most once per run id, and a job ends once: what comes later is
 * recorded as a duplicate and changes nothing.
 *
 * What a job leaves when it ends: its row (result or error), its body unless it is done, and a
 * reply parcel if it asked for one. Its parcel goes in the same transaction.
 */
#ifndef SKEP_STORE_RECORD_H
#define SKEP_STORE_RECORD_H

#include "daemon/store/ledger.h"

/* An outcome as a worker reports it. -EPROTO: a worker may not say that. */
int record_outcome(
    struct ledger *l, const struct msg_outcome *m, struct slice worker, int64_t now_wall_ms);

/* A run whose worker is gone: lost, or released if the worker was told to go or the run had not
 * begun. Closes the claim. */
void record_gone(struct ledger *l, struct claim *claim, bool asked, int64_t now_wall_ms);

/* If this run was judged lost (by a store that had restarted and not heard of it yet), takes the
 * judgement back. Changes `row`, which is saved. */
void record_found_again(struct ledger *l, struct job_row *row, struct id run);

/* A held parcel of the job becomes ready, unless one of its runs is still open. */
void record_release_parcel(
    struct ledger *l, const struct job_names *names, int64_t seq, int64_t now_wall_ms);

/* Ends a job that does not run: its parcel, if it has one, goes, and its body is kept. `error` may
 * be empty. */
void record_end(struct ledger *l, const struct job_names *names, struct job_row *row,
    enum job_state state, struct slice error, int64_t now_wall_ms);

#endif
