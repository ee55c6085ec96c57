/* SPDX-License-Identifier: MIT */
/* What is encoded for one side decodes on the other as it was meant, whatever the pieces it arrives in. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/amqp/content.h"
#include "lib/amqp/props.h"
#include "lib/amqp/wire.h"

static struct wire out, in;

static int teardown(void **state)
{
	(void)state;
	wire_close(&out);
	wire_close(&in);
	return 0;
}

/* Moves up to `most` bytes from one to the other. */
static void carry(size_t most)
{
	struct slice room = wire_room(&in), bytes = buf_slice(&out.out);
	size_t n = bytes.n < room.n ? bytes.n : room.n;

	n = n < most ? n : most;
	memcpy((void *)(uintptr_t)room.p, bytes.p, n);
	buf_consume(&out.out, n);
	wire_filled(&in, n);
}

/* The next frame, its bytes carried over in pieces of `piece`. */
static void next_frame(amqp_frame_t *f, size_t piece)
{
	struct err err = {0};
	int rc;

	while ((rc = wire_next(&in, f, &err)) == 0) {
		assert_true(buf_size(&out.out) > 0);
		carry(piece);
	}
	if (rc < 0)
		fail_msg("%s", err.text);
}

static int setup(void **state)
{
	amqp_channel_open_t open = {0};
	amqp_frame_t f;

	(void)state;
	wire_init(&out, 1u << 20);
	wire_init(&in, 1u << 20);
	wire_open(&out);
	buf_clear(&out.out);
	wire_open(&in);
	/* As in life: frames are small until the connection is tuned. */
	wire_method(&out, 1, AMQP_CHANNEL_OPEN_METHOD, &open);
	wire_heartbeat(&out);
	next_frame(&f, 1);
	assert_int_equal(f.payload.method.id, AMQP_CHANNEL_OPEN_METHOD);
	wire_release(&in, &f);
	next_frame(&f, 1);
	assert_int_equal(f.frame_type, AMQP_FRAME_HEARTBEAT);
	wire_tune(&in, 10, WIRE_FRAME_MAX);
	return 0;
}

static struct header *add_header(struct message *m, const char *name, enum header_kind kind)
{
	struct header *h = &m->headers[m->nheaders++];

	*h = (struct header){.name = slice_str(name), .kind = kind};
	return h;
}

static struct message sample(void)
{
	struct message m = {
	    .exchange = slice_str("skep.in"),
	    .routing_key = slice_str("mail"),
	    .type = slice_str("send"),
	    .message_id = slice_str("id-1"),
	    .reply_to = slice_str(""),
	    .content_type = slice_str("text/plain"),
	    .content_encoding = slice_str("gzip"),
	    .user_id = slice_str("somebody"),
	    .timestamp_s = 1234567890,
	    .priority = 7,
	};

	add_header(&m, "job-retries", HEADER_INT)->integer = -3;
	add_header(&m, "job-key", HEADER_STRING)->text = slice_str("k\xc3\xa9y");
	add_header(&m, "job-at", HEADER_TIME)->integer = 77;
	add_header(&m, "skep-ratio", HEADER_DOUBLE)->real = 0.5;
	add_header(&m, "skep-flag", HEADER_BOOL)->integer = 1;
	return m;
}

/* Publishes `m` and puts it together on the other side as if it had been returned. */
static int pass(const struct message *m, uint64_t key, size_t piece, struct content *c)
{
	amqp_basic_publish_t publish = {.exchange = wire_bytes(m->exchange),
	    .routing_key = wire_bytes(m->routing_key), .mandatory = 1};
	amqp_basic_return_t back = {.reply_code = 312, .reply_text = wire_str("NO_ROUTE"),
	    .exchange = publish.exchange, .routing_key = publish.routing_key};
	amqp_method_t method = {AMQP_BASIC_RETURN_METHOD, &back};
	amqp_basic_properties_t props;
	amqp_pool_t pool;
	struct err err = {0};
	amqp_frame_t f;
	int rc;

	init_amqp_pool(&pool, 4096);
	rc = props_write(&props, m, PROPS_PARCEL_HEADER, key, &pool, &err);
	if (rc == 0)
		rc = wire_publish(&out, 5, &publish, &props, m->body);
	empty_amqp_pool(&pool);
	if (rc < 0)
		return rc;
	next_frame(&f, piece);
	assert_int_equal(f.payload.method.id, AMQP_BASIC_PUBLISH_METHOD);
	assert_int_equal(f.channel, 5);
	wire_release(&in, &f);
	assert_int_equal(content_method(c, &method, &err), 0);
	do {
		next_frame(&f, piece);
		rc = content_frame(c, &f, &err);
		assert_true(rc >= 0);
		/* The last frame is kept: the body may be borrowed from it. */
		if (rc == 0)
			wire_release(&in, &f);
	} while (rc == 0);
	return 0;
}

