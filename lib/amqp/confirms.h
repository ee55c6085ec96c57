/* SPDX-License-Identifier: MIT */
/*
 * Published and not yet confirmed: an exact set of sequence numbers, since RabbitMQ confirms out of order and
 * in groups (2, 4, 6, then 5 with `multiple`). Numbers begin at 1 with each channel. Pure: a ring indexed by the
 * number, wider than the window, so that one confirm that is late does not stop the others.
 */
#ifndef SKEP_AMQP_CONFIRMS_H
#define SKEP_AMQP_CONFIRMS_H

#include "lib/base/base.h"

struct confirm {
	uint64_t key;
	int64_t sent_ms;
	bool open, returned;
};

struct confirms {
	struct confirm *ring;
	size_t cap; /* a power of two */
	uint32_t window, open;
	uint64_t oldest, next; /* every open number is in oldest..next-1 */
};

void confirms_init(struct confirms *c, uint32_t window);
void confirms_free(struct confirms *c);
void confirms_reset(struct confirms *c); /* a new channel; nothing may be open */

uint32_t confirms_room(const struct confirms *c);
void confirms_push(struct confirms *c, uint64_t key, int64_t now_ms); /* only with room */

/* Takes one open number out: `seq` itself or, with `multiple`, the oldest up to it. False when there is
 * none (left). */
bool confirms_take(struct confirms *c, uint64_t seq, bool multiple, struct confirm *ret);
/* The oldest of all. */
bool confirms_take_any(struct confirms *c, struct confirm *ret);

void confirms_returned(struct confirms *c, uint64_t key); /* its confirm is still to come */
bool confirms_has(const struct confirms *c, uint64_t key);

/* When the oldest open one was sent; INT64_MAX when nothing is open. */
int64_t confirms_oldest_ms(const struct confirms *c);

#endif
