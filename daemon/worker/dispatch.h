/* SPDX-License-Identifier: MIT */
/*
 * Decides what becomes of each delivery: what must be asked, what starts, what is handed back, and
 * when its source is told. handlers.h says how many run at a time; a delivery that waits for the
 * store's word lets nothing else start, and one that waits for its outcome to be durable does not
 * hold up the next.
 * All of it happens in answer to events; dispatch_turn() then sends and starts what has become
 * possible.
 */
#ifndef SKEP_WORKER_DISPATCH_H
#define SKEP_WORKER_DISPATCH_H

#include "daemon/worker/environment.h"
#include "daemon/worker/prefetch.h"
#include "daemon/worker/source.h"
#include "lib/base/loop.h"
#include "lib/board/board.h"
#include "lib/ipc/peer.h"
#include "lib/job/message.h"

struct dispatch;
struct shelf;

struct dispatch_config {
	struct loop *loop;
	const struct conf *conf;
	const struct conf_pool *pool;
	struct environment *environment;
	struct prefetch *prefetch; /* is told of what runs; bounds what is unanswered */
	struct board_slot *slot; /* counters and the current run are kept there */
	bool carries; /* runs nothing: whatever is delivered goes to the store */
};

struct dispatch_events {
	/* The store's word on a queue: every delivery of it waits for the verdict, or not. No name
	 * stands for all: a store that welcomes names anew those that it asks for. */
	void (*ask)(void *arg, struct slice queue, bool always);
	/* The store deals a job of the embedded queue. -EPROTO: it has no business to. */
	int (*dealt)(void *arg, const struct msg_deal *deal);
	void (*paused)(void *arg, struct slice queue, bool paused);
	void (*changed)(void *arg); /* the slot was written to */
	void (*empty)(void *arg);   /* stopping, and nothing is held any more */
};

/* `config` is copied, what it points to borrowed for life. */
struct dispatch *dispatch_new(const struct dispatch_config *config,
    const struct dispatch_events *events, void *arg);
void dispatch_free(struct dispatch *x);

/* Once per loop turn, before the hub writes. */
void dispatch_turn(struct dispatch *x);

/* The store: connected and welcome, or (NULL) gone; its frames; what it must hear before it
 * welcomes. */
void dispatch_link(struct dispatch *x, struct peer *store);
int dispatch_frame(struct dispatch *x, struct frame *f);
uint32_t dispatch_held(const struct dispatch *x);
void dispatch_hold(const struct dispatch *x, struct peer *store);

/* A source: a message, borrowed; or everything it has delivered so far is its own again. */
void dispatch_delivered(struct dispatch *x, struct source *source, struct source_tag tag,
    const struct message *m);
void dispatch_lost(struct dispatch *x, struct source *source);

/* A job that the store has claimed for this worker. */
void dispatch_dealt(struct dispatch *x, struct source *source, const struct msg_deal *m);

/* source->paused has changed. */
void dispatch_paused(struct dispatch *x, struct source *source);

struct shelf *dispatch_shelf(struct dispatch *x); /* what it holds; the waiting ones may be handed back */

/* Starts nothing more and gives back what has not started. The runs that go on have so long to
 * end; then they are stopped and released. hurry: they are killed. */
void dispatch_stop(struct dispatch *x, bool hurry, int64_t within_ms);

/* The node has died under this worker, and what runs here may be why. It is killed and nothing is
 * said of it: its claim stays open, a loss to the next store. Were it released, such a job would
 * be run for ever. `empty` follows. */
void dispatch_abandon(struct dispatch *x);
bool dispatch_is_empty(const struct dispatch *x);

#endif
