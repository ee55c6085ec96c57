/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "lib/job/job.h"

static void test_states(void **state)
{
	/* Numbers are stored in databases: they never change. */
	static const struct {
		enum job_state state;
		int number;
		const char *name;
		bool over;
	} cases[] = {
	    {JOB_QUEUED, 0, "queued", false},
	    {JOB_RUNNING, 1, "running", false},
	    {JOB_RETRYING, 2, "retrying", false},
	    {JOB_DONE, 3, "done", true},
	    {JOB_DEAD, 4, "dead", true},
	    {JOB_CANCELLED, 5, "cancelled", true},
	    {JOB_EXPIRED, 6, "expired", true},
	};
	enum job_state parsed;

	(void)state;
	assert_int_equal(ARRAY_SIZE(cases), JOB_STATE_COUNT);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(cases[i].state, cases[i].number);
		assert_string_equal(job_state_name(cases[i].state), cases[i].name);
		assert_int_equal(job_state_over(cases[i].state), cases[i].over);
		assert_int_equal(job_state_parse(cases[i].name, &parsed), 0);
		assert_int_equal(parsed, cases[i].state);
	}
	assert_int_equal(job_state_parse("Done", &parsed), -EINVAL);
	assert_int_equal(job_state_parse("", &parsed), -EINVAL);
	assert_string_equal(job_state_name((enum job_state)99), "unknown");
	assert_false(job_state_over((enum job_state)99));
}

static void test_outcomes(void **state)
{
	static const struct {
		enum outcome outcome;
		int number;
		const char *name;
		bool counts;
	} cases[] = {
	    {OUTCOME_DONE, 0, "done", true},
	    {OUTCOME_RETRY, 1, "retry", true},
	    {OUTCOME_DEAD, 2, "dead", true},
	    {OUTCOME_CANCELLED, 3, "cancelled", true},
	    {OUTCOME_EXPIRED, 4, "expired", false},
	    {OUTCOME_LOST, 5, "lost", false},
	    {OUTCOME_RELEASED, 6, "released", false},
	    {OUTCOME_DUPLICATE, 7, "duplicate", false},
	};

	(void)state;
	assert_int_equal(ARRAY_SIZE(cases), OUTCOME_COUNT);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(cases[i].outcome, cases[i].number);
		assert_string_equal(outcome_name(cases[i].outcome), cases[i].name);
		assert_int_equal(outcome_counts(cases[i].outcome), cases[i].counts);
	}
	assert_string_equal(outcome_name((enum outcome)99), "unknown");
	assert_false(outcome_counts((enum outcome)99));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_states),
	    cmocka_unit_test(test_outcomes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
