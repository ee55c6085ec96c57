/* SPDX-License-Identifier: MIT */
#include "tools/sim/rules.h"

#include <math.h>

#include "lib/scale/scale.h"

/* --- skep ------------------------------------------------------------------------------------- */

struct skep_state {
	struct scale_memory memory;
};

static unsigned skep_decide(void *rule_state, const struct sim_view *v, double *ret_poll_s)
{
	struct skep_state *state = (struct skep_state *)((struct rule_state *)rule_state)->own;
	struct scale_policy policy = {.rule = SCALE_TARGET_WAIT,
	    .min = v->traffic->min,
	    .max = v->traffic->max,
	    .target_wait_ms = (int64_t)(v->traffic->target_s * 1000)};
	int64_t now = (int64_t)(v->now * 1000) + 1;
	struct scale_queue queue = {.ready = v->ready,
	    .ready_at = now,
	    .delivered = v->delivered,
	    .finished = v->finished,
	    .run_ms = (uint64_t)(v->run_s * 1000),
	    .running = v->busy + v->draining,
	    .run_age_ms = (uint64_t)(v->run_age_s * 1000)};
	struct scale_facts facts = {.now = now,
	    .queues = &queue,
	    .nqueues = 1,
	    .starting = v->starting,
	    .idle = v->idle,
	    .busy = v->busy,
	    .draining = v->draining,
	    .start_ms = v->start_s < 0 ? -1 : (int64_t)(v->start_s * 1000),
	    .memory_available = -1,
	    .cgroup_limit = -1,
	    .cgroup_used = -1,
	    .worker_rss = -1,
	    .psi_memory = -1,
	    .psi_cpu = -1};
	struct scale_decision d = scale_decide(&policy, &facts, &state->memory);

	*ret_poll_s = (double)d.poll_ms / 1000;
	return d.target;
}

const struct sim_rule rule_skep = {
    .name = "skep", .text = "scale = target_wait", .state_bytes = sizeof(struct skep_state), .decide = skep_decide};

/* --- the oracles ------------------------------------------------------------------------------ */

struct margins {
	double spare; /* times the square root of the load */
	double drain; /* the part of the target in which what waits is to begin */
	double hold;  /* seconds before it shrinks */
};

struct oracle_state {
	unsigned target, low;
	double needed_at;
};

static double true_takes(const struct sim_traffic *t, double now)
{
	return t->mean_takes * (now >= t->slow_from && now < t->slow_to ? t->slow_by : 1);
}

static unsigned held(struct oracle_state *s, double now, double hold, unsigned want)
{
	if (want >= s->target) {
		s->needed_at = now;
		s->target = want;
		s->low = 0;
		return want;
	}
	s->low = want > s->low ? want : s->low;
	if (now - s->needed_at >= hold) {
		s->target = s->low;
		s->low = 0;
		s->needed_at = now;
	}
	return s->target;
}

static unsigned oracle_decide(void *rule_state, const struct sim_view *v, double *ret_poll_s)
{
	const struct margins *m = ((struct rule_state *)rule_state)->setting;
	struct oracle_state *state = (struct oracle_state *)((struct rule_state *)rule_state)->own;
	const struct sim_traffic *t = v->traffic;
	double takes = true_takes(t, v->now), load = t->rate(t, v->now) * takes, backlog;
	unsigned want, before = v->starting + v->idle + v->busy;

	backlog = fmin((double)v->ready * takes / fmax(t->target_s * m->drain, 0.1), (double)v->ready);
	want = (unsigned)ceil(load + m->spare * sqrt(load) + backlog - 1e-9);
	if (v->ready + v->busy > 0 && want == 0)
		want = 1;
	want = held(state, v->now, m->hold, want);
	*ret_poll_s = SCALE_POLL_MS / 1000.0;
	if (before == 0 || want == 0 || want > before || v->ready > before)
		*ret_poll_s = SCALE_POLL_FAST_MS / 1000.0;
	return want;
}

bool rule_oracle(const struct sim_traffic *t, struct sim_result *ret)
{
	static const double spares[] = {0, 0.15, 0.3, 0.5, 1}, drains[] = {0.2, 0.4, 0.6, 0.8, 1},
			    holds[] = {0, 2, 10, 30};
	struct sim_rule rule = {.state_bytes = sizeof(struct oracle_state), .decide = oracle_decide};
	bool any = false;

	*ret = (struct sim_result){.p99 = INFINITY, .worker_s = INFINITY};
	for (size_t i = 0; i < ARRAY_SIZE(spares) * ARRAY_SIZE(drains) * ARRAY_SIZE(holds); i++) {
		struct margins m = {.spare = spares[i % ARRAY_SIZE(spares)],
		    .drain = drains[i / ARRAY_SIZE(spares) % ARRAY_SIZE(drains)],
		    .hold = holds[i / ARRAY_SIZE(spares) / ARRAY_SIZE(drains)]};
		struct sim_result r = sim_run(t, &rule, &m, false);
		bool holds_it = r.p99 <= t->target_s;

		if (holds_it ? !any || r.worker_s < ret->worker_s : !any && r.p99 < ret->p99)
			*ret = r;
		any |= holds_it;
	}
	return any;
}

