/* links: client/table.c client/text.c client/screen.c client/progress.c */
/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/progress.h"
#include "client/table.h"
#include "client/text.h"

static const struct table_column columns[] = {
    {"ID", .whole = true},
    {"N", .right = true, .whole = true, .spare = 1},
    {"NAME"},
    {"NOTE"},
};

static void add_row(struct table *t, const char *id, int n, const char *name, const char *note)
{
	table_add(t, id, PAINT_NONE);
	table_addf(t, "%d", n);
	table_add(t, name, PAINT_GOOD);
	table_add(t, note, PAINT_NONE);
}

/* What two rows print on a screen of that width, without and with colours. */
static char *printed(struct screen screen, size_t indent)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	struct table *t = table_new(columns, ARRAY_SIZE(columns));

	add_row(t, "job-1", 7, "größe", "first of two\nlines");
	add_row(t, "job-22", 123, "日本語", NULL);
	table_print(t, &screen, indent, out);
	table_free(t);
	fclose(out);
	return text;
}

static void test_columns_are_aligned(void **state UNUSED)
{
	auto_free char *text = printed((struct screen){0}, 1);

	assert_string_equal(text, " ID        N  NAME    NOTE\n"
				  " job-1     7  größe   first of two lines\n"
				  " job-22  123  日本語  \n");
}

static void test_the_screen_is_kept(void **state UNUSED)
{
	/* The last column is cut first. */
	auto_free char *wide = printed((struct screen){.columns = 33}, 0);
	/* Then a spare one goes. */
	auto_free char *narrow = printed((struct screen){.columns = 28}, 0);
	/* Then others are cut, but no id. */
	auto_free char *tiny = printed((struct screen){.columns = 3}, 0);

	assert_string_equal(wide, "ID      NAME    NOTE\n"
				  "job-1   größe   first of two lin…\n"
				  "job-22  日本語  \n");
	assert_string_equal(narrow, "ID      NAME    NOTE\n"
				    "job-1   größe   first of tw…\n"
				    "job-22  日本語  \n");
	assert_string_equal(tiny, "ID      NAME  NOTE\n"
				  "job-1   grö…  fir…\n"
				  "job-22  日…   \n");
}

static void test_paint_takes_no_room(void **state UNUSED)
{
	auto_free char *text = printed((struct screen){.columns = 80, .colors = true}, 0);

	assert_non_null(strstr(text, "\033[32mgröße\033[0m   first"));
	assert_non_null(strstr(text, "\033[1mID\033[0m        "));
}

static void test_text_is_made_harmless(void **state UNUSED)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
	    {"plain", "plain"}, {"a\n\t b", "a b"}, {"\033[31mred", "\xef\xbf\xbd[31mred"},
	    {"\xff\xc3", "\xef\xbf\xbd\xef\xbf\xbd"}, {"\x7f", "\xef\xbf\xbd"}, {"", ""},
	    {"\xc2\x9b"
	     "2J",
		"\xef\xbf\xbd"
		"2J"}, /* CSI in one character */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf out;

		buf_init(&out, 100);
		text_add_clean(&out, slice_str(rows[i].in));
		assert_true(slice_is(buf_slice(&out), rows[i].out));
		buf_free(&out);
	}
}

static void test_columns_of_text(void **state UNUSED)
{
	assert_int_equal(text_columns(slice_str("größe")), 5);
	assert_int_equal(text_columns(slice_str("日本")), 4);
	assert_int_equal(text_columns(slice_str("e\xcc\x81")), 1); /* a combining accent */
	assert_int_equal(text_fit(slice_str("日本"), 3), 3);
	assert_int_equal(text_fit(slice_str("abc"), 2), 2);
	assert_int_equal(text_fit(slice_str("abc"), 9), 3);
}

static void test_numbers_for_people(void **state UNUSED)
{
	static const struct {
		double bytes;
		const char *text;
	} sizes[] = {{0, "0 B"}, {999, "999 B"}, {1000, "1.0 K"}, {10240, "10 K"}, {3.5e6, "3.3 M"},
	    {1e9, "954 M"}, {5e15, "4.4 P"}, {5e19, "44409 P"}};
	static const struct {
		double ms;
		const char *text;
	} times[] = {{0, "0 ms"}, {999, "999 ms"}, {1000, "1.0 s"}, {59900, "59.9 s"},
	    {60000, "1m00s"}, {250000, "4m10s"}, {7500000, "2h05m"}, {273600000, "3d4h"}};
	char buf[TEXT_SHORT];

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_string_equal(text_bytes(buf, sizes[i].bytes), sizes[i].text);
	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		assert_string_equal(text_ms(buf, times[i].ms), times[i].text);
	assert_string_equal(text_ago(buf, 1000, 181000), "3m ago");
	assert_string_equal(text_ago(buf, 11000, 1000), "in 10s");
	assert_string_equal(text_ago(buf, 1000, 1500), "now");
}

static void test_progress(void **state UNUSED)
{
	char text[400];

	progress_text(text, sizeof text, 80, 50, -1, 1000);
	assert_string_equal(text, "50 jobs, 50/s");
	progress_text(text, sizeof text, 44, 50, 0.5, 0);
	assert_string_equal(text, " 50%  50 jobs, 0/s");
	progress_text(text, sizeof text, 80, 10, 0.5, 2000);
	assert_int_equal(text_columns(slice_str(text)), 40 + 1 + (int)strlen(" 50%  10 jobs, 5/s"));
	progress_text(text, sizeof text, 200, UINT64_MAX, 7, 1);
	assert_non_null(strstr(text, "100%"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_columns_are_aligned),
	    cmocka_unit_test(test_the_screen_is_kept),
	    cmocka_unit_test(test_paint_takes_no_room),
	    cmocka_unit_test(test_text_is_made_harmless),
	    cmocka_unit_test(test_columns_of_text),
	    cmocka_unit_test(test_numbers_for_people),
	    cmocka_unit_test(test_progress),
	};

	text_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
