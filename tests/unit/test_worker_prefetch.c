/* links: daemon/worker/prefetch.c */
/* SPDX-License-Identifier: MIT */
/* The policy of the prefetch, as tables: what has run, and what is wanted then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/worker/prefetch.h"

static int64_t now_us;

/* So many jobs one after the other on each of the slots, then idle for a while. */
static void work(struct prefetch *p, unsigned jobs, int64_t each_us, uint64_t body_bytes, int64_t idle_us)
{
	for (unsigned i = 0; i < jobs; i++) {
		prefetch_running(p, p->slots, now_us);
		now_us += each_us;
		for (unsigned slot = 0; slot < p->slots; slot++)
			prefetch_ended(p, body_bytes, now_us);
		prefetch_running(p, 0, now_us);
		now_us += idle_us;
	}
}

static const struct {
	const char *what;
	uint32_t slots, queues;
	unsigned jobs;
	int64_t each_us;
	uint64_t body_bytes;
	int64_t idle_us;
	uint32_t least, most;
} cases[] = {
    {"nothing has run", 1, 1, 0, 0, 0, 0, 1, 1},
    {"nothing has run on many slots", 16, 1, 0, 0, 0, 0, 16, 16},
    {"one of 10 ms", 1, 1, 1, 10000, 100, 0, 95, 105},
    {"many of 10 ms", 1, 1, 1000, 10000, 100, 0, 95, 105},
    {"many of 10 ms and an idle queue", 1, 1, 100, 10000, 100, 5000000, 95, 105},
    {"the shortest", 1, 1, 10000, 20, 100, 0, PREFETCH_MAX, PREFETCH_MAX},
    {"a second each", 1, 1, 10, 1000000, 100, 0, 1, 2},
    {"ten seconds each", 1, 1, 10, 10000000, 100, 0, 1, 1},
    {"slow ones on many slots", 8, 1, 10, 10000000, 100, 0, 8, 8},
    {"100 ms on eight slots", 8, 1, 100, 100000, 100, 0, 75, 85},
    {"10 ms from four queues", 1, 4, 1000, 10000, 100, 0, 22, 27},
    {"bodies of 1 MiB", 1, 1, 1000, 1000, 1 << 20, 0, 31, 33},
    {"bodies of 1 MiB from two queues", 1, 2, 1000, 1000, 1 << 20, 0, 15, 17},
    {"bodies of 64 MiB", 1, 1, 10, 1000, 64 << 20, 0, 1, 1},
    {"bodies of 64 MiB on four slots", 4, 1, 10, 1000, 64 << 20, 0, 4, 4},
};

static void a_second_of_work_is_wanted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct prefetch p;
		uint32_t wanted;

		prefetch_init(&p, 0, cases[i].slots, cases[i].queues);
		assert_int_equal(p.value, cases[i].slots);
		now_us = 1000;
		work(&p, cases[i].jobs, cases[i].each_us, cases[i].body_bytes, cases[i].idle_us);
		wanted = prefetch_wanted(&p);
		if (wanted < cases[i].least || wanted > cases[i].most)
			fail_msg("%s: %u, not %u to %u", cases[i].what, wanted, cases[i].least,
			    cases[i].most);
	}
}

static void it_grows_in_steps_and_shrinks_slowly(void **state)
{
	static const struct {
		int64_t at_ms;
		uint32_t value;
	} grows[] = {{200, 1}, {201, 4}, {400, 4}, {401, 16}, {500, 16}, {601, 64}, {801, 64}, {5000, 64}};
	struct prefetch p;

	(void)state;
	now_us = 1000;
	prefetch_init(&p, 0, 1, 1);
	assert_false(prefetch_update(&p, 1)); /* nothing is known yet */
	work(&p, PREFETCH_LEAP_RUNS - 1, 10000, 100, 0);
	for (size_t i = 0; i < ARRAY_SIZE(grows); i++) {
		uint32_t before = p.value;

		assert_int_equal(prefetch_update(&p, grows[i].at_ms), grows[i].value != before);
		assert_int_equal(p.value, grows[i].value);
	}
	/* One that does not end: the rate fades, seen while it goes on. */
	assert_int_equal(prefetch_stuck_ms(&p, now_us + 5000000), 0);
	prefetch_running(&p, 1, now_us);
	for (int64_t ms = 0; ms < 8000; ms += 250) {
		uint32_t before = p.value;
		int64_t changed_ms = p.changed_ms;

		now_us += 250000;
		prefetch_running(&p, 1, now_us);
		if (prefetch_update(&p, 6000 + ms)) {
			assert_true(2 * p.value <= before);
			assert_true(6000 + ms - changed_ms >= PREFETCH_SHRINK_MS);
		}
	}
	assert_int_equal(p.value, 1);
	assert_int_equal(prefetch_stuck_ms(&p, now_us), 8000);
	prefetch_ended(&p, 100, now_us);
	assert_int_equal(prefetch_stuck_ms(&p, now_us + 3000), 3);
}

