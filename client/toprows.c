/* SPDX-License-Identifier: MIT */
#include "client/toprows.h"

#include "client/cli.h"

#define ORDERS_MAX 5

void toprows_free(struct toprows *rows)
{
	free(rows->v);
	*rows = (struct toprows){0};
}

static struct toprows_row *add(struct toprows *rows, const struct json *item, const char *name)
{
	struct toprows_row *row;

	rows->v = xrealloc(rows->v, (rows->n + 1) * sizeof *rows->v);
	row = &rows->v[rows->n];
	*row = (struct toprows_row){.item = item, .name = name, .job = "", .at = rows->n};
	rows->n++;
	return row;
}

static void add_named(struct toprows *rows, const struct json *array)
{
	for (const struct json *item = json_first(array); item; item = json_next(item))
		add(rows, item, cli_text(item, "name", "?"));
}

/* A row for each run, and one for a worker that has none. */
static void add_workers(struct toprows *rows, const struct json *pool)
{
	const struct json *workers = json_get(pool, "workers");

	for (const struct json *w = json_first(workers); w; w = json_next(w)) {
		const struct json *run = json_first(json_get(w, "runs"));

		do {
			struct toprows_row *row = add(rows, w, cli_text(w, "name", "?"));

			row->run = run;
			row->job = run ? cli_text(run, "id", "") : "";
			row->since_ms = run ? cli_time(run, "since") : 0;
			run = run ? json_next(run) : NULL;
		} while (run);
	}
}

static void add_changes(struct toprows *rows, const struct json *pool)
{
	const struct json *changes = json_get(pool, "changes");

	for (const struct json *c = json_first(changes); c; c = json_next(c))
		add(rows, c, cli_text(pool, "name", "?"))->since_ms = cli_time(c, "at");
}

void toprows_fill(struct toprows *rows, enum toprows_pane pane, const struct json *answer)
{
	toprows_free(rows);
	if (!answer)
		return;
	if (pane == TOPROWS_POOLS || pane == TOPROWS_QUEUES) {
		add_named(rows, answer);
		return;
	}
	for (const struct json *pool = json_first(answer); pool; pool = json_next(pool)) {
		if (pane == TOPROWS_WORKERS)
			add_workers(rows, pool);
		else
			add_changes(rows, pool);
	}
}

void toprows_rate(struct toprows *queues, struct toprate_book *book, int64_t now_ms)
{
	int64_t all_done = 0, all_failed = 0;
	bool known = queues->n > 0;

	for (size_t i = 0; i < queues->n; i++) {
		struct toprows_row *row = &queues->v[i];
		struct toprate *rate = toprate_named(book, row->name);
		int64_t done = cli_number(row->item, "done", -1);
		int64_t failed = cli_number(row->item, "failed", -1);

		if (done < 0 || failed < 0) {
			known = false;
			continue;
		}
		toprate_add(rate, now_ms, done, failed);
		row->rated = toprate_of(rate, &row->done, &row->failed);
		all_done += done;
		all_failed += failed;
	}
	if (known)
		toprate_add(toprate_named(book, ""), now_ms, all_done, all_failed);
}

/* --- orders ----------------------------------------------------------------------------------- */

typedef int compare_fn(const struct toprows_row *a, const struct toprows_row *b);

static int by_place(const struct toprows_row *a, const struct toprows_row *b)
{
	return (a->at > b->at) - (a->at < b->at);
}

static int by_name(const struct toprows_row *a, const struct toprows_row *b)
{
	return strverscmp(a->name, b->name);
}

/* The most first; what is not known comes last. */
static int by_number(const struct toprows_row *a, const struct toprows_row *b, const char *key)
{
	int64_t x = cli_number(a->item, key, -1), y = cli_number(b->item, key, -1);

	return (x < y) - (x > y);
}

static int by_alive(const struct toprows_row *a, const struct toprows_row *b)
{
	return by_number(a, b, "alive");
}

static int by_busy(const struct toprows_row *a, const struct toprows_row *b)
{
	return by_number(a, b, "busy");
}

static int by_ready(const struct toprows_row *a, const struct toprows_row *b)
{
	return by_number(a, b, "ready");
}

static int by_running(const struct toprows_row *a, const struct toprows_row *b)
{
	return by_number(a, b, "running");
}

/* Who has been at it longest first, who does nothing last. */
static int by_time(const struct toprows_row *a, const struct toprows_row *b)
{
	int64_t x = a->since_ms ? a->since_ms : INT64_MAX,
		y = b->since_ms ? b->since_ms : INT64_MAX;

	return (x > y) - (x < y);
}

static int by_latest(const struct toprows_row *a, const struct toprows_row *b)
{
	return (a->since_ms < b->since_ms) - (a->since_ms > b->since_ms);
}

static int by_type(const struct toprows_row *a, const struct toprows_row *b)
{
	if (!a->run || !b->run)
		return !a->run - !b->run;
	return strverscmp(cli_text(a->run, "type", ""), cli_text(b->run, "type", ""));
}

static const struct order {
	const char *word;
	compare_fn *compare;
} orders[TOPROWS_PANES][ORDERS_MAX] = {
    [TOPROWS_POOLS] = {{"", by_place}, {"name", by_name}, {"workers", by_alive}, {"busy", by_busy}},
    [TOPROWS_QUEUES] = {{"", by_place}, {"name", by_name}, {"waiting", by_ready},
	{"running", by_running}},
    [TOPROWS_WORKERS] = {{"", by_place}, {"name", by_name}, {"time", by_time}, {"type", by_type}},
    [TOPROWS_CHANGES] = {{"", by_latest}, {"pool", by_name}},
};

const char *toprows_order(enum toprows_pane pane, unsigned order)
{
	return order < ORDERS_MAX ? orders[pane][order].word : NULL;
}

struct sorting {
	compare_fn *compare;
	bool reverse;
};

static int compare(const void *a, const void *b, void *arg)
{
	const struct sorting *s = arg;
	int d = s->compare(a, b);

	d = s->reverse ? -d : d;
	return d ? d : by_place(a, b);
}

void toprows_sort(struct toprows *rows, enum toprows_pane pane, unsigned order, bool reverse)
{
	struct sorting s = {orders[pane][order].compare, reverse};

	if (rows->n > 1)
		qsort_r(rows->v, rows->n, sizeof *rows->v, compare, &s);
}

size_t toprows_find(const struct toprows *rows, const char *name, const char *job, size_t otherwise)
{
	for (size_t i = 0; name && i < rows->n; i++) {
		if (strcmp(rows->v[i].name, name) == 0 && strcmp(rows->v[i].job, job) == 0)
			return i;
	}
	return otherwise < rows->n ? otherwise : rows->n ? rows->n - 1 : 0;
}
