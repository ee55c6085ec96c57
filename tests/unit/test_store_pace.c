/* links: daemon/store/pace.c */
/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/store/pace.h"

static int64_t commits(struct pace *p, unsigned n, uint64_t rows, int64_t every_us, int64_t *now)
{
	int64_t rest = 0;

	for (unsigned i = 0; i < n; i++) {
		*now += every_us;
		rest = pace_committed(p, rows, false, *now);
	}
	return rest;
}

static void test_who_is_alone_never_waits(void **state)
{
	struct pace p = {0};
	int64_t now = 1;

	(void)state;
	assert_int_equal(commits(&p, PACE_COMMITS, 2, 100, &now), 0); /* a few, at once */
	assert_int_equal(commits(&p, 100, 2, PACE_SPAN_US / PACE_COMMITS, &now), 0);
}

static void test_many_small_ones_rest(void **state)
{
	struct pace p = {0};
	int64_t now = 1;

	(void)state;
	assert_int_equal(commits(&p, PACE_COMMITS + 1, 2, 1000, &now), PACE_REST_MS);
	assert_int_equal(pace_committed(&p, PACE_ROWS, false, now + 1000), 0); /* not small */
	assert_int_equal(pace_committed(&p, PACE_ROWS - 1, false, now + 2000), PACE_REST_MS);
	assert_int_equal(pace_committed(&p, 2, true, now + 3000), 0);
	assert_int_equal(pace_committed(&p, 2, false, now + 1000000), 0); /* it has been quiet */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_who_is_alone_never_waits),
	    cmocka_unit_test(test_many_small_ones_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
