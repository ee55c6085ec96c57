/* SPDX-License-Identifier: MIT */
/*
 * One AMQP 0-9-1 connection on a non-blocking socket, with librabbitmq as its codec. The connection goes
 * round its addresses for ever, with jittered backoff, until it is told to stop; each time it is up again it
 * has a new epoch, and whatever belonged to an older epoch is void.
 *
 *     IDLE -> BACKOFF -> RESOLVE -> CONNECT -> [TLS] -> HANDSHAKE -> UP -> CLOSING -> IDLE
 *
 * Channels are opened by their owners (consumer, publisher, depth) through amqp/channel.h, inside lib/amqp.
 * Nothing here blocks and nothing here logs: what people should read comes through `events`.
 */
#ifndef SKEP_AMQP_CONNECTION_H
#define SKEP_AMQP_CONNECTION_H

#include "lib/base/err.h"
#include "lib/base/loop.h"

struct amqp_conn;

enum amqp_notice {
	AMQP_NOTICE_INFO,
	AMQP_NOTICE_WARN,  /* something was refused or lost; skep goes on by itself */
	AMQP_NOTICE_ALERT, /* somebody must act: wrong password, no such vhost, wrong arguments */
};

struct amqp_conn_config {
	const char *const *urls; /* amqp://user:password@host:port/vhost */
	size_t nurls;
	const char *name; /* connection_name, shown by the broker: "skep NODE default/1" */
	int64_t heartbeat_ms, connect_timeout_ms, reconnect_max_ms;
};

struct amqp_conn_events {
	void (*up)(void *arg);                     /* handshake done, new epoch */
	void (*down)(void *arg, const char *why);  /* was up and is not any more */
	void (*blocked)(void *arg, bool blocked);  /* connection.blocked / unblocked */
	void (*closed)(void *arg);                 /* after amqp_conn_stop(): nothing more will come */
	void (*notice)(void *arg, enum amqp_notice level, const char *text);
};

/* Checks one url without connecting. -EINVAL with what is wrong; the password is not in the text. */
int amqp_url_check(const char *url, struct err *err);

/* `config` is copied. Begins to connect at once. NULL with err if a url is malformed. */
struct amqp_conn *amqp_conn_new(struct loop *loop, const struct amqp_conn_config *config,
    const struct amqp_conn_events *events, void *arg, struct err *err);

/* Orderly: writes what is buffered, connection.close, waits up to two seconds, then `closed`. */
void amqp_conn_stop(struct amqp_conn *c);
void amqp_conn_free(struct amqp_conn *c); /* closes the descriptor, tells nobody */

bool amqp_conn_is_up(const struct amqp_conn *c);
bool amqp_conn_is_blocked(const struct amqp_conn *c);
uint32_t amqp_conn_epoch(const struct amqp_conn *c); /* from 1 */

/* Bytes that wait to be written; a publisher stops taking parcels above AMQP_OUT_HIGH_BYTES. */
#define AMQP_OUT_HIGH_BYTES (4u << 20)
#define AMQP_OUT_MAX_BYTES (512u << 20) /* one largest message above the high mark */
size_t amqp_conn_backlog(const struct amqp_conn *c);

/* Writes now what the socket takes without waiting. Otherwise everything is written once per loop turn. */
void amqp_conn_flush(struct amqp_conn *c);

#endif
