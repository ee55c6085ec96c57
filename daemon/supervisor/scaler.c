/* SPDX-License-Identifier: MIT */
#include "daemon/supervisor/scaler.h"

#include <errno.h>

#include "daemon/supervisor/facts.h"
#include "daemon/supervisor/supervisor.h"
#include "lib/base/clock.h"

#define SCALER_MAGIC 0x7363616cu

struct pool_scale {
	struct crew *crew;
	struct conf_range range; /* the configuration's, or a person's */
	bool asked;
	struct facts facts;
	struct scale_memory memory;
	struct scale_decision decision;
	struct board_pool board;
	uint64_t told; /* changes that the store has been sent */
};

static bool may_change(const struct pool_scale *p)
{
	return p->range.least < p->range.most;
}

static struct scale_policy policy_of(const struct pool_scale *p)
{
	static const enum scale_rule rules[] = {[SCALE_BY_TARGET_WAIT] = SCALE_TARGET_WAIT,
	    [SCALE_BY_QUEUE_DEPTH] = SCALE_QUEUE_DEPTH,
	    [SCALE_BY_NOTHING] = SCALE_FIXED};
	const struct conf_pool *pool = p->crew->pool;

	return (struct scale_policy){.rule = may_change(p) ? rules[pool->scale] : SCALE_FIXED,
	    .min = (unsigned)p->range.least,
	    .max = (unsigned)p->range.most,
	    .concurrency = p->facts.slots,
	    .target_wait_ms = pool->target_wait,
	    .hold_ms = pool->scale_hold,
	    .jobs_per_worker = (unsigned)pool->jobs_per_worker,
	    .grow_above = (uint64_t)pool->grow_above,
	    .shrink_below = (uint64_t)pool->shrink_below,
	    .cooldown_ms = pool->cooldown};
}

/* --- what is shown ---------------------------------------------------------------------------- */

static void show(struct scaler *x, struct pool_scale *p)
{
	p->board.target = p->crew->target;
	p->board.least = (uint32_t)p->range.least;
	p->board.most = (uint32_t)p->range.most;
	p->board.rule = (uint8_t)(may_change(p) ? p->crew->pool->scale : SCALE_BY_NOTHING);
	p->board.asked = p->asked;
	p->board.watch = may_change(p) && p->decision.poll_ms == SCALE_POLL_FAST_MS;
	board_show_pool(x->s->board, (size_t)(p - x->pools), &p->board);
}

/* A store that is away is told when it is there again; what has left the ring by then is not. */
static void tell_store(struct scaler *x, struct pool_scale *p)
{
	if (!peers_store_listens(x->s))
		return;
	if (p->board.changes > p->told + BOARD_CHANGES_MAX)
		p->told = p->board.changes - BOARD_CHANGES_MAX;
	for (; p->told < p->board.changes; p->told++) {
		const struct board_change *c = &p->board.change[p->told % BOARD_CHANGES_MAX];

		peer_send_scaled(x->s->store->control,
		    &(struct msg_scaled){.pool = slice_str(p->crew->pool->section),
			.at_wall_ms = c->at_wall_ms,
			.from = c->from,
			.to = c->to,
			.reason = slice_str(c->reason)});
	}
}

static void change(struct scaler *x, struct pool_scale *p, uint32_t to, const char *reason)
{
	uint32_t from = p->crew->target;
	struct board_change *c = &p->board.change[p->board.changes % BOARD_CHANGES_MAX];

	*c = (struct board_change){.at_wall_ms = clock_wall_ms(), .from = from, .to = to};
	slice_copy(c->reason, sizeof c->reason, slice_str(reason));
	p->board.changes++;
	p->board.since_wall_ms = c->at_wall_ms;
	log_info("pool %s: %u -> %u workers: %s", p->crew->pool->section, from, to, reason);
	crew_resize(p->crew, to);
	tell_store(x, p);
}

/* --- a look ----------------------------------------------------------------------------------- */

/* What the machine has is shared by the pools that can change; a fixed one has what it has. */
static void share(struct scaler *x, const struct scale_policy *policies)
{
	size_t n = x->s->conf->npools;
	struct scale_claim *claims = xcalloc(n, sizeof *claims);
	const struct scale_facts *machine = NULL;
	uint64_t held = 0;

	for (size_t i = 0; i < n; i++) {
		struct pool_scale *p = &x->pools[i];

		if (may_change(p)) {
			machine = &p->facts.of;
			held += facts_held_bytes(&p->facts);
			claims[i].min = policies[i].min;
			claims[i].want = p->decision.target;
			claims[i].cost = (uint64_t)(p->facts.of.worker_rss > 0 ? p->facts.of.worker_rss : 0);
		}
	}
	if (machine) {
		scale_share(claims, n, scale_room_bytes(NULL, machine, held));
		for (size_t i = 0; i < n; i++) {
			if (may_change(&x->pools[i]))
				scale_grant(&x->pools[i].decision, &x->pools[i].memory, claims[i].granted);
		}
	}
	free(claims);
}

