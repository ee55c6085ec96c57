/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>

#include "lib/job/envelope.h"

#define NOW INT64_C(1763925123412)
#define S(text) slice_str(text)

static struct header header(const char *name, enum header_kind kind)
{
	return (struct header){.name = S(name), .kind = kind};
}

static struct header text(const char *name, const char *value)
{
	struct header h = header(name, HEADER_STRING);

	h.text = S(value);
	return h;
}

static struct header integer(const char *name, int64_t value)
{
	struct header h = header(name, HEADER_INT);

	h.integer = value;
	return h;
}

static struct header real(const char *name, double value)
{
	struct header h = header(name, HEADER_DOUBLE);

	h.real = value;
	return h;
}

static struct header stamp(const char *name, int64_t seconds)
{
	struct header h = header(name, HEADER_TIME);

	h.integer = seconds;
	return h;
}

static int read_one(struct job *job, struct header h, struct err *err)
{
	struct message m = {.timestamp_s = -1, .priority = -1, .nheaders = 1};

	m.headers[0] = h;
	m.message_id = S("id-1");
	m.type = S("t");
	m.body = S("body");
	return envelope_read(job, &m, S("q"), NOW, err);
}

static void test_headers_of_every_kind(void **state)
{
	const struct {
		struct header h;
		size_t field;
		int64_t is;
	} cases[] = {
	    {integer("job-retries", 3), offsetof(struct job, retries), 3},
	    {integer("job-retries", -1), offsetof(struct job, retries), 0},
	    {integer("job-retries", INT64_MAX), offsetof(struct job, retries), 1000},
	    {real("job-retries", 4.0), offsetof(struct job, retries), 4},
	    {text("job-retries", "12"), offsetof(struct job, retries), 12},
	    {integer("job-timeout", 90), offsetof(struct job, timeout_ms), 90000},
	    {real("job-timeout", 0.25), offsetof(struct job, timeout_ms), 250},
	    {text("job-timeout", "250ms"), offsetof(struct job, timeout_ms), 250},
	    {text("job-timeout", "7d"), offsetof(struct job, timeout_ms), 604800000},
	    {text("job-timeout", "1.5"), offsetof(struct job, timeout_ms), 1500},
	    {integer("job-delay", 10), offsetof(struct job, at_wall_ms), NOW + 10000},
	    {text("job-delay", "1h"), offsetof(struct job, at_wall_ms), NOW + 3600000},
	    {stamp("job-at", 1800000000), offsetof(struct job, at_wall_ms), 1800000000000},
	    {integer("job-at", 1800000000), offsetof(struct job, at_wall_ms), 1800000000000},
	    {real("job-at", 1800000000.5), offsetof(struct job, at_wall_ms), 1800000000500},
	    {text("job-at", "2027-01-15T08:00:00Z"), offsetof(struct job, at_wall_ms),
		1800000000000},
	    {text("job-at", "2027-01-15 09:00:00.250+01:00"), offsetof(struct job, at_wall_ms),
		1800000000250},
	    {text("job-at", "1800000000"), offsetof(struct job, at_wall_ms), 1800000000000},
	    {text("job-expires", "30s"), offsetof(struct job, expires_wall_ms), NOW + 30000},
	    {integer("job-expires", 60), offsetof(struct job, expires_wall_ms), NOW + 60000},
	    {integer("job-expires", 1800000000), offsetof(struct job, expires_wall_ms),
		1800000000000},
	    {stamp("job-expires", 1800000000), offsetof(struct job, expires_wall_ms),
		1800000000000},
	    {text("job-expires", "2027-01-15T08:00:00Z"), offsetof(struct job, expires_wall_ms),
		1800000000000},
	    {integer("skep-parcel", 77), offsetof(struct job, parcel), 77},
	    {text("skep-parcel", "77"), offsetof(struct job, parcel), 0},
	    {integer("skep-parcel", -1), offsetof(struct job, parcel), 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = {0};
		struct job job;
		int64_t value;

		if (read_one(&job, cases[i].h, &err) < 0)
			fail_msg("case %zu: %s", i, err.text);
		memcpy(&value, (const char *)&job + cases[i].field, sizeof value);
		if (value != cases[i].is)
			fail_msg("case %zu: %lld", i, (long long)value);
	}
}

static void test_unreadable_headers_are_named(void **state)
{
	static const char *const names[] = {
	    "job-retries", "job-timeout", "job-at", "job-delay", "job-expires"};
	const struct header bad[] = {
	    text("", "soon"),
	    text("", ""),
	    text("", "-5s"),
	    text("", "nan"),
	    text("", "inf"),
	    text("", "0x10"),
	    text("", "5 minutes"),
	    real("", NAN),
	    real("", INFINITY),
	    header("", HEADER_OTHER),
	    header("", HEADER_BOOL),
	    text("", "1e999"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(bad); j++) {
			struct header h = bad[j];
			struct err err = {0};
			struct job job;

			h.name = S(names[i]);
			if (read_one(&job, h, &err) != -EINVAL)
				fail_msg("%s of case %zu was read", names[i], j);
			assert_non_null(strstr(err.text, names[i]));
			assert_true(slice_is(job.id, "id-1") && slice_is(job.type, "t") &&
				    slice_is(job.queue, "q") && slice_is(job.body, "body"));
		}
	}
}

static void test_out_of_range_is_an_error(void **state)
{
	const struct header bad[] = {
	    integer("job-timeout", -1),
	    integer("job-delay", INT64_MAX),
	    real("job-delay", 1e300),
	    integer("job-at", -1),
	    integer("job-at", INT64_C(1800000000000)),
	    stamp("job-at", INT64_MAX),
	    text("job-timeout", "9999999d"),
	    real("job-retries", 2.5),
	    integer("job-key", 1),
	    header("job-home", HEADER_OTHER),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = {0};
		struct job job;

		if (read_one(&job, bad[i], &err) != -EINVAL)
			fail_msg("case %zu was read", i);
	}
}

static void test_foreign_headers_do_no_harm(void **state)
{
	const struct header odd[] = {
	    header("x-death", HEADER_OTHER),
	    integer("traceparent", 4),
	    header("skep-node", HEADER_OTHER),
	    text("x-delivery-count", "many"),
	    integer("x-delivery-count", -7),
	    text("job-unheard-of", "?"),
	    header("", HEADER_OTHER),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		struct job job;

		assert_int_equal(read_one(&job, odd[i], NULL), 0);
		assert_int_equal(job.deliveries, 0);
		assert_int_equal(job.traceparent.n, 0);
	}
}

/* Since when a job is ready is known of a first delivery, from the parcel that it came from or else from the broker. */
static void test_since_when_a_job_is_ready(void **state)
{
	const struct header parcel = integer("skep-parcel", 5), ready = integer("skep-ready", NOW - 10),
			    stamped = integer("timestamp_in_ms", NOW - 20),
			    none = integer("other", 1);
	const struct {
		struct header headers[3];
		bool redelivered;
		int64_t is;
	} cases[] = {
	    {{none, none, none}, false, JOB_NOT_GIVEN},
	    {{parcel, ready, stamped}, false, NOW - 10},
	    {{stamped, ready, parcel}, false, NOW - 10},
	    {{parcel, stamped, none}, false, JOB_NOT_GIVEN}, /* of the publish that made the parcel */
	    {{parcel, ready, none}, true, JOB_NOT_GIVEN},
	    {{stamped, ready, none}, false, NOW - 20}, /* skep-ready is ours alone */
	    {{stamped, none, none}, true, JOB_NOT_GIVEN},
	    {{stamped, integer("x-delivery-count", 1), none}, false, JOB_NOT_GIVEN},
	    {{stamped, integer("job-at", NOW / 1000 - 3600), none}, false, NOW - 20},
	    {{stamped, integer("job-delay", 1), none}, false, NOW + 1000},
	    {{text("timestamp_in_ms", "17"), none, none}, false, JOB_NOT_GIVEN},
	    {{integer("timestamp_in_ms", -1), none, none}, false, JOB_NOT_GIVEN},
	    {{parcel, integer("skep-ready", 0), none}, false, JOB_NOT_GIVEN},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct message m = {.timestamp_s = 1, .priority = -1, .nheaders = 3,
		    .redelivered = cases[i].redelivered};
		struct job job;

		memcpy(m.headers, cases[i].headers, sizeof cases[i].headers);
		assert_int_equal(envelope_read(&job, &m, S("q"), NOW, NULL), 0);
		if (job.ready_wall_ms != cases[i].is)
			fail_msg("case %zu: %lld", i, (long long)job.ready_wall_ms);
	}
}

static void test_a_copy_from_a_parcel_has_served_its_delay(void **state)
{
	struct message m = {.timestamp_s = -1, .priority = 9, .nheaders = 4, .redelivered = true};
	struct job job;

	(void)state;
	m.headers[0] = integer("job-delay", 10);
	m.headers[1] = integer("skep-parcel", 5);
	m.headers[2] = text("skep-node", "n1");
	m.headers[3] = integer("x-delivery-count", 6);
	assert_int_equal(envelope_read(&job, &m, S("q"), NOW, NULL), 0);
	assert_int_equal(job.at_wall_ms, JOB_NOT_GIVEN);
	assert_int_equal(job.parcel, 5);
	assert_true(slice_is(job.node, "n1"));
	assert_int_equal(job.deliveries, 6);
	assert_true(job.redelivered && job.has_priority);
	assert_int_equal(job.priority, 9);
	assert_int_equal(job.id.n, 0);
	m.headers[2] = integer("skep-at", NOW + 10);
	assert_int_equal(envelope_read(&job, &m, S("q"), NOW, NULL), 0);
	assert_int_equal(job.at_wall_ms, NOW + 10);
	m.headers[1] = integer("other", 5); /* skep-at is ours alone */
	m.headers[0] = m.headers[3];
	assert_int_equal(envelope_read(&job, &m, S("q"), NOW, NULL), 0);
	assert_int_equal(job.at_wall_ms, JOB_NOT_GIVEN);
}

static void test_a_nul_in_a_property_is_an_error(void **state)
{
	struct message m = {.timestamp_s = -1, .priority = -1};
	struct err err;
	struct job job;

	(void)state;
	m.message_id = slice_of("a\0b", 3);
	assert_int_equal(envelope_read(&job, &m, S("q"), NOW, &err), -EINVAL);
	assert_non_null(strstr(err.text, "message_id"));
	m.message_id = S("a");
	m.type = slice_of("\0", 1);
	assert_int_equal(envelope_read(&job, &m, S("q"), NOW, &err), -EINVAL);
	assert_non_null(strstr(err.text, "type"));
}

static struct job full(void)
{
	return (struct job){.queue = S("q"),
	    .id = S("id"),
	    .type = S("t"),
	    .correlation_id = S("c"),
	    .reply_to = S("r"),
	    .content_type = S("text/plain"),
	    .content_encoding = S("gzip"),
	    .app_id = S("app"),
	    .user_id = S("guest"),
	    .timestamp_s = 5,
	    .priority = 200,
	    .has_priority = true,
	    .retries = 0,
	    .timeout_ms = 1500,
	    .at_wall_ms = NOW,
	    .expires_wall_ms = NOW + 1,
	    .key = S("k"),
	    .home = S("h"),
	    .traceparent = S("00-1-2-01"),
	    .headers = slice_of("\0\0\0\0", 4),
	    .body = S("B")};
}

static void same_envelope(const struct job *a, const struct job *b)
{
	assert_true(slice_eq(a->id, b->id) && slice_eq(a->type, b->type));
	assert_true(
	    slice_eq(a->correlation_id, b->correlation_id) && slice_eq(a->reply_to, b->reply_to));
	assert_true(slice_eq(a->content_type, b->content_type));
	assert_true(slice_eq(a->content_encoding, b->content_encoding));
	assert_true(slice_eq(a->app_id, b->app_id) && slice_eq(a->headers, b->headers));
	assert_true(slice_eq(a->key, b->key) && slice_eq(a->home, b->home));
	assert_true(slice_eq(a->traceparent, b->traceparent));
	assert_int_equal(a->timestamp_s, b->timestamp_s);
	assert_int_equal(a->has_priority, b->has_priority);
	assert_int_equal(a->priority, b->priority);
	assert_int_equal(a->retries, b->retries);
	assert_int_equal(a->timeout_ms, b->timeout_ms);
	assert_int_equal(a->at_wall_ms, b->at_wall_ms);
	assert_int_equal(a->expires_wall_ms, b->expires_wall_ms);
}

static void test_packing_and_back(void **state)
{
	struct job jobs[] = {full(), job_blank()};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		struct job back;
		struct buf out;

		buf_init(&out, 65536);
		assert_int_equal(envelope_pack(&jobs[i], &out), 0);
		assert_int_equal(envelope_unpack(&back, buf_slice(&out), &err), 0);
		same_envelope(&jobs[i], &back);
		assert_true(slice_eq(jobs[i].user_id, back.user_id));
		assert_int_equal(back.queue.n + back.body.n, 0);
		buf_free(&out);
	}
}

