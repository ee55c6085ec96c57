/* SPDX-License-Identifier: MIT */
/*
 * One queue consumed on a channel of its own: topology, qos, consume, deliveries, acks. After a channel error, a
 * basic.cancel or a reconnect it starts again by itself, with backoff; after a 406 it is parked: it retries once a
 * minute and says so. A connection that consumes never publishes.
 *
 *     WAITING -> OPENING -> TOPOLOGY -> QOS -> CONSUMING -> CANCELLING -> STOPPED
 *                                    any error -> WAITING (backoff) or PARKED (60 s)
 *
 * The prefetch of a consumer cannot be changed: basic.qos with global=0 is about those that come after it, and
 * quorum queues refuse global=1 (540). So one takes the place of the other, on the same channel and in the same
 * session: what was delivered stays valid.
 *
 *     CONSUMING -> PAUSING (basic.cancel) -> PAUSED -> RESUMING (basic.qos, basic.consume) -> CONSUMING
 *
 * A quorum queue gives back what was on its way to the cancelled consumer, and that counts as a delivery
 * (x-delivery-count, redelivered): a change is no thing to do often.
 */
#ifndef SKEP_AMQP_CONSUMER_H
#define SKEP_AMQP_CONSUMER_H

#include "lib/amqp/connection.h"
#include "lib/conf/conf.h"
#include "lib/job/message.h"

struct amqp_consumer;

/* What an acknowledgement needs. A tag of an older session (epoch of the connection, or an earlier opening
 * of the channel) is void: acking it does nothing, the broker has requeued the message. */
struct amqp_tag {
	uint32_t session;
	uint64_t delivery;
};

struct amqp_consumer_events {
	/* A whole message, borrowed for the call. */
	void (*delivery)(void *arg, struct amqp_tag tag, const struct message *m);
	/* A message larger than max_body: its body was read and dropped, and it was rejected
	 * (requeue=0), so that the broker dead-letters it. */
	void (*oversize)(void *arg, const struct message *m, uint64_t body_bytes);
	/* Everything delivered in this session and not yet acknowledged is the broker's again. */
	void (*lost)(void *arg);
	/* After amqp_consumer_stop(): no delivery comes any more; acks still work. */
	void (*stopped)(void *arg);
};

#define AMQP_PREFETCH_MAX 2000 /* of quorum queues */

/* Belongs to `conn` (created after it, freed before it). Starts whenever the connection is up. `queue` is
 * borrowed for life. Notices go through the connection's events. */
struct amqp_consumer *amqp_consumer_new(struct amqp_conn *conn, const struct conf_queue *queue,
    enum conf_topology topology, uint16_t prefetch, uint64_t max_body_bytes,
    const struct amqp_consumer_events *events, void *arg);
void amqp_consumer_free(struct amqp_consumer *c);

/* basic.cancel; deliveries go on until it is confirmed, then `stopped` (at once if it is not consuming). */
void amqp_consumer_stop(struct amqp_consumer *c);

/* From now on up to n deliveries that are not settled; 0: none at all until it is called again. What was delivered
 * under the old value does not count against the new one, so that the change waits until at most n/2 of them are
 * left: 1.5 * AMQP_PREFETCH_MAX are never exceeded. */
void amqp_consumer_set_prefetch(struct amqp_consumer *c, uint16_t n);

/* The prefetch is 0 and the broker knows: nothing will be delivered. */
bool amqp_consumer_is_paused(const struct amqp_consumer *c);

/* Settlements. Acks of one loop turn are folded: a run of tags without a gap to the oldest unsettled one
 * becomes a single `multiple`. They wait for each other up to an eighth of the prefetch, or 25 ms; whatever
 * else is written takes them along. */
void amqp_consumer_ack(struct amqp_consumer *c, struct amqp_tag tag);
void amqp_consumer_requeue(struct amqp_consumer *c, struct amqp_tag tag); /* basic.nack, requeue */
void amqp_consumer_reject(struct amqp_consumer *c, struct amqp_tag tag);  /* basic.reject, dead-letter */

bool amqp_consumer_tag_valid(const struct amqp_consumer *c, struct amqp_tag tag);
size_t amqp_consumer_unsettled(const struct amqp_consumer *c);
bool amqp_consumer_is_consuming(const struct amqp_consumer *c);

#endif