static void apply(struct scaler *x, struct pool_scale *p, const struct scale_policy *policy)
{
	char text[SCALE_EXPLAIN_BYTES];

	scale_explain(text, policy, &p->decision);
	slice_copy(p->board.reason, sizeof p->board.reason, slice_str(text));
	if (p->decision.target != p->crew->target)
		change(x, p, p->decision.target, text);
	else
		tell_store(x, p);
	show(x, p);
}

/* A node whose pools stay as they are is not woken. */
static bool must_look_again(const struct pool_scale *p)
{
	return may_change(p) || crew_grows_old(p->crew) || p->told < p->board.changes;
}

static void look(struct scaler *x)
{
	struct supervisor *s = x->s;
	struct scale_policy *policies = xcalloc(s->conf->npools, sizeof *policies);
	int64_t poll_ms = SCALE_POLL_MS;
	bool again = false;

	for (size_t i = 0; i < s->conf->npools; i++) {
		struct pool_scale *p = &x->pools[i];

		crew_renew(p->crew, clock_mono_ms());
		if (may_change(p))
			facts_gather(&p->facts, s, p->crew);
		policies[i] = policy_of(p);
		p->facts.of.now = clock_mono_ms();
		p->decision = scale_decide(&policies[i], &p->facts.of, &p->memory);
	}
	share(x, policies);
	for (size_t i = 0; i < s->conf->npools; i++) {
		apply(x, &x->pools[i], &policies[i]);
		again |= must_look_again(&x->pools[i]);
		if (may_change(&x->pools[i]) && x->pools[i].decision.poll_ms < poll_ms)
			poll_ms = x->pools[i].decision.poll_ms;
	}
	free(policies);
	if (again)
		loop_timer_set(&x->timer, poll_ms);
	else
		loop_timer_stop(&x->timer);
}

static void on_timer(struct loop_timer *t)
{
	OBJ(struct scaler, x, t->arg, SCALER_MAGIC);

	look(x);
}

/* --- life ------------------------------------------------------------------------------------- */

void scaler_start(struct scaler *x, struct supervisor *s)
{
	x->magic = SCALER_MAGIC;
	x->s = s;
	x->pools = xcalloc(s->conf->npools, sizeof *x->pools);
	loop_timer_init(&x->timer, s->loop, on_timer, x);
	for (size_t i = 0; i < s->conf->npools; i++) {
		struct pool_scale *p = &x->pools[i];

		p->crew = &s->crews[i];
		p->range = p->crew->pool->workers;
		p->board.since_wall_ms = clock_wall_ms();
		facts_init(&p->facts, s->conf, p->crew);
		crew_resize(p->crew, (uint32_t)p->range.least);
		show(x, p);
	}
	loop_timer_set(&x->timer, SCALE_POLL_FAST_MS);
}

void scaler_stop(struct scaler *x)
{
	loop_timer_stop(&x->timer);
}

void scaler_free(struct scaler *x)
{
	for (size_t i = 0; x->pools && i < x->s->conf->npools; i++)
		facts_free(&x->pools[i].facts);
	free(x->pools);
	x->pools = NULL;
}

int scaler_ask(struct scaler *x, const struct msg_scale *m)
{
	for (size_t i = 0; i < x->s->conf->npools; i++) {
		struct pool_scale *p = &x->pools[i];
		const struct conf_pool *pool = p->crew->pool;
		char text[CONF_RANGE_TEXT];

		if (!slice_is(m->pool, pool->section))
			continue;
		if (m->least > m->most || m->most > conf_pool_most(pool))
			return -EPROTO;
		p->asked = !m->automatic;
		p->range = m->automatic ? pool->workers : (struct conf_range){m->least, m->most};
		log_info("pool %s: %s workers, as %s", pool->section,
		    conf_range_format(text, &p->range), p->asked ? "asked for" : "configured");
		if (!x->s->stop.on)
			look(x);
		return 0;
	}
	return -EPROTO;
}
