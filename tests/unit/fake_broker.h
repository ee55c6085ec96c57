/* SPDX-License-Identifier: MIT */
/*
 * A broker in the test's own process and loop: a listening socket on 127.0.0.1 that plays the server's side of
 * AMQP by a script. It answers what every broker must answer, unless the test's `hook` takes the method first, and
 * notes every method it got, one word each, in `log`.
 */
#ifndef SKEP_TESTS_FAKE_BROKER_H
#define SKEP_TESTS_FAKE_BROKER_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "lib/amqp/wire.h"
#include "lib/base/loop.h"

struct broker {
	struct loop *loop;
	int listener, fd;
	uint16_t port;
	struct loop_io accept_io, io;
	struct loop_hook turn;
	struct wire wire;
	bool greeted;	   /* the protocol header was read */
	unsigned sessions; /* connections accepted so far */
	struct buf log;
	size_t piece; /* bytes written per turn; 0: all */
	bool mute;    /* answers nothing */
	uint16_t heartbeat_s;
	/* True if it has dealt with the method itself. */
	bool (*hook)(struct broker *b, uint16_t channel, const amqp_method_t *m);
	/* A published message's header, which says how large it is. NULL: not looked at. */
	void (*header)(struct broker *b, uint16_t channel, uint64_t body_bytes);
};

