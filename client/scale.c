/* SPDX-License-Identifier: MIT */
#include "client/scale.h"

#include "client/table.h"
#include "client/text.h"
#include "lib/base/clock.h"

#define PATH_BYTES_MAX 2048

/* "/v1/pools/NAME" + tail + a parameter's value, if there is one. A fresh string. */
static char *pool_path(const char *name, const char *tail, const char *value)
{
	struct buf path;
	char *text;

	buf_init(&path, PATH_BYTES_MAX);
	buf_adds(&path, "/v1/pools/");
	http_encode(&path, slice_str(name));
	buf_adds(&path, tail);
	if (value)
		http_encode(&path, slice_str(value));
	text = slice_dup(buf_slice(&path));
	buf_free(&path);
	return text;
}

int scale_command(struct cli *cli)
{
	const char *pool = cli->args.words[0], *workers = cli->args.words[1];
	auto_free char *path = pool_path(pool, "/scale?workers=", workers);
	struct http_call call = {.request = {.method = "POST", .path = path}};
	struct json *answer = NULL;
	int code = CLI_OK;

	if (cli_call(cli, &call, false, &code))
		answer = cli_json(&call, pool, &code);
	http_call_free(&call);
	if (!answer)
		return code;
	if (cli->args.json)
		cli_print_json(cli, answer);
	else
		printf("%s %s\n", pool, cli_text(answer, "workers", "?"));
	json_free(answer);
	return CLI_OK;
}

static void print_changes(const struct cli *cli, const struct json *changes)
{
	static const struct table_column columns[] = {{"AGO", .right = true}, {"FROM", .right = true},
	    {"TO", .right = true}, {"WHY"}};
	struct table *t;
	int64_t now_ms = clock_wall_ms();

	if (!json_first(changes))
		return;
	t = table_new(columns, ARRAY_SIZE(columns));
	for (const struct json *c = json_first(changes); c; c = json_next(c)) {
		char ago[TEXT_SHORT];

		table_add(t, text_ms(ago, (double)(now_ms - cli_time(c, "at"))), PAINT_NONE);
		table_addf(t, "%lld", (long long)cli_number(c, "from", 0));
		table_addf(t, "%lld", (long long)cli_number(c, "to", 0));
		table_add(t, cli_text(c, "reason", ""), PAINT_NONE);
	}
	fputc('\n', stdout);
	table_print(t, &cli->screen, 0, stdout);
	table_free(t);
}

int scale_explain_command(struct cli *cli)
{
	auto_free char *path = pool_path(cli->args.words[0], "/changes", NULL);
	int code = CLI_OK;
	struct json *pool = cli_get(cli, path, &code);
	bool asked = false;

	if (!pool)
		return code;
	if (cli->args.json) {
		cli_print_json(cli, pool);
		json_free(pool);
		return CLI_OK;
	}
	json_get_bool(pool, "asked", &asked);
	printf("%s: %lld workers wanted, of %lld..%lld by %s%s\n", cli_text(pool, "pool", "?"),
	    (long long)cli_number(pool, "target", 0), (long long)cli_number(pool, "min", 0),
	    (long long)cli_number(pool, "max", 0), cli_text(pool, "scale", "?"),
	    asked ? " (asked for with skep scale)" : "");
	printf("%s\n", cli_text(pool, "reason", ""));
	print_changes(cli, json_get(pool, "changes"));
	json_free(pool);
	return CLI_OK;
}
