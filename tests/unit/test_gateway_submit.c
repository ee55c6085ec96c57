/* links: daemon/gateway/submit.c daemon/gateway/checks.c daemon/gateway/target.c */
/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "daemon/gateway/submit.h"
#include "lib/base/clock.h"
#include "lib/job/envelope.h"

#define NOW INT64_C(1790000000000)
#define MAX_BODY 100

static const char conf_text[] =
    "[pool main]\nqueues = work special\n"
    "[queue elsewhere]\n[queue work]\n[queue special]\nhandler = polish\n"
    "[handler echo]\ncommand = /bin/cat\n[handler polish]\ncommand = /bin/cat\n";

static int setup(void **state)
{
	struct submit_context *x = xcalloc(1, sizeof *x);
	struct err err = {0};

	x->conf = conf_parse(slice_str(conf_text), NULL, &err);
	if (!x->conf)
		fail_msg("%s", err.text);
	x->max_body = MAX_BODY;
	x->now_wall_ms = NOW;
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct submit_context *x = *state;

	conf_free((struct conf *)(uintptr_t)x->conf);
	free(x);
	return 0;
}

static struct submit *read_json(const struct submit_context *x, const char *text)
{
	struct err err = {0};
	struct submit *s = submit_from_json(x, slice_str(text), &err);

	if (!s)
		fail_msg("%s: %s", text, err.text);
	return s;
}

static void test_a_full_description_is_read(void **state)
{
	struct submit *s = read_json(*state,
	    "{\"type\": \"echo\", \"queue\": \"work\", \"id\": \"a/b\", \"body\": \"hello\", \"retries\": 3,"
	    "\"timeout\": \"90s\", \"delay\": 1.5, \"expires\": \"1h\", \"priority\": \"7\", \"content_type\": \"text/plain\","
	    "\"correlation_id\": \"c\", \"reply_to\": \"r\"}");
	struct job packed;

	assert_true(slice_is(s->job.queue, "work") && slice_is(s->job.type, "echo"));
	assert_true(slice_is(s->job.id, "a/b") && slice_is(s->job.body, "hello"));
	assert_int_equal(s->due_wall_ms, NOW + 1500);
	assert_int_equal(s->delay_ms, 1500);
	assert_int_equal(envelope_unpack(&packed, buf_slice(&s->envelope), NULL), 0);
	assert_true(slice_is(packed.id, "a/b") && slice_is(packed.type, "echo"));
	assert_true(
	    slice_is(packed.content_type, "text/plain") && slice_is(packed.correlation_id, "c"));
	assert_true(slice_is(packed.reply_to, "r"));
	assert_int_equal(packed.retries, 3);
	assert_int_equal(packed.timeout_ms, 90000);
	assert_int_equal(packed.expires_wall_ms, NOW + 3600000);
	assert_int_equal(packed.priority, 7);
	assert_int_equal(packed.at_wall_ms, JOB_NOT_GIVEN);
	submit_free(s);
}

