/* SPDX-License-Identifier: MIT */
/*
 * Acknowledgements of one consumer that wait for each other before they are written: what else is
 * written takes them along. A packet, and what the broker does for one, is dearer than an ack.
 */
#ifndef SKEP_AMQP_ACKS_H
#define SKEP_AMQP_ACKS_H

#include "lib/amqp/channel.h"
#include "lib/amqp/conn.h"
#include "lib/amqp/tags.h"

#define ACKS_PART 8      /* they wait up to so great a part of the prefetch... */
#define ACKS_DELAY_MS 25 /* ...and for so long */

struct acks {
	unsigned magic;
	struct amqp_conn *conn;
	struct channel *channel;
	struct tags *tags;
	uint32_t n; /* that wait */
	struct loop_timer timer;
};

/* Everything is borrowed for life. */
void acks_init(struct acks *a, struct amqp_conn *conn, struct channel *channel, struct tags *tags);
void acks_stop(struct acks *a);

/* A tag; one that was acked already changes nothing. `window`: how many deliveries may be open; 0:
 * no more come, do not wait. */
void acks_add(struct acks *a, uint64_t tag, uint32_t window);

/* Folded by tags_fold(), into the connection's buffer. */
void acks_write(struct acks *a);

#endif
