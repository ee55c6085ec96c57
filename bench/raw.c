/* SPDX-License-Identifier: MIT */
/*
 * raw URL QUEUE PREFETCH COUNT
 *
 * The limit that skep is measured against: as little as a consumer in C can do. It takes COUNT deliveries frame
 * by frame, copies nothing, does nothing with them, and acknowledges all that one read of the socket brought by one
 * `multiple`, as skep folds its acks; then it says "done" and waits for the end of its standard input, so that
 * whoever measures can read its CPU time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/session.h"
#include "lib/base/banned.h"

static void frame_of(amqp_connection_state_t conn, amqp_frame_t *frame, uint8_t type)
{
	int err = amqp_simple_wait_frame(conn, frame);

	if (err)
		session_die("read: %s", amqp_error_string2(err));
	if (frame->frame_type != type)
		session_die("a frame of type %u, not %u", frame->frame_type, type);
}

/* The delivery tag of the next message, which is read to its end. */
static uint64_t take(amqp_connection_state_t conn)
{
	amqp_frame_t frame;
	uint64_t tag, left;

	frame_of(conn, &frame, AMQP_FRAME_METHOD);
	if (frame.payload.method.id != AMQP_BASIC_DELIVER_METHOD)
		session_die("the broker said 0x%08x", frame.payload.method.id);
	tag = ((amqp_basic_deliver_t *)frame.payload.method.decoded)->delivery_tag;
	frame_of(conn, &frame, AMQP_FRAME_HEADER);
	for (left = frame.payload.properties.body_size; left > 0;
	     left -= frame.payload.body_fragment.len)
		frame_of(conn, &frame, AMQP_FRAME_BODY);
	return tag;
}

static void consume(amqp_connection_state_t conn, int64_t count)
{
	for (int64_t i = 1; i <= count; i++) {
		uint64_t tag = take(conn);
		int err;

		if (i < count && (amqp_frames_enqueued(conn) || amqp_data_in_buffer(conn)))
			continue;
		err = amqp_basic_ack(conn, SESSION_CHANNEL, tag, 1);
		if (err)
			session_die("ack: %s", amqp_error_string2(err));
		amqp_maybe_release_buffers(conn);
	}
}

int main(int argc, char **argv)
{
	amqp_connection_state_t conn;
	char end;

	if (argc != 5)
		session_die("usage: raw URL QUEUE PREFETCH COUNT");
	conn = session_open(argv[1]);
	amqp_basic_qos(conn, SESSION_CHANNEL, 0, (uint16_t)session_number(argv[3]), 0);
	session_check(conn, "basic.qos");
	amqp_basic_consume(conn, SESSION_CHANNEL, amqp_cstring_bytes(argv[2]), amqp_empty_bytes, 0, 0,
	    0, amqp_empty_table);
	session_check(conn, "basic.consume");
	consume(conn, session_number(argv[4]));
	printf("done %" PRId64 "\n", session_now_ns());
	fflush(stdout);
	while (read(STDIN_FILENO, &end, 1) > 0)
		;
	amqp_connection_close(conn, AMQP_REPLY_SUCCESS);
	amqp_destroy_connection(conn);
	return 0;
}
