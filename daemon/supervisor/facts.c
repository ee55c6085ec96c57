/* SPDX-License-Identifier: MIT */
#include "daemon/supervisor/facts.h"

#include "daemon/supervisor/footprint.h"
#include "daemon/supervisor/supervisor.h"
#include "lib/base/clock.h"

/* Depths are asked for now and then: the consumers that one counts may be our own of that moment. */
#define OWN_KEPT_MS 15000
#define RSS_FADES 16 /* the part that is forgotten with each look */

void facts_init(struct facts *f, const struct conf *conf, const struct crew *crew)
{
	size_t n = crew->pool->queues.n;

	*f = (struct facts){.nqueues = n < BOARD_FLOWS_MAX ? n : BOARD_FLOWS_MAX,
	    .slots = conf_pool_slots(conf, crew->pool)};
	f->queues = xcalloc(f->nqueues, sizeof *f->queues);
	f->run_us = xcalloc(f->nqueues, sizeof *f->run_us);
	f->seen = xcalloc(crew->n, sizeof *f->seen);
	f->of = (struct scale_facts){.queues = f->queues,
	    .nqueues = f->nqueues,
	    .start_ms = -1,
	    .memory_available = -1,
	    .cgroup_limit = -1,
	    .cgroup_used = -1,
	    .worker_rss = -1,
	    .psi_memory = -1,
	    .psi_cpu = -1};
}

void facts_free(struct facts *f)
{
	free(f->queues);
	free(f->run_us);
	free(f->seen);
	*f = (struct facts){0};
}

/* --- what the workers did --------------------------------------------------------------------- */

/* What went back, or was settled without a run: neither here nor ended. */
static uint64_t returned(const struct board_flow *w)
{
	uint64_t rest = w->ended + w->held + w->running;

	return w->delivered > rest ? w->delivered - rest : 0;
}

static uint64_t grown(uint64_t now, uint64_t then)
{
	return now > then ? now - then : 0;
}

static void add_flow(struct facts *f, size_t i, const struct board_flow *now, const struct board_flow *then)
{
	struct scale_queue *q = &f->queues[i];

	q->delivered += grown(now->delivered, then->delivered);
	q->returned += grown(returned(now), returned(then));
	q->finished += grown(now->ended, then->ended);
	f->run_us[i] += grown(now->run_us, then->run_us);
	q->run_ms = f->run_us[i] / 1000;
	q->running += now->running;
	q->held += now->held;
}

static size_t queue_of_run(const struct facts *f, const struct conf_pool *pool, const struct board_run *run)
{
	size_t i = 0;

	while (i + 1 < f->nqueues &&
	       strncmp(run->queue, pool->queues.v[i], sizeof run->queue - 1) != 0)
		i++;
	return i;
}

static void add_ages(struct facts *f, const struct conf_pool *pool, const struct board_slot *slot)
{
	int64_t now = clock_wall_ms();

	for (uint32_t i = 0; i < slot->nruns && i < BOARD_RUNS_MAX; i++) {
		const struct board_run *run = &slot->runs[i];

		if (run->since_wall_ms > 0 && run->since_wall_ms < now)
			f->queues[queue_of_run(f, pool, run)].run_age_ms +=
			    (uint64_t)(now - run->since_wall_ms);
	}
}

static void add_worker(struct facts *f, const struct supervisor *s, const struct child *c, struct facts_seen *seen)
{
	struct board_slot slot;

	if (!child_is_alive(c) || !board_read(s->board, c->slot, &slot))
		return;
	if (seen->generation != slot.generation)
		*seen = (struct facts_seen){.generation = slot.generation};
	for (size_t i = 0; i < f->nqueues; i++)
		add_flow(f, i, &slot.flows[i], &seen->flows[i]);
	memcpy(seen->flows, slot.flows, sizeof seen->flows);
	add_ages(f, c->crew->pool, &slot);
	f->workers++;
	if (c->leaving)
		f->of.draining++;
	else if (c->state != CHILD_READY)
		f->of.starting++;
	else if (slot.nruns)
		f->of.busy++;
	else
		f->of.idle++;
}

/* --- what waits ------------------------------------------------------------------------------- */

