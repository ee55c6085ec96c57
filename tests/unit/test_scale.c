/* SPDX-License-Identifier: MIT */
/* The scaling policy: what it asks for, and that nothing that goes in brings it out of its bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "lib/scale/scale.h"

/* A pool and its queue, second by second. */
struct rig {
	struct scale_policy policy;
	struct scale_queue queue;
	struct scale_facts facts;
	struct scale_memory memory;
	struct scale_decision d;
};

static void rig_init(struct rig *r, enum scale_rule rule, unsigned min, unsigned max)
{
	*r = (struct rig){.policy = {.rule = rule, .min = min, .max = max, .hold_ms = 10000, .cooldown_ms = 10000},
	    .facts = {.now = 1000,
		.nqueues = 1,
		.start_ms = -1,
		.memory_available = -1,
		.cgroup_limit = -1,
		.cgroup_used = -1,
		.worker_rss = -1,
		.psi_memory = -1,
		.psi_cpu = -1}};
}

/* Asks once; all workers that were wanted are there by the next time. */
static unsigned ask(struct rig *r)
{
	r->facts.queues = &r->queue;
	r->queue.ready_at = r->facts.now;
	r->d = scale_decide(&r->policy, &r->facts, &r->memory);
	return r->d.target;
}

/* A second in which so many jobs come and the workers do what they can, each `run_ms` long. */
static unsigned second(struct rig *r, unsigned come, unsigned run_ms)
{
	uint64_t can = (uint64_t)r->memory.target * 1000 / run_ms, did;

	r->facts.now += 1000;
	r->queue.ready += come;
	did = can < r->queue.ready ? can : r->queue.ready;
	r->queue.ready -= did;
	r->queue.delivered += did;
	r->queue.finished += did;
	r->queue.run_ms += did * run_ms;
	r->facts.busy = did ? r->memory.target : 0;
	r->facts.idle = did ? 0 : r->memory.target;
	return ask(r);
}

static void test_a_burst_from_nothing(void **state UNUSED)
{
	struct rig r;

	rig_init(&r, SCALE_TARGET_WAIT, 0, 64);
	assert_int_equal(ask(&r), 0);
	assert_int_equal(r.d.poll_ms, SCALE_POLL_FAST_MS);
	r.queue.ready = 500;
	assert_int_equal(second(&r, 0, 100), 2); /* nobody knows how long they take: some are tried */
	assert_int_equal(r.d.reason, SCALE_REASON_FIRST);
	assert_in_range(second(&r, 0, 100), 9, 30); /* 480 of 100 ms within 5 s */
	for (int i = 0; i < 10; i++)
		second(&r, 0, 100);
	assert_int_equal(r.queue.ready, 0);
	for (int i = 0; i < 12; i++)
		second(&r, 0, 100);
	assert_int_equal(r.memory.target, 0); /* after the hold of 10 s */
}

static void test_a_steady_stream_keeps_its_workers(void **state UNUSED)
{
	struct rig r;
	unsigned least = 64, most = 0;

	rig_init(&r, SCALE_TARGET_WAIT, 1, 64);
	for (int i = 0; i < 300; i++) {
		unsigned n = second(&r, 40, 200); /* 8 at work */

		if (i >= 100) {
			least = n < least ? n : least;
			most = n > most ? n : most;
		}
	}
	assert_in_range(least, 7, 8); /* what little is missing waits, until it is too much */
	assert_in_range(most, 8, 24);
	assert_true(r.queue.ready < 200);
}

static void test_fewer_only_after_the_hold(void **state UNUSED)
{
	struct rig r;

	rig_init(&r, SCALE_TARGET_WAIT, 1, 64);
	for (int i = 0; i < 200; i++)
		second(&r, 100, 100);
	assert_in_range(r.memory.lasting.n, 9, 11);
	for (int i = 0; i < 9; i++)
		assert_in_range(second(&r, 0, 100), r.memory.lasting.n, 64);
	assert_in_range(r.memory.target, 9, 11); /* those that were there for a backlog have gone */
	assert_int_equal(r.d.reason, SCALE_REASON_HOLD);
	for (int i = 0; i < 60; i++)
		second(&r, 0, 100);
	assert_int_equal(r.memory.target, 1);
}

static void test_others_carry_their_share(void **state UNUSED)
{
	struct rig alone, together;

	rig_init(&alone, SCALE_TARGET_WAIT, 0, 64);
	rig_init(&together, SCALE_TARGET_WAIT, 0, 64);
	together.queue.foreign = 6;
	for (int i = 0; i < 60; i++) {
		second(&alone, 100, 100);
		second(&together, 40, 100);
	}
	assert_true(together.memory.target < alone.memory.target);
}

static void test_old_figures_hold(void **state UNUSED)
{
	struct rig r;
	unsigned n;

	rig_init(&r, SCALE_TARGET_WAIT, 1, 64);
	for (int i = 0; i < 30; i++)
		second(&r, 50, 100);
	n = r.memory.target;
	r.facts.now += 60000;
	r.d = scale_decide(&r.policy, &r.facts, &r.memory);
	assert_int_equal(r.d.target, n);
	assert_int_equal(r.d.reason, SCALE_REASON_STALE);
}