static const struct header *find(const struct message *m, const char *name)
{
	for (size_t i = 0; i < m->nheaders; i++) {
		if (slice_is(m->headers[i].name, name))
			return &m->headers[i];
	}
	return NULL;
}

static void expect_sample(const struct content *c)
{
	const struct message *m = &c->m;

	assert_string_equal(c->reason, "312 NO_ROUTE");
	assert_true(slice_is(m->exchange, "skep.in"));
	assert_true(slice_is(m->routing_key, "mail"));
	assert_true(slice_is(m->type, "send"));
	assert_true(slice_is(m->message_id, "id-1"));
	assert_true(m->reply_to.p != NULL && m->reply_to.n == 0);
	assert_null(m->correlation_id.p);
	assert_null(m->app_id.p);
	assert_null(m->user_id.p);
	assert_true(slice_is(m->content_type, "text/plain"));
	assert_true(slice_is(m->content_encoding, "gzip"));
	assert_int_equal(m->timestamp_s, 1234567890);
	assert_int_equal(m->priority, 7);
	assert_int_equal(m->nheaders, 6);
	assert_int_equal(find(m, "job-retries")->integer, -3);
	assert_true(slice_is(find(m, "job-key")->text, "k\xc3\xa9y"));
	assert_int_equal(find(m, "job-at")->kind, HEADER_TIME);
	assert_int_equal(find(m, "job-at")->integer, 77);
	assert_true(find(m, "skep-ratio")->real == 0.5);
	assert_int_equal(find(m, "skep-flag")->kind, HEADER_BOOL);
	assert_int_equal(find(m, "skep-flag")->integer, 1);
	assert_int_equal(props_key(m, PROPS_PARCEL_HEADER), 99);
}

/* 0, 1, then up to three frames. */
static size_t next_size(size_t n)
{
	return n == 0 ? 1 : n < 100000 ? n * 40 : n * 2;
}

static void messages_survive_the_trip(void **state)
{
	static const size_t pieces[] = {1, 2, 7, 100, 4096, 65536};
	static uint8_t body[300000];

	(void)state;
	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (uint8_t)(i * 31 >> 3);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct message m = sample();
		struct content c;

		content_init(&c, sizeof body);
		for (size_t n = 0; n <= sizeof body; n = next_size(n)) {
			m.body = slice_of(body, n);
			assert_int_equal(pass(&m, 99, pieces[i], &c), 0);
			expect_sample(&c);
			assert_true(slice_eq(c.m.body, m.body));
			assert_false(c.oversize);
		}
		content_free(&c);
	}
}

static void bodies_above_the_bound_are_dropped(void **state)
{
	static uint8_t body[200000];
	struct message m = sample();
	struct content c;

	(void)state;
	content_init(&c, 1000);
	m.body = slice_of(body, sizeof body);
	assert_int_equal(pass(&m, 99, 65536, &c), 0);
	expect_sample(&c);
	assert_true(c.oversize);
	assert_int_equal(c.body_bytes, sizeof body);
	assert_int_equal(c.m.body.n, 0);
	assert_null(c.body.data);
	m.body = slice_of(body, 1000);
	assert_int_equal(pass(&m, 99, 65536, &c), 0);
	assert_false(c.oversize);
	assert_int_equal(c.m.body.n, 1000);
	content_free(&c);
}

