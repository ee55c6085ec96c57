/* SPDX-License-Identifier: MIT */
/*
 * The broker as a set of sources: the queues of a pool, each with a consumer of its own, all on one
 * connection. It never publishes (invariant 6).
 */
#ifndef SKEP_WORKER_CONSUME_H
#define SKEP_WORKER_CONSUME_H

#include "daemon/worker/source.h"
#include "lib/base/loop.h"
#include "lib/job/message.h"

struct consume;

struct consume_events {
	/* A whole message, borrowed for the call. */
	void (*delivered)(
	    void *arg, struct source *source, struct source_tag tag, const struct message *m);
	/* Everything that this source has delivered so far is the broker's again. */
	void (*lost)(void *arg, struct source *source);
	/* The connection is up or down, or the broker blocks it. */
	void (*changed)(void *arg);
	/* After consume_stop(): nothing more will be delivered; what was can still be settled. */
	void (*stopped)(void *arg);
	/* After consume_close(): everything that was settled is written, and the connection is
	 * closed. */
	void (*closed)(void *arg);
};

/* `conf` and `pool` are borrowed for life. NULL with err if a url is malformed. */
struct consume *consume_new(struct loop *loop, const struct conf *conf,
    const struct conf_pool *pool, uint32_t prefetch, const char *connection_name,
    const struct consume_events *events, void *arg, struct err *err);
void consume_free(struct consume *c);

/* Of each queue; 0 pauses. */
void consume_set_prefetch(struct consume *c, uint32_t prefetch);
bool consume_is_paused(const struct consume *c); /* all are: nothing will be delivered */

void consume_stop(struct consume *c);
void consume_close(struct consume *c);

bool consume_is_up(const struct consume *c);
bool consume_is_blocked(const struct consume *c);

/* The source of that queue, or NULL. */
struct source *consume_source(struct consume *c, struct slice queue);

void consume_ask_all(struct consume *c, bool ask); /* sets source.ask of each */

#endif
