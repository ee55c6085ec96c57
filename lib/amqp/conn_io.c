/* SPDX-License-Identifier: MIT */
/*
 * What is to be sent gathers in one buffer and is written once per loop turn, in a hook, after the channels were
 * asked for their last words (folded acks). Reading handles a bounded number of frames, then lets others have
 * their turn; what is left is taken up by a timer of zero, since no descriptor reports it.
 *
 * TLS, when it comes, is a handshake before conn_io_start() and stands behind receive() and transmit().
 */
#include "lib/amqp/conn_io.h"

#include <errno.h>
#include <sys/socket.h>

#define CONN_TURN_FRAMES 192u

/* --- bytes ---------------------------------------------------------------------------------------- */

/* True if bytes came. */
static bool receive(struct amqp_conn *c)
{
	struct slice room = wire_room(&c->wire);
	ssize_t n = recv(c->fd, (void *)(uintptr_t)room.p, room.n, 0);

	if (n > 0) {
		wire_filled(&c->wire, (size_t)n);
		c->last_in_ms = loop_now_ms(c->loop);
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0)
		conn_fail(c, AMQP_NOTICE_WARN, false, "connection lost: %s", strerror(errno));
	else if (c->state == CONN_HANDSHAKE)
		conn_fail(c, AMQP_NOTICE_WARN, false, "it closed the connection during the login");
	else
		conn_fail(c, AMQP_NOTICE_WARN, false, "it closed the connection");
	return false;
}

