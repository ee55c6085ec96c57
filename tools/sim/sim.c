/* SPDX-License-Identifier: MIT */
#include "tools/sim/sim.h"

#include <math.h>
#include <stdlib.h>

#include "tools/sim/rules.h"

#define NEVER 1e300
#define FIRST_POLL_S 0.5

enum worker_state { WORKER_NONE, WORKER_STARTING, WORKER_IDLE, WORKER_BUSY, WORKER_DRAINING };

struct worker {
	enum worker_state state;
	double since, until; /* until: ready, or the end of the job */
};

struct sim {
	const struct sim_traffic *traffic;
	struct worker workers[SIM_WORKERS_MAX];
	size_t slots; /* those of them that were ever used */
	double now, worker_s, busy_s;
	size_t arrived, begun, finished;
	double run_s, start_s;
	double *waits;
	unsigned count[WORKER_DRAINING + 1];
	unsigned target, changes, most;
	double asked_at, asked_worker_s, asked_busy_s;
};

static void become(struct sim *s, struct worker *w, enum worker_state state, double until)
{
	s->count[w->state]--;
	s->count[state]++;
	w->state = state;
	w->since = s->now;
	w->until = until;
}

static unsigned staying(const struct sim *s)
{
	return s->count[WORKER_STARTING] + s->count[WORKER_IDLE] + s->count[WORKER_BUSY];
}

static void advance(struct sim *s, double to)
{
	double span = to - s->now;
	unsigned busy = s->count[WORKER_BUSY] + s->count[WORKER_DRAINING];

	s->worker_s += span * (SIM_WORKERS_MAX - s->count[WORKER_NONE]);
	s->busy_s += span * busy;
	s->now = to;
}

static void begin(struct sim *s, struct worker *w)
{
	const struct sim_traffic *t = s->traffic;
	const struct sim_job *job = &t->jobs[s->begun];
	bool slow = s->now >= t->slow_from && s->now < t->slow_to;

	s->waits[s->begun++] = s->now - job->at;
	become(s, w, WORKER_BUSY, s->now + job->takes * (slow ? t->slow_by : 1));
}

static void dispatch(struct sim *s)
{
	for (size_t i = 0; i < s->slots && s->begun < s->arrived && s->count[WORKER_IDLE]; i++) {
		if (s->workers[i].state == WORKER_IDLE)
			begin(s, &s->workers[i]);
	}
}

static void wake(struct sim *s, struct worker *w)
{
	if (w->state == WORKER_STARTING) {
		become(s, w, WORKER_IDLE, NEVER);
		s->start_s = s->traffic->start_s;
		return;
	}
	s->run_s += s->now - w->since;
	s->finished++;
	become(s, w, w->state == WORKER_DRAINING ? WORKER_NONE : WORKER_IDLE, NEVER);
}

static void start_one(struct sim *s)
{
	for (size_t i = 0; i < SIM_WORKERS_MAX; i++) {
		if (s->workers[i].state == WORKER_NONE) {
			s->slots = i < s->slots ? s->slots : i + 1;
			become(s, &s->workers[i], WORKER_STARTING, s->now + s->traffic->start_s);
			return;
		}
	}
}

static void retire_one(struct sim *s)
{
	static const enum worker_state order[] = {WORKER_STARTING, WORKER_IDLE, WORKER_BUSY};

	for (size_t k = 0; k < ARRAY_SIZE(order); k++) {
		for (size_t i = s->slots; i-- > 0;) {
			struct worker *w = &s->workers[i];
			double since = w->since;

			if (w->state != order[k])
				continue;
			if (order[k] != WORKER_BUSY) {
				become(s, w, WORKER_NONE, NEVER);
				return;
			}
			become(s, w, WORKER_DRAINING, w->until);
			w->since = since;
			return;
		}
	}
}

static void look(const struct sim *s, struct sim_view *v)
{
	double span = s->worker_s - s->asked_worker_s;

	*v = (struct sim_view){.traffic = s->traffic,
	    .now = s->now,
	    .ready = s->arrived - s->begun,
	    .delivered = s->begun,
	    .finished = s->finished,
	    .run_s = s->run_s,
	    .busy_share = span > 0 ? (s->busy_s - s->asked_busy_s) / span : 0,
	    .starting = s->count[WORKER_STARTING],
	    .idle = s->count[WORKER_IDLE],
	    .busy = s->count[WORKER_BUSY],
	    .draining = s->count[WORKER_DRAINING],
	    .start_s = s->start_s,
	    .next = s->arrived};
	for (size_t i = 0; i < s->slots; i++) {
		if (s->workers[i].state == WORKER_BUSY || s->workers[i].state == WORKER_DRAINING)
			v->run_age_s += s->now - s->workers[i].since;
	}
}

