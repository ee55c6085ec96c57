/* SPDX-License-Identifier: MIT */
/*
 * One job goes as it is: its body is the request's, all else is in the query, so that nothing is encoded and
 * decoded. Many go as lines of JSON, a request for each MiB of them, and so does a single one that cannot go
 * plainly; otherwise large bodies stay out of that.
 */
#include "client/libskep/via_node.h"

#include <errno.h>
#include <inttypes.h>

#include "client/http.h"
#include "client/libskep/node_text.h"
#include "client/socket.h"
#include "lib/base/clock.h"

#define VIA_NODE_MAGIC 0x76696e6fu
#define PATH_BYTES_MAX (32u << 10)
#define LARGE_BYTES (64u << 10) /* a body above goes alone */
#define LINES_BYTES (1u << 20)	/* lines that have reached this take no further one */
#define LINES_BYTES_MAX (2u << 30)
#define LINES_MAX 100000    /* that a node takes in one request */
#define WAIT_SLICE_MS 30000 /* asked for at a time */
#define HTTP_TOO_LARGE 413

struct via_node {
	struct skep_client base;
	unsigned magic;
	struct http *http;
};

static struct via_node *of_client(struct skep_client *client)
{
	OBJ(struct via_node, v, (void *)client, VIA_NODE_MAGIC);
	return v;
}

static enum skep_code code_of(const struct err *err)
{
	switch (-err->code) {
	case EACCES:
	case EPERM:
		return SKEP_REFUSED;
	case ETIMEDOUT:
		return SKEP_TIMEOUT;
	case EMSGSIZE:
		return SKEP_FAILED;
	default: /* of errno */
		return SKEP_UNREACHABLE;
	}
}

/* Sends it and waits. False with `error` if there is no answer; http_call_free() in any case. */
static bool send_call(struct via_node *v, struct http_call *call, int64_t deadline_ms,
    struct skep_error *error)
{
	int64_t left = deadline_ms - clock_mono_ms();

	call->request.timeout_ms = left > 0 ? left : 1;
	http_start(v->http, call);
	if (http_wait(v->http) != call)
		BUG("another call than the only one is done");
	if (!call->err.code)
		return true;
	via_fail(error, code_of(&call->err), "%s", call->err.text);
	return false;
}

/* --- submitting ----------------------------------------------------------------------------------- */

static void submit_raw(struct via_node *v, struct skep_submission *job, int64_t deadline_ms)
{
	struct http_call call = {.request = {"POST", NULL, node_text_type(job),
				     slice_of(job->body, job->body_bytes), 0}};
	struct buf path;

	buf_init(&path, PATH_BYTES_MAX);
	node_text_path(job, &path);
	call.request.path = (const char *)path.data;
	if (send_call(v, &call, deadline_ms, &job->error))
		node_text_answer(job, call.status, buf_slice(&call.body));
	http_call_free(&call);
	buf_free(&path);
}

static bool is_due(const struct skep_submission *job)
{
	return job->error.code == SKEP_OK;
}

static bool goes_alone(const struct skep_submission *job)
{
	return job->body_bytes > LARGE_BYTES && node_text_is_plain(job);
}

static struct slice next_line(struct slice *rest)
{
	const uint8_t *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
	size_t n = end ? (size_t)(end - rest->p) : rest->n;
	struct slice line = slice_of(rest->p, n);

	*rest = slice_of(rest->p + n + (end != NULL), rest->n - n - (end != NULL));
	return line;
}

/* The answer to the lines of jobs[0..n): one for all, or a line for each that was sent. */
static void take_answers(struct skep_submission *jobs, size_t n, const struct http_call *call)
{
	struct slice rest = buf_slice(&call->body);

	for (size_t i = 0; i < n; i++) {
		if (!is_due(&jobs[i]) || goes_alone(&jobs[i]))
			continue;
		if (call->status / 100 == 2)
			node_text_answer(&jobs[i], 0, next_line(&rest));
		else
			node_text_answer(&jobs[i], call->status, rest);
	}
}