static void test_a_pack_that_does_not_fit_leaves_nothing(void **state)
{
	struct job job = full();
	struct buf out;

	(void)state;
	buf_init(&out, 40);
	assert_int_equal(buf_adds(&out, "before"), 0);
	assert_int_equal(envelope_pack(&job, &out), -ENOBUFS);
	assert_int_equal(buf_size(&out), 6);
	buf_free(&out);
}

/* Every cut and every changed byte is read or refused, never followed out of bounds (the copies are
 * exact in size, so that the sanitizer sees one byte too many). */
static void test_hostile_packs(void **state)
{
	struct job job = full(), back;
	struct buf out;
	struct slice good;
	struct err err;

	(void)state;
	buf_init(&out, 65536);
	assert_int_equal(envelope_pack(&job, &out), 0);
	good = buf_slice(&out);
	for (size_t n = 0; n < good.n; n++) {
		uint8_t *cut = xmalloc(n);

		if (n)
			memcpy(cut, good.p, n);
		if (envelope_unpack(&back, slice_of(cut, n), &err) == 0 && n < 3)
			fail_msg("%zu bytes were an envelope", n);
		free(cut);
	}
	for (size_t i = 0; i < good.n; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			uint8_t *changed = xmalloc(good.n);

			memcpy(changed, good.p, good.n);
			changed[i] ^= (uint8_t)(1u << bit);
			envelope_unpack(&back, slice_of(changed, good.n), &err);
			free(changed);
		}
	}
	assert_int_equal(envelope_unpack(&back, S("SE\002"), &err), -EPROTO);
	assert_int_equal(envelope_unpack(&back, slice_of("SE\001\x7f\0\0\0\0", 8), &err), -EPROTO);
	assert_int_equal(
	    envelope_unpack(&back, slice_of("SE\001\001\xff\xff\xff\xff", 8), &err), -EPROTO);
	assert_int_equal(envelope_unpack(&back, slice_of("SE\001\101\1\0\0\0x", 9), &err), -EPROTO);
	assert_int_equal(envelope_unpack(&back, slice_of(NULL, 0), &err), -EPROTO);
	buf_free(&out);
}

