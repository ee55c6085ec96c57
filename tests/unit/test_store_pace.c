/* links: daemon/store/pace.c */
/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/store/pace.h"

/* Commits of so many rows, each `gap_us` after the end of the rest that the one before it was followed by. The last rest. */
static int64_t commits(struct pace *p, unsigned n, uint64_t rows, bool hungry, int64_t gap_us, int64_t *now)
{
	int64_t rest = 0;

	for (unsigned i = 0; i < n; i++) {
		*now += rest * 1000 + gap_us;
		rest = pace_committed(p, rows, hungry, *now);
	}
	*now += rest * 1000;
	return rest;
}

static void test_who_is_alone_never_waits(void **state)
{
	struct pace p = {0};
	int64_t now = 1;

	(void)state;
	assert_int_equal(commits(&p, PACE_COMMITS, 2, false, 100, &now), 0); /* a few, at once */
	assert_int_equal(commits(&p, 100, 2, false, PACE_SPAN_US / PACE_COMMITS, &now), 0);
}

static void test_many_small_ones_rest(void **state)
{
	struct pace p = {0};
	int64_t now = 1;

	(void)state;
	assert_int_equal(commits(&p, PACE_COMMITS + 1, 2, false, 900, &now), PACE_REST_MIN_MS);
	assert_int_equal(pace_committed(&p, 4, true, now + 900), 0);
	assert_int_equal(pace_committed(&p, 4, false, now + 1800), PACE_REST_MIN_MS);
	assert_int_equal(pace_committed(&p, 4, false, now + 1000000), 0); /* it has been quiet */
}

/* A small one among many rows is no reason: the next ones are large by themselves. */
static void test_where_much_is_done_nobody_waits(void **state)
{
	struct pace p = {0};
	int64_t now = 1;

	(void)state;
	assert_int_equal(commits(&p, 100, 1 + PACE_MANY_ROWS, false, 1000, &now), 0);
	assert_int_equal(commits(&p, 1, 1, false, 100, &now), 0);
	assert_int_equal(commits(&p, PACE_COMMITS, PACE_MANY_ROWS - 1, false, 1000, &now), PACE_REST_MIN_MS);
}

static void test_a_rest_grows_while_nobody_is_hungry(void **state)
{
	struct pace p = {0};
	int64_t now = 1;

	(void)state;
	assert_int_equal(commits(&p, PACE_COMMITS + 1, 8, false, 900, &now), PACE_REST_MIN_MS);
	assert_int_equal(commits(&p, 1, 12, false, 900, &now), 2 * PACE_REST_MIN_MS);
	assert_int_equal(commits(&p, 10, 24, false, 900, &now), PACE_REST_MAX_MS);
	assert_int_equal(commits(&p, 1, 24, true, 900, &now), 0);
	assert_int_equal(p.rest_ms, PACE_REST_MAX_MS / 2);
	assert_int_equal(commits(&p, 1, 24, false, 900, &now), PACE_REST_MAX_MS);
	assert_int_equal(commits(&p, 20, 24, true, 900, &now), 0); /* always hungry: never again */
	assert_int_equal(p.rest_ms, 0);
}

/* Where little comes in a long rest, it was for nothing. */
static void test_a_long_rest_ends_with_the_stream(void **state)
{
	struct pace p = {0};
	int64_t now = 1;

	(void)state;
	commits(&p, PACE_COMMITS + 1, 8, false, 900, &now);
	commits(&p, 10, 24, false, 900, &now);
	assert_int_equal(p.rest_ms, PACE_REST_MAX_MS);
	assert_int_equal(commits(&p, 1, PACE_REST_MAX_MS / PACE_FEW_ROWS - 1, false, 0, &now), 0);
	assert_int_equal(p.rest_ms, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_who_is_alone_never_waits),
	    cmocka_unit_test(test_many_small_ones_rest),
	    cmocka_unit_test(test_where_much_is_done_nobody_waits),
	    cmocka_unit_test(test_a_rest_grows_while_nobody_is_hungry),
	    cmocka_unit_test(test_a_long_rest_ends_with_the_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
