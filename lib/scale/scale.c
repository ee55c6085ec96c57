/* SPDX-License-Identifier: MIT */
#include "lib/scale/scale.h"

#include <math.h>

#include "lib/scale/scale_wait.h"

#define PENALTY_MAX 3         /* a hold is doubled so often at most */
#define BAND 0.1              /* of a worker: that little less than there are keeps them */
#define PASSING_STARTS 4      /* what was needed for a backlog is kept for so many starts of a worker... */
#define PASSING_LEAST_MS 1000 /* ...and at least so long */
#define ROUND 0.9             /* what is missing of a worker waits, within the tolerated; above, one more */
#define RSS_UNKNOWN (32 << 20) /* bytes that a worker is taken for while none has been seen */

/* --- the policy ------------------------------------------------------------------------------- */

static void fill(int64_t *field, int64_t otherwise)
{
	if (*field <= 0)
		*field = otherwise;
}

struct scale_policy scale_policy_complete(const struct scale_policy *given)
{
	struct scale_policy p = *given;

	p.min = p.min < SCALE_WORKERS_MAX ? p.min : SCALE_WORKERS_MAX;
	p.max = p.max < SCALE_WORKERS_MAX ? p.max : SCALE_WORKERS_MAX;
	p.max = p.max > p.min ? p.max : p.min;
	p.concurrency = p.concurrency ? p.concurrency : 1;
	p.jobs_per_worker = p.jobs_per_worker ? p.jobs_per_worker : 10;
	p.shrink_below = p.shrink_below ? p.shrink_below : p.jobs_per_worker;
	fill(&p.target_wait_ms, 5000);
	fill(&p.hold_ms, 30000);
	fill(&p.cooldown_ms, 60000);
	fill(&p.stale_ms, 15000);
	p.memory_reserve = p.memory_reserve ? p.memory_reserve : 64 << 20;
	p.memory_pressure = p.memory_pressure > 0 ? p.memory_pressure : 20;
	p.cpu_pressure = p.cpu_pressure > 0 ? p.cpu_pressure : 90;
	return p;
}

static unsigned within(const struct scale_policy *p, double need)
{
	if (!(need > p->min)) /* also what is no number */
		return p->min;
	if (need >= p->max)
		return p->max;
	return need > ROUND ? (unsigned)ceil(need - ROUND) : 1;
}

/* --- growing: what the machine allows --------------------------------------------------------- */

/* Bytes that may still be taken; UINT64_MAX: nothing is known. */
static uint64_t bytes_free(const struct scale_policy *p, const struct scale_facts *f)
{
	uint64_t free = UINT64_MAX;

	if (f->memory_available >= 0)
		free = (uint64_t)f->memory_available > p->memory_reserve
			   ? (uint64_t)f->memory_available - p->memory_reserve
			   : 0;
	if (f->cgroup_limit >= 0 && f->cgroup_used >= 0) {
		uint64_t left = f->cgroup_limit > f->cgroup_used
				    ? (uint64_t)(f->cgroup_limit - f->cgroup_used)
				    : 0;

		free = left < free ? left : free;
	}
	return free;
}

static unsigned most_now(const struct scale_policy *p, const struct scale_facts *f, unsigned before,
    enum scale_cap *ret_cap)
{
	uint64_t rss = f->worker_rss > 0 ? (uint64_t)f->worker_rss : RSS_UNKNOWN;
	uint64_t more = bytes_free(p, f) / rss;

	if (f->psi_memory >= p->memory_pressure) {
		*ret_cap = SCALE_CAP_MEMORY_PRESSURE;
		return before;
	}
	if (f->psi_cpu >= p->cpu_pressure && p->cpu_pressure < 100) {
		*ret_cap = SCALE_CAP_CPU_PRESSURE;
		return before;
	}
	*ret_cap = SCALE_CAP_MEMORY;
	return more < SCALE_WORKERS_MAX ? before + (unsigned)more : UINT32_MAX;
}

/* --- the rules -------------------------------------------------------------------------------- */

/* Shrinks once fewer have been enough for the hold: to the most that was needed meanwhile. Returns how long
 * that will take, 0 if no fewer are wanted. */
static int64_t follow(struct scale_level *l, int64_t now, int64_t hold_ms, unsigned want)
{
	if (want >= l->n) {
		if (want > l->n && l->shrunk_at && now - l->shrunk_at < 2 * hold_ms &&
		    l->n < l->shrunk_from && l->penalty < PENALTY_MAX)
			l->penalty++;
		l->changed_at = want > l->n ? now : l->changed_at;
		l->needed_at = now;
		l->low = 0;
		l->n = want;
		return 0;
	}
	l->low = want > l->low ? want : l->low;
	if (l->penalty && now - l->changed_at > 8 * hold_ms)
		l->penalty--;
	hold_ms <<= l->penalty;
	if (now - l->needed_at < hold_ms)
		return l->needed_at + hold_ms - now;
	l->shrunk_from = l->n;
	l->shrunk_at = l->changed_at = l->needed_at = now;
	l->n = l->low;
	l->low = 0;
	return 0;
}

