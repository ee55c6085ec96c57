/* links: client/topview.c client/toprows.c client/toprate.c client/sheet.c client/table.c client/text.c client/screen.c client/cli.c client/http.c client/socket.c client/args.c */
/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/text.h"
#include "client/topview.h"

static const char pools_text[] =
    "[{\"name\":\"work\",\"alive\":2,\"target\":3,\"min\":0,\"max\":16,\"asked\":true,\"busy\":1,\"waiting\":0,"
    "\"reason\":\"bad \\u001b[31m words\","
    "\"changes\":[{\"at\":\"2026-11-23T10:00:05.000Z\",\"from\":2,\"to\":3,\"reason\":\"second\"},"
    "{\"at\":\"2026-11-23T10:00:01.000Z\",\"from\":1,\"to\":2,\"reason\":\"first\"}],"
    "\"workers\":["
    "{\"name\":\"work/10\",\"pid\":10,\"state\":\"ready\",\"connected\":true,\"runs\":["
    "{\"id\":\"late\",\"type\":\"b\\u009b2J\",\"queue\":\"q\",\"since\":\"2026-11-23T10:00:09.000Z\",\"progress\":null},"
    "{\"id\":\"early\",\"type\":\"a\",\"queue\":\"q\",\"since\":\"2026-11-23T10:00:02.000Z\",\"progress\":7,"
    "\"note\":\"half\\nway\"}]},"
    "{\"name\":\"work/9\",\"pid\":9,\"state\":\"ready\",\"connected\":true,\"runs\":[]}]},"
    "{\"name\":\"other\",\"alive\":5,\"target\":5,\"min\":5,\"max\":5,\"asked\":false,\"busy\":0,\"waiting\":1,"
    "\"reason\":\"the number is given\",\"changes\":[{\"at\":\"2026-11-23T10:00:03.000Z\",\"from\":0,\"to\":5,"
    "\"reason\":\"begins\"}],\"workers\":[]}]";

static const char queues_text[] =
    "[{\"name\":\"b\",\"ready\":3,\"running\":0,\"consumers\":1,\"done\":10,\"failed\":0,\"paused\":true},"
    "{\"name\":\"a\",\"ready\":null,\"running\":4,\"consumers\":null,\"done\":5,\"failed\":5}]";

#define NOW_MS 1795428010000 /* 2026-11-23T10:00:10Z */

static struct json *parsed(const char *text)
{
	struct json *j = json_parse(slice_str(text), NULL);

	assert_non_null(j);
	return j;
}

/* --- rates ------------------------------------------------------------------------------------ */

