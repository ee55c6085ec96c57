/* SPDX-License-Identifier: MIT */
/*
 * The rule target_wait. Of each queue two things are learned: how many jobs arrive a second, and how long a run
 * takes. Then
 *
 *   need = load + max(0, work that waits - TOLERATED x target x load) / time that is left to do it
 *
 * load = arrivals x run time is Little's law. A little is let wait, as the target allows: jobs that wait for a part
 * of the target keep every worker at work, and no margin for the randomness of arrivals is paid for. What is more
 * than that is done within a part of the target, less the time that a new worker takes to start; the time that is left
 * runs from when it began to be too much, so that a wrong guess of the work is made up for. Consumers of others do
 * their part.
 *
 * Arrivals are seen only between two fresh depths: what is ready more than before, and what was delivered meanwhile.
 * That is a lower bound where others take from the queue; they are counted as taking what one of our workers takes.
 *
 * The constants were found with skep-sim: of those that keep the wait within the target in all of its traffics, the
 * ones with the fewest worker-seconds.
 */
#include "lib/scale/scale_wait.h"

#include <math.h>

#define RATE_S 50.0     /* arrivals are smoothed over so long... */
#define SERVICE_S 30.0  /* ...and run times; the span in which old ones count for 1/e */
#define LAST_S 3.0      /* the run times of what ends just now... */
#define LAST_RUNS 1.0   /* ...count beside so many runs as they are otherwise */
#define TOLERATED 0.72  /* of the target: a wait for which nobody is added */
#define DRAIN 0.5       /* of the time that is left: the figures are a poll old, and random */
#define DRAIN_LEAST 0.2 /* of the target: as if so much were left, however late it is */
#define DRAIN_MORE 0.25 /* workers on top: what has to be drained is rounded up sooner */
#define PROBE_LEAST 2   /* workers that are tried while nobody knows how long a job takes */

static uint64_t grown(uint64_t now, uint64_t then)
{
	return now > then ? now - then : 0;
}

static double smooth(double old, double sample, double span_s, double over_s)
{
	return old + (sample - old) * (1 - exp(-span_s / over_s));
}

static unsigned workers_of(const struct scale_facts *f)
{
	return f->idle + f->busy + f->draining;
}

static void learn_runs(struct scale_seen *s, const struct scale_queue *q, double span_s)
{
	double keep = exp(-span_s / SERVICE_S), keep_last = exp(-span_s / LAST_S);
	uint64_t ended = grown(q->finished, s->finished), busy_ms = grown(q->run_ms, s->busy_ms);

	if (ended == 0)
		return; /* what is known stays known */
	s->busy_s = s->busy_s * keep + (double)busy_ms / 1000;
	s->ended = s->ended * keep + (double)ended;
	s->last_busy_s = s->last_busy_s * keep_last + (double)busy_ms / 1000;
	s->last_ended = s->last_ended * keep_last + (double)ended;
}

static void learn_arrivals(struct scale_seen *s, const struct scale_queue *q, unsigned workers)
{
	double span_s = (double)(q->ready_at - s->ready_at) / 1000, came, rate;

	if (q->ready_at < 0 || span_s <= 0)
		return;
	came = (double)q->ready - (double)s->ready + s->flow;
	if (workers && q->foreign)
		came += s->flow * q->foreign / workers;
	rate = came > 0 ? came / span_s : 0;
	s->came_at = came > 0 ? q->ready_at : s->came_at;
	s->rate = smooth(s->rate, rate, span_s, RATE_S);
	s->ready = q->ready;
	s->ready_at = q->ready_at;
	s->flow = 0;
}

static void learn_queue(
    struct scale_seen *s, const struct scale_queue *q, int64_t now, unsigned workers)
{
	double span_s = (double)(now - s->at) / 1000;

	if (!s->known || span_s < 0) {
		*s = (struct scale_seen){
		    .known = true, .ready_at = q->ready_at, .came_at = q->ready_at, .ready = q->ready};
	} else {
		double given = (double)grown(q->delivered, s->delivered);

		s->flow += given - (double)grown(q->returned, s->returned);
		learn_runs(s, q, span_s);
		if (q->paused)
			s->rate = s->flow = 0;
		else if (s->ready_at < 0)
			s->ready = q->ready, s->ready_at = q->ready_at, s->flow = 0;
		else
			learn_arrivals(s, q, workers);
	}
	s->at = now;
	s->delivered = q->delivered;
	s->returned = q->returned;
	s->finished = q->finished;
	s->busy_ms = q->run_ms;
}

void scale_learn(const struct scale_facts *f, struct scale_memory *m)
{
	if (m->epoch != f->epoch || f->now < m->now)
		memset(m->queues, 0, sizeof m->queues);
	m->epoch = f->epoch;
	for (size_t i = 0; i < f->nqueues && i < SCALE_QUEUES_MAX; i++)
		learn_queue(&m->queues[i], &f->queues[i], f->now, workers_of(f));
}

