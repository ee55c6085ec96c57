/* links: daemon/gateway/items.c */
/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "daemon/gateway/items.h"
#include "lib/base/buf.h"

static void assert_items(bool lines, const char *text, const char *const *wanted, size_t n)
{
	struct items it;
	struct slice item;
	struct err err = {0};

	if (items_open(&it, lines, slice_str(text), &err) < 0)
		fail_msg("%s: %s", text, err.text);
	for (size_t i = 0; i < n; i++) {
		int rc = items_next(&it, &item, &err);

		assert_int_equal(rc, wanted[i] ? 1 : -EINVAL);
		if (wanted[i] && !slice_is(item, wanted[i]))
			fail_msg("'" SLICE_FMT "' is not '%s'", SLICE_ARG(item), wanted[i]);
	}
	assert_int_equal(items_next(&it, &item, &err), 0);
	assert_int_equal(items_next(&it, &item, &err), 0);
}

static void test_arrays_and_lines_are_cut_into_items(void **state)
{
	(void)state;
	assert_items(false, " {\"a\": \"}\\\"]\"} \n", (const char *[]){"{\"a\": \"}\\\"]\"}"}, 1);
	assert_items(false, "[]", NULL, 0);
	assert_items(false, " [ ] ", NULL, 0);
	assert_items(false, "[{\"a\":[1,{}]} , {}\n,7,\"x,]\"]",
	    (const char *[]){"{\"a\":[1,{}]}", "{}", "7", "\"x,]\""}, 4);
	assert_items(true, "", NULL, 0);
	assert_items(true, "\n \r\n{}\r\n\n{\"a\":1}", (const char *[]){"{}", "{\"a\":1}"}, 2);
	assert_items(
	    true, "{}\n{\n{} {}\n]\n{}\n", (const char *[]){"{}", NULL, NULL, NULL, "{}"}, 5);
}

static void test_lines_know_their_number(void **state)
{
	struct items it;
	struct slice item;

	(void)state;
	assert_int_equal(items_open(&it, true, slice_str("{}\n\n\n{"), NULL), 0);
	assert_int_equal(items_next(&it, &item, NULL), 1);
	assert_int_equal(it.line, 1);
	assert_int_equal(items_next(&it, &item, NULL), -EINVAL);
	assert_int_equal(it.line, 4);
}

static void test_a_broken_text_is_refused_as_a_whole(void **state)
{
	static const char *const bad[] = {"", "  ", "{", "[", "[{}", "[{},", "[{},]", "[,]",
	    "[{} {}]", "[{}]]", "[{}] x", "{}{}", "\"", "\"\\", "[\"\\\"]", "]", "}", ",",
	    "{\"a\": \"\\u0000\"}", "[{\"a\": \"b\\u0000c\"}]"};
	char deep[2 * ITEMS_DEPTH_MAX + 3];
	struct items it;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = {0};

		if (items_open(&it, false, slice_str(bad[i]), &err) != -EINVAL || !err.text[0])
			fail_msg("'%s' was cut", bad[i]);
	}
	assert_int_equal(items_open(&it, false, slice_str("{\"a\": \"\\\\u0000\"}"), NULL), 0);
	memset(deep, '[', ITEMS_DEPTH_MAX + 1);
	memset(deep + ITEMS_DEPTH_MAX + 1, ']', ITEMS_DEPTH_MAX + 1);
	deep[2 * ITEMS_DEPTH_MAX + 2] = '\0';
	assert_int_equal(items_open(&it, false, slice_str(deep), NULL), 0);
	memset(deep, '[', sizeof deep - 1);
	assert_int_equal(items_open(&it, false, slice_str(deep), NULL), -EINVAL);
}

static void test_the_number_of_jobs_and_values_is_bounded(void **state)
{
	struct buf text;
	struct items it;

	(void)state;
	buf_init(&text, 64 << 20);
	for (size_t i = 0; i <= ITEMS_MAX; i++)
		buf_adds(&text, i ? ",1" : "[1");
	buf_adds(&text, "]");
	assert_int_equal(items_open(&it, false, buf_slice(&text), NULL), -E2BIG);
	buf_clear(&text);
	for (size_t i = 0; i <= ITEMS_MAX; i++)
		buf_adds(&text, "\n");
	assert_int_equal(items_open(&it, true, buf_slice(&text), NULL), -E2BIG);
	buf_clear(&text);
	buf_adds(&text, "{\"body\":[");
	for (size_t i = 0; i <= ITEMS_VALUES_MAX; i++)
		buf_adds(&text, "0,");
	buf_adds(&text, "0]}");
	assert_int_equal(items_open(&it, false, buf_slice(&text), NULL), -EINVAL);
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_arrays_and_lines_are_cut_into_items),
	    cmocka_unit_test(test_lines_know_their_number),
	    cmocka_unit_test(test_a_broken_text_is_refused_as_a_whole),
	    cmocka_unit_test(test_the_number_of_jobs_and_values_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
