/* SPDX-License-Identifier: MIT */
/*
 * One table of fields serves both forms: a JSON number is turned into the text that a query would
 * have, so there is one reader for each kind of value. null is the same as absent.
 */
#include "daemon/gateway/submit.h"

#include <errno.h>
#include <math.h>

#include "daemon/gateway/checks.h"
#include "lib/base/base64.h"
#include "lib/base/clock.h"
#include "lib/job/envelope.h"

#define RETRIES_MAX 1000
#define PRIORITY_MAX 255
#define NUMBER_TEXT_BYTES 40
#define NUMBER_LIMIT 1e15	       /* of JSON numbers: exact below */
#define ENVELOPE_MAX_BYTES (32u << 10) /* every field at its longest takes a tenth of it */
#define SHOWN_MAX 60		       /* bytes of a bad value in an error */

struct reading {
	const struct submit_context *x;
	struct submit *s;
	struct err *err;
	unsigned seen; /* one bit per field */
	bool delayed;
};

struct field {
	const char *name;
	int (*read)(struct reading *r, const struct field *f, struct slice text);
	size_t offset; /* of the field in struct job */
};

static int bad(struct reading *r, const struct field *f, struct slice text, const char *wanted)
{
	int n = text.n < SHOWN_MAX ? (int)text.n : SHOWN_MAX;

	return err_set(r->err, -EINVAL, "'%s' must be %s, not '%.*s'", f->name, wanted, n,
	    (const char *)text.p);
}

static int read_name(struct reading *r, const struct field *f, struct slice text)
{
	*(struct slice *)(void *)((char *)&r->s->job + f->offset) = text;
	return checks_name(f->name, text, r->err);
}

static int read_queue(struct reading *r, const struct field *f UNUSED, struct slice text)
{
	r->s->job.queue = text;
	return checks_queue(text, r->err);
}

static int read_retries(struct reading *r, const struct field *f, struct slice text)
{
	if (checks_number(text, RETRIES_MAX, &r->s->job.retries) < 0)
		return bad(r, f, text, "a whole number from 0 to 1000");
	return 0;
}

static int read_priority(struct reading *r, const struct field *f, struct slice text)
{
	int64_t value;

	if (checks_number(text, PRIORITY_MAX, &value) < 0)
		return bad(r, f, text, "a whole number from 0 to 255");
	r->s->job.priority = (uint8_t)value;
	r->s->job.has_priority = true;
	return 0;
}

static int read_timeout(struct reading *r, const struct field *f, struct slice text)
{
	if (clock_parse_duration(text, &r->s->job.timeout_ms) < 0)
		return bad(r, f, text, "a duration such as 90s or 1h, at most 10 years");
	return 0;
}

static int set_due(struct reading *r, int64_t due_wall_ms, int64_t delay_ms)
{
	if (r->delayed)
		return err_set(r->err, -EINVAL, "give 'delay' or 'at', not both");
	r->delayed = true;
	if (due_wall_ms > r->x->now_wall_ms) {
		r->s->due_wall_ms = due_wall_ms;
		r->s->delay_ms = delay_ms;
	}
	return 0;
}

static int read_delay(struct reading *r, const struct field *f, struct slice text)
{
	int64_t delay_ms;

	if (clock_parse_duration(text, &delay_ms) < 0)
		return bad(r, f, text, "a duration such as 90s or 1h, at most 10 years");
	return set_due(r, r->x->now_wall_ms + delay_ms, delay_ms);
}

static int read_at(struct reading *r, const struct field *f, struct slice text)
{
	int64_t due_wall_ms;

	if (clock_parse(text, &due_wall_ms) < 0)
		return bad(r, f, text, "a time such as 2026-11-23T19:12:03Z");
	return set_due(r, due_wall_ms, JOB_NOT_GIVEN);
}

static int read_expires(struct reading *r, const struct field *f, struct slice text)
{
	int64_t *expires = &r->s->job.expires_wall_ms, in_ms;

	if (clock_parse_duration(text, &in_ms) == 0)
		*expires = r->x->now_wall_ms + in_ms;
	else if (clock_parse(text, expires) < 0)
		return bad(
		    r, f, text, "a time such as 2026-11-23T19:12:03Z or a duration such as 1h");
	if (*expires <= r->x->now_wall_ms)
		return err_set(r->err, -EINVAL, "'expires' is over already");
	return 0;
}

static const struct field fields[] = {
    {"type", read_name, offsetof(struct job, type)},
    {"queue", read_queue, 0},
    {"id", read_name, offsetof(struct job, id)},
    {"retries", read_retries, 0},
    {"timeout", read_timeout, 0},
    {"delay", read_delay, 0},
    {"at", read_at, 0},
    {"expires", read_expires, 0},
    {"priority", read_priority, 0},
    {"correlation_id", read_name, offsetof(struct job, correlation_id)},
    {"reply_to", read_name, offsetof(struct job, reply_to)},
    {"content_type", read_name, offsetof(struct job, content_type)},
};

