/* SPDX-License-Identifier: MIT */
/* Ready parcels go to the courier by turns, one destination after the other, and come back as a
 * settlement. */
#ifndef SKEP_STORE_DEALS_H
#define SKEP_STORE_DEALS_H

#include "daemon/store/ledger.h"

/* Sends one parcel. 1: it is sent, and there is no room for another; -EAGAIN: nor was there for this one. All is
 * borrowed. */
typedef int deals_send_fn(
    void *arg, const struct parcel_row *parcel, struct slice envelope, struct slice body);

/* Deals as many as `most` parcels, all of them leased from now on; returns how many. */
uint32_t deals_run(struct ledger *l, uint32_t most, int64_t now_ms, int64_t now_wall_ms,
    deals_send_fn *send, void *arg);

/* What the broker said of a parcel. One that is not known (any more) is no error: a late confirm of
 * an attempt cannot touch the parcel of the next. -EPROTO for a word that is none. */
int deals_settle(struct ledger *l, const struct msg_settle *m, int64_t now_ms, int64_t now_wall_ms);

#endif
