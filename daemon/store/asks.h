/* SPDX-License-Identifier: MIT */
/*
 * Claims: a run is to start. One that asks gets a verdict (verdict.h), and RUN is durable before it
 * is heard of. One that does not ask begins, cleared by a verdict before or not: it is noted in
 * memory and costs no query.
 */
#ifndef SKEP_STORE_ASKS_H
#define SKEP_STORE_ASKS_H

#include "daemon/store/ledger.h"
#include "daemon/store/verdict.h"

/* Notes that a run begins. True: the job was cancelled, the run should end (CANCEL). */
bool asks_note(struct ledger *l, const struct msg_claim *m, struct claim_owner *owner,
    struct slice worker, int64_t now_wall_ms);

/* A job with a loss on record may be one that kills its worker or the whole node. When a node dies,
 * every run that was open is a loss, and those that were only there would be lost again beside the
 * killer each time it comes round, until they are dead too. So suspects are started one after the
 * other: the next when the last has ended or has run for so long. */
#define ASKS_SUSPECT_MS 10000

/* Decides on one that asks, and does what the verdict says of the books. A run that asks again (it
 * did not hear the answer) gets the same. VERDICT_NONE: not yet, decide again when asks_wait_ms()
 * has passed. `known`: the job's row, by one who has just read it and its parcel, which is the claim's; NULL: it
 * is looked for. */
void asks_decide(struct ledger *l, const struct msg_claim *m, const struct job_row *known,
    struct claim_owner *owner, struct slice worker, int64_t now_wall_ms, struct verdict_reading *ret);

/* How long suspects have to wait from now on, if none of them ends before; 0: one may start. */
int64_t asks_wait_ms(const struct ledger *l, int64_t now_wall_ms);

#endif