static void test_what_is_not_said_has_defaults(void **state)
{
	static const struct {
		const char *text, *queue, *type;
	} cases[] = {
	    {"{\"type\": \"polish\"}", "special", "polish"},
	    {"{\"queue\": \"special\"}", "special", "polish"},
	    {"{\"type\": \"echo\"}", "work", "echo"},
	    {"{\"type\": \"echo\", \"queue\": null}", "work", "echo"},
	    {"{\"type\": \"unknown\", \"queue\": \"elsewhere\"}", "elsewhere", "unknown"},
	    {"{\"type\": \"unknown\", \"queue\": \"not in the configuration\"}",
		"not in the configuration", "unknown"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct submit *s = read_json(*state, cases[i].text);
		struct id id;

		assert_true(slice_is(s->job.queue, cases[i].queue));
		assert_true(slice_is(s->job.type, cases[i].type));
		assert_int_equal(id_parse(s->job.id, &id), 0);
		assert_non_null(s->job.body.p);
		assert_int_equal(s->job.body.n, 0);
		assert_int_equal(s->due_wall_ms, JOB_NOT_GIVEN);
		assert_int_equal(s->delay_ms, JOB_NOT_GIVEN);
		submit_free(s);
	}
}

static void test_bodies_are_text_json_or_base64(void **state)
{
	static const struct {
		const char *member;
		struct slice body;
		const char *content_type;
	} cases[] = {
	    {"\"body\": \"caf\\u00e9\"", {(const uint8_t *)"caf\xc3\xa9", 5}, ""},
	    {"\"body\": {\"a\": [1, 2]}", {(const uint8_t *)"{\"a\":[1,2]}", 11},
		"application/json"},
	    {"\"body\": 7, \"content_type\": \"text/x\"", {(const uint8_t *)"7", 1}, "text/x"},
	    {"\"body\": null", {(const uint8_t *)"null", 4}, "application/json"},
	    {"\"body_base64\": \"/wA=\"", {(const uint8_t *)"\xff\0", 2}, ""},
	    {"\"body_base64\": \"\"", {(const uint8_t *)"", 0}, ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		auto_free char *text = xasprintf("{\"type\": \"echo\", %s}", cases[i].member);
		struct submit *s = read_json(*state, text);

		assert_true(slice_eq(s->job.body, cases[i].body));
		assert_true(slice_is(s->job.content_type, cases[i].content_type));
		submit_free(s);
	}
}

static void test_times_are_read(void **state)
{
	static const struct {
		const char *member;
		int64_t due, delay, expires;
	} cases[] = {
	    {"\"at\": \"2026-10-01T00:00:00.500+02:00\"", INT64_C(1790805600500), -1, -1},
	    {"\"at\": \"1999-01-01T00:00:00Z\"", -1, -1, -1},
	    {"\"delay\": 0", -1, -1, -1},
	    {"\"delay\": \"250ms\"", NOW + 250, 250, -1},
	    {"\"expires\": 60", -1, -1, NOW + 60000},
	    {"\"delay\": 1, \"expires\": \"2s\"", NOW + 1000, 1000, NOW + 2000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		auto_free char *text = xasprintf("{\"type\": \"echo\", %s}", cases[i].member);
		struct submit *s = read_json(*state, text);

		assert_int_equal(s->due_wall_ms, cases[i].due);
		assert_int_equal(s->delay_ms, cases[i].delay);
		assert_int_equal(s->job.expires_wall_ms, cases[i].expires);
		submit_free(s);
	}
}

static const struct {
	const char *text;
	unsigned status;
	const char *says; /* part of the reason */
} refused[] = {
    {"", 400, "JSON"},
    {"{", 400, "JSON"},
    {"{} x", 400, "JSON"},
    {"[]", 400, "object"},
    {"null", 400, "object"},
    {"\"echo\"", 400, "object"},
    {"\xff", 400, "UTF-8"},
    {"{\"type\": \"echo\", \"body\": \"\xc3\"}", 400, "UTF-8"},
    {"{\"bananas\": 1}", 400, "'bananas'"},
    {"{\"Type\": \"echo\"}", 400, "'Type'"},
    {"{\"type\": \"echo\", \"type\": \"echo\"}", 400, "twice"},
    {"{\"type\": 7}", 400, "'type' must be a text"},
    {"{\"id\": 5, \"type\": \"echo\"}", 400, "'id' must be a text"},
    {"{\"queue\": 5}", 400, "'queue' must be a text"},
    {"{\"type\": [\"echo\"]}", 400, "'type'"},
    {"{\"type\": true}", 400, "'type'"},
    {"{\"type\": \"\"}", 400, "'type'"},
    {"{\"type\": \"a\\nb\"}", 400, "control"},
    {"{\"type\": \"echo\", \"queue\": \"amq.direct\"}", 400, "amq."},
    {"{\"queue\": \"work\"}", 400, "'type' is missing"},
    {"{}", 400, "'type' is missing"},
    {"{\"type\": \"nobody\", \"queue\": \"work\"}", 422, "echo, polish"},
    {"{\"type\": \"nobody\"}", 422, "nobody"},
    {"{\"type\": \"echo\", \"retries\": -1}", 400, "'retries'"},
    {"{\"type\": \"echo\", \"retries\": 1001}", 400, "'retries'"},
    {"{\"type\": \"echo\", \"retries\": 1.5}", 400, "'retries'"},
    {"{\"type\": \"echo\", \"priority\": 256}", 400, "'priority'"},
    {"{\"type\": \"echo\", \"priority\": 1e300}", 400, "'priority'"},
    {"{\"type\": \"echo\", \"priority\": 1e999}", 400, "'priority'"},
    {"{\"type\": \"echo\", \"timeout\": \"5 bananas\"}", 400, "'5 bananas'"},
    {"{\"type\": \"echo\", \"timeout\": \"4000d\"}", 400, "10 years"},
    {"{\"type\": \"echo\", \"delay\": \"-5s\"}", 400, "'delay'"},
    {"{\"type\": \"echo\", \"delay\": 1, \"at\": \"2030-01-01T00:00:00Z\"}", 400, "not both"},
    {"{\"type\": \"echo\", \"at\": \"yesterday\"}", 400, "'at'"},
    {"{\"type\": \"echo\", \"expires\": \"never\"}", 400, "'expires'"},
    {"{\"type\": \"echo\", \"expires\": \"2020-01-01T00:00:00Z\"}", 400, "over already"},
    {"{\"type\": \"echo\", \"expires\": 1, \"delay\": 2}", 400, "before it is due"},
    {"{\"type\": \"echo\", \"body\": \"x\", \"body_base64\": \"eA==\"}", 400, "one 'body'"},
    {"{\"type\": \"echo\", \"body_base64\": \"***\"}", 400, "base64"},
    {"{\"type\": \"echo\", \"body_base64\": 7}", 400, "base64"},
};

static void test_what_cannot_be_a_job_is_refused_with_a_reason(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct err err = {0};

		if (submit_from_json(*state, slice_str(refused[i].text), &err))
			fail_msg("%s was read", refused[i].text);
		assert_int_equal(submit_status(&err), refused[i].status);
		if (!strstr(err.text, refused[i].says))
			fail_msg("%s: '%s' does not say '%s'", refused[i].text, err.text,
			    refused[i].says);
	}
}

static void test_bodies_above_the_limit_are_413(void **state)
{
	char body[MAX_BODY + 2];
	struct err err = {0};
	struct submit *s;

	memset(body, 'x', sizeof body);
	body[MAX_BODY] = '\0';
	for (size_t i = 0; i < 2; i++) {
		auto_free char *text = xasprintf("{\"type\": \"echo\", \"body\": \"%s\"}", body);
		auto_free char *array = xasprintf("{\"type\": \"echo\", \"body\": [\"%s\"]}", body);

		s = submit_from_json(*state, slice_str(text), &err);
		assert_int_equal(s != NULL, i == 0);
		submit_free(s);
		assert_null(submit_from_json(*state, slice_str(array), &err));
		assert_int_equal(submit_status(&err), 413);
		body[MAX_BODY] = 'x';
		body[MAX_BODY + 1] = '\0';
	}
}

static void test_a_query_describes_a_raw_body(void **state)
{
	struct slice body = slice_of("a\0b", 3), none = {NULL, 0};
	struct target t;
	struct submit *s;
	struct err err = {0};

	assert_int_equal(
	    target_parse(&t, "/v1/jobs?type=echo&id=%C3%BC&priority=9&delay=10s", NULL), 0);
	s = submit_from_query(*state, &t, body, slice_str("image/png"), none, &err);
	assert_non_null(s);
	assert_true(slice_eq(s->job.body, body) && slice_is(s->job.id, "\xc3\xbc"));
	assert_true(slice_is(s->job.content_type, "image/png"));
	assert_int_equal(s->delay_ms, 10000);
	submit_free(s);
	assert_null(submit_from_query(*state, &t, body, slice_str("a\x01"), none, &err));
	assert_int_equal(submit_status(&err), 400);
	target_free(&t);
	assert_int_equal(target_parse(&t, "/v1/jobs?type=echo&retries=", NULL), 0);
	assert_null(submit_from_query(*state, &t, body, none, none, &err));
	target_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_full_description_is_read),
	    cmocka_unit_test(test_what_is_not_said_has_defaults),
	    cmocka_unit_test(test_bodies_are_text_json_or_base64),
	    cmocka_unit_test(test_times_are_read),
	    cmocka_unit_test(test_what_cannot_be_a_job_is_refused_with_a_reason),
	    cmocka_unit_test(test_bodies_above_the_limit_are_413),
	    cmocka_unit_test(test_a_query_describes_a_raw_body),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
