/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "lib/base/json.h"

static void test_what_is_read(void **state)
{
	struct json *j =
	    json_parse(slice_str(" {\"s\":\"x\",\"n\":1.5,\"i\":-7,\"b\":true,\"z\":null,"
				 "\"a\":[1,\"two\",{}],\"o\":{\"k\":\"v\"}} \r\n\t"),
		NULL);
	const struct json *item;
	int64_t i = 0;
	double n = 0;
	bool b = false;

	(void)state;
	assert_true(json_is_object(j) && !json_is_array(j));
	assert_string_equal(json_get_str(j, "s"), "x");
	assert_true(json_get_num(j, "n", &n) && n == 1.5);
	assert_true(json_get_int(j, "i", &i) && i == -7);
	assert_true(json_get_bool(j, "b", &b) && b);
	assert_true(json_is_null(json_get(j, "z")));
	assert_false(json_get_int(j, "n", &i)); /* no whole number */
	assert_false(
	    json_get_num(j, "s", &n) || json_get_int(j, "s", &i) || json_get_bool(j, "s", &b));
	assert_null(json_get_str(j, "n"));
	assert_null(json_get_str(j, "S"));
	assert_null(json_get(j, "nothing"));
	assert_int_equal(json_count(json_get(j, "a")), 3);
	item = json_first(json_get(j, "a"));
	assert_true(json_num(item, &n) && n == 1);
	item = json_next(item);
	assert_string_equal(json_str(item), "two");
	item = json_next(item);
	assert_null(json_first(item));
	assert_null(json_next(item));
	assert_string_equal(json_key(json_first(json_get(j, "o"))), "k");
	json_free(j);
	json_free(NULL);
}

static void test_what_is_refused(void **state)
{
	static const char *const bad[] = {"", " ", "{", "{}x", "{} {}", "[1,]", "{\"a\"}", "nul",
	    "'a'", "\"\\u0000\"", "{\"a\\u0000\":1}", "\"\\\\\\u0000\"", "\"\\ud800\"",
	    "{\"a\":1}\x01"};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct json *j = json_parse(slice_str(bad[i]), &err);

		if (j)
			fail_msg("'%s' was read", bad[i]);
		assert_int_equal(err.code, -EINVAL);
	}
	assert_null(json_parse(slice_of("\"a\0b\"", 5), &err));
	assert_null(json_parse(slice_of("{}\0", 3), &err));
	assert_null(json_parse(slice_of(NULL, 0), &err));
}

static void test_an_escaped_backslash_is_no_escape(void **state)
{
	struct json *j = json_parse(slice_str("\"\\\\u0000\""), NULL);

	(void)state;
	assert_non_null(j);
	assert_string_equal(json_str(j), "\\u0000");
	json_free(j);
}

/* A million opening brackets must not use up the stack. */
static void test_nesting_is_bounded(void **state)
{
	size_t n = 1000000;
	char *deep = xmalloc(n);
	struct err err;

	(void)state;
	memset(deep, '[', n);
	assert_null(json_parse(slice_of(deep, n), &err));
	for (size_t i = 0; i + 5 < n; i += 5)
		memcpy(deep + i, "{\"a\":", 5);
	assert_null(json_parse(slice_of(deep, n), &err));
	free(deep);
}

static void printed(struct json *j, const char *is)
{
	struct buf out;

	buf_init(&out, 4096);
	assert_int_equal(json_print(j, false, &out), 0);
	if (!slice_is(buf_slice(&out), is))
		fail_msg(SLICE_FMT " is not %s", SLICE_ARG(buf_slice(&out)), is);
	buf_free(&out);
	json_free(j);
}

static void test_what_is_written(void **state)
{
	struct json *j = json_object(), *a = json_array();
	struct buf small;

	(void)state;
	json_add_str(j, "s", slice_str("a\"b\\c\n\x01"));
	json_add_strz(j, "z", NULL);
	json_add_int(j, "i", INT64_C(9007199254740991));
	json_add_int(j, "neg", -5);
	json_add_num(j, "n", 0.5);
	json_add_bool(j, "b", false);
	json_add_time(j, "t", 1800000000412);
	json_add_time(j, "never", 0);
	json_push_str(a, slice_str("x"));
	json_push(a, json_object());
	json_add(j, "a", a);
	buf_init(&small, 10);
	assert_int_equal(json_print(j, true, &small), -ENOBUFS);
	buf_free(&small);
	printed(j,
	    "{\"s\":\"a\\\"b\\\\c\\n\\u0001\",\"z\":null,\"i\":9007199254740991,\"neg\":-5,\"n\":0.5,\"b\":false,"
	    "\"t\":\"2027-01-15T08:00:00.412Z\",\"never\":null,\"a\":[\"x\",{}]}");
}

