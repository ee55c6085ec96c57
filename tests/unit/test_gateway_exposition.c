/* links: daemon/gateway/exposition.c daemon/gateway/usage.c */
/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "daemon/gateway/exposition.h"
#include "daemon/gateway/usage.h"

#define SINCE 1700000000123

struct page {
	struct exposition x;
	struct buf out;
	char *text;
};

static void begin(struct page *p, enum exposition_format format, size_t max)
{
	buf_init(&p->out, max);
	exposition_begin(&p->x, &p->out, format);
}

static const char *end(struct page *p)
{
	assert_int_equal(exposition_end(&p->x), 0);
	p->text = slice_dup(buf_slice(&p->out));
	return p->text;
}

static void drop(struct page *p)
{
	free(p->text);
	buf_free(&p->out);
}

/* The text of one label value as it is written. */
static void assert_label(struct slice value, const char *written)
{
	auto_free char *all = xasprintf("# HELP skep_queue_ready Jobs that wait in the queue and may start.\n"
					"# TYPE skep_queue_ready gauge\n"
					"skep_queue_ready{queue=\"%s\"} 7\n# EOF\n",
	    written);
	struct page p;

	begin(&p, EXPOSITION_OPENMETRICS, 4096);
	exposition_metric(&p.x, METRIC_QUEUE_READY);
	exposition_gauge(&p.x, &value, 7, 1);
	assert_string_equal(end(&p), all);
	drop(&p);
}

