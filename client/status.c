/* SPDX-License-Identifier: MIT */
#include "client/status.h"

#include "client/cli.h"
#include "client/table.h"
#include "client/text.h"
#include "lib/base/clock.h"

#define LABEL_COLUMNS 10
#define PREVIEW_BYTES 400
#define LINE_BYTES_MAX 4096

static void print_fact(
    const struct screen *s, FILE *out, const char *label, enum paint paint, const char *text)
{
	struct buf clean;
	size_t bytes;

	buf_init(&clean, 3 * LINE_BYTES_MAX);
	text_add_clean(&clean, slice_of(text, strnlen(text, LINE_BYTES_MAX)));
	bytes = s->columns > LABEL_COLUMNS ? text_fit(buf_slice(&clean), s->columns - LABEL_COLUMNS)
					   : buf_size(&clean);
	fprintf(out, "%s%-*s%s%s%.*s%s\n", screen_paint(s, PAINT_DIM), LABEL_COLUMNS, label,
	    screen_paint(s, PAINT_NONE), screen_paint(s, paint), (int)bytes,
	    clean.data ? (const char *)clean.data : "", screen_paint(s, PAINT_NONE));
	buf_free(&clean);
}

static void print_time(const struct json *job, const struct screen *s, int64_t now_ms, FILE *out,
    const char *label, const char *key)
{
	int64_t ms = cli_time(job, key);
	char ago[TEXT_SHORT];
	auto_free char *text = NULL;

	if (!ms)
		return;
	text = xasprintf("%s (%s)", cli_text(job, key, ""), text_ago(ago, ms, now_ms));
	print_fact(s, out, label, PAINT_NONE, text);
}

static void print_result(const struct json *job, const struct screen *s, FILE *out)
{
	const char *result = json_get_str(job, "result");
	int64_t bytes = cli_number(job, "result_bytes", result ? (int64_t)strlen(result) : -1);
	char size[TEXT_SHORT];
	auto_free char *text = NULL;
	bool cut = false;

	if (bytes < 0 || strcmp(cli_text(job, "state", ""), "done") != 0)
		return;
	json_get_bool(job, "result_cut", &cut);
	text = xasprintf("(%s%s)%s%.*s", text_bytes(size, (double)bytes), cut ? ", cut" : "",
	    result && *result ? " " : "", PREVIEW_BYTES, result ? result : "");
	print_fact(s, out, "result", PAINT_NONE, text);
}

static void print_running(const struct json *run, const struct screen *s, FILE *out)
{
	int64_t progress = cli_number(run, "progress", -1);
	auto_free char *percent =
	    progress < 0 ? xstrdup("") : xasprintf(", %lld%%", (long long)progress);
	const char *note = cli_text(run, "note", "");
	auto_free char *text = NULL;

	if (!json_is_object(run))
		return;
	text =
	    xasprintf("on %s%s%s%s", cli_text(run, "worker", "?"), percent, *note ? " " : "", note);
	print_fact(s, out, "running", PAINT_NONE, text);
}

/* "exit 3", "signal 9", or nothing for a run that goes on. */
static void add_end(struct table *t, const struct json *run)
{
	int64_t code = cli_number(run, "exit_code", -1), signal = cli_number(run, "signal", 0);

	if (json_get_str(run, "signal"))
		table_add(t, json_get_str(run, "signal"), PAINT_NONE);
	else if (signal)
		table_addf(t, "signal %lld", (long long)signal);
	else if (code >= 0)
		table_addf(t, "exit %lld", (long long)code);
	else
		table_add(t, NULL, PAINT_NONE);
}

static void add_measure(struct table *t, const struct json *run, const char *key,
    char *(*format)(char *, double), double unit)
{
	char text[TEXT_SHORT];
	double value;

	table_add(
	    t, json_get_num(run, key, &value) ? format(text, value * unit) : NULL, PAINT_NONE);
}

static void print_runs(const struct json *runs, const struct screen *s, FILE *out)
{
	static const struct table_column columns[] = {
	    {"RUN", .right = true, .whole = true},
	    {"TRY", .right = true, .whole = true},
	    {"OUTCOME", .whole = true},
	    {"END", .whole = true},
	    {"TIME", .right = true, .whole = true},
	    {"CPU", .right = true, .spare = 1},
	    {"MEMORY", .right = true, .spare = 2},
	    {"WORKER", .spare = 3},
	    {"STARTED", .whole = true, .spare = 4},
	    {"ERROR"},
	};
	struct table *t = table_new(columns, ARRAY_SIZE(columns));

	for (const struct json *run = json_first(runs); run; run = json_next(run)) {
		const char *outcome = cli_text(run, "outcome", "running");

		table_addf(t, "%lld", (long long)cli_number(run, "n", 0));
		table_addf(t, "%lld", (long long)cli_number(run, "attempt", 0));
		table_add(t, outcome, screen_state_paint(outcome));
		add_end(t, run);
		add_measure(t, run, "wall_ms", text_ms, 1);
		add_measure(t, run, "cpu_ms", text_ms, 1);
		add_measure(t, run, "max_rss_kb", text_bytes, 1024);
		table_add(t, json_get_str(run, "worker"), PAINT_NONE);
		table_add(t, json_get_str(run, "started_at"), PAINT_NONE);
		table_add(t, json_get_str(run, "error"), PAINT_NONE);
	}
	fputc('\n', out);
	table_print(t, s, 0, out);
	table_free(t);
}

void status_print(const struct json *job, const struct screen *screen, int64_t now_ms, FILE *out)
{
	const char *state = cli_text(job, "state", "?"), *error = json_get_str(job, "error");
	const struct json *runs = json_get(job, "attempts");
	int64_t losses = cli_number(job, "losses", 0);
	char attempt[64];

	print_fact(screen, out, "job", PAINT_HEAD, cli_text(job, "id", ""));
	print_fact(screen, out, "type", PAINT_NONE, cli_text(job, "type", ""));
	print_fact(screen, out, "queue", PAINT_NONE, cli_text(job, "queue", ""));
	print_fact(screen, out, "state", screen_state_paint(state), state);
	snprintf(attempt, sizeof attempt,
	    losses ? "%lld, and %lld lost with their workers" : "%lld",
	    (long long)cli_number(job, "attempt", 0), (long long)losses);
	print_fact(screen, out, "attempt", PAINT_NONE, attempt);
	print_time(job, screen, now_ms, out, "created", "created_at");
	print_time(job, screen, now_ms, out, "due", "due_at");
	print_time(job, screen, now_ms, out, "started", "started_at");
	print_time(job, screen, now_ms, out, "ended", "ended_at");
	print_running(json_get(job, "running"), screen, out);
	if (error && *error)
		print_fact(screen, out, "error", PAINT_BAD, error);
	print_result(job, screen, out);
	if (json_first(runs))
		print_runs(runs, screen, out);
}
