/* SPDX-License-Identifier: MIT */
/*
 * What every command of `skep` works with: its arguments, the screen, and requests to skepd.
 * Commands return an exit code of enum cli_exit; by then they have said on standard error what went
 * wrong.
 */
#ifndef SKEP_CLIENT_CLI_H
#define SKEP_CLIENT_CLI_H

#include "client/args.h"
#include "client/http.h"
#include "client/screen.h"
#include "lib/base/json.h"

/* A gateway that is being restarted is away for less than this; so long requests are repeated. */
#define CLI_PATIENCE_MS 5000
#define CLI_AGAIN_MS 100

struct cli {
	const struct command *commands; /* COMMAND_COUNT of them */
	struct args args;
	struct screen screen;
	char *socket;
	struct http *http;
};

void cli_free(struct cli *cli);

/* A line on standard error, behind "skep: "; what may come from jobs is made harmless for a
 * terminal. */
void cli_complain(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Finds the socket, once; false after a complaint, with the exit code in *ret_exit. */
bool cli_connect(struct cli *cli, int *ret_exit);

/* Should a call that failed be started again? True, after a short wait, when its connection broke
 * or skepd was not ready (503), until `deadline_ms` of clock_mono_ms(); nothing there at all is no
 * reason to wait unless something was there before (`seen`, kept by the caller from try to try). */
bool cli_again(const struct http_call *call, int64_t deadline_ms, bool *seen);

/* One request, repeated as above when its meaning allows it (GET, or a submit with an id). True
 * with any answer of HTTP; false after a complaint, with the exit code in *ret_exit. Free the call
 * in both cases. */
bool cli_call(struct cli *cli, struct http_call *call, bool repeatable, int *ret_exit);

/* The answer's JSON. When the status is no 2xx or the text is not JSON: NULL after a complaint
 * (behind `about`, if any), with the exit code in *ret_exit. */
struct json *cli_json(const struct http_call *call, const char *about, int *ret_exit);

/* Complains about an answer that is an error, and gives the exit code for it. */
int cli_refused(const struct http_call *call, const char *about);

/* GET path -> JSON. Complaints and NULL as above. */
struct json *cli_get(struct cli *cli, const char *path, int *ret_exit);

/* Prints JSON, indented on a terminal. */
void cli_print_json(const struct cli *cli, const struct json *j);

/* "/v1/queues/NAME" + tail. A fresh string. */
char *cli_queue_path(const char *name, const char *tail);

/* "/v1/jobs/ID" + tail, with ?queue= if one was given. A fresh string. */
char *cli_job_path(const struct cli *cli, const char *id, const char *tail);

/* Wall-clock milliseconds of a member in RFC 3339, 0 if absent or null. */
int64_t cli_time(const struct json *object, const char *key);

/* The member's text, or `otherwise`. */
const char *cli_text(const struct json *object, const char *key, const char *otherwise);

/* A number, or `otherwise`. */
int64_t cli_number(const struct json *object, const char *key, int64_t otherwise);

#endif