static void test_memory_is_a_bound(void **state UNUSED)
{
	struct rig r;

	rig_init(&r, SCALE_TARGET_WAIT, 1, 64);
	r.facts.worker_rss = 100 << 20;
	r.facts.cgroup_limit = 350 << 20;
	r.facts.cgroup_used = 100 << 20;
	r.queue.ready = 100000;
	for (int i = 0; i < 5; i++) {
		r.facts.cgroup_used = (int64_t)(r.memory.target ? r.memory.target : 1) * (100 << 20);
		second(&r, 0, 100);
	}
	assert_int_equal(r.memory.target, 3);
	assert_int_equal(r.d.cap, SCALE_CAP_MEMORY);
	r.facts.cgroup_used = 400 << 20;
	for (int i = 0; i < 5; i++)
		second(&r, 0, 100);
	assert_int_equal(r.memory.target, 3); /* no growth, but nobody is sent away */
}

static void test_by_depth(void **state UNUSED)
{
	struct rig r;

	rig_init(&r, SCALE_QUEUE_DEPTH, 1, 20);
	r.policy.jobs_per_worker = 10;
	ask(&r);
	r.queue.ready = 95;
	r.facts.now += 1000;
	assert_int_equal(ask(&r), 10);
	assert_int_equal(r.d.reason, SCALE_REASON_DEPTH);
	r.queue.ready = 0;
	r.facts.now += 5000;
	assert_int_equal(ask(&r), 10);
	assert_int_equal(r.d.reason, SCALE_REASON_COOLDOWN);
	r.facts.now += 6000;
	assert_int_equal(ask(&r), 1);
}

static void test_fixed(void **state UNUSED)
{
	struct rig r;

	rig_init(&r, SCALE_FIXED, 3, 3);
	r.queue.ready = 100000;
	assert_int_equal(ask(&r), 3);
	assert_int_equal(r.d.reason, SCALE_REASON_FIXED);
}

static void test_sharing(void **state UNUSED)
{
	struct scale_claim c[] = {{.min = 1, .want = 11, .cost = 10}, {.min = 2, .want = 7, .cost = 10}};

	scale_share(c, 2, 1000);
	assert_int_equal(c[0].granted, 11);
	assert_int_equal(c[1].granted, 7);
	scale_share(c, 2, 120); /* 9 above the minima for 15 that are wanted */
	assert_int_equal(c[0].granted + c[1].granted, 12);
	assert_in_range(c[0].granted, 6, 8);
	scale_share(c, 2, 0);
	assert_int_equal(c[0].granted, 1);
	assert_int_equal(c[1].granted, 2);
}

static uint64_t any(unsigned *seed)
{
	static const uint64_t odd[] = {0, 1, 7, 1000, 1u << 31, UINT64_MAX, UINT64_MAX - 1, INT64_MAX};
	unsigned r = (unsigned)rand_r(seed);

	return r % 3 ? r % 10000 : odd[r % ARRAY_SIZE(odd)];
}

static void test_whatever_goes_in(void **state UNUSED)
{
	unsigned seed = 4711;

	for (int round = 0; round < 2000; round++) {
		struct rig r;
		unsigned min = (unsigned)rand_r(&seed) % 5, max = min + (unsigned)rand_r(&seed) % 40;

		rig_init(&r, (enum scale_rule)(rand_r(&seed) % 3), min, max);
		for (int i = 0; i < 20; i++) {
			char text[SCALE_EXPLAIN_BYTES];

			r.facts.now = (int64_t)(any(&seed) % (1u << 30));
			r.queue = (struct scale_queue){any(&seed), (int64_t)any(&seed), any(&seed), any(&seed),
			    any(&seed), any(&seed), (unsigned)any(&seed), any(&seed), any(&seed),
			    (unsigned)any(&seed), rand_r(&seed) % 2};
			r.facts.queues = &r.queue;
			r.facts.busy = (unsigned)any(&seed) % SCALE_WORKERS_MAX;
			r.facts.starting = (unsigned)any(&seed) % SCALE_WORKERS_MAX;
			r.facts.start_ms = (int64_t)any(&seed);
			r.facts.memory_available = (int64_t)any(&seed);
			r.facts.worker_rss = (int64_t)any(&seed);
			r.d = scale_decide(&r.policy, &r.facts, &r.memory);
			assert_in_range(r.d.target, min, max);
			scale_explain(text, &r.policy, &r.d);
			assert_true(strlen(text) < sizeof text);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_burst_from_nothing),
	    cmocka_unit_test(test_a_steady_stream_keeps_its_workers),
	    cmocka_unit_test(test_fewer_only_after_the_hold),
	    cmocka_unit_test(test_others_carry_their_share),
	    cmocka_unit_test(test_old_figures_hold),
	    cmocka_unit_test(test_memory_is_a_bound),
	    cmocka_unit_test(test_by_depth),
	    cmocka_unit_test(test_fixed),
	    cmocka_unit_test(test_sharing),
	    cmocka_unit_test(test_whatever_goes_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
