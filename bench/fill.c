/* SPDX-License-Identifier: MIT */
/*
 * fill URL QUEUE COUNT BYTES TYPE random|none [RATE]
 *
 * Publishes COUNT messages to a queue as any other application would: persistent, with a type, with a random UUID
 * as message_id or none, confirmed by the broker; it ends when all are. The body is JSON text. With a RATE, so many a
 * second on a steady beat, and the body begins with the nanoseconds of CLOCK_MONOTONIC at its publish, in
 * NS_DIGITS digits: whoever gets the job knows how long it took.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "bench/session.h"
#include "lib/base/banned.h"

#define NS_DIGITS 20
#define WINDOW 2000 /* messages without a confirm, at most */
#define BODY_MAX (16 << 20)

struct filling {
	amqp_connection_state_t conn;
	const char *queue, *type;
	char *body;
	size_t body_bytes;
	uint64_t sent, confirmed;
	bool named;
	char id[40];
};

/* A body that has something to escape in it, as a job's often has. */
static void make_body(struct filling *f, int64_t bytes)
{
	static const char text[] = "{\"path\": \"/srv/pictures/2026/a-b-c.jpg\", \"size\": [640, 480]}  ";

	if (bytes > BODY_MAX)
		session_die("a body of %" PRId64 " bytes is too large", bytes);
	f->body_bytes = (size_t)bytes;
	f->body = malloc(f->body_bytes + NS_DIGITS + 1);
	if (!f->body)
		session_die("out of memory");
	for (size_t i = 0; i < f->body_bytes; i++)
		f->body[i] = text[i % (sizeof text - 1)];
}

/* Version 4. */
static void make_id(struct filling *f)
{
	uint8_t r[16];

	if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r)
		session_die("getrandom: %s", strerror(errno));
	snprintf(f->id, sizeof f->id,
	    "%02x%02x%02x%02x-%02x%02x-4%x%02x-%x%x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2],
	    r[3], r[4], r[5], r[6] & 15, r[7], 8 | (r[8] & 3), r[8] >> 4, r[9], r[10], r[11], r[12], r[13],
	    r[14], r[15]);
}

static void publish(struct filling *f)
{
	amqp_basic_properties_t p = {0};
	amqp_bytes_t body = {f->body_bytes, f->body};
	int err;

	p._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_TYPE_FLAG;
	p.delivery_mode = AMQP_DELIVERY_PERSISTENT;
	p.type = amqp_cstring_bytes(f->type);
	if (f->named) {
		make_id(f);
		p._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
		p.message_id = amqp_cstring_bytes(f->id);
	}
	err = amqp_basic_publish(f->conn, SESSION_CHANNEL, amqp_empty_bytes,
	    amqp_cstring_bytes(f->queue), 1, 0, &p, body);
	if (err)
		session_die("publish: %s", amqp_error_string2(err));
	f->sent++;
}

/* Reads confirms until at most `open` are missing; without waiting if that is already so. They are counted, so
 * a `multiple` has to be the lowest ones: RabbitMQ confirms each tag once, and `multiple` up to a tag. */
static void confirms(struct filling *f, uint64_t open)
{
	static unsigned char seen[64 << 20 >> 3]; /* by tag, a bit each */
	static uint64_t low = 1;                  /* all tags below are confirmed */
	struct timeval now = {0};

	for (;;) {
		bool wait = f->sent - f->confirmed > open;
		amqp_frame_t frame;
		int r = amqp_simple_wait_frame_noblock(f->conn, &frame, wait ? NULL : &now);
		const amqp_basic_ack_t *ack = frame.payload.method.decoded;

		if (r == AMQP_STATUS_TIMEOUT)
			return;
		if (r != AMQP_STATUS_OK)
			session_die("confirm: %s", amqp_error_string2(r));
		if (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
			session_die("the broker said 0x%08x", frame.payload.method.id);
		if (ack->delivery_tag >= sizeof seen * 8)
			session_die("too many messages");
		for (uint64_t t = ack->multiple ? low : ack->delivery_tag; t <= ack->delivery_tag; t++) {
			f->confirmed += !(seen[t / 8] & 1 << t % 8);
			seen[t / 8] |= (unsigned char)(1 << t % 8);
		}
		if (ack->multiple)
			low = ack->delivery_tag + 1;
		amqp_maybe_release_buffers(f->conn);
	}
}

static void fill(struct filling *f, int64_t count)
{
	for (int64_t i = 0; i < count; i++) {
		publish(f);
		if (i % 100 == 99)
			confirms(f, WINDOW);
	}
}

static void pace(struct filling *f, int64_t count, int64_t rate)
{
	int64_t began = session_now_ns();
	char stamp[NS_DIGITS + 1];

	for (int64_t i = 0; i < count; i++) {
		int64_t due = began + i * 1000000000LL / rate;
		struct timespec at = {due / 1000000000LL, due % 1000000000LL};

		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
			;
		snprintf(stamp, sizeof stamp, "%0*" PRId64, NS_DIGITS, session_now_ns());
		memcpy(f->body, stamp, NS_DIGITS);
		publish(f);
		confirms(f, WINDOW);
	}
}

int main(int argc, char **argv)
{
	struct filling f = {0};
	int64_t count;

	if (argc < 7 || (strcmp(argv[6], "random") != 0 && strcmp(argv[6], "none") != 0))
		session_die("usage: fill URL QUEUE COUNT BYTES TYPE random|none [RATE]");
	f.queue = argv[2];
	count = session_number(argv[3]);
	f.type = argv[5];
	f.named = strcmp(argv[6], "random") == 0;
	make_body(&f, session_number(argv[4]));
	f.conn = session_open(argv[1]);
	amqp_confirm_select(f.conn, SESSION_CHANNEL);
	session_check(f.conn, "confirm.select");
	if (argc > 7 && f.body_bytes < NS_DIGITS)
		session_die("a body with a time has %d bytes or more", NS_DIGITS);
	if (argc > 7)
		pace(&f, count, session_number(argv[7]));
	else
		fill(&f, count);
	confirms(&f, 0);
	amqp_connection_close(f.conn, AMQP_REPLY_SUCCESS);
	amqp_destroy_connection(f.conn);
	free(f.body);
	return 0;
}
