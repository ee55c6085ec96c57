/* SPDX-License-Identifier: MIT */
/*
 * The embedded queue. Its jobs are the parcels that are ready, in the order in which the courier would
 * take them (priority, then age), and a worker takes them instead. To deal one is to do what a claim
 * that asks does (asks.h), with the parcel in the place of a message: the same verdicts, the same
 * durable claim. The parcel is held while its run goes on, so that its outcome removes it, and its loss
 * or release puts it back in its place, in the transaction that records it.
 */
#ifndef SKEP_STORE_SERVE_H
#define SKEP_STORE_SERVE_H

#include "daemon/store/ledger.h"

/* A worker, as far as it is served. */
struct serve_to {
	struct claim_owner *owner;
	struct slice name;
	/* One job; borrowed. 1: it is sent, and there is no room for another; < 0: it cannot be sent. */
	int (*send)(void *arg, const struct msg_deal *deal);
	void *arg;
};

/* Deals as many as `most` jobs of the queue; returns how many. */
uint32_t serve_queue(struct ledger *l, const struct serve_to *to, struct slice queue, uint32_t most,
    int64_t now_ms, int64_t now_wall_ms);

#endif
