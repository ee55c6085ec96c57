/* SPDX-License-Identifier: MIT */
/*
 * A queue for replies on a channel of its own: exclusive to its connection and gone with it, consumed without
 * acknowledgements, since what was not taken yet is lost with the queue anyway. It is declared again under
 * its name whenever the connection is up.
 */
#ifndef SKEP_AMQP_REPLIES_H
#define SKEP_AMQP_REPLIES_H

#include "lib/amqp/connection.h"
#include "lib/job/message.h"

struct amqp_replies;

struct amqp_replies_events {
	void (*ready)(void *arg); /* what is sent to the queue from now on arrives */
	/* A whole message, borrowed for the call; `cut`: it was above the bound, its body was dropped. */
	void (*reply)(void *arg, const struct message *m, bool cut);
	/* The broker refused the queue, or deleted it; what belongs to a lost connection is told by that. */
	void (*refused)(void *arg, const char *why);
};

/* Belongs to `conn` (created after it, freed before it). `queue` is borrowed for life. */
struct amqp_replies *amqp_replies_new(struct amqp_conn *conn, const char *queue,
    uint64_t max_body_bytes, const struct amqp_replies_events *events, void *arg);
void amqp_replies_free(struct amqp_replies *r);

#endif
