/* links: daemon/gateway/jobs.c daemon/gateway/fleet.c */
/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/gateway/jobs.h"

#define NOW INT64_C(1790000000000) /* 2026-09-21T14:13:20Z */

static void assert_json(struct json *take, const char *wanted)
{
	struct buf text;

	buf_init(&text, 1 << 20);
	json_print(take, false, &text);
	buf_add(&text, "", 1);
	assert_string_equal((const char *)text.data, wanted);
	buf_free(&text);
	json_free(take);
}

static struct fleet_run a_run(void)
{
	struct fleet_run run = {
	    .queue = slice_str("work"), .type = slice_str("hash"), .worker = "main/1"};

	run.run.attempt = 2;
	run.run.since_wall_ms = NOW + 5000;
	run.run.progress = 40;
	slice_copy(run.run.job, sizeof run.run.job, slice_str("j1"));
	slice_copy(run.run.note, sizeof run.run.note, slice_str("half"));
	return run;
}

static struct job_row a_row(enum job_state state)
{
	return (struct job_row){
	    .seq = 7,
	    .queue = slice_str("work"),
	    .id = slice_str("j1"),
	    .type = slice_str("hash"),
	    .state = state,
	    .attempt = 1,
	    .priority = 3,
	    .created_wall_ms = NOW,
	};
}

static void test_a_job_that_is_done(void **state)
{
	struct run_row run = {.n = 1,
	    .attempt = 1,
	    .outcome = OUTCOME_DONE,
	    .has_exit_code = true,
	    .started_wall_ms = NOW + 1,
	    .wall_ms = 12,
	    .cpu_ms = 4,
	    .max_rss_kb = 3412,
	    .worker = slice_str("main/1")};
	struct job_row row = a_row(JOB_DONE);
	struct json *attempts = json_array();

	(void)state;
	json_push(attempts, jobs_attempt_json(&run));
	row.result = slice_str("caf\xc3\xa9");
	row.result_bytes = 5;
	row.started_wall_ms = NOW + 1;
	row.ended_wall_ms = NOW + 13;
	assert_json(jobs_json(&row, attempts, NULL),
	    "{\"id\":\"j1\",\"type\":\"hash\",\"queue\":\"work\",\"state\":\"done\",\"attempt\":1,\"attempts\":["
	    "{\"n\":1,\"attempt\":1,\"outcome\":\"done\",\"exit_code\":0,\"wall_ms\":12,\"cpu_ms\":4,\"max_rss_kb\":3412,"
	    "\"worker\":\"main/1\",\"error\":null,\"started_at\":\"2026-09-21T14:13:20.001Z\"}],"
	    "\"result\":\"caf\xc3\xa9\",\"result_bytes\":5,\"result_cut\":false,\"error\":null,\"losses\":0,\"priority\":3,"
	    "\"created_at\":\"2026-09-21T14:13:20.000Z\",\"due_at\":null,\"started_at\":\"2026-09-21T14:13:20.001Z\","
	    "\"ended_at\":\"2026-09-21T14:13:20.013Z\",\"seq\":7}");
}

static void test_a_run_that_was_ended_by_a_signal(void **state)
{
	struct run_row run = {.n = 3,
	    .attempt = 2,
	    .outcome = OUTCOME_RETRY,
	    .has_signal = true,
	    .signal = 9,
	    .worker = slice_str("main/1"),
	    .error = slice_str("killed \xff"),
	    .started_wall_ms = NOW};

	(void)state;
	assert_json(jobs_attempt_json(&run),
	    "{\"n\":3,\"attempt\":2,\"outcome\":\"retry\",\"signal\":9,\"wall_ms\":0,\"cpu_ms\":0,\"max_rss_kb\":0,"
	    "\"worker\":\"main/1\",\"error\":\"killed \xef\xbf\xbd\",\"started_at\":\"2026-09-21T14:13:20.000Z\"}");
}

static void test_bytes_that_are_not_text_come_as_base64(void **state)
{
	static const struct slice cases[] = {{(const uint8_t *)"\xff\0", 2},
	    {(const uint8_t *)"a\0b", 3}, {(const uint8_t *)"\xed\xa0\x80", 3}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct job_row row = a_row(JOB_DONE);
		struct json *j;

		row.result = cases[i];
		j = jobs_json(&row, json_array(), NULL);
		assert_true(json_is_null(json_get(j, "result")));
		assert_non_null(json_get_str(j, "result_base64"));
		json_free(j);
	}
}

static void test_an_empty_result_is_not_an_absent_one(void **state)
{
	struct job_row row = a_row(JOB_DONE);
	struct json *j = jobs_json(&row, json_array(), NULL);

	(void)state;
	assert_true(json_is_null(json_get(j, "result")));
	assert_null(json_get(j, "result_base64"));
	json_free(j);
	row.result = slice_of("", 0);
	j = jobs_json(&row, json_array(), NULL);
	assert_string_equal(json_get_str(j, "result"), "");
	json_free(j);
}

static void test_running_is_read_from_the_board(void **state)
{
	static const struct {
		enum job_state stored;
		bool on_board;
		const char *shown;
		int64_t attempt;
	} cases[] = {
	    {JOB_QUEUED, false, "queued", 1},
	    {JOB_QUEUED, true, "running", 2},
	    {JOB_RETRYING, true, "running", 2},
	    {JOB_DONE, true, "done", 1},
	    {JOB_DEAD, true, "dead", 1},
	    {JOB_CANCELLED, true, "cancelled", 1},
	    {JOB_EXPIRED, true, "expired", 1},
	};
	struct fleet_run run = a_run();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct job_row row = a_row(cases[i].stored);
		struct json *j;
		int64_t attempt;

		row.due_wall_ms = NOW;
		j = jobs_json(&row, json_array(), cases[i].on_board ? &run : NULL);
		assert_string_equal(json_get_str(j, "state"), cases[i].shown);
		assert_true(json_get_int(j, "attempt", &attempt));
		assert_int_equal(attempt, cases[i].attempt);
		assert_int_equal(
		    json_get(j, "running") != NULL, strcmp(cases[i].shown, "running") == 0);
		json_free(j);
	}
}

static void test_a_job_that_only_the_board_knows(void **state)
{
	struct fleet_run run = a_run();

	(void)state;
	run.run.attempt = 1;
	run.run.progress = -1;
	assert_json(jobs_json_of_run(&run),
	    "{\"id\":\"j1\",\"type\":\"hash\",\"queue\":\"work\",\"state\":\"running\",\"attempt\":1,\"attempts\":[],"
	    "\"result\":null,\"result_bytes\":0,\"result_cut\":false,\"error\":null,\"losses\":0,\"priority\":0,"
	    "\"created_at\":\"2026-09-21T14:13:25.000Z\",\"due_at\":null,\"started_at\":\"2026-09-21T14:13:25.000Z\","
	    "\"ended_at\":null,\"running\":{\"worker\":\"main/1\",\"since\":\"2026-09-21T14:13:25.000Z\","
	    "\"progress\":null,\"note\":\"half\"}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_job_that_is_done),
	    cmocka_unit_test(test_a_run_that_was_ended_by_a_signal),
	    cmocka_unit_test(test_bytes_that_are_not_text_come_as_base64),
	    cmocka_unit_test(test_an_empty_result_is_not_an_absent_one),
	    cmocka_unit_test(test_running_is_read_from_the_board),
	    cmocka_unit_test(test_a_job_that_only_the_board_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
