/* SPDX-License-Identifier: MIT */
/*
 * Asks for the depth of queues by passive declares, on a channel of its own, since a missing queue closes it. The
 * message count is what is ready; unacknowledged deliveries are not in it.
 */
#ifndef SKEP_AMQP_DEPTH_H
#define SKEP_AMQP_DEPTH_H

#include "lib/amqp/connection.h"

struct amqp_depth;

struct amqp_depth_events {
	void (*depth)(void *arg, size_t index, uint32_t ready, uint32_t consumers);
	void (*missing)(void *arg, size_t index); /* 404 */
};

/* Polls `names` (borrowed for life) every interval while the connection is up, all in one write. */
struct amqp_depth *amqp_depth_new(struct amqp_conn *conn, const char *const *names, size_t n,
    int64_t interval_ms, const struct amqp_depth_events *events, void *arg);
/* Now, beside the interval; nothing while answers are still out. */
void amqp_depth_ask(struct amqp_depth *d);

void amqp_depth_free(struct amqp_depth *d);

#endif