static bool read_depths(const struct supervisor *s, struct board_slot *ret)
{
	enum role_id role = conf_is_embedded(s->conf) ? ROLE_STORE : ROLE_COURIER;

	for (size_t i = 0; i < s->nchildren && !s->children[i].crew; i++) {
		if (s->children[i].role == role)
			return board_read(s->board, s->children[i].slot, ret) && ret->state == BOARD_READY;
	}
	return false;
}

static void remember_own(struct facts *f)
{
	uint32_t own = f->of.idle + f->of.busy + f->of.starting + f->of.draining;

	if (own < f->own && f->of.now - f->own_ms < OWN_KEPT_MS)
		return;
	f->own = own;
	f->own_ms = f->of.now;
}

static void add_depth(struct facts *f, const struct supervisor *s, size_t i, const char *name,
    const struct board_slot *slot)
{
	struct scale_queue *q = &f->queues[i];
	const struct conf_queue *queue = conf_queue(s->conf, slice_str(name));
	size_t index = queue ? conf_queue_index(s->conf, queue) : BOARD_QUEUES_MAX;
	const struct board_depth *d = index < BOARD_QUEUES_MAX ? &slot->depths[index] : NULL;
	int64_t age_ms;

	q->ready_at = -1;
	if (!d || !d->at_wall_ms || d->missing)
		return;
	/* The embedded queue's depths are those of now: the store says what changes. */
	age_ms = conf_is_embedded(s->conf) ? 0 : clock_wall_ms() - d->at_wall_ms;
	q->ready = d->ready;
	q->ready_at = f->of.now - (age_ms > 0 ? age_ms : 0);
	q->foreign = d->consumers > f->own ? d->consumers - f->own : 0;
}

static bool is_paused(const struct supervisor *s, const char *name, const struct board_slot *store)
{
	const struct conf_queue *queue = conf_queue(s->conf, slice_str(name));
	size_t index = queue ? conf_queue_index(s->conf, queue) : BOARD_QUEUES_MAX;

	return index < BOARD_QUEUES_MAX && store->depths[index].paused;
}

/* --- the machine ------------------------------------------------------------------------------ */

/* What a worker takes with its handlers: the mean of those that there are, or what it was before and a little less:
 * between two jobs a worker takes little, and the next job is like the last. */
static int64_t weigh_one(int64_t before, int64_t mean)
{
	int64_t faded = before - before / RSS_FADES;

	return mean > faded ? mean : faded;
}

static void weigh(struct facts *f, const struct supervisor *s, const struct crew *crew)
{
	int64_t sum = 0, n = 0;

	for (size_t i = 0; i < crew->n; i++) {
		const struct child *c = &crew->children[i];
		int64_t bytes = child_is_alive(c) ? footprint_tree(c->pid) : 0;

		sum += bytes > 0 ? bytes : 0;
		n += bytes > 0;
	}
	if (n)
		f->of.worker_rss = weigh_one(f->of.worker_rss, sum / n);
	f->of.memory_available = footprint_available();
	f->of.psi_memory = footprint_memory_pressure();
	f->of.psi_cpu = footprint_cpu_pressure();
	if (s->conf->daemon.memory_max) {
		f->of.cgroup_limit = s->conf->daemon.memory_max;
		f->of.cgroup_used = sum;
	}
}

uint64_t facts_held_bytes(const struct facts *f)
{
	return f->of.worker_rss > 0 ? (uint64_t)f->of.worker_rss * f->workers : 0;
}

/* --- all of it -------------------------------------------------------------------------------- */

void facts_gather(struct facts *f, const struct supervisor *s, const struct crew *crew)
{
	struct board_slot depths, store;
	bool asked = read_depths(s, &depths);
	bool told = board_read(s->board, s->store->slot, &store);

	f->of.now = clock_mono_ms();
	f->of.starting = f->of.idle = f->of.busy = f->of.draining = 0;
	f->workers = 0;
	for (size_t i = 0; i < f->nqueues; i++)
		f->queues[i].running = 0, f->queues[i].held = f->queues[i].run_age_ms = 0;
	for (size_t i = 0; i < crew->n; i++)
		add_worker(f, s, &crew->children[i], &f->seen[i]);
	remember_own(f);
	for (size_t i = 0; i < f->nqueues; i++) {
		if (asked)
			add_depth(f, s, i, crew->pool->queues.v[i], &depths);
		f->queues[i].paused = told && is_paused(s, crew->pool->queues.v[i], &store);
	}
	f->of.start_ms = crew->start_ms;
	weigh(f, s, crew);
}