/* A foreign table: ours are dropped, the others pass as they came, of whatever kind. */
static void foreign_headers_pass(void **state)
{
	/* clang-format off */
	static uint8_t raw[] = {
	    0, 0, 0, 0,
	    1, 'a', 'S', 0, 0, 0, 2, 'x', 'y',
	    7, 'x', '-', 'd', 'e', 'a', 't', 'h', 'A', 0, 0, 0, 2, 't', 1,
	    2, 't', 'b', 'F', 0, 0, 0, 9, 3, 'i', 'n', 'n', 'I', 0, 0, 0, 5,
	    7, 'j', 'o', 'b', '-', 'k', 'e', 'y', 'S', 0, 0, 0, 1, 'z',
	    1, 'v', 'V',
	    1, 'd', 'D', 2, 0, 0, 0, 9,
	    1, 'u', 'B', 200,
	    11, 's', 'k', 'e', 'p', '-', 'p', 'a', 'r', 'c', 'e', 'l', 'b', 5,
	    2, 'C', 'C', 't', 1,
	    1, 'f', 'f', 0x3f, 0, 0, 0,
	    0, 'V',
	};
	/* clang-format on */
	struct message m = sample();
	struct content c;

	(void)state;
	raw[3] = sizeof raw - 4;
	m.raw_headers = slice_of(raw, sizeof raw);
	content_init(&c, 10);
	assert_int_equal(pass(&m, 99, 65536, &c), 0);
	assert_true(slice_is(find(&c.m, "a")->text, "xy"));
	assert_null(find(&c.m, "x-death"));
	assert_null(find(&c.m, "CC"));
	assert_int_equal(find(&c.m, "tb")->kind, HEADER_OTHER);
	assert_int_equal(find(&c.m, "v")->kind, HEADER_OTHER);
	assert_int_equal(find(&c.m, "d")->kind, HEADER_OTHER);
	assert_int_equal(find(&c.m, "u")->integer, 200);
	assert_true(find(&c.m, "f")->real == 0.5);
	assert_non_null(find(&c.m, ""));
	assert_true(slice_is(find(&c.m, "job-key")->text, "k\xc3\xa9y"));
	assert_int_equal(props_key(&c.m, PROPS_PARCEL_HEADER), 99);
	assert_int_equal(c.m.nheaders, 7 + 6);
	/* And what came is itself a table that can be passed on. */
	m = (struct message){.timestamp_s = -1, .priority = -1, .raw_headers = c.m.raw_headers};
	uint8_t copy[512];
	memcpy(copy, m.raw_headers.p, m.raw_headers.n);
	m.raw_headers.p = copy;
	assert_int_equal(pass(&m, 1, 65536, &c), 0);
	assert_int_equal(c.m.nheaders, 7 + 1);
	assert_int_equal(c.m.priority, -1);
	assert_int_equal(c.m.timestamp_s, -1);
	content_free(&c);
}

static void what_does_not_fit_is_refused_whole(void **state)
{
	static uint8_t big[140000];
	char name[300];
	struct message m = sample();
	struct content c;

	(void)state;
	content_init(&c, 10);
	add_header(&m, "job-big", HEADER_STRING)->text = slice_of(big, sizeof big);
	assert_int_equal(pass(&m, 1, 65536, &c), -E2BIG);
	assert_int_equal(buf_size(&out.out), 0);
	m = sample();
	memset(name, 'n', sizeof name);
	m.message_id = slice_of(name, 256);
	assert_int_equal(pass(&m, 1, 65536, &c), -E2BIG);
	m = sample();
	m.routing_key = slice_of(name, 256);
	assert_int_equal(pass(&m, 1, 65536, &c), -E2BIG);
	m = sample();
	add_header(&m, "job-x", HEADER_OTHER);
	assert_int_equal(pass(&m, 1, 65536, &c), -EINVAL);
	m = sample();
	m.raw_headers = slice_of("\0\0\0\x09zzz", 7);
	assert_int_equal(pass(&m, 1, 65536, &c), -EINVAL);
	m = sample();
	m.body = slice_of(big, sizeof big);
	out.out.max = 100000;
	assert_int_equal(pass(&m, 1, 65536, &c), -ENOBUFS);
	assert_int_equal(buf_size(&out.out), 0);
	content_free(&c);
}

static void bad_bytes_are_errors(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} bad[] = {
	    {"HTTP/1.1 400 Bad Request\r\n\r\n", 28},
	    {"AMQP\0\0\x09\x01", 8},
	    {"\x04\0\0\0\0\0\0\xce", 8},
	    {"\x01\0\0\0\0\0\x04\0\x0a\0\x99\xce", 12},
	    {"\x01\0\0\0\0\0\0\xce", 8},
	    {"\x08\0\0\0\0\0\0\xcd", 8},
	    {"\x03\0\x01\x7f\xff\xff\xffzzzz", 11},
	    {"\x02\0\x01\0\0\0\x0e\0\x3c\0\0\0\0\0\0\0\0\0\x01\x20\0\xce", 22},
	};
	amqp_frame_t f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = {0};
		int rc = 0;

		teardown(NULL);
		setup(NULL);
		buf_add(&out.out, bad[i].bytes, bad[i].n);
		while (rc == 0 && buf_size(&out.out) > 0) {
			carry(1);
			rc = wire_next(&in, &f, &err);
		}
		if (rc != -EPROTO)
			fail_msg("case %zu: %d", i, rc);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(messages_survive_the_trip, setup, teardown),
	    cmocka_unit_test_setup_teardown(bodies_above_the_bound_are_dropped, setup, teardown),
	    cmocka_unit_test_setup_teardown(foreign_headers_pass, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused_whole, setup, teardown),
	    cmocka_unit_test_setup_teardown(bad_bytes_are_errors, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