static double ask(struct sim *s, const struct sim_rule *rule, void *state)
{
	struct sim_view view;
	double poll_s = FIRST_POLL_S;
	unsigned target;

	look(s, &view);
	target = rule->decide(state, &view, &poll_s);
	target = target > s->traffic->max ? s->traffic->max : target < s->traffic->min ? s->traffic->min : target;
	s->changes += target != s->target;
	s->target = target;
	while (staying(s) < target && s->count[WORKER_NONE])
		start_one(s);
	while (staying(s) > target)
		retire_one(s);
	s->most = staying(s) > s->most ? staying(s) : s->most;
	s->asked_at = s->now;
	s->asked_worker_s = s->worker_s;
	s->asked_busy_s = s->busy_s;
	return s->now + poll_s;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(const double *sorted, size_t n, double q)
{
	return n ? sorted[(size_t)fmin(floor(q * (double)n), (double)n - 1)] : 0;
}

static double next_event(const struct sim *s, double poll_at, struct worker **ret_worker)
{
	const struct sim_traffic *t = s->traffic;
	double at = poll_at;

	*ret_worker = NULL;
	if (s->arrived < t->njobs && t->jobs[s->arrived].at < at)
		at = t->jobs[s->arrived].at;
	for (size_t i = 0; i < s->slots; i++) {
		if (s->workers[i].state != WORKER_NONE && s->workers[i].until <= at) {
			at = s->workers[i].until;
			*ret_worker = (struct worker *)&s->workers[i];
		}
	}
	return at;
}

static void sample(const struct sim *s, struct sim_result *r, double until)
{
	while ((double)r->nsamples < until && r->nsamples < (size_t)s->traffic->length) {
		size_t oldest = s->begun < s->arrived ? s->begun : s->arrived;
		double wait = s->begun < s->arrived ? (double)r->nsamples - s->traffic->jobs[oldest].at : 0;

		r->samples[r->nsamples] = (struct sim_sample){.at = (double)r->nsamples,
		    .ready = (double)(s->arrived - s->begun),
		    .workers = SIM_WORKERS_MAX - s->count[WORKER_NONE],
		    .target = s->target,
		    .wait = fmax(wait, 0)};
		r->nsamples++;
	}
}

static void play(struct sim *s, const struct sim_rule *rule, void *state, struct sim_result *r)
{
	const struct sim_traffic *t = s->traffic;
	double poll_at = 0;

	while (s->now < t->length || s->finished < t->njobs) {
		struct worker *w;
		double at = next_event(s, poll_at, &w);

		if (r->samples)
			sample(s, r, at);
		advance(s, at);
		if (w)
			wake(s, w);
		else if (at < poll_at)
			s->arrived++;
		else
			poll_at = ask(s, rule, state);
		dispatch(s);
	}
}

struct sim_result sim_run(
    const struct sim_traffic *t, const struct sim_rule *rule, const void *setting, bool sampled)
{
	struct sim s = {.traffic = t, .start_s = -1, .count = {SIM_WORKERS_MAX}};
	struct sim_result r = {0};
	struct rule_state *state = calloc(1, sizeof *state + rule->state_bytes);

	s.waits = calloc(t->njobs + 1, sizeof *s.waits);
	if (sampled)
		r.samples = calloc((size_t)t->length + 1, sizeof *r.samples);
	if (!state || !s.waits || (sampled && !r.samples))
		abort();
	state->setting = setting;
	play(&s, rule, state, &r);
	qsort(s.waits, t->njobs, sizeof *s.waits, by_value);
	r.p50 = quantile(s.waits, t->njobs, 0.5);
	r.p95 = quantile(s.waits, t->njobs, 0.95);
	r.p99 = quantile(s.waits, t->njobs, 0.99);
	r.longest = quantile(s.waits, t->njobs, 1);
	r.worker_s = s.worker_s;
	r.changes = s.changes;
	r.most = s.most;
	free(s.waits);
	free(state);
	return r;
}