static void test_bytes_that_are_not_utf8(void **state)
{
	static const struct {
		struct slice bytes;
		bool valid;
		const char *shown;
	} cases[] = {
#define BYTES(text) {(const uint8_t *)(text), sizeof(text) - 1}
	    {BYTES("plain"), true, "[\"plain\"]"},
	    {BYTES("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9d"), true,
		"[\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9d\"]"},
	    {BYTES("a\xff"), false, "[\"a\xef\xbf\xbd\"]"},
	    {BYTES("\xc3"), false, "[\"\xef\xbf\xbd\"]"},
	    {BYTES("\xe2\x82"), false, "[\"\xef\xbf\xbd\xef\xbf\xbd\"]"},
	    {BYTES("\xc0\xaf"), false, "[\"\xef\xbf\xbd\xef\xbf\xbd\"]"},
	    {BYTES("\xed\xa0\x80"), false, "[\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"]"},
	    {BYTES("\xf4\x90\x80\x80"), false,
		"[\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"]"},
	    {BYTES("a\0b"), false,
		"[\"a\xef\xbf\xbd"
		"b\"]"},
	    {BYTES(""), true, "[\"\"]"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct json *a = json_array();

		assert_int_equal(json_utf8_valid(cases[i].bytes), cases[i].valid);
		json_push_str(a, cases[i].bytes);
		printed(a, cases[i].shown);
	}
}

/* What json_quote() writes is what the printer of the tree would: quoted, it is read back as the same text, with U+FFFD for
 * what is no text. */
static void quoted(struct slice text)
{
	struct json *a = json_array(), *back;
	struct err err = {0};
	struct buf out, want;

	buf_init(&out, 1000);
	buf_init(&want, 1000);
	buf_adds(&out, "[");
	assert_int_equal(json_quote(text, &out), 0);
	buf_adds(&out, "]");
	back = json_parse(buf_slice(&out), &err);
	if (!back)
		fail_msg(SLICE_FMT ": %s", SLICE_ARG(buf_slice(&out)), err.text);
	json_push_str(a, text);
	json_print(a, false, &want);
	buf_clear(&out);
	json_print(back, false, &out);
	assert_true(slice_eq(buf_slice(&out), buf_slice(&want)));
	json_free(back);
	json_free(a);
	buf_free(&out);
	buf_free(&want);
}

/* Bytes are looked at by eights: each byte in each place of a text of more than two of them. */
static void test_each_byte_in_each_place_is_quoted(void **state)
{
	uint8_t text[19];

	(void)state;
	for (size_t at = 0; at < sizeof text; at++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			memset(text, 'a', sizeof text);
			text[at] = (uint8_t)byte;
			quoted(slice_of(text, sizeof text));
			assert_int_equal(json_utf8_valid(slice_of(text, sizeof text)), byte > 0 && byte < 0x80);
		}
	}
	quoted(slice_of("", 0));
	quoted(slice_str("\xc3\xa9\xe2\x82\xac \xf0\x9f\x90\x9d, \xed\xa0\x80 and \"more\"\n"));
}

static void test_a_quote_that_does_not_fit_is_told(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 10);
	assert_int_equal(json_quote(slice_str("ten bytes!"), &out), -ENOBUFS);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_read),
	    cmocka_unit_test(test_what_is_refused),
	    cmocka_unit_test(test_an_escaped_backslash_is_no_escape),
	    cmocka_unit_test(test_nesting_is_bounded),
	    cmocka_unit_test(test_what_is_written),
	    cmocka_unit_test(test_bytes_that_are_not_utf8),
	    cmocka_unit_test(test_each_byte_in_each_place_is_quoted),
	    cmocka_unit_test(test_a_quote_that_does_not_fit_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
