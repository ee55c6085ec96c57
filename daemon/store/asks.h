/* SPDX-License-Identifier: MIT */
/*
 * Claims: a run is to start. One that does not ask is noted in memory and costs no query; one that
 * asks gets a verdict (verdict.h), and RUN is durable before it is heard of.
 */
#ifndef SKEP_STORE_ASKS_H
#define SKEP_STORE_ASKS_H

#include "daemon/store/ledger.h"
#include "daemon/store/verdict.h"

/* Notes a claim that does not ask. True: the job was cancelled, the run should end (CANCEL). */
bool asks_note(struct ledger *l, const struct msg_claim *m, struct claim_owner *owner,
    struct slice worker, int64_t now_wall_ms);

/* Decides on one that asks, and does what the verdict says of the books. A run that asks again (it
 * did not hear the answer) gets the same. */
void asks_decide(struct ledger *l, const struct msg_claim *m, struct claim_owner *owner,
    struct slice worker, int64_t now_wall_ms, struct verdict_reading *ret);

#endif
