/* SPDX-License-Identifier: MIT */
/* The message form: properties, and headers that any client may write, so read tolerantly. */
#include "lib/job/envelope.h"

#include <errno.h>
#include <math.h>

#include "lib/base/clock.h"

#define RETRIES_MOST 1000
#define LONGEST_S (3653.0 * 24 * 3600) /* ten years: the longest duration, see clock.h */
#define LATEST_S 253402300799.0	       /* 9999-12-31T23:59:59Z */

struct job job_blank(void)
{
	return (struct job){.timestamp_s = JOB_NOT_GIVEN,
	    .retries = JOB_NOT_GIVEN,
	    .timeout_ms = JOB_NOT_GIVEN,
	    .at_wall_ms = JOB_NOT_GIVEN,
	    .expires_wall_ms = JOB_NOT_GIVEN,
	    .ready_wall_ms = JOB_NOT_GIVEN};
}

/* --- headers in ---------------------------------------------------------------------------------
 */

static bool has_nul(struct slice s)
{
	return s.n && memchr(s.p, '\0', s.n);
}

/* Text that is a number and nothing else. */
static bool text_number(struct slice text, double *ret)
{
	char copy[40], *end;

	if (text.n == 0 || text.n >= sizeof copy || has_nul(text))
		return false;
	slice_copy(copy, sizeof copy, text);
	if (copy[strspn(copy, "0123456789.+-eE")])
		return false;
	*ret = strtod(copy, &end);
	return !*end && isfinite(*ret);
}

/* A number of any AMQP type, or numeric text. */
static bool header_number(const struct header *h, double *ret)
{
	switch (h->kind) {
	case HEADER_INT:
		*ret = (double)h->integer;
		return true;
	case HEADER_DOUBLE:
		*ret = h->real;
		return isfinite(h->real);
	case HEADER_STRING:
		return text_number(h->text, ret);
	case HEADER_BOOL:
	case HEADER_TIME:
	case HEADER_OTHER:
		break;
	}
	return false;
}

static bool seconds_to_ms(double seconds, double most, int64_t *ret_ms)
{
	if (!(seconds >= 0 && seconds <= most))
		return false;
	*ret_ms = (int64_t)(seconds * 1000 + 0.5);
	return true;
}

static bool header_duration(const struct header *h, int64_t *ret_ms)
{
	double seconds;

	if (header_number(h, &seconds))
		return seconds_to_ms(seconds, LONGEST_S, ret_ms);
	return h->kind == HEADER_STRING && clock_parse_duration(h->text, ret_ms) == 0;
}

static bool header_time(const struct header *h, int64_t *ret_wall_ms)
{
	double seconds;

	if (h->kind == HEADER_TIME)
		return seconds_to_ms((double)h->integer, LATEST_S, ret_wall_ms);
	if (header_number(h, &seconds))
		return seconds_to_ms(seconds, LATEST_S, ret_wall_ms);
	return h->kind == HEADER_STRING && clock_parse(h->text, ret_wall_ms) == 0;
}

struct reading {
	struct job *job;
	int64_t now_wall_ms;
	int64_t ready_wall_ms, stamped_wall_ms, due_wall_ms; /* 0: not given */
};

typedef bool header_fn(struct reading *r, const struct header *h);

static bool read_retries(struct reading *r, const struct header *h)
{
	double n;

	if (!header_number(h, &n) || n != floor(n))
		return false;
	r->job->retries = n < 0 ? 0 : n > RETRIES_MOST ? RETRIES_MOST : (int64_t)n;
	return true;
}

static bool read_timeout(struct reading *r, const struct header *h)
{
	return header_duration(h, &r->job->timeout_ms);
}

/* With job-delay and job-at both, the later one counts. */
static void not_before(struct job *job, int64_t wall_ms)
{
	if (wall_ms > job->at_wall_ms)
		job->at_wall_ms = wall_ms;
}

static bool read_at(struct reading *r, const struct header *h)
{
	int64_t wall_ms;

	if (!header_time(h, &wall_ms))
		return false;
	not_before(r->job, wall_ms);
	return true;
}

static bool read_delay(struct reading *r, const struct header *h)
{
	int64_t ms;

	if (!header_duration(h, &ms))
		return false;
	not_before(r->job, r->now_wall_ms + ms);
	return true;
}