static inline void broker_note(struct broker *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

static inline void broker_note(struct broker *b, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_addf(&b->log, "%s ", text);
}

/* What was noted since the last call. */
static inline const char *broker_log(struct broker *b)
{
	static char text[4096];

	slice_copy(text, sizeof text, buf_slice(&b->log));
	buf_clear(&b->log);
	return text;
}

static inline void broker_send(struct broker *b, uint16_t channel, amqp_method_number_t id, void *decoded)
{
	wire_method(&b->wire, channel, id, decoded);
}

static inline void broker_raw(struct broker *b, const void *bytes, size_t n)
{
	buf_add(&b->wire.out, bytes, n);
}

static inline void broker_frame(struct broker *b, uint8_t type, uint16_t channel, const void *payload, size_t n)
{
	const uint8_t head[7] = {type, (uint8_t)(channel >> 8), (uint8_t)channel, (uint8_t)(n >> 24),
	    (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

	broker_raw(b, head, sizeof head);
	broker_raw(b, payload, n);
	broker_raw(b, "\xce", 1);
}

/* A content header without properties but `headers` (NULL: none). */
static inline void broker_header(struct broker *b, uint16_t channel, uint64_t body_bytes,
    const amqp_table_t *headers)
{
	uint8_t p[1024] = {0, AMQP_BASIC_CLASS};
	amqp_basic_properties_t props = {0};
	amqp_bytes_t rest = {sizeof p - 12, p + 12};
	int n;

	for (unsigned i = 0; i < 8; i++)
		p[4 + i] = (uint8_t)(body_bytes >> (56 - 8 * i));
	if (headers) {
		props._flags = AMQP_BASIC_HEADERS_FLAG;
		props.headers = *headers;
	}
	n = amqp_encode_properties(AMQP_BASIC_CLASS, &props, rest);
	if (n < 0)
		BUG("cannot encode properties");
	broker_frame(b, AMQP_FRAME_HEADER, channel, p, 12 + (size_t)n);
}

static inline void broker_body(struct broker *b, uint16_t channel, const void *bytes, size_t n)
{
	broker_frame(b, AMQP_FRAME_BODY, channel, bytes, n);
}

static inline void broker_deliver_method(struct broker *b, uint16_t channel, uint64_t tag)
{
	amqp_basic_deliver_t d = {.consumer_tag = wire_str("any"), .delivery_tag = tag,
	    .routing_key = wire_str("mail")};

	broker_send(b, channel, AMQP_BASIC_DELIVER_METHOD, &d);
}

/* A whole message in body frames of at most `frame` bytes. */
static inline void broker_deliver(struct broker *b, uint16_t channel, uint64_t tag, const char *body,
    size_t n, size_t frame)
{
	broker_deliver_method(b, channel, tag);
	broker_header(b, channel, n, NULL);
	for (size_t at = 0; at < n; at += frame)
		broker_body(b, channel, body + at, n - at < frame ? n - at : frame);
}

static inline void broker_close_channel(struct broker *b, uint16_t channel, uint16_t code, const char *text)
{
	amqp_channel_close_t close = {.reply_code = code, .reply_text = wire_str(text)};

	broker_send(b, channel, AMQP_CHANNEL_CLOSE_METHOD, &close);
}

static inline void broker_drop(struct broker *b)
{
	if (b->fd < 0)
		return;
	loop_io_stop(&b->io);
	close(take_fd(&b->fd));
	wire_close(&b->wire);
}

/* --- answers -------------------------------------------------------------------------------------- */

static inline void broker_answer(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	amqp_connection_tune_t tune = {.channel_max = 100, .frame_max = 131072,
	    .heartbeat = b->heartbeat_s};
	amqp_queue_declare_ok_t declared = {.message_count = 3, .consumer_count = 1};
	amqp_basic_consume_ok_t consumed = {.consumer_tag = wire_str("any")};
	amqp_basic_cancel_ok_t cancelled = {.consumer_tag = wire_str("any")};
	uint64_t empty[8] = {0}; /* of methods that say nothing but their name */
	static const amqp_method_number_t plain[][2] = {
	    {AMQP_CONNECTION_OPEN_METHOD, AMQP_CONNECTION_OPEN_OK_METHOD},
	    {AMQP_CONNECTION_CLOSE_METHOD, AMQP_CONNECTION_CLOSE_OK_METHOD},
	    {AMQP_CHANNEL_OPEN_METHOD, AMQP_CHANNEL_OPEN_OK_METHOD},
	    {AMQP_CHANNEL_CLOSE_METHOD, AMQP_CHANNEL_CLOSE_OK_METHOD},
	    {AMQP_EXCHANGE_DECLARE_METHOD, AMQP_EXCHANGE_DECLARE_OK_METHOD},
	    {AMQP_QUEUE_BIND_METHOD, AMQP_QUEUE_BIND_OK_METHOD},
	    {AMQP_BASIC_QOS_METHOD, AMQP_BASIC_QOS_OK_METHOD},
	    {AMQP_CONFIRM_SELECT_METHOD, AMQP_CONFIRM_SELECT_OK_METHOD},
	};

	if (m->id == AMQP_CONNECTION_START_OK_METHOD)
		broker_send(b, 0, AMQP_CONNECTION_TUNE_METHOD, &tune);
	else if (m->id == AMQP_CONNECTION_TUNE_OK_METHOD)
		wire_tune(&b->wire, 100, 131072);
	else if (m->id == AMQP_QUEUE_DECLARE_METHOD)
		broker_send(b, channel, AMQP_QUEUE_DECLARE_OK_METHOD, &declared);
	else if (m->id == AMQP_BASIC_CONSUME_METHOD)
		broker_send(b, channel, AMQP_BASIC_CONSUME_OK_METHOD, &consumed);
	else if (m->id == AMQP_BASIC_CANCEL_METHOD)
		broker_send(b, channel, AMQP_BASIC_CANCEL_OK_METHOD, &cancelled);
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		if (plain[i][0] == m->id)
			broker_send(b, channel, plain[i][1], empty);
	}
}

static inline void broker_take(struct broker *b, const amqp_frame_t *f)
{
	const amqp_method_t *m = &f->payload.method;
	const amqp_basic_ack_t *ack = m->decoded;

	if (f->frame_type == AMQP_FRAME_HEADER && b->header)
		b->header(b, f->channel, f->payload.properties.body_size);
	if (f->frame_type != AMQP_FRAME_METHOD)
		return;
	if (m->id == AMQP_BASIC_ACK_METHOD)
		broker_note(b, "ack%s%llu", ack->multiple ? "<=" : "",
		    (unsigned long long)ack->delivery_tag);
	else if (m->id == AMQP_CHANNEL_CLOSE_METHOD || m->id == AMQP_CHANNEL_CLOSE_OK_METHOD
	    || m->id == AMQP_CONNECTION_CLOSE_METHOD || m->id == AMQP_CONNECTION_CLOSE_OK_METHOD
	    || m->id == AMQP_BASIC_CANCEL_METHOD || m->id == AMQP_BASIC_NACK_METHOD
	    || m->id == AMQP_BASIC_REJECT_METHOD || m->id == AMQP_BASIC_PUBLISH_METHOD)
		broker_note(b, "%s", amqp_method_name(m->id));
	if (!b->mute && (!b->hook || !b->hook(b, f->channel, m)))
		broker_answer(b, f->channel, m);
}

/* --- bytes ---------------------------------------------------------------------------------------- */

static inline void broker_greet(struct broker *b)
{
	amqp_connection_start_t start = {.version_minor = 9, .mechanisms = wire_str("AMQPLAIN PLAIN"),
	    .locales = wire_str("en_US")};

	b->greeted = true;
	b->wire.in_at += 8;
	if (!b->mute)
		broker_send(b, 0, AMQP_CONNECTION_START_METHOD, &start);
}

static inline void broker_read(struct loop_io *io, unsigned events UNUSED)
{
	struct broker *b = io->arg;
	struct slice room = wire_room(&b->wire);
	ssize_t n = recv(b->fd, (void *)(uintptr_t)room.p, room.n, 0);
	struct err err = {0};
	amqp_frame_t f;

	if (n <= 0) {
		broker_drop(b);
		return;
	}
	wire_filled(&b->wire, (size_t)n);
	if (!b->greeted)
		broker_greet(b);
	while (b->fd >= 0 && wire_next(&b->wire, &f, &err) > 0) {
		broker_take(b, &f);
		if (b->fd >= 0)
			wire_release(&b->wire, &f);
	}
	if (err.code && b->fd >= 0)
		BUG("the client sent nonsense: %s", err.text);
}

static inline void broker_write(struct loop_hook *hook)
{
	struct broker *b = hook->arg;
	size_t n = b->fd < 0 ? 0 : buf_size(&b->wire.out);
	ssize_t sent;

	if (n == 0)
		return;
	if (b->piece && n > b->piece) {
		n = b->piece;
		loop_again(b->loop);
	}
	sent = send(b->fd, buf_head(&b->wire.out), n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent > 0)
		buf_consume(&b->wire.out, (size_t)sent);
	if (buf_size(&b->wire.out) > 0)
		loop_again(b->loop);
}

static inline void broker_accept(struct loop_io *io, unsigned events UNUSED)
{
	struct broker *b = io->arg;
	int one = 1;

	broker_drop(b);
	b->fd = accept4(b->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	setsockopt(b->fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one);
	wire_open(&b->wire);
	buf_clear(&b->wire.out);
	b->greeted = false;
	b->sessions++;
	loop_io_init(&b->io, b->loop, b->fd, broker_read, b);
	loop_io_set(&b->io, LOOP_READ);
}

static inline void broker_open(struct broker *b, struct loop *loop)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof sa;

	*b = (struct broker){.loop = loop, .fd = -1, .heartbeat_s = 10};
	buf_init(&b->log, 1u << 16);
	wire_init(&b->wire, 64u << 20);
	b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(b->listener, (struct sockaddr *)&sa, sizeof sa) < 0 || listen(b->listener, 8) < 0
	    || getsockname(b->listener, (struct sockaddr *)&sa, &n) < 0)
		BUG("cannot listen on the loopback");
	b->port = ntohs(sa.sin_port);
	loop_io_init(&b->accept_io, loop, b->listener, broker_accept, b);
	loop_io_set(&b->accept_io, LOOP_READ);
	loop_hook_add(loop, &b->turn, broker_write, b);
}

static inline void broker_free(struct broker *b)
{
	broker_drop(b);
	loop_io_stop(&b->accept_io);
	loop_hook_del(&b->turn);
	close(b->listener);
	buf_free(&b->log);
	wire_close(&b->wire);
}

#endif
