/* SPDX-License-Identifier: MIT */
#include "client/node.h"

#include "client/table.h"
#include "client/text.h"
#include "lib/base/clock.h"

#define WORDS_BYTES 400

static void add_number(struct table *t, const struct json *object, const char *key)
{
	int64_t value = cli_number(object, key, -1);

	if (value >= 0)
		table_addf(t, "%lld", (long long)value);
	else
		table_add(t, "?", PAINT_DIM);
}

/* The strings of an array, with blanks between them. */
static void add_words(struct table *t, const struct json *array)
{
	char text[WORDS_BYTES] = "";
	size_t used = 0;

	for (const struct json *word = json_first(array); word && used < sizeof text;
	     word = json_next(word))
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used ? " " : "",
		    json_str(word) ? json_str(word) : "");
	table_add(t, text, PAINT_NONE);
}

static void add_condition(struct table *t, const struct json *queue)
{
	bool missing = false, parked = false, paused = false;

	json_get_bool(queue, "missing", &missing);
	json_get_bool(queue, "parked", &parked);
	json_get_bool(queue, "paused", &paused);
	if (parked)
		table_add(t, "set aside after an error, see the log", PAINT_BAD);
	else if (paused)
		table_add(t, "paused", PAINT_WAIT);
	else if (missing)
		table_add(t, "does not exist in the broker", PAINT_BAD);
	else
		table_add(t, NULL, PAINT_NONE);
}

static void print_queues(const struct cli *cli, const struct json *queues)
{
	static const struct table_column columns[] = {
	    {"QUEUE"},
	    {"TYPE", .spare = 3},
	    {"HANDLER", .spare = 1},
	    {"READY", .right = true, .whole = true},
	    {"RUNNING", .right = true, .whole = true},
	    {"CONSUMERS", .right = true, .spare = 2},
	    {"POOLS", .spare = 4},
	    {"NOTE"},
	};
	struct table *t = table_new(columns, ARRAY_SIZE(columns));

	for (const struct json *q = json_first(queues); q; q = json_next(q)) {
		table_add(t, json_get_str(q, "name"), PAINT_NONE);
		table_add(t, json_get_str(q, "type"), PAINT_NONE);
		table_add(t, json_get_str(q, "handler"), PAINT_NONE);
		add_number(t, q, "ready");
		add_number(t, q, "running");
		add_number(t, q, "consumers");
		add_words(t, json_get(q, "pools"));
		add_condition(t, q);
	}
	table_print(t, &cli->screen, 0, stdout);
	table_free(t);
}

/* Between which a pool follows its work; with a * where `skep scale` asked for it. */
static void add_range(struct table *t, const struct json *pool)
{
	long long least = (long long)cli_number(pool, "min", 0);
	long long most = (long long)cli_number(pool, "max", 0);
	bool asked = false;

	json_get_bool(pool, "asked", &asked);
	if (least == most)
		table_addf(t, "%lld%s", most, asked ? "*" : "");
	else
		table_addf(t, "%lld..%lld%s", least, most, asked ? "*" : "");
}

static void print_pools(const struct cli *cli, const struct json *pools)
{
	static const char *const numbers[] = {
	    "target", "alive", "connected", "busy", "done", "failed"};
	static const struct table_column columns[] = {
	    {"POOL"},
	    {"WANTED", .right = true},
	    {"ALIVE", .right = true},
	    {"CONNECTED", .right = true},
	    {"BUSY", .right = true},
	    {"DONE", .right = true},
	    {"FAILED", .right = true},
	    {"RANGE", .right = true},
	    {"QUEUES", .spare = 1},
	    {"WHY"},
	};
	struct table *t = table_new(columns, ARRAY_SIZE(columns));

	for (const struct json *p = json_first(pools); p; p = json_next(p)) {
		table_add(t, json_get_str(p, "name"), PAINT_NONE);
		for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
			add_number(t, p, numbers[i]);
		add_range(t, p);
		add_words(t, json_get(p, "queues"));
		table_add(t, json_get_str(p, "reason"), PAINT_NONE);
	}
	table_print(t, &cli->screen, 0, stdout);
	table_free(t);
}