/* A number is a duration up to ten years, and a time (of 1980 and later) above. */
static bool read_expires(struct reading *r, const struct header *h)
{
	int64_t ms;

	if (header_duration(h, &ms)) {
		r->job->expires_wall_ms = r->now_wall_ms + ms;
		return true;
	}
	return header_time(h, &r->job->expires_wall_ms);
}

static bool read_text(const struct header *h, struct slice *ret)
{
	if (h->kind != HEADER_STRING || has_nul(h->text))
		return false;
	*ret = h->text;
	return true;
}

static bool read_key(struct reading *r, const struct header *h)
{
	return read_text(h, &r->job->key);
}

static bool read_home(struct reading *r, const struct header *h)
{
	return read_text(h, &r->job->home);
}

/* What is not ours to define is passed over when it is not what it should be. */
static bool read_traceparent(struct reading *r, const struct header *h)
{
	read_text(h, &r->job->traceparent);
	return true;
}

static bool read_node(struct reading *r, const struct header *h)
{
	read_text(h, &r->job->node);
	return true;
}

static bool read_parcel(struct reading *r, const struct header *h)
{
	if (h->kind == HEADER_INT && h->integer > 0)
		r->job->parcel = (uint64_t)h->integer;
	return true;
}

static bool read_deliveries(struct reading *r, const struct header *h)
{
	if (h->kind == HEADER_INT && h->integer > 0)
		r->job->deliveries = h->integer < UINT32_MAX ? (uint32_t)h->integer : UINT32_MAX;
	return true;
}

static bool read_ready(struct reading *r, const struct header *h)
{
	if (h->kind == HEADER_INT && h->integer > 0)
		r->ready_wall_ms = h->integer;
	return true;
}

static bool read_due(struct reading *r, const struct header *h)
{
	if (h->kind == HEADER_INT && h->integer > 0)
		r->due_wall_ms = h->integer;
	return true;
}

static bool read_stamped(struct reading *r, const struct header *h)
{
	if (h->kind == HEADER_INT && h->integer > 0)
		r->stamped_wall_ms = h->integer;
	return true;
}

static const struct {
	const char *name, *wants;
	header_fn *read;
} readers[] = {
    {"job-retries", "a whole number", read_retries},
    {"job-timeout", "a duration: seconds, or text such as 10s, 5m, 1h", read_timeout},
    {"job-at", "a time: seconds since 1970, a timestamp, or ISO-8601 text", read_at},
    {"job-delay", "a duration: seconds, or text such as 10s, 5m, 1h", read_delay},
    {"job-expires", "a time or a duration", read_expires},
    {"job-key", "text", read_key},
    {"job-home", "text", read_home},
    {"traceparent", "text", read_traceparent},
    {"skep-parcel", "a number", read_parcel},
    {"skep-node", "text", read_node},
    {"skep-ready", "a number", read_ready},
    {"skep-at", "a number", read_due},
    {"timestamp_in_ms", "a number", read_stamped},
    {"x-delivery-count", "a number", read_deliveries},
};

static int read_header(struct reading *r, const struct header *h, struct err *err)
{
	struct slice shown = slice_of(h->text.p, h->text.n < 60 ? h->text.n : 60);

	for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
		if (!slice_is(h->name, readers[i].name))
			continue;
		if (readers[i].read(r, h))
			return 0;
		if (h->kind == HEADER_STRING)
			return err_set(err, -EINVAL, "header %s: '" SLICE_FMT "' is not %s",
			    readers[i].name, SLICE_ARG(shown), readers[i].wants);
		return err_set(
		    err, -EINVAL, "header %s is not %s", readers[i].name, readers[i].wants);
	}
	return 0;
}

static int check_texts(const struct job *job, struct err *err)
{
	const struct {
		const char *name;
		struct slice text;
	} texts[] = {{"message_id", job->id}, {"type", job->type},
	    {"correlation_id", job->correlation_id}, {"reply_to", job->reply_to},
	    {"content_type", job->content_type}, {"content_encoding", job->content_encoding},
	    {"app_id", job->app_id}, {"user_id", job->user_id}};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (has_nul(texts[i].text))
			return err_set(
			    err, -EINVAL, "property %s has a NUL byte in it", texts[i].name);
	}
	return 0;
}

/* Of what comes out of a parcel the store knew; of others the broker may have said when they came. What is delivered
 * again has run, or has waited in a worker: neither tells since when it waits now. */