static void fail_lines(struct skep_submission *jobs, size_t n, const struct skep_error *error)
{
	for (size_t i = 0; i < n; i++) {
		if (is_due(&jobs[i]) && !goes_alone(&jobs[i]))
			jobs[i].error = *error;
	}
}

static void submit_one(struct via_node *v, struct skep_submission *job, int64_t deadline_ms);

static void submit_lines(struct via_node *v, struct skep_submission *jobs, size_t n,
    struct slice text, int64_t deadline_ms)
{
	struct http_call call = {
	    .request = {"POST", "/v1/jobs", "application/x-ndjson", text, 0}};
	struct skep_error error;

	if (text.n == 0)
		return;
	if (!send_call(v, &call, deadline_ms, &error)) {
		fail_lines(jobs, n, &error);
	} else if (call.status == HTTP_TOO_LARGE && n > 1) {
		/* The node takes only small requests: each job may still fit. */
		for (size_t i = 0; i < n; i++) {
			if (is_due(&jobs[i]) && !goes_alone(&jobs[i]))
				submit_one(v, &jobs[i], deadline_ms);
		}
	} else {
		take_answers(jobs, n, &call);
	}
	http_call_free(&call);
}

/* Writes jobs as lines until there are enough of them. How many jobs it has looked at. */
static size_t gather(struct skep_submission *jobs, size_t n, struct buf *text)
{
	size_t i;

	for (i = 0; i < n && i < LINES_MAX && buf_size(text) < LINES_BYTES; i++) {
		if (is_due(&jobs[i]) && !goes_alone(&jobs[i]) && node_text_line(&jobs[i], text) < 0)
			via_fail(&jobs[i].error, SKEP_INVALID, "a body of %zu bytes is too large",
			    jobs[i].body_bytes);
	}
	return i;
}

static void submit_all(struct via_node *v, struct skep_submission *jobs, size_t n,
    int64_t deadline_ms)
{
	struct buf text;

	buf_init(&text, LINES_BYTES_MAX);
	for (size_t at = 0, took; at < n; at += took) {
		buf_clear(&text);
		took = gather(jobs + at, n - at, &text);
		submit_lines(v, jobs + at, took, buf_slice(&text), deadline_ms);
	}
	buf_free(&text);
	for (size_t i = 0; i < n; i++) {
		if (is_due(&jobs[i]) && goes_alone(&jobs[i]))
			submit_raw(v, &jobs[i], deadline_ms);
	}
}

static void submit_one(struct via_node *v, struct skep_submission *job, int64_t deadline_ms)
{
	if (is_due(job) && node_text_is_plain(job))
		submit_raw(v, job, deadline_ms);
	else
		submit_all(v, job, 1, deadline_ms);
}

static void submit(struct skep_client *client, struct skep_submission *jobs, size_t n)
{
	struct via_node *v = of_client(client);
	int64_t deadline_ms = via_deadline(client->timeout_ms);

	if (n == 1)
		submit_one(v, jobs, deadline_ms);
	else
		submit_all(v, jobs, n, deadline_ms);
}

/* --- waiting -------------------------------------------------------------------------------------- */

static void job_path(struct buf *path, const char *id, const char *below, const char *queue,
    const char *wait)
{
	buf_init(path, PATH_BYTES_MAX);
	buf_adds(path, "/v1/jobs/");
	http_encode(path, slice_str(id));
	buf_adds(path, below);
	http_query(path, "queue", queue);
	http_query(path, "wait", wait);
	buf_add(path, "", 1);
}

/* True with a 200 in `call`; otherwise `error` says what the node did. */
static bool ask(struct via_node *v, struct http_call *call, const char *path, int64_t deadline_ms,
    struct skep_error *error)
{
	struct json *j;
	const char *text;

	call->request = (struct http_request){.method = "GET", .path = path};
	if (!send_call(v, call, deadline_ms, error))
		return false;
	if (call->status == 200)
		return true;
	j = json_parse(buf_slice(&call->body), NULL);
	text = j ? json_get_str(j, "error") : NULL;
	via_fail(error, node_text_code(call->status), "%s", text ? text : "the node refused");
	json_free(j);
	return false;
}