static void add_work(struct table *t, const struct json *run, int64_t now_ms)
{
	int64_t since_ms = cli_time(run, "since"), progress = cli_number(run, "progress", -1);
	char text[TEXT_SHORT];

	table_add(t, cli_text(run, "id", ""), PAINT_BUSY);
	table_add(t, cli_text(run, "type", ""), PAINT_NONE);
	table_add(t, since_ms ? text_ms(text, (double)(now_ms - since_ms)) : NULL, PAINT_NONE);
	if (progress >= 0)
		table_addf(t, "%lld%% %s", (long long)progress, cli_text(run, "note", ""));
	else
		table_add(t, NULL, PAINT_NONE);
}

/* What each worker does, a line per run. */
static void print_workers(const struct cli *cli, const struct json *pools)
{
	static const struct table_column columns[] = {
	    {"WORKER"},
	    {"PID", .right = true, .spare = 1},
	    {"STATE", .spare = 2},
	    {"JOB", .whole = true},
	    {"TYPE"},
	    {"FOR", .right = true, .whole = true},
	    {"PROGRESS"},
	};
	struct table *t = table_new(columns, ARRAY_SIZE(columns));

	for (const struct json *p = json_first(pools); p; p = json_next(p)) {
		const struct json *workers = json_get(p, "workers");

		for (const struct json *w = json_first(workers); w; w = json_next(w)) {
			const struct json *run = json_first(json_get(w, "runs"));

			do {
				table_add(t, json_get_str(w, "name"), PAINT_NONE);
				table_addf(t, "%lld", (long long)cli_number(w, "pid", 0));
				table_add(t, run ? "busy" : json_get_str(w, "state"), PAINT_NONE);
				add_work(t, run, clock_wall_ms());
				run = run ? json_next(run) : NULL;
			} while (run);
		}
	}
	fputc('\n', stdout);
	table_print(t, &cli->screen, 0, stdout);
	table_free(t);
}

int node_queues(struct cli *cli)
{
	int code = CLI_OK;
	struct json *queues = cli_get(cli, "/v1/queues", &code);

	if (!queues)
		return code;
	if (cli->args.json)
		cli_print_json(cli, queues);
	else
		print_queues(cli, queues);
	json_free(queues);
	return CLI_OK;
}

int node_pools(struct cli *cli)
{
	int code = CLI_OK;
	struct json *pools = cli_get(cli, "/v1/pools", &code);

	if (!pools)
		return code;
	if (cli->args.json) {
		cli_print_json(cli, pools);
	} else {
		print_pools(cli, pools);
		print_workers(cli, pools);
	}
	json_free(pools);
	return CLI_OK;
}

/* Answers at once, whatever the node's health: not repeated while it is ill, that is what one asks
 * for. */
int node_ping(struct cli *cli)
{
	struct http_call call = {.request = {.method = "GET", .path = "/healthz"}};
	struct json *health = NULL;
	int code = CLI_OK;

	if (cli_call(cli, &call, false, &code)) {
		health = json_parse(buf_slice(&call.body), NULL);
		code = call.status == 200 ? CLI_OK : CLI_LATER;
		if (!health)
			code = cli_refused(&call, NULL);
		else if (cli->args.json)
			cli_print_json(cli, health);
		else
			printf("%s: skepd %s on %s, store %s, broker %s\n",
			    cli_text(health, "status", "?"), cli_text(health, "version", "?"),
			    cli_text(health, "node", "?"), cli_text(health, "store", "?"),
			    cli_text(health, "broker", "?"));
	}
	json_free(health);
	http_call_free(&call);
	return code;
}