static void test_what_is_written_reads_the_same(void **state)
{
	struct job job = full(), back;
	struct message m;

	(void)state;
	envelope_write(&m, &job);
	assert_int_equal(m.user_id.n, 0); /* the broker would check it against our login */
	assert_int_equal(envelope_read(&back, &m, job.queue, NOW - 999, NULL), 0);
	same_envelope(&job, &back);
	job.parcel = UINT64_C(1) << 40;
	job.node = S("n1");
	job.ready_wall_ms = NOW - 7;
	job.at_wall_ms = JOB_NOT_GIVEN;
	envelope_write(&m, &job);
	assert_int_equal(envelope_read(&back, &m, job.queue, NOW, NULL), 0);
	assert_int_equal(back.ready_wall_ms, NOW - 7);
	assert_true(back.parcel == job.parcel && slice_is(back.node, "n1"));
	same_envelope(&job, &back);
	job.at_wall_ms = NOW + 5001; /* sent ahead of its time, to the millisecond */
	envelope_write(&m, &job);
	assert_int_equal(envelope_read(&back, &m, job.queue, NOW, NULL), 0);
	assert_int_equal(back.at_wall_ms, NOW + 5001);
	job = job_blank();
	envelope_write(&m, &job);
	assert_int_equal(m.nheaders, 0);
	assert_int_equal(m.priority, -1);
}

