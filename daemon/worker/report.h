/* SPDX-License-Identifier: MIT */
/*
 * What a worker tells the store of a delivery, as frames (messages.def). Negative when a frame
 * cannot be made now: no memory for a large body, no descriptor.
 */
#ifndef SKEP_WORKER_REPORT_H
#define SKEP_WORKER_REPORT_H

#include "daemon/worker/delivery.h"
#include "lib/ipc/peer.h"

/* Counts what is held; tells the store of each, if there is one to tell. */
uint32_t report_held(struct peer *store, const struct list *list);

/* Sends the next frame of those that d owes. */
int report_owed(struct peer *store, struct delivery *d);

/* What is unanswered is owed again: the store is a new one. */
void report_again(struct delivery *d);

#endif
