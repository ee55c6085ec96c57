/* SPDX-License-Identifier: MIT */
/*
 * The inside of a connection, for connection.c (its states, its beginning and end) and conn_io.c (its bytes,
 * frames and heartbeats) alone.
 */
#ifndef SKEP_AMQP_CONN_IO_H
#define SKEP_AMQP_CONN_IO_H

#include "lib/amqp/conn.h"
#include "lib/amqp/connector.h"
#include "lib/amqp/handshake.h"

#define CONN_MAGIC 0x616d7163u

/* CONNECTING is BACKOFF, RESOLVE and CONNECT of connector.c. */
enum conn_state { CONN_IDLE, CONN_CONNECTING, CONN_HANDSHAKE, CONN_UP, CONN_CLOSING };

struct amqp_conn {
	unsigned magic;
	struct loop *loop;
	const struct amqp_conn_events *events;
	void *arg;

	char *name;
	uint16_t heartbeat_s;

	enum conn_state state;
	uint32_t epoch;
	int64_t up_since_ms;

	struct connector connector;
	struct handshake handshake;
	int fd;
	struct wire wire;
	struct loop_io io;
	struct loop_timer timer; /* limit of the state */
	struct loop_timer heart, more;
	struct loop_hook hook;
	int64_t last_in_ms, last_out_ms;
	bool blocked, congested, dirty;

	struct channel **channels; /* by number; [0] is not used */
	size_t nchannels;

	unsigned busy;
	bool freed, stopping;
	char abandon[120]; /* why, if not empty */
	char noticed[300];
	int64_t noticed_ms;
};


/* --- connection.c */

/* Every piece of work on a connection stands between these two; see there. */
void conn_enter(struct amqp_conn *c);
void conn_leave(struct amqp_conn *c);

void conn_up(struct amqp_conn *c); /* the handshake is done */
void conn_finish(struct amqp_conn *c); /* the orderly end */

/* The other end. `refused`: the broker does not want us. Then it connects again. */
void conn_fail(struct amqp_conn *c, enum amqp_notice level, bool refused, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void conn_each_channel(struct amqp_conn *c, void (*fn)(struct channel *ch));

/* --- conn_io.c */

void conn_io_init(struct amqp_conn *c);
void conn_io_start(struct amqp_conn *c, int fd); /* takes the socket; the protocol header goes out */
void conn_io_beat(struct amqp_conn *c);          /* heartbeats from now on, as agreed */
void conn_io_stop(struct amqp_conn *c);          /* closes the socket, drops what is buffered */
void conn_io_free(struct amqp_conn *c);
void conn_io_write(struct amqp_conn *c);         /* what the socket takes now */

#endif
