/* SPDX-License-Identifier: MIT */
/*
 * What the broker said of parcels while the store was away: kept (no more than were outstanding) and told before
 * anything else when it is back, so that a confirmed parcel is not published again.
 */
#ifndef SKEP_COURIER_SETTLEMENTS_H
#define SKEP_COURIER_SETTLEMENTS_H

#include "daemon/store_link.h"

struct settlements;

/* `most`: how many may have to be kept; more than that are dropped, which costs a second publish. */
struct settlements *settlements_new(struct store_link *link, size_t most);
void settlements_free(struct settlements *s);

/* Tells the store, now or when it is back. */
void settlements_add(struct settlements *s, uint64_t parcel, enum settle_how how, const char *reason);

/* The store is back. */
void settlements_flush(struct settlements *s);

#endif