static int read_field(struct reading *r, struct slice name, struct slice text)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (!slice_is(name, fields[i].name))
			continue;
		if (r->seen & 1u << i)
			return err_set(r->err, -EINVAL, "'%s' is given twice", fields[i].name);
		r->seen |= 1u << i;
		return fields[i].read(r, &fields[i], text);
	}
	if (name.n > SHOWN_MAX)
		name.n = SHOWN_MAX;
	return err_set(r->err, -EINVAL,
	    "unknown member '" SLICE_FMT
	    "': there are type queue id body body_base64 retries timeout delay at expires "
	    "priority content_type correlation_id reply_to",
	    SLICE_ARG(name));
}

/* True for the fields whose text is kept. */
static bool is_name(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (strcmp(key, fields[i].name) == 0)
			return fields[i].read == read_name || fields[i].read == read_queue;
	}
	return false;
}

/* --- what is not said ------------------------------------------------------------------------- */

static bool consumed_here(const struct conf *conf, struct slice queue)
{
	for (size_t i = 0; i < conf->npools; i++) {
		for (size_t j = 0; j < conf->pools[i].queues.n; j++) {
			if (slice_is(queue, conf->pools[i].queues.v[j]))
				return true;
		}
	}
	return false;
}

/* The queue whose default handler the type is; else "default"; else the first of the first pool:
 * the order of the sections [queue] says nothing of who consumes them. */
static const struct conf_queue *default_queue(const struct conf *conf, struct slice type)
{
	const struct conf_queue *named = conf_queue(conf, slice_str("default"));

	for (size_t i = 0; type.n && i < conf->nqueues; i++) {
		if (slice_is(type, conf->queues[i].handler))
			return &conf->queues[i];
	}
	if (named || conf->npools == 0)
		return named;
	return conf_queue(conf, slice_str(conf->pools[0].queues.v[0]));
}

static int no_handler(struct reading *r)
{
	const struct job *job = &r->s->job;
	char known[200] = "";
	size_t n = 0;

	for (size_t i = 0; i < r->x->conf->nhandlers && n < sizeof known; i++)
		n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "",
		    r->x->conf->handlers[i].section);
	return err_set(r->err, -ENOENT,
	    "no handler for type '%.*s' on this node, which consumes queue '%.*s': there are %s",
	    (int)(job->type.n < SHOWN_MAX ? job->type.n : SHOWN_MAX), (const char *)job->type.p,
	    (int)(job->queue.n < SHOWN_MAX ? job->queue.n : SHOWN_MAX), (const char *)job->queue.p,
	    known[0] ? known : "none");
}

static int fill_queue_and_type(struct reading *r)
{
	const struct conf *conf = r->x->conf;
	struct job *job = &r->s->job;
	const struct conf_queue *q =
	    job->queue.n ? conf_queue(conf, job->queue) : default_queue(conf, job->type);

	if (!job->queue.n && !q)
		return err_set(
		    r->err, -EINVAL, "'queue' is missing: without a pool there is no default");
	if (!job->queue.n)
		job->queue = slice_str(q->section);
	if (!job->type.n && (!q || !q->handler || !q->handler[0]))
		return err_set(r->err, -EINVAL,
		    "'type' is missing: queue '%.*s' has no handler of its own",
		    (int)(job->queue.n < SHOWN_MAX ? job->queue.n : SHOWN_MAX),
		    (const char *)job->queue.p);
	if (!job->type.n)
		job->type = slice_str(q->handler);
	if (consumed_here(conf, job->queue) && !conf_handler(conf, job->type))
		return no_handler(r);
	return 0;
}

static int finish(struct reading *r)
{
	struct submit *s = r->s;
	struct job *job = &s->job;

	if (fill_queue_and_type(r) < 0)
		return r->err->code;
	if (!job->id.n)
		job->id = slice_str(id_format(s->minted, id_new()));
	if (job->expires_wall_ms != JOB_NOT_GIVEN && job->expires_wall_ms <= s->due_wall_ms)
		return err_set(r->err, -EINVAL, "the job would expire before it is due");
	if (job->body.n > r->x->max_body)
		return err_set(r->err, -EFBIG,
		    "a body has at most %zu bytes here (max_body of the pools)", r->x->max_body);
	if (!job->body.p)
		job->body = slice_of("", 0);
	job->timestamp_s = r->x->now_wall_ms / 1000;
	if (envelope_pack(job, &s->envelope) < 0)
		return err_set(r->err, -EFBIG, "the description is too long");
	return 0;
}

static struct submit *submit_new(struct reading *r, const struct submit_context *x, struct err *err)
{
	struct submit *s = xcalloc(1, sizeof *s);