static void test_labels_are_escaped(void **state)
{
	(void)state;
	assert_label(slice_str("plain"), "plain");
	assert_label(slice_str(""), "");
	assert_label(slice_str("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
	assert_label(slice_str("tab\tü{}=,"), "tab\tü{}=,");
	assert_label(slice_str("\\n"), "\\\\n");
	/* What is not UTF-8 would spoil the whole page. */
	assert_label(slice_str("bad\xff\xc3 ok"), "bad?? ok");
	assert_label(slice_str("\xc3\xbc\xff"), "???");
}

static void test_a_counter_in_both_formats(void **state)
{
	struct slice labels[] = {slice_str("q"), slice_str("t"), slice_str("done")};
	struct page open, old;

	(void)state;
	begin(&open, EXPOSITION_OPENMETRICS, 4096);
	begin(&old, EXPOSITION_PROMETHEUS, 4096);
	for (struct page *p = &open; p; p = p == &open ? &old : NULL) {
		exposition_metric(&p->x, METRIC_RUNS_BEGUN); /* no samples: left out */
		exposition_metric(&p->x, METRIC_RUNS_ENDED);
		exposition_counter(&p->x, labels, UINT64_MAX, 1, SINCE);
		exposition_metric(&p->x, METRIC_PROCESS_CPU);
		exposition_counter(&p->x, labels, 12034, 1000, 0);
	}
	assert_string_equal(end(&open),
	    "# HELP skep_runs_ended Runs that ended, by outcome. A failure that may be tried again is retry.\n"
	    "# TYPE skep_runs_ended counter\n"
	    "skep_runs_ended_total{queue=\"q\",type=\"t\",outcome=\"done\"} 18446744073709551615\n"
	    "skep_runs_ended_created{queue=\"q\",type=\"t\",outcome=\"done\"} 1700000000.123\n"
	    "# HELP skep_process_cpu_seconds Processor time of a process of the node, without its handlers.\n"
	    "# TYPE skep_process_cpu_seconds counter\n"
	    "# UNIT skep_process_cpu_seconds seconds\n"
	    "skep_process_cpu_seconds_total{process=\"q\"} 12.034\n"
	    "# EOF\n");
	assert_string_equal(end(&old),
	    "# HELP skep_runs_ended_total Runs that ended, by outcome. A failure that may be tried again is retry.\n"
	    "# TYPE skep_runs_ended_total counter\n"
	    "skep_runs_ended_total{queue=\"q\",type=\"t\",outcome=\"done\"} 18446744073709551615\n"
	    "# HELP skep_process_cpu_seconds_total Processor time of a process of the node, without its handlers.\n"
	    "# TYPE skep_process_cpu_seconds_total counter\n"
	    "skep_process_cpu_seconds_total{process=\"q\"} 12.034\n");
	drop(&open);
	drop(&old);
}

static void test_an_info(void **state)
{
	struct slice labels[] = {slice_str("1.2"), slice_str("n")};
	struct page p;

	(void)state;
	begin(&p, EXPOSITION_OPENMETRICS, 4096);
	exposition_metric(&p.x, METRIC_BUILD);
	exposition_gauge(&p.x, labels, 1, 1);
	assert_non_null(strstr(end(&p), "# TYPE skep_build info\nskep_build_info{version=\"1.2\",node=\"n\"} 1\n"));
	drop(&p);
	begin(&p, EXPOSITION_PROMETHEUS, 4096);
	exposition_metric(&p.x, METRIC_BUILD);
	exposition_gauge(&p.x, labels, 1, 1);
	assert_non_null(strstr(end(&p), "# TYPE skep_build_info gauge\nskep_build_info{"));
	drop(&p);
}

/* Buckets are cumulative, the last is +Inf and is the count. */
static void test_a_histogram(void **state)
{
	struct series_histogram h = {0};
	struct page p;

	(void)state;
	series_observe(&h, &series_commit_bounds, 90);
	series_observe(&h, &series_commit_bounds, 100);
	series_observe(&h, &series_commit_bounds, 101);
	series_observe(&h, &series_commit_bounds, 999999);
	series_observe(&h, &series_commit_bounds, 7000000);
	begin(&p, EXPOSITION_OPENMETRICS, 4096);
	exposition_metric(&p.x, METRIC_COMMIT_DURATION);
	exposition_histogram(&p.x, NULL, &h, &series_commit_bounds, SINCE);
	assert_string_equal(end(&p),
	    "# HELP skep_store_commit_duration_seconds Time of a group commit with its fsync.\n"
	    "# TYPE skep_store_commit_duration_seconds histogram\n"
	    "# UNIT skep_store_commit_duration_seconds seconds\n"
	    "skep_store_commit_duration_seconds_bucket{le=\"0.0001\"} 2\n"
	    "skep_store_commit_duration_seconds_bucket{le=\"0.00025\"} 3\n"
	    "skep_store_commit_duration_seconds_bucket{le=\"0.0005\"} 3\n"
	    "skep_store_commit_duration_seconds_bucket{le=\"0.001\"} 3\n"
	    "skep_store_commit_duration_seconds_bucket{le=\"0.0025\"} 3\n"
	    "skep_store_commit_duration_seconds_bucket{le=\"0.005\"} 3\n"
	    "skep_store_commit_duration_seconds_bucket{le=\"0.01\"} 3\n"
	    "skep_store_commit_duration_seconds_bucket{le=\"0.025\"} 3\n"
	    "skep_store_commit_duration_seconds_bucket{le=\"0.05\"} 3\n"
	    "skep_store_commit_duration_seconds_bucket{le=\"0.1\"} 3\n"
	    "skep_store_commit_duration_seconds_bucket{le=\"0.5\"} 3\n"
	    "skep_store_commit_duration_seconds_bucket{le=\"1.0\"} 4\n"
	    "skep_store_commit_duration_seconds_bucket{le=\"+Inf\"} 5\n"
	    "skep_store_commit_duration_seconds_count 5\n"
	    "skep_store_commit_duration_seconds_sum 8.000290\n"
	    "skep_store_commit_duration_seconds_created 1700000000.123\n"
	    "# EOF\n");
	drop(&p);
}

static void test_a_histogram_with_labels(void **state)
{
	struct slice labels[] = {slice_str("q"), slice_str("t")};
	struct series_histogram h = {0};
	const char *text;
	struct page p;

	(void)state;
	series_observe(&h, &series_job_bounds, 1500);
	begin(&p, EXPOSITION_PROMETHEUS, 8192);
	exposition_metric(&p.x, METRIC_JOB_WAIT);
	exposition_histogram(&p.x, labels, &h, &series_job_bounds, SINCE);
	text = end(&p);
	assert_non_null(strstr(text, "_bucket{queue=\"q\",type=\"t\",le=\"1.0\"} 0\n"));
	assert_non_null(strstr(text, "_bucket{queue=\"q\",type=\"t\",le=\"2.5\"} 1\n"));
	assert_non_null(strstr(text, "_sum{queue=\"q\",type=\"t\"} 1.500\n"));
	assert_null(strstr(text, "_created"));
	assert_null(strstr(text, "EOF"));
	drop(&p);
}

static void test_a_bound_that_is_met_is_told(void **state)
{
	struct slice name = slice_str("a queue");
	struct page p;

	(void)state;
	for (size_t max = 0; max < 120; max += 7) {
		begin(&p, EXPOSITION_OPENMETRICS, max);
		exposition_metric(&p.x, METRIC_QUEUE_READY);
		exposition_gauge(&p.x, &name, 1, 1);
		assert_int_equal(exposition_end(&p.x), -ENOBUFS);
		buf_free(&p.out);
	}
}

static void test_the_format_that_is_asked_for(void **state)
{
	static const struct {
		const char *accept;
		enum exposition_format format;
	} cases[] = {
	    {NULL, EXPOSITION_OPENMETRICS},
	    {"*/*", EXPOSITION_OPENMETRICS},
	    {"text/plain", EXPOSITION_PROMETHEUS},
	    {"text/plain;version=0.0.4;q=1,*/*;q=0.1", EXPOSITION_PROMETHEUS},
	    {"Text/Plain", EXPOSITION_PROMETHEUS},
	    /* that of Prometheus itself */
	    {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
	     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		EXPOSITION_OPENMETRICS},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(
		    exposition_format_of(slice_str(cases[i].accept)), cases[i].format);
}

/* --- /proc ------------------------------------------------------------------------------------ */

static void test_what_proc_says(void **state)
{
	static const char line[] =
	    "812 (skep) store (x)) S 800 812 812 0 -1 4194560 905 0 0 0 1234 66 7 8 20 0 1 0 5123 12345678 978 "
	    "18446744073709551615 1 1 0 0 0 0 0 4096 16384 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
	struct usage u;

	(void)state;
	assert_true(usage_parse(line, 100, 4096, &u));
	assert_int_equal(u.cpu_ms, 13000);
	assert_int_equal(u.resident, 978 * 4096);
	assert_false(usage_parse("", 100, 4096, &u));
	assert_false(usage_parse("812 (cut) S 800 812", 100, 4096, &u));
	assert_true(usage_read(getpid(), &u));
	assert_true(u.resident > 100000);
	assert_false(usage_read(-1, &u));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_labels_are_escaped),
	    cmocka_unit_test(test_a_counter_in_both_formats),
	    cmocka_unit_test(test_an_info),
	    cmocka_unit_test(test_a_histogram),
	    cmocka_unit_test(test_a_histogram_with_labels),
	    cmocka_unit_test(test_a_bound_that_is_met_is_told),
	    cmocka_unit_test(test_the_format_that_is_asked_for),
	    cmocka_unit_test(test_what_proc_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
