/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "lib/base/clock.h"
#include "lib/board/series.h"
#include "lib/board/shown.h"

#define NOW 1700000000000

static struct board *made(void)
{
	struct err err = {0};
	struct board *b = board_create(2, 1, &err);

	if (!b)
		fail_msg("%s", err.text);
	return b;
}

static struct series_row *added(struct series *s, const char *queue, const char *type)
{
	return series_add(s, slice_str(queue), slice_str(type));
}

static struct series_row *found(struct series *s, const char *queue, const char *type)
{
	return series_find(s, slice_str(queue), slice_str(type));
}

/* --- counting --------------------------------------------------------------------------------- */

static void test_bounds_are_in_order_and_say_what_they_are(void **state)
{
	static const struct series_bounds *const all[] = {&series_job_bounds, &series_commit_bounds};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(all); k++) {
		assert_in_range(all[k]->n, 10, SERIES_BOUNDS_MAX);
		for (size_t i = 0; i < all[k]->n; i++) {
			double bound = strtod(all[k]->text[i], NULL) * (double)all[k]->scale;

			assert_true(i == 0 || all[k]->most[i] > all[k]->most[i - 1]);
			assert_int_equal((uint64_t)(bound + 0.5), all[k]->most[i]);
		}
	}
}

static void test_a_value_falls_below_the_first_bound_that_is_not_less(void **state)
{
	const struct series_bounds *bounds = &series_job_bounds;
	struct series_histogram h = {0};

	(void)state;
	series_observe(&h, bounds, 0);
	assert_int_equal(h.in[0], 1);
	for (size_t i = 0; i < bounds->n; i++) {
		h = (struct series_histogram){0};
		series_observe(&h, bounds, bounds->most[i]);
		series_observe(&h, bounds, bounds->most[i] + 1);
		assert_int_equal(h.in[i], 1);
		assert_int_equal(h.in[i + 1], 1);
		assert_int_equal(h.sum, 2 * bounds->most[i] + 1);
	}
	h = (struct series_histogram){0};
	series_observe(&h, bounds, UINT32_MAX);
	assert_int_equal(h.in[bounds->n], 1);
}

static void test_a_row_is_found_by_both_names(void **state)
{
	/* What would be alike if the names were only put one behind the other. */
	static const char *const pairs[][2] = {{"ab", "c"}, {"a", "bc"}, {"abc", ""}, {"c", "ab"}};
	struct series *s = series_new(NOW);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		assert_null(found(s, pairs[i][0], pairs[i][1]));
		added(s, pairs[i][0], pairs[i][1])->begun = 10 + i;
	}
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		assert_int_equal(found(s, pairs[i][0], pairs[i][1])->begun, 10 + i);
		assert_ptr_equal(
		    added(s, pairs[i][0], pairs[i][1]), found(s, pairs[i][0], pairs[i][1]));
	}
	series_free(s);
}

static void test_what_comes_after_the_last_row_is_other(void **state)
{
	struct series *s = series_new(NOW);
	struct series_row *other = found(s, SERIES_OTHER, SERIES_OTHER);
	char name[SERIES_NAME_BYTES + 8];

	(void)state;
	assert_non_null(other);
	for (unsigned i = 1; i < SERIES_ROWS; i++) {
		snprintf(name, sizeof name, "queue-%u", i);
		added(s, name, "t")->begun = i;
	}
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "more-%u", i);
		assert_null(found(s, name, "t"));
		assert_ptr_equal(added(s, name, "t"), other);
	}
	for (unsigned i = 1; i < SERIES_ROWS; i++) {
		snprintf(name, sizeof name, "queue-%u", i);
		assert_int_equal(found(s, name, "t")->begun, i);
	}
	series_free(s);
}

static void test_a_name_that_does_not_fit_is_other(void **state)
{
	struct series *s = series_new(NOW);
	char name[SERIES_NAME_BYTES + 1];

	(void)state;
	memset(name, 'x', sizeof name);
	assert_ptr_equal(series_add(s, slice_of(name, SERIES_NAME_BYTES), slice_str("t")),
	    found(s, SERIES_OTHER, SERIES_OTHER));
	assert_ptr_not_equal(series_add(s, slice_of(name, SERIES_NAME_BYTES - 1), slice_str("t")),
	    found(s, SERIES_OTHER, SERIES_OTHER));
	series_free(s);
}

/* --- showing ---------------------------------------------------------------------------------- */

static void test_a_reader_sees_what_was_published(void **state)
{
	struct board *b = made();
	struct series_seen *seen = series_read(b);
	struct series *s = series_new(NOW);

	(void)state;
	assert_int_equal(seen->n, 0);
	assert_int_equal(seen->store.since_wall_ms, 0);
	assert_true(seen->board_wall_ms > NOW);
	free(seen);

	added(s, "q", "t")->submitted = 3;
	series_of_store(s)->rows = 9;
	seen = series_read(b);
	assert_int_equal(seen->n, 0);
	free(seen);

	series_publish(s, b);
	seen = series_read(b);
	assert_int_equal(seen->n, 2);
	assert_int_equal(seen->store.since_wall_ms, NOW);
	assert_int_equal(seen->store.rows, 9);
	assert_string_equal(seen->rows[0].queue, SERIES_OTHER);
	assert_string_equal(seen->rows[1].queue, "q");
	assert_string_equal(seen->rows[1].type, "t");
	assert_int_equal(seen->rows[1].submitted, 3);
	free(seen);

	found(s, "q", "t")->submitted++;
	series_publish(s, b);
	series_publish(s, b);
	seen = series_read(b);
	assert_int_equal(seen->rows[1].submitted, 4);
	free(seen);
	series_free(s);
	board_close(b);
}