static void test_rates(void **state UNUSED)
{
	static const struct {
		int64_t at_ms[8], done[8];
		size_t n;
		bool known;
		double rate;
	} rows[] = {
	    {{0}, {7}, 1, false, 0},
	    {{0, 1000}, {7, 17}, 2, true, 10},
	    {{0, 500, 1000}, {0, 0, 3}, 3, true, 3},
	    /* what is older than the window does not count */
	    {{0, 5000, 6000, 11000}, {0, 1000, 1000, 1050}, 4, true, 10},
	    /* looks that are far apart are compared all the same */
	    {{0, 60000, 120000}, {0, 60, 180}, 3, true, 2},
	    /* another store counts from 0 */
	    {{0, 1000, 2000}, {50, 60, 3}, 3, false, 0},
	    {{0, 1000, 2000, 3000}, {50, 60, 3, 4}, 4, true, 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct toprate r = {0};
		double done = -1, failed = -1;

		for (size_t k = 0; k < rows[i].n; k++)
			toprate_add(&r, rows[i].at_ms[k], rows[i].done[k], 0);
		assert_int_equal(toprate_of(&r, &done, &failed), rows[i].known);
		if (rows[i].known)
			assert_true(done > rows[i].rate - 0.001 && done < rows[i].rate + 0.001);
	}
}

static void test_more_looks_than_a_rate_keeps(void **state UNUSED)
{
	struct toprate r = {0};
	double done, failed;

	for (int i = 0; i < 10 * TOPRATE_SAMPLES; i++)
		toprate_add(&r, 10 * i, i, 2 * i);
	assert_true(r.n <= TOPRATE_SAMPLES);
	assert_true(toprate_of(&r, &done, &failed));
	assert_true(done > 99.9 && done < 100.1 && failed > 199.9 && failed < 200.1);
}

static void test_rates_of_queues(void **state UNUSED)
{
	struct json *before = parsed(queues_text);
	struct json *after = parsed("[{\"name\":\"b\",\"done\":30,\"failed\":2},{\"name\":\"a\",\"done\":5,\"failed\":6}]");
	struct toprate_book book = {0};
	struct toprows rows = {0};
	double done, failed;

	toprows_fill(&rows, TOPROWS_QUEUES, before);
	toprows_rate(&rows, &book, 1000);
	assert_false(rows.v[0].rated);
	toprows_fill(&rows, TOPROWS_QUEUES, after);
	toprows_rate(&rows, &book, 3000);
	assert_true(rows.v[0].rated && rows.v[0].done == 10 && rows.v[0].failed == 1);
	assert_true(toprate_of(toprate_named(&book, ""), &done, &failed));
	assert_true(done == 10 && failed == 1.5);
	toprows_free(&rows);
	toprate_forget(&book);
	json_free(before);
	json_free(after);
}

/* --- rows ------------------------------------------------------------------------------------- */

/* The names, or jobs, or reasons of rows, with blanks between them. */
static void assert_rows(enum toprows_pane pane, const char *order, bool reverse, const char *expected)
{
	struct json *j = parsed(pane == TOPROWS_QUEUES ? queues_text : pools_text);
	struct toprows rows = {0};
	char text[200] = "";
	unsigned n = 0;

	while (strcmp(toprows_order(pane, n), order) != 0)
		n++;
	toprows_fill(&rows, pane, j);
	toprows_sort(&rows, pane, n, reverse);
	for (size_t i = 0; i < rows.n; i++) {
		const struct toprows_row *r = &rows.v[i];
		size_t used = strlen(text);

		snprintf(text + used, sizeof text - used, "%s%s", i ? " " : "",
		    pane == TOPROWS_CHANGES ? json_get_str(r->item, "reason")
		    : r->job[0]		    ? r->job
					    : r->name);
	}
	assert_string_equal(text, expected);
	toprows_free(&rows);
	json_free(j);
}

static void test_orders(void **state UNUSED)
{
	assert_rows(TOPROWS_POOLS, "", false, "work other");
	assert_rows(TOPROWS_POOLS, "name", false, "other work");
	assert_rows(TOPROWS_POOLS, "workers", false, "other work");
	assert_rows(TOPROWS_POOLS, "busy", false, "work other");
	assert_rows(TOPROWS_POOLS, "busy", true, "other work");
	assert_rows(TOPROWS_QUEUES, "name", false, "a b");
	assert_rows(TOPROWS_QUEUES, "waiting", false, "b a"); /* unknown comes last */
	assert_rows(TOPROWS_QUEUES, "running", false, "a b");
	assert_rows(TOPROWS_WORKERS, "", false, "late early work/9");
	assert_rows(TOPROWS_WORKERS, "name", false, "work/9 late early"); /* 9 before 10 */
	assert_rows(TOPROWS_WORKERS, "time", false, "early late work/9");
	assert_rows(TOPROWS_WORKERS, "type", false, "early late work/9");
	assert_rows(TOPROWS_CHANGES, "", false, "second begins first");
	assert_rows(TOPROWS_CHANGES, "pool", false, "begins second first");
	for (enum toprows_pane i = 0; i < TOPROWS_PANES; i++) {
		unsigned n = 0;

		while (toprows_order(i, n))
			n++;
		assert_true(n > 1);
	}
}

static void test_a_row_is_found_again(void **state UNUSED)
{
	struct json *j = parsed(pools_text);
	struct toprows rows = {0};

	assert_int_equal(toprows_find(&rows, "work/9", "", 3), 0);
	toprows_fill(&rows, TOPROWS_WORKERS, j);
	assert_int_equal(toprows_find(&rows, "work/9", "", 0), 2);
	assert_int_equal(toprows_find(&rows, "work/10", "early", 0), 1);
	assert_int_equal(toprows_find(&rows, "work/10", "gone", 1), 1);
	assert_int_equal(toprows_find(&rows, NULL, "", 9), 2);
	toprows_free(&rows);
	json_free(j);
}

/* --- the screen ------------------------------------------------------------------------------- */

static void test_layout(void **state UNUSED)
{
	static const struct {
		size_t lines, wanted[TOPROWS_PANES];
		enum toprows_pane focus;
		size_t sizes[TOPROWS_PANES];
	} rows[] = {
	    {40, {4, 4, 12, 7}, TOPROWS_POOLS, {4, 4, 12, 7}},
	    {0, {4, 4, 12, 7}, TOPROWS_POOLS, {0, 0, 0, 0}},
	    {2, {4, 4, 12, 7}, TOPROWS_WORKERS, {0, 0, 2, 0}},
	    {3, {4, 4, 12, 7}, TOPROWS_QUEUES, {0, 3, 0, 0}},
	    {6, {4, 4, 12, 7}, TOPROWS_CHANGES, {3, 0, 0, 3}},
	    {20, {4, 4, 50, 7}, TOPROWS_POOLS, {4, 4, 6, 6}},
	    {20, {2, 2, 50, 2}, TOPROWS_POOLS, {2, 2, 14, 2}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t sizes[TOPROWS_PANES];

		topview_layout(rows[i].lines, rows[i].wanted, rows[i].focus, sizes);
		for (size_t k = 0; k < TOPROWS_PANES; k++)
			assert_int_equal(sizes[k], rows[i].sizes[k]);
	}
}

struct stage {
	struct json *pools, *queues, *health;
	struct topview view;
	struct sheet sheet;
};

static void set_stage(struct stage *s, size_t lines, size_t columns)
{
	*s = (struct stage){
	    .pools = parsed(pools_text),
	    .queues = parsed(queues_text),
	    .health = parsed("{\"status\":\"ok\",\"node\":\"n\",\"version\":\"1\",\"store\":\"connected\",\"broker\":\"embedded\"}"),
	    .view = {.lines = lines, .columns = columns, .now_ms = NOW_MS},
	};
	s->view.health = s->health;
	for (enum toprows_pane i = 0; i < TOPROWS_PANES; i++)
		toprows_fill(&s->view.panes[i].rows, i, i == TOPROWS_QUEUES ? s->queues : s->pools);
}

static void clear_stage(struct stage *s)
{
	for (enum toprows_pane i = 0; i < TOPROWS_PANES; i++)
		toprows_free(&s->view.panes[i].rows);
	sheet_free(&s->sheet);
	json_free(s->pools);
	json_free(s->queues);
	json_free(s->health);
}

static char *line_text(const struct sheet *s, size_t line)
{
	char *text = xstrdup("");

	for (size_t i = 0; i < s->lines[line].n; i++) {
		char *longer = xasprintf("%s%s", text, s->lines[line].pieces[i].text);

		free(text);
		text = longer;
	}
	return text;
}

/* The line that begins with these words, behind its indent; -1: none. */
static int find_line(const struct sheet *s, const char *words)
{
	for (size_t i = 0; i < s->n; i++) {
		auto_free char *text = line_text(s, i);

		if (strncmp(text + strspn(text, " "), words, strlen(words)) == 0)
			return (int)i;
	}
	return -1;
}

static void assert_harmless(const struct sheet *s)
{
	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = 0; k < s->lines[i].n; k++) {
			const char *text = s->lines[i].pieces[k].text;

			assert_null(strstr(text, "\xc2\x9b"));
			for (; *text; text++)
				assert_true((unsigned char)*text >= ' ' && *text != 0x7f);
		}
	}
}