	s->job = job_blank();
	s->due_wall_ms = s->delay_ms = JOB_NOT_GIVEN;
	buf_init(&s->envelope, ENVELOPE_MAX_BYTES);
	buf_init(&s->printed, x->max_body);
	*r = (struct reading){.x = x, .s = s, .err = err};
	return s;
}

void submit_free(struct submit *s)
{
	if (!s)
		return;
	json_free(s->tree);
	free(s->decoded);
	buf_free(&s->printed);
	buf_free(&s->envelope);
	free(s);
}

static struct submit *submit_done(struct reading *r, int rc)
{
	if (rc == 0)
		rc = finish(r);
	if (rc == 0)
		return r->s;
	submit_free(r->s);
	return NULL;
}

/* --- the two forms ---------------------------------------------------------------------------- */

/* `body`: text as it is, any other value as compact JSON. */
static int read_body(struct reading *r, const struct json *value)
{
	struct submit *s = r->s;
	const char *text = json_str(value);

	if (s->job.body.p)
		return err_set(r->err, -EINVAL, "give one 'body' or 'body_base64'");
	if (text) {
		s->job.body = slice_str(text);
		return 0;
	}
	if (json_print(value, false, &s->printed) < 0)
		return err_set(r->err, -EFBIG,
		    "a body has at most %zu bytes here (max_body of the pools)", r->x->max_body);
	s->job.body = buf_slice(&s->printed);
	if (!s->job.content_type.n)
		s->job.content_type = slice_str("application/json");
	return 0;
}

static int read_base64(struct reading *r, const struct json *value)
{
	struct submit *s = r->s;
	const char *text = json_str(value);
	size_t n = 0;

	if (s->job.body.p)
		return err_set(r->err, -EINVAL, "give one 'body' or 'body_base64'");
	s->decoded = text ? base64_decode(slice_str(text), &n) : NULL;
	if (!s->decoded)
		return err_set(
		    r->err, -EINVAL, "'body_base64' must be base64 with padding (RFC 4648)");
	s->job.body = slice_of(s->decoded, n);
	return 0;
}

/* A number as the text that a query would have. Only fields that are read to the end take it: it
 * does not outlive this. */
static int read_number(struct reading *r, const char *key, double value)
{
	char text[NUMBER_TEXT_BYTES];

	if (is_name(key) || !(fabs(value) < NUMBER_LIMIT))
		return err_set(r->err, -EINVAL, "'%.60s' must be %s", key,
		    is_name(key) ? "a text" : "a number of a reasonable size");
	snprintf(text, sizeof text, value == floor(value) ? "%.0f" : "%.3f", value);
	return read_field(r, slice_str(key), slice_str(text));
}

static int read_member(struct reading *r, const struct json *member)
{
	const char *key = json_key(member), *text = json_str(member);
	double value;

	if (strcmp(key, "body") == 0)
		return read_body(r, member);
	if (json_is_null(member))
		return 0;
	if (strcmp(key, "body_base64") == 0)
		return read_base64(r, member);
	if (text)
		return read_field(r, slice_str(key), slice_str(text));
	if (json_num(member, &value))
		return read_number(r, key, value);
	return err_set(r->err, -EINVAL, "'%.60s' must be a text or a number", key);
}

struct submit *submit_from_json(const struct submit_context *x, struct slice text, struct err *err)
{
	struct reading r;
	struct submit *s = submit_new(&r, x, err);
	int rc = 0;

	if (!json_utf8_valid(text))
		rc = err_set(err, -EINVAL, "the JSON text is not valid UTF-8");
	else if (!(s->tree = json_parse(text, err)))
		rc = -EINVAL;
	else if (!json_is_object(s->tree))
		rc = err_set(err, -EINVAL,
		    "a job is described by a JSON object: {\"type\": ..., \"body\": ...}");
	for (const struct json *m = rc ? NULL : json_first(s->tree); m && rc == 0; m = json_next(m))
		rc = read_member(&r, m);
	return submit_done(&r, rc);
}

struct submit *submit_from_query(const struct submit_context *x, const struct target *t,
    struct slice body, struct slice content_type, struct slice content_encoding, struct err *err)
{
	struct reading r;
	struct submit *s = submit_new(&r, x, err);
	int rc = 0;

	s->job.body = body;
	s->job.content_type = content_type;
	s->job.content_encoding = content_encoding;
	if (content_type.n)
		rc = checks_name("content-type", content_type, err);
	if (rc == 0 && content_encoding.n)
		rc = checks_name("content-encoding", content_encoding, err);
	for (size_t i = 0; i < t->nparams && rc == 0; i++)
		rc = read_field(&r, t->params[i].name, t->params[i].value);
	return submit_done(&r, rc);
}

unsigned submit_status(const struct err *err)
{
	return err->code == -EFBIG ? 413 : err->code == -ENOENT ? 422 : 400;
}
