/* SPDX-License-Identifier: MIT */
/*
 * Lines to the service are written straight into the buffer that is sent: no tree is built per job.
 * The body is the last member of a job, so that a service in a language without JSON can cut it
 * out.
 */
#include "daemon/worker/talk.h"

#include <errno.h>

#include "lib/base/base64.h"
#include "lib/base/json.h"
#include "lib/base/scan.h"

/* --- to the service --------------------------------------------------------------------------- */

/* ,"name": */
static int add_name(struct buf *out, const char *name)
{
	int rc = buf_adds(out, ",\"");

	if (rc == 0)
		rc = buf_adds(out, name);
	return rc == 0 ? buf_adds(out, "\":") : rc;
}

/* Nothing for an absent value. */
static int add_text(struct buf *out, const char *name, struct slice text)
{
	int rc;

	if (text.n == 0)
		return 0;
	rc = add_name(out, name);
	return rc == 0 ? json_quote(text, out) : rc;
}

static int add_number(struct buf *out, const char *name, int64_t number)
{
	int rc = add_name(out, name);

	return rc == 0 ? buf_addi(out, number) : rc;
}

/* A large body is encoded into the line itself: a line is the one copy of it here. */
static int add_body(struct buf *out, struct slice body)
{
	size_t n = base64_size(body.n);
	uint8_t *room;
	int rc;

	if (json_utf8_valid(body)) {
		rc = buf_adds(out, ",\"body\":");
		return rc == 0 ? json_quote(body, out) : rc;
	}
	rc = buf_adds(out, ",\"body_base64\":\"");
	room = rc == 0 ? buf_reserve(out, n) : NULL;
	if (!room)
		return -ENOBUFS;
	base64_write(body, room);
	buf_added(out, n);
	return buf_adds(out, "\"");
}

/* Ends the line, or takes back what of it is there. */
static int finish(struct buf *out, size_t start, int rc)
{
	if (rc == 0)
		rc = buf_adds(out, "}}\n");
	if (rc < 0)
		buf_truncate(out, start);
	return rc;
}

static int begin(struct buf *out, const char *kind, struct id run)
{
	char text[ID_TEXT_BYTES];
	int rc = buf_adds(out, "{\"");

	if (rc == 0)
		rc = buf_adds(out, kind);
	if (rc == 0)
		rc = buf_adds(out, "\":{\"run\":\"");
	if (rc == 0)
		rc = buf_adds(out, id_format(text, run));
	return rc == 0 ? buf_adds(out, "\"") : rc;
}

int talk_hello(struct buf *out, const struct conf_handler *h, const char *worker, size_t max_line)
{
	size_t start = buf_size(out);
	int rc = buf_addf(out, "{\"hello\":{\"version\":%d", TALK_VERSION);

	if (rc == 0)
		rc = add_text(out, "handler", slice_str(h->section));
	if (rc == 0)
		rc = add_text(out, "worker", slice_str(worker));
	if (rc == 0)
		rc = add_number(out, "concurrency", h->concurrency);
	if (rc == 0)
		rc = add_number(out, "max_line", (int64_t)max_line);
	if (rc == 0)
		rc = buf_adds(out, ",\"capabilities\":[\"progress\",\"log\",\"cancel\",\"ping\","
				   "\"drain\"]");
	return finish(out, start, rc);
}

static int add_job(struct buf *out, const struct run_spec *spec)
{
	const struct job *job = spec->job;
	const struct {
		const char *name;
		struct slice text;
	} texts[] = {{"id", job->id}, {"type", spec->type}, {"queue", job->queue},
	    {"correlation_id", job->correlation_id}, {"content_type", job->content_type},
	    {"content_encoding", job->content_encoding}, {"app_id", job->app_id},
	    {"traceparent", job->traceparent}};
	int rc = begin(out, "job", spec->run);

	for (size_t i = 0; i < ARRAY_SIZE(texts) && rc == 0; i++)
		rc = add_text(out, texts[i].name, texts[i].text);
	if (rc == 0)
		rc = add_number(out, "attempt", spec->attempt);
	if (rc == 0 && spec->timeout_ms > 0)
		rc = add_number(out, "timeout_ms", spec->timeout_ms);
	if (rc == 0 && job->has_priority)
		rc = add_number(out, "priority", job->priority);
	return rc == 0 ? add_body(out, job->body) : rc;
}

int talk_job(struct buf *out, const struct run_spec *spec)
{
	size_t start = buf_size(out);

	return finish(out, start, add_job(out, spec));
}

int talk_cancel(struct buf *out, struct id run)
{
	size_t start = buf_size(out);

	return finish(out, start, begin(out, "cancel", run));
}

int talk_ping(struct buf *out, int64_t number)
{
	return buf_addf(out, "{\"ping\":%lld}\n", (long long)number);
}

int talk_drain(struct buf *out)
{
	return buf_adds(out, "{\"drain\":{}}\n");
}

/* --- from the service ------------------------------------------------------------------------- */

struct reader {
	const struct talk_events *on;
	void *arg;
	struct err *err;
};

typedef int read_fn(const struct reader *r, const struct json *m);

static int run_of(const struct reader *r, const struct json *m, struct id *ret)
{
	const char *text = json_get_str(m, "run");

	if (!text || id_parse(slice_str(text), ret) < 0)
		return err_set(r->err, -EPROTO, "a message without its \"run\"");
	return 0;
}

static int not_given(const struct reader *r)
{
	return err_set(r->err, -EPROTO, "the end of a run that it does not have");
}

