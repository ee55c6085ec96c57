/* SPDX-License-Identifier: MIT */
#include "daemon/supervisor/crew.h"

#include "daemon/supervisor/footprint.h"
#include "daemon/supervisor/supervisor.h"
#include "lib/base/clock.h"

#define CREW_DRAIN_MS (24LL * 3600 * 1000) /* a retired worker that is still busy then is told to hand back */
#define AGE_JITTER_PERCENT 20 /* of max_age, by worker: a crew does not grow old together */

size_t crew_room(const struct conf_pool *pool)
{
	return (size_t)conf_pool_most(pool) + CREW_SPARE;
}

void crew_init(struct crew *w, struct supervisor *s, const struct conf_pool *pool, struct child *children)
{
	*w = (struct crew){.s = s, .pool = pool, .children = children, .n = crew_room(pool), .start_ms = -1};
}

/* Is it one of those that the target counts? */
static bool serves(const struct child *c)
{
	return c->state != CHILD_OFF && c->state != CHILD_GONE && !c->leaving;
}

struct crew_count crew_count(const struct crew *w)
{
	struct crew_count count = {0};

	for (size_t i = 0; i < w->n; i++) {
		const struct child *c = &w->children[i];

		count.leaving += c->leaving;
		if (!serves(c))
			continue;
		if (c->state == CHILD_READY)
			count.ready++;
		else if (c->state == CHILD_SPAWNED || c->state == CHILD_STARTING)
			count.starting++;
		else
			count.waiting++;
	}
	return count;
}

static uint32_t serving(const struct crew *w)
{
	uint32_t n = 0;

	for (size_t i = 0; i < w->n; i++)
		n += serves(&w->children[i]);
	return n;
}

/* --- growing ---------------------------------------------------------------------------------- */

static struct child *start_one(struct crew *w)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->children[i].state == CHILD_OFF) {
			child_start(&w->children[i]);
			return &w->children[i];
		}
	}
	return NULL; /* all others drain: as soon as one is gone */
}

/* --- shrinking -------------------------------------------------------------------------------- */

/* What it would cost to let it go: those without work first, then the one that holds least. */
static uint64_t cost_of(const struct crew *w, const struct child *c)
{
	struct board_slot slot;

	if (c->state != CHILD_READY)
		return c->state == CHILD_WAITING || c->state == CHILD_BURYING ? 0 : 1;
	if (!board_read(w->s->board, c->slot, &slot))
		return 2;
	return 2 + ((uint64_t)slot.nruns << 32) + slot.buffered;
}

static void retire(struct child *c)
{
	if (!child_is_alive(c) && c->state != CHILD_BURYING) {
		child_put_away(c);
		return;
	}
	c->leaving = true;
	if (child_is_alive(c))
		child_stop(c, false, CREW_DRAIN_MS);
}

/* Of equals the one with the highest number. */
static void retire_one(struct crew *w)
{
	struct child *cheapest = NULL;
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < w->n; i++) {
		struct child *c = &w->children[i];
		uint64_t cost = serves(c) ? cost_of(w, c) : UINT64_MAX;

		if (cost != UINT64_MAX && cost <= least) {
			cheapest = c;
			least = cost;
		}
	}
	if (cheapest)
		retire(cheapest);
}

/* --- replacing -------------------------------------------------------------------------------- */

static void forget_replacement(struct crew *w)
{
	w->old = w->fresh = NULL;
}

/* The old one may have died, and the new one may never come up: then nothing is left to do but to count. */
static void replacement_advance(struct crew *w)
{
	if (!w->fresh)
		return;
	if (!serves(w->old) || !child_is_alive(w->old) || !serves(w->fresh)) {
		forget_replacement(w);
	} else if (w->fresh->state == CHILD_READY) {
		retire(w->old);
		forget_replacement(w);
	}
}

static int64_t age_limit(const struct child *c)
{
	int64_t most = c->crew->pool->max_age;

	return most - most * (int64_t)(c->number * 7 % AGE_JITTER_PERCENT) / 100;
}

/* Why it should be replaced; false if it need not. */
static bool has_served(const struct child *c, int64_t now_ms, char *ret, size_t size)
{
	const struct conf_pool *pool = c->crew->pool;
	struct board_slot slot;

	if (pool->max_age && now_ms - c->started_ms >= age_limit(c)) {
		char age[24];

		snprintf(ret, size, "it is %s old",
		    clock_format_duration(age, (now_ms - c->started_ms) / 1000 * 1000));
		return true;
	}
	if (!board_read(c->s->board, c->slot, &slot))
		return false;
	if (pool->max_jobs && slot.started >= (uint64_t)pool->max_jobs) {
		snprintf(ret, size, "it has begun %llu jobs", (unsigned long long)slot.started);
		return true;
	}
	if (pool->max_rss) {
		int64_t rss = slot.nruns ? footprint_rss(c->pid) : footprint_tree(c->pid);

		snprintf(ret, size, "it has %lld MiB of memory", (long long)(rss >> 20));
		return rss > pool->max_rss;
	}
	return false;
}

bool crew_grows_old(const struct crew *w)
{
	return w->pool->max_jobs || w->pool->max_age || w->pool->max_rss;
}

void crew_renew(struct crew *w, int64_t now_ms)
{
	char why[80];

	if (w->fresh || !crew_grows_old(w))
		return;
	for (size_t i = 0; i < w->n; i++) {
		struct child *c = &w->children[i];

		if (c->state != CHILD_READY || c->leaving || !has_served(c, now_ms, why, sizeof why))
			continue;
		w->fresh = start_one(w);
		if (!w->fresh)
			return;
		w->old = c;
		log_info("%s is replaced by %s: %s", c->title, w->fresh->title, why);
		return;
	}
}

/* --- the target ------------------------------------------------------------------------------- */

void crew_advance(struct crew *w)
{
	uint32_t n;

	if (w->s->stop.on)
		return;
	replacement_advance(w);
	n = serving(w);
	while (n < w->target + (w->fresh != NULL) && start_one(w))
		n++;
	for (; n > w->target + (w->fresh != NULL); n--)
		retire_one(w);
}

void crew_came_up(struct crew *w, int64_t after_ms)
{
	w->start_ms = w->start_ms < 0 ? after_ms : (3 * w->start_ms + after_ms) / 4;
	crew_advance(w);
}

void crew_resize(struct crew *w, uint32_t target)
{
	w->target = target;
	crew_advance(w);
}