/* 0, or the negative errno that ends the connection. */
static int transmit(struct amqp_conn *c)
{
	struct buf *out = &c->wire.out;

	while (buf_size(out) > 0) {
		ssize_t n = send(c->fd, buf_head(out), buf_size(out), MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return -errno;
		buf_consume(out, (size_t)n);
		c->last_out_ms = loop_now_ms(c->loop);
	}
	loop_io_set(&c->io, LOOP_READ | (buf_size(out) ? LOOP_WRITE : 0u));
	buf_trim(out, WIRE_OUT_KEEP_BYTES);
	return 0;
}

static void input(struct amqp_conn *c);

static void output(struct amqp_conn *c)
{
	int rc;

	if (c->fd < 0 || c->freed)
		return;
	rc = transmit(c);
	if (rc < 0 && c->busy > 1) {
		/* Called out of a callback (amqp_conn_flush): a frame is being handled. */
		conn_abandon(c, strerror(-rc));
		return;
	}
	if (rc < 0) {
		/* The broker may have said why before it hung up. */
		input(c);
		if (c->fd >= 0)
			conn_fail(c, AMQP_NOTICE_WARN, false, "connection lost: %s", strerror(-rc));
		return;
	}
	if (buf_size(&c->wire.out) > AMQP_OUT_HIGH_BYTES) {
		c->congested = true;
	} else if (c->congested && buf_size(&c->wire.out) < AMQP_OUT_HIGH_BYTES / 2) {
		c->congested = false;
		conn_each_channel(c, channel_room);
	}
}

void conn_io_write(struct amqp_conn *c)
{
	if (c->state == CONN_UP)
		conn_each_channel(c, channel_before_write);
	c->dirty = false;
	output(c);
}

static void on_turn(struct loop_hook *hook)
{
	OBJ(struct amqp_conn, c, hook->arg, CONN_MAGIC);

	if (!c->dirty)
		return;
	conn_enter(c);
	conn_io_write(c);
	conn_leave(c);
}

/* --- frames --------------------------------------------------------------------------------------- */

static int on_close(struct amqp_conn *c, const amqp_method_t *m, struct err *err UNUSED)
{
	const amqp_connection_close_t *close = m->decoded;
	unsigned code = close->reply_code;
	bool login = c->state == CONN_HANDSHAKE
	    && (code == AMQP_ACCESS_REFUSED || code == AMQP_NOT_ALLOWED
		|| code == AMQP_INVALID_PATH);
	amqp_connection_close_ok_t ok = {0};
	char text[300];

	snprintf(text, sizeof text, SLICE_FMT, SLICE_ARG(wire_slice(close->reply_text)));
	if (wire_method(&c->wire, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok) == 0)
		(void)transmit(c);
	conn_fail(c, login ? AMQP_NOTICE_ALERT : AMQP_NOTICE_WARN, login,
	    login ? "login refused: %u %s" : "it closed the connection: %u %s", code, text);
	return 0;
}

static int on_close_ok(struct amqp_conn *c, const amqp_method_t *m UNUSED, struct err *err)
{
	if (c->state != CONN_CLOSING)
		return err_set(err, -EPROTO, "the broker confirms a close that was not asked for");
	conn_finish(c);
	return 0;
}

static void set_blocked(struct amqp_conn *c, bool blocked)
{
	if (c->state != CONN_UP || c->blocked == blocked)
		return;
	c->blocked = blocked;
	/* While it blocks us the broker does not read, and that is no fault of the network. */
	dial_user_timeout(c->fd, blocked ? 0 : DIAL_USER_TIMEOUT_MS);
	c->events->blocked(c->arg, blocked);
	if (!blocked)
		conn_each_channel(c, channel_room);
}

static int on_blocked(struct amqp_conn *c, const amqp_method_t *m, struct err *err UNUSED)
{
	const amqp_connection_blocked_t *b = m->decoded;

	conn_notice(c, AMQP_NOTICE_WARN, "the broker blocks publishers: " SLICE_FMT,
	    SLICE_ARG(wire_slice(b->reason)));
	set_blocked(c, true);
	return 0;
}

static int on_unblocked(struct amqp_conn *c, const amqp_method_t *m UNUSED, struct err *err UNUSED)
{
	conn_notice(c, AMQP_NOTICE_INFO, "the broker takes messages again");
	set_blocked(c, false);
	return 0;
}

static const struct {
	amqp_method_number_t id;
	int (*fn)(struct amqp_conn *c, const amqp_method_t *m, struct err *err);
} own_methods[] = {
    {AMQP_CONNECTION_CLOSE_METHOD, on_close},
    {AMQP_CONNECTION_CLOSE_OK_METHOD, on_close_ok},
    {AMQP_CONNECTION_BLOCKED_METHOD, on_blocked},
    {AMQP_CONNECTION_UNBLOCKED_METHOD, on_unblocked},
};

static int own_frame(struct amqp_conn *c, const amqp_frame_t *frame, struct err *err)
{
	const amqp_method_t *m = &frame->payload.method;
	int rc;

	if (frame->frame_type != AMQP_FRAME_METHOD)
		return err_set(err, -EPROTO, "the broker sent a message on channel 0");
	for (size_t i = 0; i < ARRAY_SIZE(own_methods); i++) {
		if (own_methods[i].id == m->id)
			return own_methods[i].fn(c, m, err);
	}
	if (c->state == CONN_CLOSING)
		return 0;
	rc = handshake_method(&c->handshake, &c->wire, m, err);
	conn_dirty(c);
	if (rc == 1)
		conn_up(c);
	return rc < 0 ? rc : 0;
}

static int take_frame(struct amqp_conn *c, const amqp_frame_t *frame, struct err *err)
{
	struct channel *ch;

	if (frame->frame_type == AMQP_FRAME_HEARTBEAT)
		return 0;
	if (frame->channel == 0)
		return own_frame(c, frame, err);
	if (c->state == CONN_CLOSING)
		return 0;
	ch = c->state == CONN_UP && frame->channel < c->nchannels ? c->channels[frame->channel] : NULL;
	if (!ch) {
		return err_set(err, -EPROTO, "the broker sent a frame on unknown channel %u",
		    frame->channel);
	}
	return channel_frame(ch, frame, err);
}

/* The broker is told once, if it still listens, and not waited for. */
static void violation(struct amqp_conn *c, const struct err *why)
{
	amqp_connection_close_t close = {.reply_code = AMQP_FRAME_ERROR,
	    .reply_text = wire_str("unexpected frame")};

	if (why->code == -EPROTO
	    && wire_method(&c->wire, 0, AMQP_CONNECTION_CLOSE_METHOD, &close) == 0)
		(void)transmit(c);
	conn_fail(c, why->code == -EACCES ? AMQP_NOTICE_ALERT : AMQP_NOTICE_WARN, why->code == -EACCES,
	    "%s", why->text);
}

static void input(struct amqp_conn *c)
{
	unsigned budget = CONN_TURN_FRAMES;
	struct err err = {0};
	amqp_frame_t frame;

	while (budget > 0 && c->fd >= 0 && !c->freed) {
		int rc = wire_next(&c->wire, &frame, &err);

		if (rc == 0 && !receive(c))
			return;
		if (rc == 0)
			continue;
		budget--;
		if (rc > 0)
			rc = take_frame(c, &frame, &err);
		if (c->fd < 0)
			return;
		if (rc < 0)
			violation(c, &err);
		else
			wire_release(&c->wire, &frame);
	}
	if (c->fd >= 0 && wire_pending(&c->wire))
		loop_timer_set(&c->more, 0);
}

static void on_io(struct loop_io *io, unsigned events)
{
	OBJ(struct amqp_conn, c, io->arg, CONN_MAGIC);

	conn_enter(c);
	if (events & LOOP_READ)
		input(c);
	if (events & LOOP_WRITE)
		output(c);
	conn_leave(c);
}

static void on_more(struct loop_timer *timer)
{
	OBJ(struct amqp_conn, c, timer->arg, CONN_MAGIC);

	conn_enter(c);
	input(c);
	conn_leave(c);
}

static void on_heart(struct loop_timer *timer)
{
	OBJ(struct amqp_conn, c, timer->arg, CONN_MAGIC);
	int64_t beat = c->handshake.heartbeat_s * 1000, now, limit;

	conn_enter(c);
	/* This process may have been stopped: what has arrived meanwhile counts. */
	input(c);
	now = loop_now_ms(c->loop);
	limit = c->last_in_ms + 2 * beat;
	if (c->fd >= 0 && now >= limit) {
		conn_fail(c, AMQP_NOTICE_WARN, false, "no heartbeat for %lld s",
		    (long long)(2 * beat / 1000));
	} else if (c->fd >= 0) {
		/* Bytes that wait already will serve as well. */
		if (now - c->last_out_ms >= beat / 2 && buf_size(&c->wire.out) == 0)
			wire_heartbeat(&c->wire);
		conn_dirty(c);
		loop_timer_set(&c->heart, limit - now < beat / 2 ? limit - now : beat / 2);
	}
	conn_leave(c);
}

/* --- life ----------------------------------------------------------------------------------------- */

void conn_io_init(struct amqp_conn *c)
{
	c->fd = -1;
	wire_init(&c->wire, AMQP_OUT_MAX_BYTES);
	loop_timer_init(&c->heart, c->loop, on_heart, c);
	loop_timer_init(&c->more, c->loop, on_more, c);
	loop_hook_add(c->loop, &c->hook, on_turn, c);
}

void conn_io_start(struct amqp_conn *c, int fd)
{
	c->fd = fd;
	c->last_in_ms = c->last_out_ms = loop_now_ms(c->loop);
	loop_io_init(&c->io, c->loop, fd, on_io, c);
	loop_io_set(&c->io, LOOP_READ);
	wire_open(&c->wire);
	conn_dirty(c);
}

void conn_io_beat(struct amqp_conn *c)
{
	if (c->handshake.heartbeat_s)
		loop_timer_set(&c->heart, c->handshake.heartbeat_s * 1000 / 2);
}

void conn_io_stop(struct amqp_conn *c)
{
	loop_timer_stop(&c->heart);
	loop_timer_stop(&c->more);
	if (c->fd >= 0) {
		loop_io_stop(&c->io);
		close(take_fd(&c->fd));
	}
	wire_close(&c->wire);
	c->dirty = c->congested = false;
}

void conn_io_free(struct amqp_conn *c)
{
	conn_io_stop(c);
	loop_hook_del(&c->hook);
}
