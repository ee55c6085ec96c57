/* SPDX-License-Identifier: MIT */
/*
 * Tombstones: cancels that wait for a message to come by, or for a run to end. While a queue has
 * any, workers ask for the verdict on each of its deliveries; the number per queue is kept in
 * memory, so that a claim of any other queue costs no query.
 */
#ifndef SKEP_STORE_TOMBS_H
#define SKEP_STORE_TOMBS_H

#include "daemon/store/batch.h"
#include "daemon/store/map.h"

struct tombs {
	struct batch *batch;
	struct db_stmt *insert, *find, *drop, *expired;
	struct map by_queue;
	/* Called when the first comes into a queue and when the last has left it. May be NULL. */
	void (*changed)(void *arg, struct slice queue, bool any);
	void *arg;
};

int tombs_open(struct tombs *t, struct batch *batch, struct err *err);
void tombs_close(struct tombs *t);

bool tombs_any(const struct tombs *t, struct slice queue);
void tombs_each(const struct tombs *t, void (*each)(void *arg, struct slice queue), void *arg);

void tombs_add(struct tombs *t, int64_t job, struct slice queue, int64_t until_wall_ms);
bool tombs_has(struct tombs *t, int64_t job, struct slice queue);
void tombs_remove(
    struct tombs *t, int64_t job, struct slice queue); /* also one that is not there */

/* Removes those whose time is over, `most` at most; returns how many. */
size_t tombs_expire(struct tombs *t, int64_t now_wall_ms, size_t most);

#endif
