/* links: tools/sim/sim.c tools/sim/rules.c tools/sim/traffic.c */
/* SPDX-License-Identifier: MIT */
/* The simulator: what can be worked out by hand comes out, and the same comes out twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/sim/rules.h"
#include "tools/sim/traffic.h"

static unsigned decide_setting(void *state, const struct sim_view *v UNUSED, double *ret_poll_s)
{
	*ret_poll_s = 1;
	return *(const unsigned *)((struct rule_state *)state)->setting;
}

static const struct sim_rule rule_constant = {.name = "constant", .decide = decide_setting};

static void assert_near(double found, double expected)
{
	if (fabs(found - expected) > 1e-6)
		fail_msg("%g instead of %g", found, expected);
}

static void test_one_worker_takes_one_after_the_other(void **state UNUSED)
{
	struct sim_job jobs[] = {{1, 1}, {1, 1}, {1, 1}};
	struct sim_traffic t = {.jobs = jobs, .njobs = 3, .length = 10, .start_s = 0.25, .target_s = 5, .max = 8};
	struct sim_result r = sim_run(&t, &rule_constant, &(unsigned){1}, false);

	assert_near(r.p50, 1);
	assert_near(r.longest, 2);
	assert_near(r.worker_s, 10);
	assert_int_equal(r.changes, 1);
	assert_int_equal(r.most, 1);
}

static void test_a_start_takes_its_time(void **state UNUSED)
{
	struct sim_job jobs[] = {{0.5, 1}, {0.5, 1}};
	struct sim_traffic t = {.jobs = jobs, .njobs = 2, .length = 10, .start_s = 3, .target_s = 5, .max = 8};
	struct sim_result r = sim_run(&t, &rule_constant, &(unsigned){2}, false);

	assert_near(r.p50, 2.5);
	assert_near(r.longest, 2.5);
	assert_near(r.worker_s, 20);
}

static void test_slowness_is_that_of_the_begin(void **state UNUSED)
{
	struct sim_job jobs[] = {{1, 1}, {2.5, 1}, {2.6, 1}};
	struct sim_traffic t = {.jobs = jobs, .njobs = 3, .length = 20, .start_s = 0.25, .target_s = 5, .max = 8,
	    .slow_from = 2, .slow_to = 4, .slow_by = 4};
	struct sim_result r = sim_run(&t, &rule_constant, &(unsigned){1}, false);

	assert_near(r.longest, 6.5 - 2.6); /* the second runs from 2.5 to 6.5 */
}

static void test_nobody_has_more_than_the_maximum(void **state UNUSED)
{
	struct sim_job jobs[] = {{1, 1}};
	struct sim_traffic t = {.jobs = jobs, .njobs = 1, .length = 10, .start_s = 0.25, .target_s = 5, .max = 3};

	assert_int_equal(sim_run(&t, &rule_constant, &(unsigned){200}, false).most, 3);
}

static void test_the_same_comes_out_twice(void **state UNUSED)
{
	struct sim_traffic t, again;
	struct sim_result r, same;
	double work = 0;

	assert_true(traffic_make("burst", &t));
	assert_true(traffic_make("burst", &again));
	r = sim_run(&t, &rule_skep, NULL, true);
	same = sim_run(&again, &rule_skep, NULL, false);
	for (size_t i = 0; i < t.njobs; i++)
		work += t.jobs[i].takes;
	assert_true(r.p99 == same.p99 && r.worker_s == same.worker_s && r.changes == same.changes);
	assert_true(r.worker_s >= work);
	assert_true(r.p50 <= r.p95 && r.p95 <= r.p99 && r.p99 <= r.longest);
	assert_int_equal(r.nsamples, (size_t)t.length);
	free(r.samples);
	traffic_clear(&t);
	traffic_clear(&again);
}

static void test_the_oracle_is_not_late(void **state UNUSED)
{
	struct sim_traffic t;
	struct sim_result r;

	assert_true(traffic_make("burst", &t));
	assert_true(rule_oracle(&t, &r));
	assert_true(r.p99 <= t.target_s);
	t.max = 1; /* one cannot bear a burst */
	assert_false(rule_oracle(&t, &r));
	traffic_clear(&t);
	assert_false(traffic_make("unheard", &t));
}

static bool read_text(const char *text, struct sim_traffic *t, char error[static 256])
{
	char path[] = "/tmp/skep-test-sim.XXXXXX";
	int fd = mkstemp(path);
	bool good;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	good = traffic_read(path, t, error);
	unlink(path);
	return good;
}

static void test_traces(void **state UNUSED)
{
	static const struct {
		const char *text, *error;
	} bad[] = {{"1,100\n2;5\n", "line 2"}, {"1,100\n\n", "line 2"}, {"1,-1\n", "line 1"}, {"-1,1\n", "line 1"},
	    {"1,nan\n", "line 1"}, {"a,b\nc,d\n", "line 2"}, {"1,1 x\n", "line 1"}, {"", "no jobs"},
	    {"seconds,milliseconds\n", "no jobs"}};
	struct sim_traffic t;
	char error[256];

	assert_true(read_text("seconds,milliseconds\n3,10\n1,2000\r\n2.5,0", &t, error));
	assert_int_equal(t.njobs, 3);
	assert_near(t.jobs[0].at, 1);
	assert_near(t.jobs[0].takes, 2);
	assert_near(t.jobs[2].takes, 0.01);
	traffic_clear(&t);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_false(read_text(bad[i].text, &t, error));
		assert_non_null(strstr(error, bad[i].error));
	}
	assert_false(traffic_read("/nonexistent/trace", &t, error));
	assert_string_equal(error, "No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_worker_takes_one_after_the_other),
	    cmocka_unit_test(test_a_start_takes_its_time),
	    cmocka_unit_test(test_slowness_is_that_of_the_begin),
	    cmocka_unit_test(test_nobody_has_more_than_the_maximum),
	    cmocka_unit_test(test_the_same_comes_out_twice),
	    cmocka_unit_test(test_the_oracle_is_not_late),
	    cmocka_unit_test(test_traces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
