/* SPDX-License-Identifier: MIT */
/*
 * Brings a connection to a connected socket, over and over: the brokers' urls in a random order, round and
 * round, with a wait before each try that grows with every round that failed.
 *
 *     IDLE -> BACKOFF -> [RESOLVE] -> CONNECT -> IDLE
 */
#ifndef SKEP_AMQP_CONNECTOR_H
#define SKEP_AMQP_CONNECTOR_H

#include "lib/amqp/connection.h"
#include "lib/amqp/dial.h"
#include "lib/amqp/url.h"

struct connector_events {
	void (*connected)(void *arg, int fd); /* the descriptor is the receiver's */
	void (*failed)(void *arg, const char *why); /* it waits for connector_retry() */
};

struct connector {
	unsigned magic;
	struct loop *loop;
	const struct connector_events *events;
	void *arg;
	struct amqp_url *urls;
	size_t nurls, url; /* url: the one in use */
	int64_t timeout_ms, reconnect_max_ms;
	unsigned tries, refusals; /* in a row */
	enum { CONNECTOR_IDLE, CONNECTOR_BACKOFF, CONNECTOR_RESOLVE, CONNECTOR_CONNECT } state;
	struct resolve *resolve;
	struct dial dial;
	struct loop_timer timer;
};

/* -EINVAL if a url is malformed; then connector_free() is still allowed. */
int connector_init(struct connector *c, struct loop *loop, const struct amqp_conn_config *config,
    const struct connector_events *events, void *arg, struct err *err);
void connector_free(struct connector *c);

void connector_start(struct connector *c); /* the first try, at once */

/* The next url after a wait, which is returned in milliseconds. `refused`: this broker does not want us (wrong
 * password, no such vhost); when all of them say so, a try a minute is enough. */
int64_t connector_retry(struct connector *c, bool refused);

void connector_accepted(struct connector *c); /* logged in */
void connector_stable(struct connector *c);   /* was up for long: the next failure is the first one */
void connector_stop(struct connector *c);

const struct amqp_url *connector_url(const struct connector *c);

/* A delay with full jitter (AWS, "Exponential Backoff And Jitter"): uniform up to first_ms * 2^tries, at most
 * max_ms, and never less than 50 ms. */
int64_t connector_backoff_ms(unsigned tries, int64_t first_ms, int64_t max_ms);

#endif
