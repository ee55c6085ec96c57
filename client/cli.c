/* SPDX-License-Identifier: MIT */
#include "client/cli.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

#include "client/socket.h"
#include "client/text.h"
#include "lib/base/clock.h"

#define PATH_BYTES_MAX (1UL << 20) /* more than two words of argv can fill */
#define COMPLAINT_BYTES 4096
#define JSON_BYTES_MAX (1UL << 30)

void cli_free(struct cli *cli)
{
	http_close(cli->http);
	free(cli->socket);
}

void cli_complain(const char *fmt, ...)
{
	char text[COMPLAINT_BYTES];
	struct buf clean;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_init(&clean, 4 * COMPLAINT_BYTES);
	text_add_clean(&clean, slice_str(text));
	fflush(stdout);
	fprintf(stderr, "skep: %.*s\n", (int)buf_size(&clean), (const char *)buf_head(&clean));
	buf_free(&clean);
}

bool cli_connect(struct cli *cli, int *ret_exit)
{
	struct err err = {0};

	if (cli->http)
		return true;
	cli->socket = socket_find(cli->args.socket, cli->args.config, &err);
	if (!cli->socket) {
		bool config = err.code == -EINVAL;

		cli_complain("%s%s", err.text, config ? "" : "; is skepd running?");
		*ret_exit = config ? CLI_CONFIG : CLI_UNAVAILABLE;
		return false;
	}
	cli->http = http_open(cli->socket);
	return true;
}

bool cli_again(const struct http_call *call, int64_t deadline_ms, bool *seen)
{
	bool cut = call->err.code == -ECONNRESET, busy = !call->err.code && call->status == 503;
	bool absent = call->err.code == -ENOENT || call->err.code == -ECONNREFUSED;

	if (cut || busy)
		*seen = true;
	if (!cut && !busy && !(absent && *seen))
		return false;
	if (clock_mono_ms() + CLI_AGAIN_MS > deadline_ms)
		return false;
	poll(NULL, 0, CLI_AGAIN_MS);
	return true;
}

bool cli_call(struct cli *cli, struct http_call *call, bool repeatable, int *ret_exit)
{
	int64_t deadline_ms = clock_mono_ms() + CLI_PATIENCE_MS;
	bool seen = false;

	if (!cli_connect(cli, ret_exit))
		return false;
	for (;;) {
		http_start(cli->http, call);
		http_wait(cli->http);
		if (!repeatable || !cli_again(call, deadline_ms, &seen))
			break;
		http_call_free(call);
	}
	if (!call->err.code)
		return true;
	cli_complain(
	    "%s%s", call->err.text, call->err.code == -EACCES ? "" : "; is skepd running?");
	*ret_exit = CLI_UNAVAILABLE;
	return false;
}

int cli_refused(const struct http_call *call, const char *about)
{
	struct json *j = json_parse(buf_slice(&call->body), NULL);
	const char *text = j ? json_get_str(j, "error") : NULL;

	if (about)
		cli_complain("%s: %s", about, text ? text : "refused");
	else
		cli_complain("%s", text ? text : "refused");
	if (!text)
		cli_complain("the answer was HTTP %ld without a reason", call->status);
	json_free(j);
	return call->status == 503 || call->status == 507 ? CLI_LATER : CLI_FAILED;
}

struct json *cli_json(const struct http_call *call, const char *about, int *ret_exit)
{
	struct err err = {0};
	struct json *j;

	if (call->status / 100 != 2) {
		*ret_exit = cli_refused(call, about);
		return NULL;
	}
	j = json_parse(buf_slice(&call->body), &err);
	if (!j) {
		cli_complain("cannot read the answer: %s", err.text);
		*ret_exit = CLI_FAILED;
	}
	return j;
}

struct json *cli_get(struct cli *cli, const char *path, int *ret_exit)
{
	struct http_call call = {.request = {.method = "GET", .path = path}};
	struct json *j = NULL;

	if (cli_call(cli, &call, true, ret_exit))
		j = cli_json(&call, NULL, ret_exit);
	http_call_free(&call);
	return j;
}

void cli_print_json(const struct cli *cli, const struct json *j)
{
	struct buf out;

	buf_init(&out, JSON_BYTES_MAX);
	if (json_print(j, cli->screen.columns != 0, &out) < 0)
		BUG("JSON of more than %lu bytes", JSON_BYTES_MAX);
	fwrite(buf_head(&out), 1, buf_size(&out), stdout);
	fputc('\n', stdout);
	buf_free(&out);
}

char *cli_queue_path(const char *name, const char *tail)
{
	struct buf path;
	char *text;

	buf_init(&path, PATH_BYTES_MAX);
	buf_adds(&path, "/v1/queues/");
	http_encode(&path, slice_str(name));
	buf_adds(&path, tail);
	text = slice_dup(buf_slice(&path));
	buf_free(&path);
	return text;
}

char *cli_job_path(const struct cli *cli, const char *id, const char *tail)
{
	struct buf path;
	char *text;

	buf_init(&path, PATH_BYTES_MAX);
	buf_adds(&path, "/v1/jobs/");
	http_encode(&path, slice_str(id));
	buf_adds(&path, tail);
	http_query(&path, "queue", cli->args.queue);
	text = slice_dup(buf_slice(&path));
	buf_free(&path);
	return text;
}

int64_t cli_time(const struct json *object, const char *key)
{
	const char *text = json_get_str(object, key);
	int64_t ms;

	return text && clock_parse(slice_str(text), &ms) == 0 ? ms : 0;
}

const char *cli_text(const struct json *object, const char *key, const char *otherwise)
{
	const char *text = json_get_str(object, key);

	return text ? text : otherwise;
}

int64_t cli_number(const struct json *object, const char *key, int64_t otherwise)
{
	double value;

	return json_get_num(object, key, &value) ? (int64_t)value : otherwise;
}