/* What is a little less than there are is as good as what there are. */
static unsigned banded(const struct scale_policy *p, double need, unsigned n)
{
	unsigned want = within(p, need);

	return want < n && need > 0 && need - ROUND + BAND > n - 1 ? n : want;
}

static int64_t passing_hold(const struct scale_policy *p, const struct scale_facts *f)
{
	int64_t start_ms = PASSING_LEAST_MS / PASSING_STARTS;

	if (f->start_ms > start_ms)
		start_ms = f->start_ms;
	return start_ms < p->hold_ms / PASSING_STARTS ? PASSING_STARTS * start_ms : p->hold_ms;
}

static unsigned by_wait(const struct scale_policy *p, const struct scale_facts *f,
    const struct scale_sum *sum, struct scale_memory *m, struct scale_decision *d)
{
	struct scale_need need = scale_wait_need(p, f, sum, m, d->before);
	int64_t lasting_ms, passing_ms;
	unsigned target;

	d->need = fmax(need.arrivals, need.all);
	lasting_ms = follow(&m->lasting, f->now, p->hold_ms, banded(p, need.arrivals, m->lasting.n));
	passing_ms = follow(&m->passing, f->now, passing_hold(p, f), banded(p, need.all, m->passing.n));
	target = m->lasting.n > m->passing.n ? m->lasting.n : m->passing.n;
	d->reason = target > m->target ? need.reason : target < m->target ? SCALE_REASON_IDLE : SCALE_REASON_STEADY;
	d->hold_left_ms = lasting_ms > passing_ms ? lasting_ms : passing_ms;
	if (target == m->target && d->hold_left_ms > 0)
		d->reason = SCALE_REASON_HOLD;
	return target;
}

static unsigned by_depth(const struct scale_policy *p, const struct scale_facts *f,
    const struct scale_sum *sum, struct scale_memory *m, struct scale_decision *d)
{
	unsigned want;

	d->need = ceil((double)sum->backlog / p->jobs_per_worker);
	want = within(p, d->need);
	if (want > m->target && sum->backlog <= p->grow_above)
		want = m->target;
	if (want < m->target && sum->backlog >= p->shrink_below)
		want = m->target;
	d->hold_left_ms = follow(&m->lasting, f->now, p->cooldown_ms, want);
	d->reason = d->hold_left_ms > 0		 ? SCALE_REASON_COOLDOWN
		    : m->lasting.n > m->target ? SCALE_REASON_DEPTH
		    : m->lasting.n < m->target ? SCALE_REASON_IDLE
					       : SCALE_REASON_STEADY;
	return m->lasting.n;
}

/* --- deciding --------------------------------------------------------------------------------- */

static void describe(const struct scale_sum *sum, const struct scale_policy *p, struct scale_decision *d)
{
	unsigned at_work = (d->before + sum->foreign) * p->concurrency;

	d->load = sum->load;
	d->arrival = sum->arrival;
	d->service_ms = sum->service_ms;
	d->backlog = sum->backlog;
	d->foreign = sum->foreign;
	d->wait_ms = sum->backlog == 0 ? 0 : -1;
	if (sum->backlog && sum->service_ms >= 0 && at_work)
		d->wait_ms = sum->work * 1000 / at_work;
}

/* More workers only as far as the machine bears. */
static unsigned cap(const struct scale_policy *p, const struct scale_facts *f, unsigned target,
    struct scale_decision *d)
{
	enum scale_cap by;
	unsigned most = most_now(p, f, d->before, &by);

	if (d->need > p->max)
		d->cap = SCALE_CAP_MAX;
	if (target <= d->before || target <= most)
		return target;
	d->cap = by;
	d->reason = SCALE_REASON_MEMORY;
	return most > p->min ? most : p->min;
}

/* The number is kept for other reasons than need: no hold runs meanwhile. */
static void hold_on(struct scale_memory *m, int64_t now)
{
	m->lasting.needed_at = m->passing.needed_at = now;
	m->lasting.low = m->passing.low = 0;
	m->excess_at = 0;
	m->passing.n = m->target;
}

static unsigned choose(const struct scale_policy *p, const struct scale_facts *f,
    const struct scale_sum *sum, struct scale_memory *m, struct scale_decision *d)
{
	unsigned kept = within(p, m->target);

	if (p->rule == SCALE_FIXED) {
		d->reason = SCALE_REASON_FIXED;
		d->need = p->min;
		return p->min;
	}
	if (kept != m->target) { /* the bounds have moved */
		d->reason = kept > m->target ? SCALE_REASON_MINIMUM : SCALE_REASON_MAXIMUM;
		m->target = kept;
		hold_on(m, f->now);
		d->need = kept;
		return kept;
	}
	if (sum->unknown || sum->stale) {
		d->reason = sum->unknown ? SCALE_REASON_UNKNOWN : SCALE_REASON_STALE;
		d->need = kept;
		hold_on(m, f->now);
		return kept;
	}
	return p->rule == SCALE_QUEUE_DEPTH ? by_depth(p, f, sum, m, d) : by_wait(p, f, sum, m, d);
}

