/* SPDX-License-Identifier: MIT */
#include "client/submit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "client/inspect.h"
#include "client/lines.h"
#include "lib/base/base64.h"
#include "lib/base/id.h"

#define BODY_BYTES_MAX (256UL << 20)
#define TEXT_BYTES_MAX (2 * BODY_BYTES_MAX) /* as base64, or with escapes */
#define READ_BYTES 65536

struct json *submit_job(const struct args *args, const char *id, struct slice body)
{
	const struct {
		const char *key, *value;
	} texts[] = {
	    {"type", args->words[0]},
	    {"queue", args->queue},
	    {"id", id},
	    {"timeout", args->timeout},
	    {"delay", args->delay},
	    {"at", args->at},
	    {"expires", args->expires},
	    {"content_type", args->content_type},
	};
	struct json *job = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (texts[i].value)
			json_add_strz(job, texts[i].key, texts[i].value);
	}
	if (args->retries_n >= 0)
		json_add_int(job, "retries", args->retries_n);
	if (args->priority_n >= 0)
		json_add_int(job, "priority", args->priority_n);
	if (json_utf8_valid(body)) {
		json_add_str(job, "body", body);
	} else {
		auto_free char *text = base64_encode(body);

		json_add_strz(job, "body_base64", text);
	}
	return job;
}

/* Reads a file to its end. False after a complaint. */
static bool read_file(int fd, const char *name, struct buf *out)
{
	for (;;) {
		uint8_t *room = buf_reserve(out, READ_BYTES);
		ssize_t n;

		if (!room) {
			cli_complain("%s: larger than %lu bytes", name, BODY_BYTES_MAX);
			return false;
		}
		n = read(fd, room, READ_BYTES);
		if (n == 0)
			return true;
		if (n < 0) {
			if (errno == EINTR)
				continue;
			cli_complain("cannot read %s: %s", name, strerror(errno));
			return false;
		}
		buf_added(out, (size_t)n);
	}
}

static bool read_body(const char *word, struct buf *out)
{
	auto_fd int fd = -1;

	if (!word)
		return true;
	if (strcmp(word, "-") == 0)
		return read_file(STDIN_FILENO, "standard input", out);
	if (*word != '@')
		return buf_adds(out, word) == 0;
	fd = open(word + 1, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		cli_complain("cannot open '%s': %s", word + 1, strerror(errno));
		return false;
	}
	return read_file(fd, word + 1, out);
}

/* Sends the job; the answer, or NULL with *ret_exit. */
static struct json *send_job(struct cli *cli, const char *id, struct slice body, int *ret_exit)
{
	struct json *job = submit_job(&cli->args, id, body), *answer = NULL;
	struct http_call call = {.request = {"POST", "/v1/jobs", "application/json", {0}}};
	struct buf text;

	buf_init(&text, TEXT_BYTES_MAX);
	if (json_print(job, false, &text) < 0) {
		cli_complain("the body is too large");
		*ret_exit = CLI_FAILED;
	} else {
		call.request.body = buf_slice(&text);
		if (cli_call(cli, &call, true, ret_exit))
			answer = cli_json(&call, NULL, ret_exit);
		http_call_free(&call);
	}
	json_free(job);
	buf_free(&text);
	return answer;
}

static int submit_one(struct cli *cli, struct slice body)
{
	char minted[ID_TEXT_BYTES];
	const char *id = cli->args.id ? cli->args.id : id_format(minted, id_new());
	int code = CLI_OK;
	struct json *answer = send_job(cli, id, body, &code);

	if (!answer)
		return code;
	if (cli->args.wait) {
		cli->args.queue = cli_text(answer, "queue", cli->args.queue);
		code = inspect_wait(cli, id);
	} else if (cli->args.json) {
		cli_print_json(cli, answer);
	} else {
		printf("%s\n", id);
	}
	json_free(answer);
	return code;
}

int submit_command(struct cli *cli)
{
	struct buf body;
	int code;

	if (cli->args.lines)
		return lines_submit(cli);
	buf_init(&body, BODY_BYTES_MAX);
	code = read_body(cli->args.nwords > 1 ? cli->args.words[1] : NULL, &body)
		   ? submit_one(cli, buf_slice(&body))
		   : CLI_NO_INPUT;
	buf_free(&body);
	return code;
}