/* Mean run time in seconds; < 0: not known. Runs that go on for longer than others took raise it. */
static double service_s(const struct scale_seen *s, const struct scale_queue *q)
{
	double age_s = (double)q->run_age_ms / 1000, with;

	if (s->ended <= 0)
		return q->running && age_s >= 1 ? age_s / q->running : -1;
	with = (s->busy_s + age_s) / (s->ended + q->running);
	return fmax(s->busy_s / s->ended, with);
}

/* The same for what waits. Jobs come in series: where those of now take longer than most did, the next will, too. */
static double waiting_s(const struct scale_seen *s, double one)
{
	return fmax(one, (s->last_busy_s + one * LAST_RUNS) / (s->last_ended + LAST_RUNS));
}

/* Arrivals a second: no more than one in so long as none came, so that a burst is forgotten once it is over. */
static double rate_now(const struct scale_seen *s)
{
	double silent_ms = (double)s->ready_at - (double)s->came_at;

	return silent_ms > 0 ? fmin(s->rate, 1000 / silent_ms) : s->rate;
}

struct scale_sum scale_sum(
    const struct scale_policy *p, const struct scale_facts *f, const struct scale_memory *m)
{
	struct scale_sum sum = {.unknown = true};
	double busy_s = 0, known = 0, unseen = 0, unseen_rate = 0, mean;

	for (size_t i = 0; i < f->nqueues && i < SCALE_QUEUES_MAX; i++) {
		const struct scale_queue *q = &f->queues[i];
		const struct scale_seen *s = &m->queues[i];
		double one = service_s(s, q), waits = (double)q->ready + (double)q->held, rate = rate_now(s);

		sum.running += q->running;
		sum.stale |= q->ready_at < 0 || f->now - q->ready_at > p->stale_ms;
		sum.unknown &= q->ready_at < 0;
		if (q->paused)
			continue;
		sum.backlog += q->ready + q->held;
		sum.arrival += rate;
		sum.coming |= rate > 0 && s->ready_at == s->came_at;
		sum.foreign = q->foreign > sum.foreign ? q->foreign : sum.foreign;
		if (one < 0) {
			unseen += waits;
			unseen_rate += rate;
			continue;
		}
		sum.load += rate * one;
		sum.work += waits * waiting_s(s, one);
		busy_s += one * fmax(s->ended, 1);
		known += fmax(s->ended, 1);
	}
	mean = known > 0 ? busy_s / known : -1;
	sum.service_ms = mean < 0 ? -1 : mean * 1000;
	if (mean >= 0) { /* a queue of which nothing is known yet is like the others */
		sum.load += unseen_rate * mean;
		sum.work += unseen * mean;
	}
	return sum;
}

/* Others do their part of it, and one that does nothing leaves it all to us in the end. */
static double ours(double need, unsigned foreign)
{
	return fmax(need - foreign, need / (1.0 + foreign));
}

/* Workers that do the work that waits in time, beyond what is tolerated. Time runs from when that began. */
static double drain(const struct scale_policy *p, const struct scale_facts *f, const struct scale_sum *sum,
    struct scale_memory *m)
{
	double target_s = (double)p->target_wait_ms / 1000, start_s = f->start_ms > 0 ? (double)f->start_ms / 1000 : 0;
	double excess = sum->work - TOLERATED * target_s * sum->load, left_s;

	if (excess <= 0) {
		m->excess_at = 0;
		return 0;
	}
	if (m->excess_at <= 0 || m->excess_at > f->now)
		m->excess_at = f->now;
	left_s = DRAIN * (target_s - start_s - SCALE_POLL_FAST_MS / 1000.0) - (double)(f->now - m->excess_at) / 1000;
	return fmin(excess / fmax(left_s, target_s * DRAIN_LEAST), (double)sum->backlog);
}

struct scale_need scale_wait_need(const struct scale_policy *p, const struct scale_facts *f,
    const struct scale_sum *sum, struct scale_memory *m, unsigned before)
{
	double arrivals = sum->load, backlog;
	struct scale_need need = {0};

	if (sum->service_ms < 0) {
		double some = fmax(PROBE_LEAST, 2.0 * before);

		need.reason = before ? SCALE_REASON_PROBE : SCALE_REASON_FIRST;
		need.all = fmin((double)sum->backlog + (double)sum->running, some);
		return need;
	}
	backlog = drain(p, f, sum, m);
	need.reason = before == 0 ? SCALE_REASON_FIRST
		      : arrivals > backlog ? SCALE_REASON_ARRIVALS : SCALE_REASON_BACKLOG;
	arrivals /= p->concurrency;
	if (arrivals < 0.5 && !sum->coming)
		arrivals = 0;
	need.arrivals = sum->coming ? fmax(arrivals, 1) : arrivals; /* the hold keeps that one until the next job */
	need.all = arrivals + backlog / p->concurrency + (backlog > 0 ? DRAIN_MORE : 0);
	if (sum->backlog + sum->running > 0)
		need.all = fmax(need.all, 1); /* what is there needs somebody */
	need.arrivals = ours(need.arrivals, sum->foreign);
	need.all = ours(need.all, sum->foreign);
	return need;
}