/* Many short ones in a short time are enough to know it. */
static void it_leaps_where_runs_have_shown_it(void **state)
{
	struct prefetch p;

	(void)state;
	now_us = 1000000;
	prefetch_init(&p, 0, 1, 1);
	work(&p, 100, 50, 100, 0);
	assert_false(prefetch_update(&p, 1000 + PREFETCH_LEAP_MS - 1)); /* too soon */
	assert_true(prefetch_update(&p, 1000 + PREFETCH_LEAP_MS));
	assert_int_equal(p.value, PREFETCH_LEAP);
	assert_false(prefetch_update(&p, 1000 + 3 * PREFETCH_LEAP_MS)); /* nothing has shown it since */
	work(&p, PREFETCH_LEAP_RUNS, 50, 100, 0);
	assert_true(prefetch_update(&p, 1000 + 3 * PREFETCH_LEAP_MS));
	assert_int_equal(p.value, PREFETCH_MAX);

	prefetch_init(&p, 0, 1, 1); /* where a run takes longer, there is no hurry */
	work(&p, 100, 1000, 100, 0);
	assert_int_equal(prefetch_wanted(&p), PREFETCH_MAX);
	assert_true(prefetch_update(&p, now_us / 1000 + PREFETCH_GROW_MS));
	assert_int_equal(p.value, PREFETCH_GROW);

	prefetch_init(&p, 0, 8, 1); /* fewer runs than it holds show nothing */
	p.value = 100;
	work(&p, 99 / 8, 50, 100, 0);
	assert_false(prefetch_update(&p, now_us / 1000 + PREFETCH_LEAP_MS));
	work(&p, 1, 50, 100, 0);
	assert_true(prefetch_update(&p, now_us / 1000 + PREFETCH_LEAP_MS));
	assert_int_equal(p.value, PREFETCH_MAX);
}

/* Around what it is nothing changes. */
static void small_differences_change_nothing(void **state)
{
	struct prefetch p;

	(void)state;
	prefetch_init(&p, 0, 1, 1);
	p.value = 100;
	now_us = 1000;
	work(&p, 1000, 6000, 100, 0); /* 166 a second */
	assert_false(prefetch_update(&p, 10000));
	work(&p, 1000, 19000, 100, 0); /* 52 */
	assert_false(prefetch_update(&p, 20000));
	work(&p, 1000, 21000, 100, 0); /* 47 */
	assert_true(prefetch_update(&p, 30000));
	assert_in_range(p.value, 45, 50);
}

static void it_may_be_fixed_or_begin_again(void **state)
{
	struct prefetch p;

	(void)state;
	now_us = 1000;
	prefetch_init(&p, 7, 1, 1);
	work(&p, 1000, 100, 100, 0);
	assert_false(prefetch_update(&p, 10000));
	assert_int_equal(p.value, 7);
	prefetch_init(&p, 0, 1, 1);
	work(&p, 1000, 100, 100, 0);
	assert_true(prefetch_update(&p, 10000));
	prefetch_saw_slots(&p, 3);
	prefetch_saw_slots(&p, 2);
	p.value = 2;
	assert_true(prefetch_update(&p, 10001)); /* never less than the slots */
	assert_int_equal(p.value, 3);
	prefetch_restart(&p, 10300);
	assert_int_equal(p.value, 3);
	assert_false(prefetch_update(&p, 10400));
	assert_true(prefetch_update(&p, 10500));
	assert_int_equal(p.value, 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_second_of_work_is_wanted),
	    cmocka_unit_test(it_grows_in_steps_and_shrinks_slowly),
	    cmocka_unit_test(it_leaps_where_runs_have_shown_it),
	    cmocka_unit_test(small_differences_change_nothing),
	    cmocka_unit_test(it_may_be_fixed_or_begin_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