static void test_what_is_shown(void **state UNUSED)
{
	struct stage s;

	set_stage(&s, 30, 120);
	topview_draw(&s.view, &s.sheet);
	assert_int_equal(s.sheet.n, 30);
	assert_harmless(&s.sheet);
	assert_true(find_line(&s.sheet, "skep top n ok") == 0);
	assert_true(find_line(&s.sheet, "work       2  0..16*       3     1     0  bad \xef\xbf\xbd[31m words") > 0);
	assert_true(find_line(&s.sheet, "b               3        0          1       ?         ?  paused") > 0);
	assert_true(find_line(&s.sheet, "work/10     10  busy   a     8.0 s  early  7% half way") > 0);
	assert_true(find_line(&s.sheet, "work/9       9  idle") > 0);
	assert_true(find_line(&s.sheet, "q quit") == 29);
	assert_int_equal(s.sheet.lines[find_line(&s.sheet, "work ")].mark, SHEET_PICKED);
	assert_int_equal(s.sheet.lines[find_line(&s.sheet, "b ")].mark, SHEET_MARKED);
	clear_stage(&s);
}

static void test_a_node_that_is_away(void **state UNUSED)
{
	struct stage s;

	set_stage(&s, 20, 120);
	s.view.trouble = "nothing\033[2J there";
	s.view.seen_ms = NOW_MS - 12000;
	topview_draw(&s.view, &s.sheet);
	assert_harmless(&s.sheet);
	assert_true(find_line(&s.sheet, "skepd does not answer for 12.0 s: nothing\xef\xbf\xbd[2J there") == 0);
	assert_true(find_line(&s.sheet, "skep top n away") == 1);
	clear_stage(&s);
}

