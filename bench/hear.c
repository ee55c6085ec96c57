/* SPDX-License-Identifier: MIT */
/*
 * hear URL QUEUE COUNT FILE
 *
 * A bare consumer that notes how old each message is when it gets it: its body begins with the time of its
 * publish (fill with a RATE). COUNT ages in nanoseconds go to FILE, one a line, in order of arrival. Each message
 * is acknowledged when nothing more is there to read, as raw does.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/session.h"
#include "lib/base/banned.h"

#define NS_DIGITS 20
#define PREFETCH 100

static int64_t age(amqp_bytes_t body)
{
	char stamp[NS_DIGITS + 1] = {0};

	if (body.len < NS_DIGITS)
		session_die("a body of %zu bytes has no time in it", body.len);
	memcpy(stamp, body.bytes, NS_DIGITS);
	return session_now_ns() - session_number(stamp);
}

static void hear(amqp_connection_state_t conn, int64_t *ages, int64_t count)
{
	for (int64_t i = 0; i < count; i++) {
		amqp_envelope_t envelope;
		amqp_rpc_reply_t r = amqp_consume_message(conn, &envelope, NULL, 0);

		if (r.reply_type != AMQP_RESPONSE_NORMAL)
			session_die("consume: %s", amqp_error_string2(r.library_error));
		ages[i] = age(envelope.message.body);
		if (i == count - 1 || (!amqp_frames_enqueued(conn) && !amqp_data_in_buffer(conn)))
			amqp_basic_ack(conn, SESSION_CHANNEL, envelope.delivery_tag, 1);
		amqp_destroy_envelope(&envelope);
		amqp_maybe_release_buffers(conn);
	}
}

static void write_ages(const char *path, const int64_t *ages, int64_t count)
{
	FILE *file = fopen(path, "we");

	if (!file)
		session_die("cannot write '%s': %s", path, strerror(errno));
	for (int64_t i = 0; i < count; i++)
		fprintf(file, "%" PRId64 "\n", ages[i]);
	if (fclose(file) != 0)
		session_die("cannot write '%s': %s", path, strerror(errno));
}

int main(int argc, char **argv)
{
	amqp_connection_state_t conn;
	int64_t count, *ages;

	if (argc != 5)
		session_die("usage: hear URL QUEUE COUNT FILE");
	count = session_number(argv[3]);
	ages = calloc((size_t)count, sizeof *ages);
	if (!ages)
		session_die("out of memory");
	conn = session_open(argv[1]);
	amqp_basic_qos(conn, SESSION_CHANNEL, 0, PREFETCH, 0);
	session_check(conn, "basic.qos");
	amqp_basic_consume(conn, SESSION_CHANNEL, amqp_cstring_bytes(argv[2]), amqp_empty_bytes, 0, 0,
	    0, amqp_empty_table);
	session_check(conn, "basic.consume");
	hear(conn, ages, count);
	write_ages(argv[4], ages, count);
	amqp_connection_close(conn, AMQP_REPLY_SUCCESS);
	amqp_destroy_connection(conn);
	free(ages);
	return 0;
}
