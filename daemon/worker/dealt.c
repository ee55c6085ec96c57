/* SPDX-License-Identifier: MIT */
#include "daemon/worker/dealt.h"

#include <errno.h>

#define DEALT_MAGIC 0x6465616cu

struct dealt {
	struct intake intake; /* first, so that an intake of ours is one of these */
	unsigned magic;
	struct peer *store;
	struct source *queues;
	uint32_t prefetch;
	bool stopping;
	struct loop_timer stopped, closed; /* at once, but not from inside the call */
};

static struct dealt *of(struct intake *in)
{
	OBJ(struct dealt, d, (void *)in, DEALT_MAGIC);

	return d;
}

/* --- the intake ------------------------------------------------------------------------------- */

static void want(struct dealt *d)
{
	if (d->store)
		peer_send_want(
		    d->store, &(struct msg_want){.runs = d->stopping ? 0 : d->prefetch});
}

static void set_prefetch(struct intake *in, uint32_t prefetch)
{
	struct dealt *d = of(in);

	d->prefetch = prefetch;
	want(d);
}

static bool is_paused(const struct intake *in)
{
	return ((const struct dealt *)(const void *)in)->prefetch == 0;
}

/* The store deals nothing of a paused queue. */
static void pause_queue(struct intake *in UNUSED, struct source *s UNUSED)
{
}

static void stop(struct intake *in)
{
	struct dealt *d = of(in);

	d->stopping = true;
	want(d);
	loop_timer_set(&d->stopped, 0);
}

static void on_stopped(struct loop_timer *t)
{
	OBJ(struct dealt, d, t->arg, DEALT_MAGIC);

	d->intake.events->stopped(d->intake.arg);
}

static void close_it(struct intake *in)
{
	loop_timer_set(&of(in)->closed, 0);
}

static void on_closed(struct loop_timer *t)
{
	OBJ(struct dealt, d, t->arg, DEALT_MAGIC);

	d->intake.events->closed(d->intake.arg);
}

static bool is_up(const struct intake *in)
{
	return ((const struct dealt *)(const void *)in)->store != NULL;
}

static bool is_blocked(const struct intake *in UNUSED)
{
	return false;
}

static void link_store(struct intake *in, struct peer *store)
{
	struct dealt *d = of(in);

	d->store = store;
	want(d);
	in->events->changed(in->arg);
}

static int deal(struct intake *in, const struct msg_deal *m)
{
	struct source *s = intake_source(in, m->queue);

	if (!s)
		return -EPROTO;
	in->events->dealt(in->arg, s, m);
	return 0;
}

static void dealt_free(struct intake *in)
{
	struct dealt *d = of(in);

	loop_timer_stop(&d->stopped);
	loop_timer_stop(&d->closed);
	free(in->sources);
	free(d->queues);
	d->magic = 0;
	free(d);
}

/* --- life ------------------------------------------------------------------------------------- */

struct intake *dealt_new(struct loop *loop, const struct conf *conf, const struct conf_pool *pool,
    uint32_t prefetch, const struct intake_events *events, void *arg)
{
	static const struct intake_ops ops = {.free = dealt_free,
	    .set_prefetch = set_prefetch,
	    .is_paused = is_paused,
	    .pause = pause_queue,
	    .stop = stop,
	    .close = close_it,
	    .is_up = is_up,
	    .is_blocked = is_blocked,
	    .link = link_store,
	    .deal = deal};
	struct dealt *d = xcalloc(1, sizeof *d);

	d->magic = DEALT_MAGIC;
	d->prefetch = prefetch;
	d->intake = (struct intake){.ops = &ops, .events = events, .arg = arg};
	d->queues = xcalloc(pool->queues.n + 1, sizeof *d->queues);
	d->intake.sources = xcalloc(pool->queues.n + 1, sizeof *d->intake.sources);
	for (size_t i = 0; i < pool->queues.n; i++) {
		const struct conf_queue *queue = conf_queue(conf, slice_str(pool->queues.v[i]));

		if (!queue)
			BUG("pool %s has an unknown queue", pool->section);
		d->queues[i] = (struct source){.queue = queue, .index = i};
		d->intake.sources[d->intake.nsources++] = &d->queues[i];
	}
	loop_timer_init(&d->stopped, loop, on_stopped, d);
	loop_timer_init(&d->closed, loop, on_closed, d);
	return &d->intake;
}
