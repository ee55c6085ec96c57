/* SPDX-License-Identifier: MIT */
/*
 * One connection of a client to its broker, run only while somebody waits for it. It does not come back by itself:
 * who finds it down connects anew, so that a call fails when the broker is away instead of waiting.
 */
#ifndef SKEP_CLIENT_LIBSKEP_BROKER_LINK_H
#define SKEP_CLIENT_LIBSKEP_BROKER_LINK_H

#include "client/libskep/via.h"
#include "lib/amqp/connection.h"

struct broker_link {
	unsigned magic;
	struct loop *loop;
	struct amqp_conn *conn;
	void (*down)(void *arg); /* was up, and is not any more; NULL where not wanted */
	void *arg;
	bool up, failed, closed;
	bool refused; /* by the broker, which said so: `why` */
	char why[SKEP_ERROR_BYTES];
};

void broker_link_init(struct broker_link *l, struct loop *loop);

/* Begins to connect, from whatever state; what belonged to the old connection was freed before. */
enum skep_code broker_link_dial(struct broker_link *l, const char *url, int64_t timeout_ms,
    struct skep_error *error);

/* Why it cannot be used: -> error. */
enum skep_code broker_link_error(const struct broker_link *l, struct skep_error *error);

void broker_link_free(struct broker_link *l); /* at once */

/* Begins to part; l->closed when that is done, which takes two seconds at most. */
void broker_link_stop(struct broker_link *l);

#endif
