/* SPDX-License-Identifier: MIT */
/*
 * The exchange that opens a connection, on channel 0 (AMQP 0-9-1, 2.2.4):
 *
 *     connection.start -> start-ok, tune -> tune-ok + open, open-ok
 */
#ifndef SKEP_AMQP_HANDSHAKE_H
#define SKEP_AMQP_HANDSHAKE_H

#include "lib/amqp/url.h"
#include "lib/amqp/wire.h"

#define HANDSHAKE_CHANNEL_MAX 256 /* one channel per consumed queue, and a few */

struct handshake {
	const struct amqp_url *url;
	const char *name;     /* connection_name */
	uint16_t heartbeat_s; /* in: asked for; out: agreed; 0: none */
	uint16_t channel_max; /* out */
	char server[100];     /* out: "RabbitMQ 3.10.8" */
	enum { HANDSHAKE_START, HANDSHAKE_TUNE, HANDSHAKE_OPEN, HANDSHAKE_DONE } wants;
};

void handshake_init(struct handshake *h, const struct amqp_url *url, const char *name,
    uint16_t heartbeat_s);

/* One method; answers go to `w`. 1 when the connection is open, 0 when more must come, -EPROTO, or
 * -EACCES when this broker will not take what we offer. */
int handshake_method(struct handshake *h, struct wire *w, const amqp_method_t *method,
    struct err *err);

#endif
