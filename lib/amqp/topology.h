/* SPDX-License-Identifier: MIT */
/*
 * What exists on the broker, as DESIGN has it: exchanges `skep`, `skep.in`, `skep.dead`, `skep.unrouted`, and
 * for each queue its bindings and `<queue>.dead`. Pure: turns a queue's configuration into a list of steps,
 * which the consumer and the publisher send on their channels.
 */
#ifndef SKEP_AMQP_TOPOLOGY_H
#define SKEP_AMQP_TOPOLOGY_H

#include "lib/conf/conf.h"

#define TOPOLOGY_EXCHANGE "skep"
#define TOPOLOGY_EXCHANGE_IN "skep.in"
#define TOPOLOGY_EXCHANGE_DEAD "skep.dead"
#define TOPOLOGY_UNROUTED "skep.unrouted"

enum topology_op { TOPOLOGY_OP_EXCHANGE, TOPOLOGY_OP_QUEUE, TOPOLOGY_OP_BIND };

struct topology_arg {
	const char *key;
	const char *text; /* NULL: number */
	int64_t number;
};

struct topology_step {
	enum topology_op op;
	bool passive;
	char name[300];   /* exchange or queue */
	char source[32];  /* BIND: exchange */
	char key[300];    /* BIND: routing key */
	const char *kind; /* EXCHANGE: direct or fanout */
	struct topology_arg args[6];
	size_t nargs;
};

#define TOPOLOGY_STEPS_MAX 16

/* The steps for the exchanges alone, or (queue not NULL) for the exchanges and that queue. Returns how many. */
size_t topology_steps(enum conf_topology mode, const struct conf_queue *queue,
    struct topology_step steps[static TOPOLOGY_STEPS_MAX]);

#endif