/* No size makes more lines than there are, and the last one is that of the keys; with a page and without. */
static void test_every_size(void **state UNUSED)
{
	static const size_t widths[] = {0, 1, 2, 5, 20, 69, 70, 300};

	for (size_t lines = 1; lines < 40; lines++) {
		for (size_t w = 0; w < ARRAY_SIZE(widths); w++) {
			for (unsigned how = 0; how < 8; how++) {
				struct stage s;
				char *last;

				set_stage(&s, lines, widths[w]);
				s.view.focus = (enum toprows_pane)(how % TOPROWS_PANES);
				s.view.panes[s.view.focus].at = s.view.panes[s.view.focus].rows.n - 1;
				s.view.trouble = how & 1 ? "away" : NULL;
				s.view.page = how & 4 ? topview_help : NULL;
				s.view.page_title = "help";
				s.view.page_offset = how & 2 ? SIZE_MAX / 2 : 0;
				topview_draw(&s.view, &s.sheet);
				assert_int_equal(s.sheet.n, lines);
				last = line_text(&s.sheet, lines - 1);
				assert_memory_equal(last, "q ", 2);
				free(last);
				clear_stage(&s);
			}
		}
	}
}

static void test_the_chosen_row_is_in_sight(void **state UNUSED)
{
	struct stage s;

	set_stage(&s, 4, 100);
	s.view.focus = TOPROWS_WORKERS;
	for (size_t at = 0; at < 3; at++) {
		s.view.panes[TOPROWS_WORKERS].at = at;
		topview_draw(&s.view, &s.sheet);
		assert_int_equal(s.sheet.lines[2].mark, SHEET_PICKED);
		assert_int_equal(s.view.panes[TOPROWS_WORKERS].offset, at);
	}
	assert_true(find_line(&s.sheet, "WORKERS 3-3 of 3") == 1);
	clear_stage(&s);
}

static void test_a_prompt(void **state UNUSED)
{
	struct stage s;
	auto_free char *text = NULL;

	set_stage(&s, 10, 100);
	s.view.prompt = "workers:";
	s.view.input = "2..16";
	topview_draw(&s.view, &s.sheet);
	text = line_text(&s.sheet, 9);
	assert_string_equal(text, "workers: 2..16");
	clear_stage(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rates),
	    cmocka_unit_test(test_more_looks_than_a_rate_keeps),
	    cmocka_unit_test(test_rates_of_queues),
	    cmocka_unit_test(test_orders),
	    cmocka_unit_test(test_a_row_is_found_again),
	    cmocka_unit_test(test_layout),
	    cmocka_unit_test(test_what_is_shown),
	    cmocka_unit_test(test_a_node_that_is_away),
	    cmocka_unit_test(test_every_size),
	    cmocka_unit_test(test_the_chosen_row_is_in_sight),
	    cmocka_unit_test(test_a_prompt),
	};

	text_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
