/* SPDX-License-Identifier: MIT */
/*
 * Each job is one request. `retry --dead` lists dead jobs and retries them, page by page, until
 * none is left that was dead when it began: those that die again meanwhile are not taken twice, and
 * a page on which nothing could be retried ends it.
 */
#include "client/change.h"

#include "client/list.h"
#include "lib/base/clock.h"

#define PAGE "1000" /* the most that one list gives */

/* The answer for one job or queue goes to the screen, or to `answers`. Exit code. */
static int change_at(struct cli *cli, const char *path, const char *name, struct json *answers)
{
	struct http_call call = {.request = {.method = "POST", .path = path}};
	struct json *answer = NULL;
	int code = CLI_OK;

	/* Not repeated by itself: after a lost answer a job that was queued again may be over
	 * already. */
	if (cli_call(cli, &call, false, &code))
		answer = cli_json(&call, name, &code);
	http_call_free(&call);
	if (!answer)
		return code;
	if (answers) {
		json_push(answers, answer);
		return CLI_OK;
	}
	printf("%s %s\n", name, cli_text(answer, "state", "?"));
	json_free(answer);
	return CLI_OK;
}

static int change_one(struct cli *cli, const char *id, const char *tail, struct json *answers)
{
	auto_free char *path = cli_job_path(cli, id, tail);

	return change_at(cli, path, id, answers);
}

static int change_each(struct cli *cli, const char *tail, struct json *answers)
{
	int worst = CLI_OK;

	for (int i = 0; i < cli->args.nwords && worst != CLI_UNAVAILABLE; i++) {
		int code = change_one(cli, cli->args.words[i], tail, answers);

		worst = code > worst ? code : worst;
	}
	return worst;
}

/* One page of them; how many could be retried, or -1 when that is all, with *code. */
static int retry_page(struct cli *cli, int64_t before_ms, struct json *answers, int *code)
{
	struct json *jobs = list_get(cli, "dead", PAGE, code);
	const char *only_queue = cli->args.queue;
	int retried = 0;

	for (const struct json *job = jobs ? json_first(jobs) : NULL; job; job = json_next(job)) {
		int one;

		if (cli_time(job, "ended_at") >= before_ms)
			continue;
		cli->args.queue = json_get_str(job, "queue");
		one = change_one(cli, cli_text(job, "id", ""), "/retry", answers);
		*code = one > *code ? one : *code;
		retried += one == CLI_OK;
		if (one == CLI_UNAVAILABLE)
			break;
	}
	cli->args.queue = only_queue;
	json_free(jobs);
	return *code == CLI_UNAVAILABLE ? 0 : retried;
}

int change_retry(struct cli *cli)
{
	struct json *answers = cli->args.json ? json_array() : NULL;
	int64_t now_ms = clock_wall_ms();
	int code = CLI_OK;

	if (cli->args.dead == (cli->args.nwords > 0) || (cli->args.type && !cli->args.dead)) {
		cli_complain(
		    "retry needs either ids, or --dead with or without --type and --queue");
		json_free(answers);
		return CLI_USAGE;
	}
	if (cli->args.dead) {
		while (retry_page(cli, now_ms, answers, &code) > 0)
			;
	} else {
		code = change_each(cli, "/retry", answers);
	}
	if (answers)
		cli_print_json(cli, answers);
	json_free(answers);
	return code;
}

int change_cancel(struct cli *cli)
{
	struct json *answers = cli->args.json ? json_array() : NULL;
	int code = change_each(cli, "/cancel", answers);

	if (answers)
		cli_print_json(cli, answers);
	json_free(answers);
	return code;
}

/* --- queues ----------------------------------------------------------------------------------- */

static int set_queues(struct cli *cli, const char *tail)
{
	struct json *answers = cli->args.json ? json_array() : NULL;
	int worst = CLI_OK;

	for (int i = 0; i < cli->args.nwords && worst != CLI_UNAVAILABLE; i++) {
		const char *name = cli->args.words[i];
		auto_free char *path = cli_queue_path(name, tail);
		int code = change_at(cli, path, name, answers);

		worst = code > worst ? code : worst;
	}
	if (answers)
		cli_print_json(cli, answers);
	json_free(answers);
	return worst;
}

int change_pause(struct cli *cli)
{
	return set_queues(cli, "/pause");
}

int change_resume(struct cli *cli)
{
	return set_queues(cli, "/resume");
}
