/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/base/scan.h"

/* Its own memory, exactly as long, so that ASan sees a read behind it. */
static char *copy_of(const char *text, struct scan *s)
{
	size_t n = strlen(text);
	char *copy = xmalloc(n);

	memcpy(copy, text, n);
	scan_init(s, copy, n);
	return copy;
}

static void strings_are_unescaped(void **state UNUSED)
{
	static const struct {
		const char *json, *text; /* NULL: refused */
	} cases[] = {
	    {"\"\" ", ""}, {"\"plain\" ", "plain"}, {"\"a\\\"b\\\\c\\/\\n\\t\" ", "a\"b\\c/\n\t"},
	    {"\"\\u00e9\\u20AC\\ud83d\\ude00\" ", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
	    {"\"\\u0000\"", NULL}, {"\"\\ud83d\"", NULL}, {"\"\\ude00\"", NULL}, {"\"\\ud83d\\u0041\"", NULL},
	    {"\"\\u12\"", NULL}, {"\"\\x\"", NULL}, {"\"open", NULL}, {"\"open\\", NULL}, {"\"\\u", NULL},
	    {"\"\\ud83d\\", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scan s;
		auto_free char *text = copy_of(cases[i].json, &s);
		struct slice got;

		if (!cases[i].text) {
			assert_false(scan_text(&s, &got));
			assert_true(scan_failed(&s));
			continue;
		}
		assert_true(scan_text(&s, &got));
		assert_string_equal(got.p, cases[i].text);
		assert_int_equal(got.n, strlen(cases[i].text));
		assert_true(scan_at_end(&s));
	}
}

static void numbers_are_exact(void **state UNUSED)
{
	static const struct {
		const char *json;
		bool read;
		int64_t value;
	} cases[] = {{"0", true, 0}, {" 42 ", true, 42}, {"-7,", true, -7},
	    {"123456789012345678", true, 123456789012345678}, {"1.5", false, 0}, {"1e3", false, 0}, {"-", false, 0},
	    {"99999999999999999999", false, 0}, {"\"1\"", false, 0}, {"", false, 0}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scan s;
		auto_free char *text = copy_of(cases[i].json, &s);
		int64_t value = 0;

		assert_int_equal(scan_int(&s, &value), cases[i].read);
		assert_int_equal(value, cases[i].value);
	}
}

/* Reads the member "x" of an object in which anything else is passed over. */
static bool find_x(const char *json, int64_t *ret)
{
	struct scan s;
	auto_free char *text = copy_of(json, &s);
	struct slice name;

	if (!scan_enter(&s))
		return false;
	while (scan_member(&s, &name)) {
		if (!slice_is(name, "x") || !scan_int(&s, ret))
			scan_skip(&s);
	}
	return !scan_failed(&s) && scan_at_end(&s);
}

static void what_is_not_known_is_passed_over(void **state UNUSED)
{
	static const struct {
		const char *json;
		bool good;
		int64_t x;
	} cases[] = {
	    {"{}", true, 0}, {"{\"x\":1}", true, 1}, {"{ \"a\" : [1,{\"x\":2},\"]\"] , \"x\" : 3 }", true, 3},
	    {"{\"a\":null,\"b\":true,\"c\":-1.5e9,\"x\":4}", true, 4}, {"{\"a\":{\"b\":{}},\"x\":5}", true, 5},
	    {"{\"x\":\"6\"}", true, 0}, {"{\"x\":1", false, 1}, {"{\"x\" 1}", false, 0}, {"{\"x\":1,}", false, 1},
	    {"{,\"x\":1}", false, 0}, {"{\"a\":[1,2}", false, 0}, {"{\"a\":}", false, 0}, {"{\"x\":1}}", false, 1},
	    {"[1]", false, 0}, {"", false, 0}, {"{\"a\":\"\\q\",\"x\":1}", false, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t x = 0;

		assert_int_equal(find_x(cases[i].json, &x), cases[i].good);
		assert_int_equal(x, cases[i].x);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(strings_are_unescaped),
	    cmocka_unit_test(numbers_are_exact),
	    cmocka_unit_test(what_is_not_known_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
