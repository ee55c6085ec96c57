/* SPDX-License-Identifier: MIT */
#include "client/inspect.h"

#include <poll.h>

#include "client/status.h"
#include "lib/base/clock.h"
#include "lib/job/job.h"

#define WAIT_MS 30000	  /* of one request; repeated until the job is over */
#define WAIT_AGAIN_MS 200 /* if skepd answers sooner although the job is not over */
#define LOGS_BYTES_MAX (64UL << 20)

static bool is_over(const struct json *job)
{
	enum job_state state;

	return job_state_parse(cli_text(job, "state", ""), &state) == 0 && job_state_over(state);
}

static bool is_done(const struct json *job)
{
	return strcmp(cli_text(job, "state", ""), job_state_name(JOB_DONE)) == 0;
}

/* The job, asked for in a way that is answered when it is over or `wait_ms` have passed. */
static struct json *get_job(struct cli *cli, const char *id, int64_t wait_ms, int *ret_exit)
{
	auto_free char *path = cli_job_path(cli, id, "");
	auto_free char *waiting = NULL;

	if (wait_ms <= 0)
		return cli_get(cli, path, ret_exit);
	waiting =
	    xasprintf("%s%cwait=%lldms", path, strchr(path, '?') ? '&' : '?', (long long)wait_ms);
	return cli_get(cli, waiting, ret_exit);
}

static int print_bytes(struct cli *cli, const char *id)
{
	auto_free char *path = cli_job_path(cli, id, "/result");
	struct http_call call = {.request = {.method = "GET", .path = path}};
	int code = CLI_OK;

	if (cli_call(cli, &call, true, &code)) {
		if (call.status == 200)
			fwrite(buf_head(&call.body), 1, buf_size(&call.body), stdout);
		else
			code = cli_refused(&call, NULL);
	}
	http_call_free(&call);
	return code;
}

/* Prints the result of a job, or why there is none. */
static int report(struct cli *cli, const char *id, const struct json *job)
{
	const char *state = cli_text(job, "state", "?"), *error = json_get_str(job, "error");
	bool cut = false;

	if (cli->args.json)
		cli_print_json(cli, job);
	if (!is_over(job)) {
		cli_complain("job %s is not over: %s", id, state);
		return CLI_LATER;
	}
	if (!is_done(job)) {
		cli_complain(
		    "job %s is %s%s%s", id, state, error && *error ? ": " : "", error ? error : "");
		return CLI_FAILED;
	}
	if (json_get_bool(job, "result_cut", &cut) && cut)
		cli_complain("the result of job %s was longer and is cut", id);
	return cli->args.json ? CLI_OK : print_bytes(cli, id);
}

int inspect_wait(struct cli *cli, const char *id)
{
	int64_t began_ms = clock_mono_ms(), limit_ms = cli->args.wait_timeout_ms;
	int code = CLI_OK;

	for (;;) {
		int64_t asked_ms = clock_mono_ms(), wait_ms = WAIT_MS;
		struct json *job;
		bool out_of_time;

		if (limit_ms >= 0 && began_ms + limit_ms - asked_ms < wait_ms)
			wait_ms = began_ms + limit_ms - asked_ms;
		job = get_job(cli, id, wait_ms, &code);
		if (!job)
			return code;
		out_of_time = limit_ms >= 0 && clock_mono_ms() - began_ms >= limit_ms;
		if (is_over(job) || out_of_time) {
			code = report(cli, id, job);
			json_free(job);
			return code;
		}
		json_free(job);
		if (clock_mono_ms() - asked_ms < wait_ms)
			poll(NULL, 0, WAIT_AGAIN_MS);
	}
}

int inspect_result(struct cli *cli)
{
	const char *id = cli->args.words[0];
	int code = CLI_OK;
	struct json *job;

	if (cli->args.wait)
		return inspect_wait(cli, id);
	job = get_job(cli, id, 0, &code);
	if (job)
		code = report(cli, id, job);
	json_free(job);
	return code;
}

int inspect_status(struct cli *cli)
{
	int code = CLI_OK;
	struct json *job = get_job(cli, cli->args.words[0], 0, &code);

	if (!job)
		return code;
	if (cli->args.json)
		cli_print_json(cli, job);
	else
		status_print(job, &cli->screen, clock_wall_ms(), stdout);
	json_free(job);
	return code;
}

static void print_logs(struct cli *cli, const char *id, struct slice logs)
{
	struct json *j;

	if (!cli->args.json) {
		fwrite(logs.p, 1, logs.n, stdout);
		return;
	}
	j = json_object();
	json_add_strz(j, "id", id);
	json_add_str(j, "logs", logs);
	cli_print_json(cli, j);
	json_free(j);
}

int inspect_logs(struct cli *cli)
{
	const char *id = cli->args.words[0];
	auto_free char *job_path = cli_job_path(cli, id, "/logs");
	struct http_call call = {.request = {.method = "GET"}};
	struct buf path;
	int code = CLI_OK;

	buf_init(&path, LOGS_BYTES_MAX);
	buf_adds(&path, job_path);
	http_query(&path, "attempt", cli->args.attempt);
	buf_add(&path, "", 1);
	call.request.path = (const char *)buf_head(&path);
	if (cli_call(cli, &call, true, &code)) {
		if (call.status == 200)
			print_logs(cli, id, buf_slice(&call.body));
		else
			code = cli_refused(&call, NULL);
	}
	http_call_free(&call);
	buf_free(&path);
	return code;
}
