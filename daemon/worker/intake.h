/* SPDX-License-Identifier: MIT */
/*
 * Where the jobs of a worker come from, as a whole: the sources of its pool's queues, and what stands
 * behind them. That is a broker (consume.h), or the store with the embedded queue (dealt.h).
 */
#ifndef SKEP_WORKER_INTAKE_H
#define SKEP_WORKER_INTAKE_H

#include "daemon/worker/source.h"
#include "lib/base/loop.h"
#include "lib/ipc/codec.h"
#include "lib/ipc/peer.h"
#include "lib/job/message.h"

struct intake;

struct intake_events {
	/* A whole message, borrowed for the call. */
	void (*delivered)(
	    void *arg, struct source *source, struct source_tag tag, const struct message *m);
	/* A job that the store has claimed for this worker. */
	void (*dealt)(void *arg, struct source *source, const struct msg_deal *deal);
	/* Everything that this source has delivered so far is the broker's again. */
	void (*lost)(void *arg, struct source *source);
	/* The connection is up or down, or the broker blocks it. */
	void (*changed)(void *arg);
	/* After intake_stop(): nothing more will be delivered; what was can still be settled. */
	void (*stopped)(void *arg);
	/* After intake_close(): everything that was settled is written, and the connection is
	 * closed. */
	void (*closed)(void *arg);
};

struct intake_ops {
	void (*free)(struct intake *in);
	/* How many jobs may be here and have not ended; 0 pauses. The broker: of each queue. */
	void (*set_prefetch)(struct intake *in, uint32_t prefetch);
	bool (*is_paused)(const struct intake *in); /* nothing will be delivered */
	void (*pause)(struct intake *in, struct source *s); /* s->paused has changed */
	void (*stop)(struct intake *in);
	void (*close)(struct intake *in);
	bool (*is_up)(const struct intake *in);
	bool (*is_blocked)(const struct intake *in);
	void (*link)(struct intake *in, struct peer *store); /* the store is there; NULL: it is not */
	int (*deal)(struct intake *in, const struct msg_deal *deal); /* -EPROTO: not its to say */
};

/* What both kinds begin with. */
struct intake {
	const struct intake_ops *ops;
	const struct intake_events *events;
	void *arg;
	struct source **sources;
	size_t nsources;
};

/* The source of that queue, or NULL. */
struct source *intake_source(const struct intake *in, struct slice queue);

/* Sets source.ask of each. */
void intake_ask_all(struct intake *in, bool ask);

#endif
