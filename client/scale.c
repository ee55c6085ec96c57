/* SPDX-License-Identifier: MIT */
#include "client/scale.h"

#include "client/table.h"
#include "client/text.h"
#include "lib/base/clock.h"

#define PATH_BYTES_MAX 2048
#define REASON_BYTES_MAX 1000

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

static void print_changes(
    const struct json *changes, const struct screen *screen, int64_t now_ms, FILE *out)
{
	static const struct table_column columns[] = {{"AGO", .right = true}, {"FROM", .right = true},
	    {"TO", .right = true}, {"WHY"}};
	struct table *t;

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
	fputc('\n', out);
	table_print(t, screen, 0, out);
	table_free(t);
}

void scale_print(const struct json *pool, const struct screen *screen, int64_t now_ms, FILE *out)
{
	const char *reason = cli_text(pool, "reason", "");
	struct buf clean;
	bool asked = false;

	buf_init(&clean, 3 * REASON_BYTES_MAX);
	text_add_clean(&clean, slice_of(reason, strnlen(reason, REASON_BYTES_MAX)));
	json_get_bool(pool, "asked", &asked);
	fprintf(out, "%s: %lld workers wanted, of %lld..%lld by %s%s\n", cli_text(pool, "pool", "?"),
	    (long long)cli_number(pool, "target", 0), (long long)cli_number(pool, "min", 0),
	    (long long)cli_number(pool, "max", 0), cli_text(pool, "scale", "?"),
	    asked ? " (asked for with skep scale)" : "");
	fprintf(out, SLICE_FMT "\n", SLICE_ARG(buf_slice(&clean)));
	buf_free(&clean);
	print_changes(json_get(pool, "changes"), screen, now_ms, out);
}

int scale_explain_command(struct cli *cli)
{
	auto_free char *path = pool_path(cli->args.words[0], "/changes", NULL);
	int code = CLI_OK;
	struct json *pool = cli_get(cli, path, &code);

	if (!pool)
		return code;
	if (cli->args.json)
		cli_print_json(cli, pool);
	else
		scale_print(pool, &cli->screen, clock_wall_ms(), stdout);
	json_free(pool);
	return CLI_OK;
}