static void remember(struct scale_memory *m, int64_t now, unsigned target)
{
	m->target = target;
	m->lasting.n = m->lasting.n < target ? m->lasting.n : target;
	m->passing.n = m->passing.n < target ? m->passing.n : target;
	m->now = now;
	m->known = true;
}

struct scale_decision scale_decide(
    const struct scale_policy *given, const struct scale_facts *f, struct scale_memory *m)
{
	struct scale_policy p = scale_policy_complete(given);
	struct scale_decision d = {.before = f->starting + f->idle + f->busy, .service_ms = -1};
	struct scale_sum sum;
	unsigned target;

	if (!m->known || f->now < m->now) { /* the first call, or a clock that went back */
		m->target = d.before > p.max ? p.max : d.before > p.min ? d.before : p.min;
		m->lasting = (struct scale_level){.n = m->target, .needed_at = f->now, .changed_at = f->now};
		m->passing = m->lasting;
	}
	scale_learn(f, m);
	sum = scale_sum(&p, f, m);
	describe(&sum, &p, &d);
	target = choose(&p, f, &sum, m, &d);
	if (target > m->target)
		target = cap(&p, f, target, &d);
	d.target = within(&p, target);
	d.poll_ms = d.before == 0 || d.target == 0 || d.target > d.before || m->excess_at ? SCALE_POLL_FAST_MS
											     : SCALE_POLL_MS;
	remember(m, f->now, d.target);
	return d;
}

void scale_grant(struct scale_decision *d, struct scale_memory *m, unsigned granted)
{
	if (granted >= d->target)
		return;
	d->target = granted;
	d->cap = SCALE_CAP_SHARE;
	d->reason = SCALE_REASON_SHARED;
	remember(m, m->now, granted);
}

/* --- words ------------------------------------------------------------------------------------ */

static const struct {
	const char *word, *text;
} reasons[] = {
#define SCALE_REASON(name, word, text) [SCALE_REASON_##name] = {word, text},
#include "lib/scale/reasons.def"
#undef SCALE_REASON
}, caps[] = {
#define SCALE_CAP(name, word, text) [SCALE_CAP_##name] = {word, text},
#include "lib/scale/caps.def"
#undef SCALE_CAP
};
static const char *const rules[] = {[SCALE_FIXED] = "fixed",
    [SCALE_QUEUE_DEPTH] = "queue_depth",
    [SCALE_TARGET_WAIT] = "target_wait"};

const char *scale_rule_word(enum scale_rule rule)
{
	return (unsigned)rule < ARRAY_SIZE(rules) ? rules[rule] : "unknown";
}

bool scale_rule_parse(struct slice word, enum scale_rule *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (slice_is(word, rules[i])) {
			*ret = (enum scale_rule)i;
			return true;
		}
	}
	return false;
}

const char *scale_reason_word(enum scale_reason reason)
{
	return (unsigned)reason < ARRAY_SIZE(reasons) ? reasons[reason].word : "unknown";
}

const char *scale_reason_text(enum scale_reason reason)
{
	return (unsigned)reason < ARRAY_SIZE(reasons) ? reasons[reason].text : "unknown";
}

const char *scale_cap_word(enum scale_cap by)
{
	return (unsigned)by < ARRAY_SIZE(caps) ? caps[by].word : "unknown";
}

const char *scale_cap_text(enum scale_cap by)
{
	return (unsigned)by < ARRAY_SIZE(caps) ? caps[by].text : "unknown";
}

char *scale_explain(char buf[static SCALE_EXPLAIN_BYTES], const struct scale_policy *policy UNUSED,
    const struct scale_decision *d)
{
	char service[40] = "run time unknown", wait[40] = "", bound[80] = "";

	if (d->service_ms >= 0)
		snprintf(service, sizeof service, "%.3g ms each", d->service_ms);
	if (d->wait_ms > 0)
		snprintf(wait, sizeof wait, ", a wait of %.1f s", d->wait_ms / 1000);
	if (d->cap != SCALE_CAP_NONE)
		snprintf(bound, sizeof bound, "; kept down by %s", scale_cap_text(d->cap));
	if (d->reason == SCALE_REASON_FIXED)
		snprintf(buf, SCALE_EXPLAIN_BYTES, "%s", scale_reason_text(d->reason));
	else
		snprintf(buf, SCALE_EXPLAIN_BYTES,
		    "%s (%.1f/s arrive, %s, %llu wait%s; %.2g workers needed%s)",
		    scale_reason_text(d->reason), d->arrival, service,
		    (unsigned long long)d->backlog, wait, d->need, bound);
	return buf;
}
