/* SPDX-License-Identifier: MIT */
/*
 * The packed form is "SE", a version, then every field that is given as
 *
 *     u8 tag   u32 length   bytes        (little-endian; numbers have 8 bytes)
 *
 * Tags are never used again, and rows of the database outlive a release: an old envelope stays
 * readable, and one of a newer release is refused rather than half understood.
 */
#include "lib/job/envelope.h"

#include <endian.h>
#include <errno.h>
#include <math.h>

#include "lib/base/clock.h"

#define PACK_MAGIC "SE\001"
#define PACK_MAGIC_BYTES 3
#define PACK_FIELD_BYTES 5 /* tag and length */

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

/* --- the packed form ----------------------------------------------------------------------------
 */

static const struct {
	uint8_t tag; /* append only */
	size_t at;
} texts[] = {
    {1, offsetof(struct job, id)},
    {2, offsetof(struct job, type)},
    {3, offsetof(struct job, correlation_id)},
    {4, offsetof(struct job, reply_to)},
    {5, offsetof(struct job, content_type)},
    {6, offsetof(struct job, content_encoding)},
    {7, offsetof(struct job, app_id)},
    {8, offsetof(struct job, user_id)},
    {9, offsetof(struct job, key)},
    {10, offsetof(struct job, home)},
    {11, offsetof(struct job, traceparent)},
    {12, offsetof(struct job, headers)},
};

#define TAG_NUMBERS 64 /* from here on fields are numbers */
#define TAG_PRIORITY 64

static const struct {
	uint8_t tag;
	size_t at;
} numbers[] = {
    {65, offsetof(struct job, timestamp_s)},
    {66, offsetof(struct job, retries)},
    {67, offsetof(struct job, timeout_ms)},
    {68, offsetof(struct job, at_wall_ms)},
    {69, offsetof(struct job, expires_wall_ms)},
};

static int pack_field(struct buf *out, uint8_t tag, const void *p, size_t n)
{
	uint8_t head[PACK_FIELD_BYTES] = {tag};
	uint32_t length = htole32((uint32_t)n);
	int rc;

	memcpy(head + 1, &length, sizeof length);
	rc = buf_add(out, head, sizeof head);
	return rc == 0 ? buf_add(out, p, n) : rc;
}

static int pack_number(struct buf *out, uint8_t tag, int64_t value)
{
	uint64_t bytes = htole64((uint64_t)value);

	return pack_field(out, tag, &bytes, sizeof bytes);
}

int envelope_pack(const struct job *job, struct buf *out)
{
	size_t start = buf_size(out);
	int rc = buf_add(out, PACK_MAGIC, PACK_MAGIC_BYTES);

	for (size_t i = 0; i < ARRAY_SIZE(texts) && rc == 0; i++) {
		struct slice text;

		memcpy(&text, (const char *)job + texts[i].at, sizeof text);
		if (text.p)
			rc = pack_field(out, texts[i].tag, text.p, text.n);
	}
	for (size_t i = 0; i < ARRAY_SIZE(numbers) && rc == 0; i++) {
		int64_t value;

		memcpy(&value, (const char *)job + numbers[i].at, sizeof value);
		if (value != JOB_NOT_GIVEN)
			rc = pack_number(out, numbers[i].tag, value);
	}
	if (rc == 0 && job->has_priority)
		rc = pack_number(out, TAG_PRIORITY, job->priority);
	if (rc < 0)
		buf_truncate(out, start);
	return rc;
}

static bool unpack_text(struct job *job, uint8_t tag, struct slice value)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (texts[i].tag == tag) {
			memcpy((char *)job + texts[i].at, &value, sizeof value);
			return true;
		}
	}
	return false;
}

static bool unpack_number(struct job *job, uint8_t tag, struct slice bytes)
{
	uint64_t raw;
	int64_t value;

	if (bytes.n != sizeof raw)
		return false;
	memcpy(&raw, bytes.p, sizeof raw);
	value = (int64_t)le64toh(raw);
	if (tag == TAG_PRIORITY) {
		job->priority = (uint8_t)value;
		job->has_priority = true;
		return value >= 0 && value <= UINT8_MAX;
	}
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (numbers[i].tag == tag) {
			memcpy((char *)job + numbers[i].at, &value, sizeof value);
			return true;
		}
	}
	return false;
}

int envelope_unpack(struct job *ret, struct slice packed, struct err *err)
{
	struct job job = job_blank();
	const uint8_t *p, *end;

	if (packed.n < PACK_MAGIC_BYTES || memcmp(packed.p, PACK_MAGIC, PACK_MAGIC_BYTES) != 0)
		return err_set(
		    err, -EPROTO, "this is no packed envelope, or one of a newer version");
	p = packed.p + PACK_MAGIC_BYTES;
	end = packed.p + packed.n;
	while (p < end) {
		uint32_t length;
		struct slice value;

		if (end - p < PACK_FIELD_BYTES)
			return err_set(err, -EPROTO, "a packed envelope is cut off");
		memcpy(&length, p + 1, sizeof length);
		value = slice_of(p + PACK_FIELD_BYTES, le32toh(length));
		if ((size_t)(end - value.p) < value.n)
			return err_set(err, -EPROTO, "a packed envelope is cut off");
		if (*p < TAG_NUMBERS ? !unpack_text(&job, *p, value)
				     : !unpack_number(&job, *p, value))
			return err_set(
			    err, -EPROTO, "field %u of a packed envelope is unknown", *p);
		p = value.p + value.n;
	}
	*ret = job;
	return 0;
}
