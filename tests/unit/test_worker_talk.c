/* links: daemon/worker/talk.c daemon/worker/capture.c */
/* SPDX-License-Identifier: MIT */
/* The lines that services and skep exchange, hostile ones among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "daemon/worker/talk.h"

#define RUN "01020300-0000-0000-0000-000000000000"

static const struct id known = {{1, 2, 3}};

static char heard[256];

#define HEAR(...) (void)snprintf(heard, sizeof heard, __VA_ARGS__)

static void on_hello(void *arg, unsigned can)
{
	(void)arg;
	HEAR("hello %u", can);
}

static bool on_done(void *arg, struct id run, struct slice result)
{
	(void)arg;
	HEAR("done " SLICE_FMT, SLICE_ARG(result));
	return id_eq(run, known);
}

static bool on_failed(void *arg, struct id run, struct slice error, bool retry)
{
	(void)arg;
	HEAR("failed " SLICE_FMT " %d", SLICE_ARG(error), retry);
	return id_eq(run, known);
}

static void on_progress(void *arg, struct id run, int32_t percent, struct slice text)
{
	(void)arg, (void)run;
	HEAR("progress %d " SLICE_FMT, percent, SLICE_ARG(text));
}

static void on_log(void *arg, struct id run, struct slice text)
{
	(void)arg, (void)run;
	HEAR("log " SLICE_FMT, SLICE_ARG(text));
}

static void on_pong(void *arg)
{
	(void)arg;
	HEAR("pong");
}

static const struct talk_events events = {
    on_hello, on_done, on_failed, on_progress, on_log, on_pong};

static const struct {
	const char *line, *heard;
} good[] = {
    {"{\"hello\":{\"version\":1}}", "hello 0"},
    {"{\"hello\":{\"version\":1,\"capabilities\":[\"ping\",1,null,\"x\",\"cancel\"],\"y\":{}}}", "hello 3"},
    {"{\"done\":{\"run\":\"" RUN "\"}}", "done "},
    {"{\"done\":{\"run\":\"" RUN "\",\"result\":null}}", "done "},
    {"{\"done\":{\"run\":\"" RUN "\",\"result\":\"a\\n\\u00e9\"}}", "done a\n\xc3\xa9"},
    {"{\"done\":{\"run\":\"" RUN "\",\"result\":{\"a\":[1,true]}}}", "done {\"a\":[1,true]}"},
    {"{\"done\":{\"run\":\"" RUN "\",\"result_base64\":\"aGk=\"}}", "done hi"},
    {"{\"failed\":{\"run\":\"" RUN "\",\"error\":\"e\"}}", "failed e 1"},
    {"{\"failed\":{\"run\":\"" RUN "\",\"error\":5,\"retry\":false}}", "failed  0"},
    {"{\"progress\":{\"run\":\"" RUN "\",\"percent\":12.7,\"text\":\"t\"}}", "progress 12 t"},
    {"{\"progress\":{\"run\":\"" RUN "\",\"percent\":101}}", ""},
    {"{\"log\":{\"run\":\"" RUN "\",\"text\":\"l\"}}", "log l"},
    {" {\"pong\":7} \r", "pong"},
    {"{}", ""},
    {"{\"news\":[1]}", ""},
};

static const struct {
	const char *line, *said;
} bad[] = {
    {"x", "invalid JSON"},
    {"[]", "no JSON object"},
    {"7", "no JSON object"},
    {"{\"done\":{\"run\":\"" RUN "\"}", "invalid JSON"},
    {"{\"done\":{\"run\":\"" RUN "\"}} {}", "invalid JSON"},
    {"{\"done\":{\"run\":\"" RUN "\",\"result\":\"\\u0000\"}}", "base64"},
    {"{\"done\":{\"run\":\"" RUN "\",\"result_base64\":\"?\"}}", "that is none"},
    {"{\"done\":{}}", "without its \"run\""},
    {"{\"done\":5}", "without its \"run\""},
    {"{\"done\":{\"run\":\"abc\"}}", "without its \"run\""},
    {"{\"done\":{\"run\":\"01020300-0000-0000-0000-000000000001\"}}", "a run that it does not have"},
    {"{\"failed\":{\"run\":\"01020300-0000-0000-0000-000000000001\"}}", "a run that it does not have"},
    {"{\"log\":{}}", "without its \"run\""},
    {"{\"hello\":{}}", "without \"version\""},
    {"{\"hello\":{\"version\":2}}", "without \"version\""},
    {"{\"hello\":\"1\"}", "without \"version\""},
};

static void test_good_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct err err = {0};

		heard[0] = '\0';
		if (talk_read(slice_str(good[i].line), &events, NULL, &err) < 0)
			fail_msg("%s: %s", good[i].line, err.text);
		assert_string_equal(heard, good[i].heard);
	}
}

static void test_bad_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = {0};

		assert_int_equal(talk_read(slice_str(bad[i].line), &events, NULL, &err), -EPROTO);
		if (!strstr(err.text, bad[i].said))
			fail_msg("%s: %s", bad[i].line, err.text);
	}
}

static void test_deep_and_cut_lines(void **state)
{
	const char whole[] = "{\"done\":{\"run\":\"" RUN "\",\"result\":\"\\u00e9\\n\"}}";
	char deep[5000];
	struct err err = {0};

	(void)state;
	memset(deep, '[', sizeof deep);
	assert_int_equal(talk_read(slice_of(deep, sizeof deep), &events, NULL, &err), -EPROTO);
	for (size_t n = 0; n < sizeof whole - 1; n++) {
		uint8_t *cut = xmalloc(n + 1);

		memcpy(cut, whole, n);
		assert_int_equal(talk_read(slice_of(cut, n), &events, NULL, &err), -EPROTO);
		free(cut);
	}
}

static void assert_line(struct buf *out, const char *line)
{
	buf_add(out, "", 1);
	assert_string_equal((char *)buf_head(out), line);
	buf_clear(out);
}

static void test_lines_to_the_service(void **state)
{
	struct job job = {.queue = slice_str("q\""), .id = slice_str("a\\\x01")};
	struct run_spec spec = {.job = &job, .type = slice_str("t"), .run = known, .attempt = 2};
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	job.body = slice_str("x\n\"\xc3\xa9\x7f");
	assert_int_equal(talk_job(&out, &spec), 0);
	assert_line(&out, "{\"job\":{\"run\":\"" RUN "\",\"id\":\"a\\\\\\u0001\",\"type\":\"t\",\"queue\":\"q\\\"\","
			  "\"attempt\":2,\"body\":\"x\\n\\\"\xc3\xa9\x7f\"}}\n");
	job.body = slice_of("\0\xff", 2);
	job.id = slice_str("\xff");
	spec.timeout_ms = 5;
	assert_int_equal(talk_job(&out, &spec), 0);
	assert_line(&out, "{\"job\":{\"run\":\"" RUN "\",\"id\":\"\xef\xbf\xbd\",\"type\":\"t\",\"queue\":\"q\\\"\","
			  "\"attempt\":2,\"timeout_ms\":5,\"body_base64\":\"AP8=\"}}\n");
	assert_int_equal(talk_cancel(&out, known), 0);
	assert_line(&out, "{\"cancel\":{\"run\":\"" RUN "\"}}\n");
	out.max = 40;
	assert_int_equal(talk_job(&out, &spec), -ENOBUFS);
	assert_int_equal(buf_size(&out), 0);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good_lines),
	    cmocka_unit_test(test_bad_lines),
	    cmocka_unit_test(test_deep_and_cut_lines),
	    cmocka_unit_test(test_lines_to_the_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
