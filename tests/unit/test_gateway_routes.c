/* links: daemon/gateway/target.c daemon/gateway/routes.c daemon/gateway/checks.c */
/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "daemon/gateway/checks.h"
#include "daemon/gateway/routes.h"

static void test_targets_are_split_before_they_are_decoded(void **state)
{
	struct target t;

	(void)state;
	assert_int_equal(
	    target_parse(&t, "/v1/jobs/a%2Fb%20c+d?queue=x+y%2B&wait=&flag&", NULL), 0);
	assert_int_equal(t.nsegments, 3);
	assert_true(slice_is(t.segments[2], "a/b c+d"));
	assert_int_equal(t.nparams, 3);
	assert_true(slice_is(target_param(&t, "queue"), "x y+"));
	assert_non_null(target_param(&t, "wait").p);
	assert_int_equal(target_param(&t, "wait").n, 0);
	assert_non_null(target_param(&t, "flag").p);
	assert_null(target_param(&t, "other").p);
	target_free(&t);
}

static void test_bad_targets_are_refused(void **state)
{
	static const char *const bad[] = {"", "*", "http://x/v1/jobs", "/a%", "/a%4", "/a%4g",
	    "/a?b=%zz", "/a?b=1&b=2", "/a?b&%62", "/1/2/3/4/5/6/7/8/9",
	    "/a?a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k=&l=&m=&n=&o=&p=&q=&r=&s=&t=&u=&v=&w=&x=&y="};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct target t;
		struct err err = {0};

		if (target_parse(&t, bad[i], &err) != -EINVAL || !err.text[0])
			fail_msg("'%s' was read", bad[i]);
		target_free(&t);
	}
}

static const struct {
	const char *method, *uri;
	int status; /* 0: the route */
	enum route_id route;
	const char *allow, *id;
} finds[] = {
    {"POST", "/v1/jobs", 0, ROUTE_submit, NULL, NULL},
    {"GET", "/v1/jobs?state=done", 0, ROUTE_list, NULL, NULL},
    {"GET", "/v1/jobs/7", 0, ROUTE_job, NULL, "7"},
    {"GET", "/v1/jobs/a%2Fb", 0, ROUTE_job, NULL, "a/b"},
    {"GET", "/v1/jobs/7/result", 0, ROUTE_result, NULL, "7"},
    {"GET", "/v1/jobs/result/result", 0, ROUTE_result, NULL, "result"},
    {"GET", "/v1/jobs/7/logs", 0, ROUTE_logs, NULL, "7"},
    {"POST", "/v1/jobs/7/retry", 0, ROUTE_retry, NULL, "7"},
    {"POST", "/v1/jobs/7/cancel", 0, ROUTE_cancel, NULL, "7"},
    {"GET", "/v1/queues", 0, ROUTE_queues, NULL, NULL},
    {"GET", "/v1/pools", 0, ROUTE_pools, NULL, NULL},
    {"GET", "/healthz", 0, ROUTE_health, NULL, NULL},
    {"GET", "/metrics", 0, ROUTE_metrics, NULL, NULL},
    {"HEAD", "/v1/jobs", 405, 0, "POST, GET", NULL},
    {"OPTIONS", "/healthz", 405, 0, "GET", NULL},
    {"GET", "/v1/jobs/7/cancel", 405, 0, "POST", NULL},
    {"get", "/v1/jobs", 405, 0, "POST, GET", NULL},
    {"GET", "/", 404, 0, NULL, NULL},
    {"GET", "/v1", 404, 0, NULL, NULL},
    {"GET", "/v1/jobs/", 404, 0, NULL, NULL},
    {"GET", "/v1/jobs//result", 404, 0, NULL, NULL},
    {"GET", "/v1/jobs/7/", 404, 0, NULL, NULL},
    {"GET", "/v1/jobs/7/other", 404, 0, NULL, NULL},
    {"GET", "/V1/jobs", 404, 0, NULL, NULL},
    {"GET", "/v1/jobs/../jobs", 404, 0, NULL, NULL},
};