static void find_ready(const struct reading *r)
{
	struct job *job = r->job;
	int64_t ready = job->parcel ? r->ready_wall_ms : r->stamped_wall_ms;

	if (ready && !job->redelivered && !job->deliveries)
		job->ready_wall_ms = ready > job->at_wall_ms ? ready : job->at_wall_ms;
}

int envelope_read(struct job *ret, const struct message *m, struct slice queue, int64_t now_wall_ms,
    struct err *err)
{
	struct reading r = {.job = ret, .now_wall_ms = now_wall_ms};
	int rc;

	*ret = job_blank();
	ret->queue = queue;
	ret->id = m->message_id;
	ret->type = m->type;
	ret->correlation_id = m->correlation_id;
	ret->reply_to = m->reply_to;
	ret->content_type = m->content_type;
	ret->content_encoding = m->content_encoding;
	ret->app_id = m->app_id;
	ret->user_id = m->user_id;
	ret->timestamp_s = m->timestamp_s;
	ret->has_priority = m->priority >= 0;
	ret->priority = ret->has_priority ? (uint8_t)m->priority : 0;
	ret->redelivered = m->redelivered;
	ret->headers = m->raw_headers;
	ret->body = m->body;
	rc = check_texts(ret, err);
	for (size_t i = 0; i < m->nheaders && rc == 0; i++)
		rc = read_header(&r, &m->headers[i], err);
	if (ret->parcel)
		ret->at_wall_ms = r.due_wall_ms ? r.due_wall_ms : JOB_NOT_GIVEN;
	find_ready(&r);
	return rc;
}

/* --- headers out --------------------------------------------------------------------------------
 */

static struct header *add(struct message *m, const char *name, enum header_kind kind)
{
	struct header *h;

	if (m->nheaders == MESSAGE_HEADERS_MAX)
		BUG("no room for header %s", name);
	h = &m->headers[m->nheaders++];
	*h = (struct header){.name = slice_str(name), .kind = kind};
	return h;
}

static void add_int(struct message *m, const char *name, int64_t value)
{
	add(m, name, HEADER_INT)->integer = value;
}

static void add_text(struct message *m, const char *name, struct slice text)
{
	if (text.n)
		add(m, name, HEADER_STRING)->text = text;
}

/* Milliseconds as seconds, which is what any client may write: an integer where that is exact. */
static void add_seconds(struct message *m, const char *name, int64_t ms)
{
	if (ms < 0)
		return;
	if (ms % 1000 == 0)
		add_int(m, name, ms / 1000);
	else
		add(m, name, HEADER_DOUBLE)->real = (double)ms / 1000;
}

void envelope_write(struct message *ret, const struct job *job)
{
	*ret = (struct message){.type = job->type,
	    .message_id = job->id,
	    .correlation_id = job->correlation_id,
	    .reply_to = job->reply_to,
	    .content_type = job->content_type,
	    .content_encoding = job->content_encoding,
	    .app_id = job->app_id,
	    .timestamp_s = job->timestamp_s,
	    .priority = job->has_priority ? job->priority : -1,
	    .raw_headers = job->headers,
	    .body = job->body};
	if (job->retries >= 0)
		add_int(ret, "job-retries", job->retries);
	add_seconds(ret, "job-timeout", job->timeout_ms);
	add_seconds(ret, "job-expires", job->expires_wall_ms);
	if (!job->parcel)
		add_seconds(ret, "job-at", job->at_wall_ms);
	add_text(ret, "job-key", job->key);
	add_text(ret, "job-home", job->home);
	add_text(ret, "traceparent", job->traceparent);
	if (job->parcel)
		add_int(ret, "skep-parcel", (int64_t)job->parcel);
	if (job->parcel && job->ready_wall_ms > 0)
		add_int(ret, "skep-ready", job->ready_wall_ms);
	if (job->parcel && job->at_wall_ms > 0)
		add_int(ret, "skep-at", job->at_wall_ms);
	add_text(ret, "skep-node", job->node);
}

bool envelope_header_is_ours(struct slice name)
{
	static const char *const prefixes[] = {
	    "job-", "skep-", "x-death", "x-first-death-", "x-last-death-"};
	static const char *const names[] = {
	    "x-delivery-count", "x-acquired-count", "CC", "BCC", "traceparent"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t n = strlen(prefixes[i]);

		if (name.n >= n && memcmp(name.p, prefixes[i], n) == 0)
			return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (slice_is(name, names[i]))
			return true;
	}
	return false;
}