static void test_which_headers_are_ours(void **state)
{
	static const char *const ours[] = {"job-at", "job-", "skep-parcel", "x-death",
	    "x-first-death-queue", "x-last-death-reason", "x-delivery-count", "x-acquired-count",
	    "CC", "BCC", "traceparent"};
	static const char *const theirs[] = {
	    "", "job", "Job-at", "x-custom", "cc", "tracestate", "x-delivery"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		assert_true(envelope_header_is_ours(S(ours[i])));
	for (size_t i = 0; i < ARRAY_SIZE(theirs); i++)
		assert_false(envelope_header_is_ours(S(theirs[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_headers_of_every_kind),
	    cmocka_unit_test(test_unreadable_headers_are_named),
	    cmocka_unit_test(test_out_of_range_is_an_error),
	    cmocka_unit_test(test_foreign_headers_do_no_harm),
	    cmocka_unit_test(test_a_copy_from_a_parcel_has_served_its_delay),
	    cmocka_unit_test(test_since_when_a_job_is_ready),
	    cmocka_unit_test(test_a_nul_in_a_property_is_an_error),
	    cmocka_unit_test(test_packing_and_back),
	    cmocka_unit_test(test_a_pack_that_does_not_fit_leaves_nothing),
	    cmocka_unit_test(test_hostile_packs),
	    cmocka_unit_test(test_what_is_written_reads_the_same),
	    cmocka_unit_test(test_which_headers_are_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