/* Looks ahead as far as a worker takes to start, and a target further. */
static unsigned clairvoyant_decide(void *rule_state UNUSED, const struct sim_view *v, double *ret_poll_s)
{
	const struct sim_traffic *t = v->traffic;
	double ahead = t->start_s + SCALE_POLL_FAST_MS / 1000.0 + t->target_s, work = 0;
	double begin_slow = true_takes(t, v->now) / t->mean_takes;

	for (size_t i = v->next - v->ready; i < t->njobs && t->jobs[i].at < v->now + ahead; i++)
		work += t->jobs[i].takes * begin_slow;
	*ret_poll_s = SCALE_POLL_FAST_MS / 1000.0;
	return (unsigned)ceil(work / ahead);
}

const struct sim_rule rule_clairvoyant = {
    .name = "clairvoyant", .text = "knows what comes; for information", .decide = clairvoyant_decide};

/* --- the others ------------------------------------------------------------------------------- */

struct other_state {
	double grown_at, wanted_at[64];
	unsigned target, wanted[64], nwanted, calm;
	bool known;
};

static struct other_state *other(void *rule_state)
{
	return (struct other_state *)((struct rule_state *)rule_state)->own;
}

static unsigned celery_decide(void *rule_state, const struct sim_view *v, double *ret_poll_s)
{
	struct other_state *s = other(rule_state);
	uint64_t in_hand = v->ready + v->busy + v->draining, most = 4ull * v->traffic->max;
	unsigned want = (unsigned)(in_hand < most ? in_hand : most);

	*ret_poll_s = 1;
	want = want < v->traffic->max ? want : v->traffic->max;
	want = want > v->traffic->min ? want : v->traffic->min;
	if (want > s->target) {
		s->target = want;
		s->grown_at = v->now;
	} else if (want < s->target && v->now - s->grown_at >= 30) {
		s->target = want;
	}
	return s->target;
}

static unsigned horizon_decide(void *rule_state, const struct sim_view *v, double *ret_poll_s)
{
	struct other_state *s = other(rule_state);
	unsigned least = v->traffic->min ? v->traffic->min : 1; /* it refuses a minimum of 0 */

	*ret_poll_s = 3;
	if (!s->known)
		s->target = least;
	else if (v->ready > 0)
		s->target += s->target < v->traffic->max;
	else
		s->target -= s->target > least;
	s->known = true;
	return s->target;
}

static unsigned uwsgi_decide(void *rule_state, const struct sim_view *v, double *ret_poll_s)
{
	struct other_state *s = other(rule_state);
	unsigned least = v->traffic->min ? v->traffic->min : 1;

	*ret_poll_s = 3;
	s->target = s->target > least ? s->target : least;
	if (v->busy_share > 0.5 || v->ready > 33) {
		s->calm = 0;
		s->target += s->target < v->traffic->max;
	} else if (v->busy_share < 0.25 && ++s->calm >= 10) {
		s->calm = 0;
		s->target -= s->target > least;
	}
	return s->target;
}

static unsigned keda_decide(void *rule_state, const struct sim_view *v, double *ret_poll_s)
{
	struct other_state *s = other(rule_state);
	unsigned want = (unsigned)ceil((double)v->ready / 20), most = 0;
	unsigned bound = s->target * 2 > s->target + 4 ? s->target * 2 : s->target + 4;

	s->wanted[s->nwanted % 64] = want;
	s->wanted_at[s->nwanted++ % 64] = v->now;
	for (unsigned i = 0; i < 64 && i < s->nwanted; i++) {
		if (v->now - s->wanted_at[i] <= 300 && s->wanted[i] > most)
			most = s->wanted[i];
	}
	if (s->target == 0)
		s->target = want ? 1 : 0;
	else if (want > s->target)
		s->target = want < bound ? want : bound;
	else if (most < s->target)
		s->target = most ? most : v->busy + v->ready ? 1 : 0;
	*ret_poll_s = s->target ? 15 : 30;
	return s->target;
}

#define OTHER(n, t) {.name = #n, .text = t, .state_bytes = sizeof(struct other_state), .decide = n##_decide}
const struct sim_rule rules_others[] = {
    OTHER(celery, "autoscale, keepalive 30 s"),
    OTHER(horizon, "balance auto, time and size"),
    OTHER(uwsgi, "cheaper busyness"),
    OTHER(keda, "queue length 20, HPA"),
};
const size_t rules_nothers = ARRAY_SIZE(rules_others);
