/* SPDX-License-Identifier: MIT */
/* What the connection offers inside lib/amqp, beside connection.h. */
#ifndef SKEP_AMQP_CONN_H
#define SKEP_AMQP_CONN_H

#include "lib/amqp/channel.h"
#include "lib/amqp/connection.h"
#include "lib/amqp/wire.h"

/* Gives the channel a number of its own, from 1. */
uint16_t conn_attach(struct amqp_conn *c, struct channel *ch);
void conn_detach(struct amqp_conn *c, uint16_t number);

/* True if the broker allows a channel of this number. */
bool conn_allows(const struct amqp_conn *c, uint16_t number);

struct wire *conn_wire(struct amqp_conn *c);
struct loop *conn_loop(struct amqp_conn *c);

/* Something was put into the out-buffer, or channel_ops.before_write has something to put there: write
 * before the loop sleeps. */
void conn_dirty(struct amqp_conn *c);

/* Ends the connection for a reason of our own and connects again. Takes effect at the end of the turn, so it
 * may be called from anywhere. */
void conn_abandon(struct amqp_conn *c, const char *why);

void conn_notice(struct amqp_conn *c, enum amqp_notice level, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

#endif
