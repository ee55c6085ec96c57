/* SPDX-License-Identifier: MIT */
/* Deliveries that have been unacknowledged for long are handed to the store (TAKE), also while
 * they run, before the broker's own limit ends the connection. */
#ifndef SKEP_WORKER_AGE_H
#define SKEP_WORKER_AGE_H

#include "daemon/worker/shelf.h"
#include "lib/base/loop.h"

/* Embedded in its owner. */
struct age {
	unsigned magic;
	struct loop *loop;
	struct loop_timer timer;
	struct shelf *shelf;
	const struct conf_pool *pool;
	bool linked; /* there is a store to take them */
	/* One that was sent ahead must be claimed before it can be taken. */
	void (*claim)(void *arg, struct delivery *d);
	void *arg;
};

void age_init(struct age *a, struct loop *loop, const struct conf_pool *pool, struct shelf *shelf,
    void (*claim)(void *arg, struct delivery *d), void *arg);
void age_stop(struct age *a);
void age_arrived(struct age *a); /* a delivery is on the shelf */

#endif
