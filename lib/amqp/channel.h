/* SPDX-License-Identifier: MIT */
/*
 * One channel of a connection, for its owner inside lib/amqp (consumer, publisher, depth). The channel answers
 * what every channel must answer, puts messages together, and outlives its owner until the broker has
 * confirmed that it is closed.
 *
 *     CLOSED -> OPENING -> OPEN -> CLOSING -> CLOSED
 */
#ifndef SKEP_AMQP_CHANNEL_H
#define SKEP_AMQP_CHANNEL_H

#include "lib/amqp/connection.h"
#include "lib/amqp/content.h"

struct channel;

struct channel_ops {
	void (*conn_up)(void *arg); /* the connection is up, the channel closed: open it when you like */
	void (*opened)(void *arg);
	/* A method of this channel that is no part of a message. -EPROTO with what is wrong ends
	 * the connection. */
	int (*method)(void *arg, const amqp_method_t *m, struct err *err);
	/* A whole message, borrowed for the call. Errors as above. */
	int (*content)(void *arg, const struct content *c, struct err *err);
	/* It was opened or being opened and is closed now, not by channel_close(): the broker closed it
	 * (`code` from AMQP 0-9-1, 1.2) or the connection was lost (code 0). */
	void (*closed)(void *arg, unsigned code, const char *why);
	/* NULL where not wanted: */
	void (*before_write)(void *arg); /* the connection is about to write: the last call of a turn */
	void (*room)(void *arg);         /* unblocked, or the out-buffer is low again */
};

struct channel *channel_new(struct amqp_conn *conn, uint64_t max_body_bytes,
    const struct channel_ops *ops, void *arg);
void channel_free(struct channel *ch); /* closes it on the wire too; `ops` are not called any more */

void channel_open(struct channel *ch); /* once it is closed, if it is still closing */
void channel_close(struct channel *ch);
bool channel_is_open(const struct channel *ch);

/* Failures to send (a full out-buffer) end the connection; the caller learns it by `closed`. */
void channel_send(struct channel *ch, amqp_method_number_t id, void *decoded);
int channel_publish(struct channel *ch, amqp_basic_publish_t *method,
    amqp_basic_properties_t *props, struct slice body); /* 0, -ENOBUFS, -E2BIG: nothing was sent */

struct amqp_conn *channel_conn(const struct channel *ch);

/* --- for the connection --------------------------------------------------------------------------- */

void channel_up(struct channel *ch);
void channel_lost(struct channel *ch, const char *why); /* the connection is gone; may free `ch` */
int channel_frame(struct channel *ch, const amqp_frame_t *frame, struct err *err);
void channel_before_write(struct channel *ch);
void channel_room(struct channel *ch);

#endif