/* A result too large to be part of the job object. It may be gone by now, and is NULL then. */
static enum skep_code fetch(struct via_node *v, const char *id, const char *queue,
    struct skep_result *ret, struct skep_error *error)
{
	struct http_call call = {.err = {0}};
	enum skep_code code = SKEP_OK;
	struct buf path;

	job_path(&path, id, "/result", queue, NULL);
	if (ask(v, &call, (const char *)path.data, via_deadline(v->base.timeout_ms), error)) {
		ret->bytes = buf_size(&call.body);
		ret->data = slice_dup(buf_slice(&call.body));
	} else if (call.err.code || call.status != 409) {
		code = error->code;
	} else {
		*error = (struct skep_error){SKEP_OK, ""};
	}
	http_call_free(&call);
	buf_free(&path);
	return code;
}

/* One request, answered when the job is over or after wait_ms. 1 when it is over, 0, or -1 with `error`. */
static int look(struct via_node *v, const char *id, const char *queue, int64_t wait_ms,
    struct skep_result *ret, struct skep_error *error)
{
	struct http_call call = {.err = {0}};
	struct json *job = NULL;
	bool elsewhere = false;
	struct buf path;
	char wait[32];
	int rc = -1;

	snprintf(wait, sizeof wait, "%" PRId64 "ms", wait_ms);
	job_path(&path, id, "", queue, wait);
	if (ask(v, &call, (const char *)path.data, via_deadline(wait_ms + v->base.timeout_ms), error)) {
		job = json_parse(buf_slice(&call.body), NULL);
		if (!job)
			via_fail(error, SKEP_FAILED, "the node's answer is not understood");
		else
			rc = node_text_result(job, ret, &elsewhere);
	}
	json_free(job);
	http_call_free(&call);
	buf_free(&path);
	if (elsewhere && fetch(v, id, queue, ret, error) != SKEP_OK) {
		skep_result_free(ret);
		rc = -1;
	}
	return rc;
}

static enum skep_code wait_for(struct skep_client *client, const char *id, const char *queue,
    int64_t timeout_ms, struct skep_result *ret, struct skep_error *error)
{
	struct via_node *v = of_client(client);
	int64_t deadline_ms = via_deadline(timeout_ms), left;
	int rc;

	do {
		left = deadline_ms - clock_mono_ms();
		left = left < 0 ? 0 : left < WAIT_SLICE_MS ? left : WAIT_SLICE_MS;
		rc = look(v, id, queue, left, ret, error);
	} while (rc == 0 && clock_mono_ms() < deadline_ms);
	if (rc == 0)
		return via_fail(error, SKEP_TIMEOUT, "job %s is not over yet", id);
	return rc > 0 ? SKEP_OK : error->code;
}

/* --- life ----------------------------------------------------------------------------------------- */

static void close_node(struct skep_client *client)
{
	struct via_node *v = of_client(client);

	http_close(v->http);
	v->magic = 0;
	free(v);
}

/* Anything that speaks HTTP there will do: a node whose store is away takes jobs again soon. */
static bool answers(struct via_node *v, struct skep_error *error)
{
	struct http_call call = {.request = {.method = "GET", .path = "/healthz"}};
	bool there = send_call(v, &call, via_deadline(v->base.timeout_ms), error);

	http_call_free(&call);
	return there;
}

struct skep_client *via_node_open(const char *path, int64_t timeout_ms, struct skep_error *error)
{
	static const struct via_ops ops = {submit, wait_for, close_node};
	struct err err = {0};
	auto_free char *found = socket_find(path, NULL, &err);
	struct via_node *v;

	if (!found) {
		via_fail(error, SKEP_UNREACHABLE, "%s", err.text);
		return NULL;
	}
	v = xcalloc(1, sizeof *v);
	v->base = (struct skep_client){&ops, timeout_ms};
	v->magic = VIA_NODE_MAGIC;
	v->http = http_open(found);
	if (!answers(v, error)) {
		close_node(&v->base);
		return NULL;
	}
	return &v->base;
}
