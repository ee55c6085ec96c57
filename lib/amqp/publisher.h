/* SPDX-License-Identifier: MIT */
/*
 * Publishing with confirms on a channel of its own. Every message has the caller's 64-bit key; each key that was
 * accepted ends exactly once, by `settled`. Outstanding sequence numbers are an exact set, since acks come out of
 * order and in groups (RabbitMQ: an unroutable message's basic.return precedes its ack). Messages carry the key
 * in a header, by which a return is matched.
 */
#ifndef SKEP_AMQP_PUBLISHER_H
#define SKEP_AMQP_PUBLISHER_H

#include "lib/amqp/connection.h"
#include "lib/conf/conf.h"
#include "lib/job/message.h"

struct amqp_publisher;

enum amqp_settled {
	AMQP_CONFIRMED, /* the broker has it, unreturned */
	AMQP_RETURNED,  /* unroutable */
	AMQP_NACKED,    /* basic.nack: refused for now */
	AMQP_REFUSED,   /* can never be published as it is (406 PRECONDITION_FAILED: it is too large) */
	AMQP_UNSENT,    /* the channel or connection ended first, or no confirm in time: may have arrived */
};

struct amqp_publisher_events {
	void (*settled)(void *arg, uint64_t key, enum amqp_settled how, const char *reason);
	/* It may be that amqp_publisher_room() has changed from 0. */
	void (*room)(void *arg);
};

struct amqp_publisher_config {
	/* queues to declare before the first publish (topology declare), all of the configuration's */
	const struct conf *conf;
	bool declares;  /* run the topology; a second publisher on the connection (replies) need not */
	uint32_t window; /* confirms outstanding at most */
	int64_t confirm_timeout_ms;
	/* NULL: `skep-parcel`, which says that a node of skep owns the message. */
	const char *key_header;
};

/* Belongs to `conn`. Opens its channel whenever the connection is up. `config->conf` (NULL if it declares nothing) and
 * `config->key_header` are borrowed for life. */
struct amqp_publisher *amqp_publisher_new(struct amqp_conn *conn,
    const struct amqp_publisher_config *config, const struct amqp_publisher_events *events, void *arg);
void amqp_publisher_free(struct amqp_publisher *p); /* settles nothing more */

/* How many messages it would take now: 0 while it is not open, blocked, or its window or the out-buffer is
 * full. */
uint32_t amqp_publisher_room(const struct amqp_publisher *p);
uint32_t amqp_publisher_outstanding(const struct amqp_publisher *p);
bool amqp_publisher_has(const struct amqp_publisher *p, uint64_t key); /* is outstanding */

/* Publishes with mandatory and delivery_mode 2 to m->exchange with m->routing_key: m's properties but user_id
 * (a broker refuses any but the connection's own), its raw_headers without those of
 * envelope_header_is_ours(), and m->headers. -EAGAIN without room; other errors: it can never
 * be sent (the header table is too large...). On error the key is not taken. */
int amqp_publisher_publish(struct amqp_publisher *p, uint64_t key, const struct message *m,
    struct err *err);

#endif
