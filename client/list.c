/* SPDX-License-Identifier: MIT */
#include "client/list.h"

#include "client/table.h"
#include "client/text.h"
#include "lib/base/clock.h"

#define PATH_BYTES_MAX (1UL << 20)

struct json *list_get(struct cli *cli, const char *state, const char *limit, int *ret_exit)
{
	struct buf path;
	struct json *jobs;

	buf_init(&path, PATH_BYTES_MAX);
	buf_adds(&path, "/v1/jobs");
	http_query(&path, "state", state);
	http_query(&path, "type", cli->args.type);
	http_query(&path, "queue", cli->args.queue);
	http_query(&path, "limit", limit);
	buf_add(&path, "", 1);
	jobs = cli_get(cli, (const char *)buf_head(&path), ret_exit);
	buf_free(&path);
	return jobs;
}

/* How long the job took, or has taken so far. */
static void add_time(struct table *t, const struct json *job, int64_t now_ms)
{
	int64_t started_ms = cli_time(job, "started_at"), ended_ms = cli_time(job, "ended_at");
	char text[TEXT_SHORT];

	if (started_ms && !ended_ms && strcmp(cli_text(job, "state", ""), "running") == 0)
		ended_ms = now_ms;
	if (started_ms && ended_ms >= started_ms)
		table_add(t, text_ms(text, (double)(ended_ms - started_ms)), PAINT_NONE);
	else
		table_add(t, NULL, PAINT_NONE);
}

/* What one wants to know of it next: why it failed, when it is due, what came out. */
static void add_note(struct table *t, const struct json *job, int64_t now_ms)
{
	const char *error = json_get_str(job, "error"), *state = cli_text(job, "state", "");
	int64_t due_ms = cli_time(job, "due_at");
	char ago[TEXT_SHORT];

	if (due_ms > now_ms && error && *error)
		table_addf(t, "%s; again %s", error, text_ago(ago, due_ms, now_ms));
	else if (due_ms > now_ms)
		table_addf(t, "due %s", text_ago(ago, due_ms, now_ms));
	else if (error && *error)
		table_add(t, error, PAINT_NONE);
	else
		table_add(
		    t, strcmp(state, "done") == 0 ? json_get_str(job, "result") : NULL, PAINT_DIM);
}

static void print_jobs(const struct cli *cli, const struct json *jobs)
{
	static const struct table_column columns[] = {
	    {"ID", .whole = true},
	    {"STATE", .whole = true},
	    {"TYPE"},
	    {"QUEUE", .spare = 3},
	    {"TRY", .right = true, .spare = 2},
	    {"CREATED", .right = true, .whole = true, .spare = 1},
	    {"TIME", .right = true, .spare = 4},
	    {"NOTE"},
	};
	struct table *t = table_new(columns, ARRAY_SIZE(columns));
	int64_t now_ms = clock_wall_ms();
	char ago[TEXT_SHORT];

	for (const struct json *job = json_first(jobs); job; job = json_next(job)) {
		const char *state = cli_text(job, "state", "?");

		table_add(t, json_get_str(job, "id"), PAINT_NONE);
		table_add(t, state, screen_state_paint(state));
		table_add(t, json_get_str(job, "type"), PAINT_NONE);
		table_add(t, json_get_str(job, "queue"), PAINT_NONE);
		table_addf(t, "%lld", (long long)cli_number(job, "attempt", 0));
		table_add(t, text_ago(ago, cli_time(job, "created_at"), now_ms), PAINT_NONE);
		add_time(t, job, now_ms);
		add_note(t, job, now_ms);
	}
	table_print(t, &cli->screen, 0, stdout);
	table_free(t);
}

int list_command(struct cli *cli)
{
	int code = CLI_OK;
	struct json *jobs = list_get(cli, cli->args.state, cli->args.limit, &code);

	if (!jobs)
		return code;
	if (cli->args.json)
		cli_print_json(cli, jobs);
	else if (json_first(jobs))
		print_jobs(cli, jobs);
	else
		cli_complain("no such jobs");
	json_free(jobs);
	return CLI_OK;
}
