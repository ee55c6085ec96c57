/* SPDX-License-Identifier: MIT */
#include "daemon/courier/depths.h"

#include "lib/base/clock.h"

#define DEPTHS_MAGIC 0x64707468u
#define WATCH_MS 200 /* the supervisor looks four times a second then */
#define MISSES_SAID 2 /* on a new broker the first poll may come before the workers' declares */

struct depths {
	unsigned magic;
	struct process *p;
	struct amqp_depth *poll;
	struct loop_timer watch; /* while some pool may grow */
	const char *names[BOARD_QUEUES_MAX];
	unsigned char misses[BOARD_QUEUES_MAX]; /* in succession, up to MISSES_SAID */
};

static struct board_depth *seen(struct depths *d, size_t index)
{
	struct board_depth *depth = &d->p->slot->depths[index];

	depth->at_wall_ms = clock_wall_ms();
	process_board_changed(d->p);
	return depth;
}

static void on_depth(void *arg, size_t index, uint32_t ready, uint32_t consumers)
{
	OBJ(struct depths, d, arg, DEPTHS_MAGIC);
	struct board_depth *depth = seen(d, index);

	if (d->misses[index] == MISSES_SAID)
		log_info("queue '%s' is there again", d->names[index]);
	d->misses[index] = 0;
	depth->ready = ready;
	depth->consumers = consumers;
	depth->missing = false;
}

static void on_missing(void *arg, size_t index)
{
	OBJ(struct depths, d, arg, DEPTHS_MAGIC);
	struct board_depth *depth = seen(d, index);

	if (d->misses[index] < MISSES_SAID && ++d->misses[index] == MISSES_SAID)
		log_warn("queue '%s' does not exist on the broker", d->names[index]);
	depth->ready = depth->consumers = 0;
	depth->missing = true;
}

/* A pool without workers, or one that grows, wants to know what waits sooner than others; so does a
 * move that waits for the queues to be empty. */
static void on_watch(struct loop_timer *t)
{
	OBJ(struct depths, d, t->arg, DEPTHS_MAGIC);
	struct board_pool pool;

	if (d->p->move == MOVE_IN) {
		amqp_depth_ask(d->poll);
		return;
	}
	for (size_t i = 0; i < board_pools(d->p->board); i++) {
		board_read_pool(d->p->board, i, &pool);
		if (pool.watch) {
			amqp_depth_ask(d->poll);
			return;
		}
	}
}

struct depths *depths_new(struct process *p, struct amqp_conn *conn)
{
	static const struct amqp_depth_events events = {on_depth, on_missing};
	struct depths *d = xcalloc(1, sizeof *d);
	size_t n = p->conf->nqueues;

	d->magic = DEPTHS_MAGIC;
	d->p = p;
	if (n > BOARD_QUEUES_MAX) {
		log_warn("depths are shown of the first %d of %zu queues", BOARD_QUEUES_MAX, n);
		n = BOARD_QUEUES_MAX;
	}
	for (size_t i = 0; i < n; i++)
		d->names[i] = p->conf->queues[i].section;
	d->poll = amqp_depth_new(conn, d->names, n, p->conf->broker.depth_interval, &events, d);
	loop_timer_init(&d->watch, p->loop, on_watch, d);
	if (p->move == MOVE_IN)
		loop_timer_every(&d->watch, WATCH_MS);
	for (size_t i = 0; i < p->conf->npools; i++) {
		if (p->conf->pools[i].workers.least < p->conf->pools[i].workers.most)
			loop_timer_every(&d->watch, WATCH_MS);
	}
	return d;
}

void depths_free(struct depths *d)
{
	if (!d)
		return;
	loop_timer_stop(&d->watch);
	amqp_depth_free(d->poll);
	free(d);
}