static int read_hello(const struct reader *r, const struct json *m)
{
	const struct json *list = json_get(m, "capabilities");
	unsigned can = 0;
	int64_t version;

	if (!json_get_int(m, "version", &version) || version != TALK_VERSION)
		return err_set(r->err, -EPROTO, "a hello without \"version\": %d", TALK_VERSION);
	for (const struct json *c = json_first(list); c; c = json_next(c)) {
		const char *word = json_str(c);

		if (word && strcmp(word, "cancel") == 0)
			can |= TALK_CAN_CANCEL;
		else if (word && strcmp(word, "ping") == 0)
			can |= TALK_CAN_PING;
	}
	r->on->hello(r->arg, can);
	return 0;
}

static int done_base64(const struct reader *r, struct id run, const char *text)
{
	auto_free uint8_t *bytes = NULL;
	size_t n;

	bytes = base64_decode(slice_str(text), &n);
	if (!bytes)
		return err_set(r->err, -EPROTO, "a \"result_base64\" that is none");
	return r->on->done(r->arg, run, slice_of(bytes, n)) ? 0 : not_given(r);
}

/* A value that is no text is a result as compact JSON. */
static int done_value(const struct reader *r, struct id run, const struct json *value)
{
	struct buf text;
	bool known;

	buf_init(&text, SIZE_MAX / 2);
	json_print(value, false, &text);
	known = r->on->done(r->arg, run, buf_slice(&text));
	buf_free(&text);
	return known ? 0 : not_given(r);
}

static int read_done(const struct reader *r, const struct json *m)
{
	const struct json *value = json_get(m, "result");
	const char *encoded = json_get_str(m, "result_base64");
	const char *text = value ? json_str(value) : "";
	struct id run;

	if (run_of(r, m, &run) < 0)
		return -EPROTO;
	if (encoded)
		return done_base64(r, run, encoded);
	if (value && json_is_null(value))
		text = "";
	if (!text)
		return done_value(r, run, value);
	return r->on->done(r->arg, run, slice_str(text)) ? 0 : not_given(r);
}

static int read_failed(const struct reader *r, const struct json *m)
{
	const char *error = json_get_str(m, "error");
	bool retry = true;
	struct id run;

	if (run_of(r, m, &run) < 0)
		return -EPROTO;
	json_get_bool(m, "retry", &retry);
	return r->on->failed(r->arg, run, slice_str(error), retry) ? 0 : not_given(r);
}

static int read_progress(const struct reader *r, const struct json *m)
{
	double percent;
	struct id run;

	if (run_of(r, m, &run) < 0)
		return -EPROTO;
	if (json_get_num(m, "percent", &percent) && percent >= 0 && percent <= 100)
		r->on->progress(r->arg, run, (int32_t)percent, slice_str(json_get_str(m, "text")));
	return 0;
}

static int read_log(const struct reader *r, const struct json *m)
{
	const char *text = json_get_str(m, "text");
	struct id run;

	if (run_of(r, m, &run) < 0)
		return -EPROTO;
	if (text)
		r->on->log(r->arg, run, slice_str(text));
	return 0;
}

static int read_pong(const struct reader *r, const struct json *m UNUSED)
{
	r->on->pong(r->arg);
	return 0;
}

static read_fn *reader_of(const char *kind)
{
	static const struct {
		const char *kind;
		read_fn *read;
	} kinds[] = {{"done", read_done}, {"failed", read_failed}, {"progress", read_progress},
	    {"log", read_log}, {"pong", read_pong}, {"hello", read_hello}};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].kind, kind) == 0)
			return kinds[i].read;
	}
	return NULL;
}

#define SHORT_LINE_BYTES 1024

/* The line that comes by the thousand, {"done":{"run":ID,"result":TEXT}}, read without a tree. False, and
 * nothing was done: it is not of that shape. */
static bool read_short_done(const struct reader *r, struct slice line, int *ret)
{
	char text[SHORT_LINE_BYTES];
	struct slice name, run = {0}, result = {0}, *value;
	struct scan s;
	struct id id;

	if (line.n > sizeof text)
		return false;
	memcpy(text, line.p, line.n);
	scan_init(&s, text, line.n);
	if (!scan_enter(&s) || !scan_member(&s, &name) || !slice_is(name, "done") || !scan_enter(&s))
		return false;
	while (scan_member(&s, &name)) {
		value = slice_is(name, "run") ? &run : slice_is(name, "result") ? &result : NULL;
		if (!value || value->p || !scan_text(&s, value))
			return false;
	}
	if (scan_member(&s, &name) || scan_failed(&s) || !scan_at_end(&s) || id_parse(run, &id) < 0)
		return false;
	*ret = r->on->done(r->arg, id, result.p ? result : slice_str("")) ? 0 : not_given(r);
	return true;
}

int talk_read(struct slice line, const struct talk_events *on, void *arg, struct err *err)
{
	struct reader r = {on, arg, err};
	struct json *j;
	int rc = 0;

	if (read_short_done(&r, line, &rc))
		return rc;
	j = json_parse(line, err);
	if (!j)
		return -EPROTO;
	if (!json_is_object(j))
		rc = err_set(err, -EPROTO, "no JSON object");
	for (const struct json *m = rc == 0 ? json_first(j) : NULL; m && rc == 0; m = json_next(m)) {
		read_fn *read = reader_of(json_key(m));

		if (read)
			rc = read(&r, m);
	}
	json_free(j);
	return rc;
}