static void test_another_store_begins_anew(void **state)
{
	struct board *b = made();
	struct series *first = series_new(NOW), *second = series_new(NOW + 5000);
	struct series_seen *seen;

	(void)state;
	added(first, "a", "t")->begun = 1;
	added(first, "b", "t")->begun = 2;
	series_restarted(b, 2);
	series_publish(first, b);
	series_free(first); /* its store died; what it has shown stays until there is another */
	seen = series_read(b);
	assert_int_equal(seen->n, 3);
	free(seen);

	added(second, "b", "t")->begun = 1;
	series_publish(second, b);
	seen = series_read(b);
	assert_int_equal(seen->n, 2);
	assert_int_equal(seen->store.since_wall_ms, NOW + 5000);
	assert_string_equal(seen->rows[1].queue, "b");
	assert_int_equal(seen->rows[1].begun, 1);
	assert_int_equal(seen->restarts[2], 1);
	free(seen);
	series_free(second);
	board_close(b);
}

static void test_restarts_are_counted_by_role(void **state)
{
	struct board *b = made();
	struct series_seen *seen;

	(void)state;
	series_restarted(b, 1);
	series_restarted(b, 1);
	series_restarted(b, 3);
	series_restarted(b, SERIES_ROLES); /* counts nowhere, harms nobody */
	seen = series_read(b);
	assert_int_equal(seen->restarts[0], 0);
	assert_int_equal(seen->restarts[1], 2);
	assert_int_equal(seen->restarts[3], 1);
	free(seen);
	board_close(b);
}

/* Writes for ever: in each publish every number of a row is the same, and the row has as many entries in its
 * histogram as it has runs. One store follows the other. */
static _Noreturn void write_for_ever(struct board *b)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int64_t since = NOW;; since++) {
		struct series *s = series_new(since);

		for (unsigned i = 1; i <= 500; i++) {
			struct series_row *row = added(s, i % 2 ? "odd" : "even", "t");

			row->submitted++;
			series_observe(&row->run_ms, &series_job_bounds, i);
			row->runs[SERIES_OUTCOMES - 1]++;
			series_observe(&row->wait_ms, &series_job_bounds, i * 1000);
			series_publish(s, b);
		}
		series_free(s);
	}
}

static uint64_t count_of(const struct series_histogram *h)
{
	uint64_t n = 0;

	for (size_t i = 0; i <= series_job_bounds.n; i++)
		n += h->in[i];
	return n;
}

static void test_readers_never_see_a_torn_histogram(void **state)
{
	struct board *b = made();
	pid_t pid = fork();
	int64_t last = 0;
	unsigned stores = 0, whole = 0;

	(void)state;
	if (pid == 0)
		write_for_ever(b);
	while (stores < 20 || whole < 2000) {
		struct series_seen *seen = series_read(b);

		assert_true(seen->n <= 3);
		assert_true(seen->store.since_wall_ms >= last);
		stores += seen->store.since_wall_ms != last;
		last = seen->store.since_wall_ms;
		for (size_t i = 1; i < seen->n; i++) {
			const struct series_row *row = &seen->rows[i];

			assert_true(row->submitted > 0 && row->submitted <= 250);
			assert_int_equal(row->runs[SERIES_OUTCOMES - 1], row->submitted);
			assert_int_equal(count_of(&row->run_ms), row->submitted);
			assert_int_equal(count_of(&row->wait_ms), row->submitted);
			assert_int_equal(row->wait_ms.sum, 1000 * row->run_ms.sum);
			assert_string_equal(row->queue, i == 1 ? "odd" : "even");
			whole++;
		}
		free(seen);
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	board_close(b);
}

/* --- how anything is shown (shown.h) ----------------------------------------------------------- */

#define LARGE 8192 /* numbers: a copy takes long enough to be overtaken */

struct large {
	_Atomic uint32_t shown;
	uint32_t pad;
	uint64_t copy[2][LARGE];
};

/* Now and then several publishes, one right behind the other: only what is read again is whole then. */
static _Noreturn void show_for_ever(struct large *m)
{
	static uint64_t value[LARGE];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uint64_t n = 1;; n++) {
		int64_t until = clock_mono_us() + 200;

		for (size_t i = 0; i < LARGE; i++)
			value[i] = n;
		shown_put(&m->shown, m->copy, value, sizeof value);
		while (n % 4 == 0 && clock_mono_us() < until)
			continue;
	}
}

static void test_what_is_overtaken_is_read_again(void **state)
{
	struct large *m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static uint64_t value[LARGE];
	uint64_t last = 0;
	pid_t pid;

	(void)state;
	assert_ptr_not_equal(m, MAP_FAILED);
	pid = fork();
	if (pid == 0)
		show_for_ever(m);
	while (last < 8000) {
		shown_get(&m->shown, m->copy, value, sizeof value);
		for (size_t i = 1; i < LARGE; i++) {
			if (value[i] != value[0])
				fail_msg("torn at %zu of %llu", i, (unsigned long long)value[0]);
		}
		assert_true(value[0] >= last);
		last = value[0];
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	munmap(m, sizeof *m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bounds_are_in_order_and_say_what_they_are),
	    cmocka_unit_test(test_a_value_falls_below_the_first_bound_that_is_not_less),
	    cmocka_unit_test(test_a_row_is_found_by_both_names),
	    cmocka_unit_test(test_what_comes_after_the_last_row_is_other),
	    cmocka_unit_test(test_a_name_that_does_not_fit_is_other),
	    cmocka_unit_test(test_a_reader_sees_what_was_published),
	    cmocka_unit_test(test_another_store_begins_anew),
	    cmocka_unit_test(test_restarts_are_counted_by_role),
	    cmocka_unit_test(test_readers_never_see_a_torn_histogram),
	    cmocka_unit_test(test_what_is_overtaken_is_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
