/* SPDX-License-Identifier: MIT */
/* Take-overs: a delivery becomes a parcel of this node's, and may be acknowledged. */
#ifndef SKEP_STORE_TAKES_H
#define SKEP_STORE_TAKES_H

#include "daemon/store/ledger.h"

/* A second time it replaces the parcel of the first, or (`keeps`) leaves it as it is: where nothing is run it may be
 * the retry of the very run that this delivery was. One whose job is over makes none. -EPROTO for
 * names that cannot be. */
int takes_record(struct ledger *l, const struct msg_take *m, struct claim_owner *owner,
    struct slice worker, bool keeps, int64_t now_wall_ms);

#endif