static void test_requests_find_their_route(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(finds); i++) {
		char allow[ROUTES_ALLOW_BYTES] = "";
		enum route_id route = ROUTE_COUNT;
		struct target t;

		assert_int_equal(target_parse(&t, finds[i].uri, NULL), 0);
		if (routes_find(finds[i].method, &t, &route, allow) != finds[i].status)
			fail_msg("%s %s: not %d", finds[i].method, finds[i].uri, finds[i].status);
		if (finds[i].status == 0)
			assert_int_equal(route, finds[i].route);
		if (finds[i].allow)
			assert_string_equal(allow, finds[i].allow);
		if (finds[i].id)
			assert_true(slice_is(routes_subject(&t), finds[i].id));
		target_free(&t);
	}
}

static void test_unknown_parameters_are_named(void **state)
{
	static const struct {
		enum route_id route;
		const char *uri;
		const char *error; /* NULL: fine */
	} cases[] = {
	    {ROUTE_list, "/v1/jobs?state=&type=&queue=&limit=&before=", NULL},
	    {ROUTE_list, "/v1/jobs?stat=done",
		"no parameter 'stat' here: there are state type queue limit before"},
	    {ROUTE_list, "/v1/jobs?state+type=1",
		"no parameter 'state type' here: there are state type queue limit before"},
	    {ROUTE_job, "/v1/jobs/1?wait=1s", NULL},
	    {ROUTE_logs, "/v1/jobs/1/logs?wait=1s",
		"no parameter 'wait' here: there are queue attempt"},
	    {ROUTE_health, "/healthz?x", "no parameter 'x' here: there are none"},
	    {ROUTE_health, "/healthz?=x", "no parameter '' here: there are none"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = {0};
		struct target t;

		assert_int_equal(target_parse(&t, cases[i].uri, NULL), 0);
		assert_int_equal(
		    routes_check_params(cases[i].route, &t, &err), cases[i].error ? -EINVAL : 0);
		if (cases[i].error)
			assert_string_equal(err.text, cases[i].error);
		target_free(&t);
	}
	assert_true(routes_takes_body(ROUTE_submit));
	assert_false(routes_takes_body(ROUTE_cancel));
}

static void test_names_and_numbers_are_bounded(void **state)
{
	char name[257];
	int64_t value = -1;

	(void)state;
	memset(name, 'x', sizeof name);
	assert_int_equal(checks_name("id", slice_of(name, 255), NULL), 0);
	assert_int_equal(checks_name("id", slice_of(name, 256), NULL), -EINVAL);
	assert_int_equal(checks_name("id", slice_str(""), NULL), -EINVAL);
	assert_int_equal(checks_name("id", slice_str("\xc3\xbcml\xc3\xa4ut / #?"), NULL), 0);
	assert_int_equal(checks_name("id", slice_str("\xc3"), NULL), -EINVAL);
	assert_int_equal(checks_name("id", slice_str("a\nb"), NULL), -EINVAL);
	assert_int_equal(checks_name("id", slice_str("a\x7f"), NULL), -EINVAL);
	assert_int_equal(checks_name("id", slice_of("a\0b", 3), NULL), -EINVAL);
	assert_int_equal(checks_queue(slice_str("amq."), NULL), -EINVAL);
	assert_int_equal(checks_queue(slice_str("amq"), NULL), 0);
	assert_int_equal(checks_number(slice_str("1000"), 1000, &value), 0);
	assert_int_equal(value, 1000);
	assert_int_equal(checks_number(slice_str("0"), 0, &value), 0);
	assert_int_equal(checks_number(slice_str("1001"), 1000, &value), -EINVAL);
	assert_int_equal(checks_number(slice_str("-1"), 1000, &value), -EINVAL);
	assert_int_equal(checks_number(slice_str(" 1"), 1000, &value), -EINVAL);
	assert_int_equal(checks_number(slice_str("1.5"), 1000, &value), -EINVAL);
	assert_int_equal(checks_number(slice_str(""), 1000, &value), -EINVAL);
	assert_int_equal(checks_number(slice_str("9223372036854775807"), INT64_MAX, &value), 0);
	assert_true(value == INT64_MAX);
	assert_int_equal(
	    checks_number(slice_str("99999999999999999999999"), INT64_MAX, &value), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_targets_are_split_before_they_are_decoded),
	    cmocka_unit_test(test_bad_targets_are_refused),
	    cmocka_unit_test(test_requests_find_their_route),
	    cmocka_unit_test(test_unknown_parameters_are_named),
	    cmocka_unit_test(test_names_and_numbers_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
