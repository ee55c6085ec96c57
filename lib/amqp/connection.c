/* SPDX-License-Identifier: MIT */
/*
 * Two rules keep the callbacks harmless. Whatever happens to the connection as a whole (it fails, it is told to
 * stop, it is freed) happens at the end of the turn of work that asked for it, in leave(): so while
 * a frame is handled, its memory and its channel are there. And what ends a connection goes through
 * fail(), which tells the channels and the owner after the state is changed and the next try is set.
 *
 * TLS will be a state between CONNECT and HANDSHAKE, behind receive() and transmit().
 */
#include "lib/amqp/connection.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "lib/amqp/conn.h"
#include "lib/amqp/dial.h"
#include "lib/amqp/handshake.h"
#include "lib/amqp/url.h"

#define CONN_MAGIC 0x616d7163u
#define CONN_TURN_FRAMES 64u
#define CONN_RESOLVE_MS 10000
#define CONN_HANDSHAKE_MS 10000
#define CONN_CLOSE_MS 2000
#define CONN_BACKOFF_FIRST_MS 500
#define CONN_BACKOFF_LEAST_MS 50
#define CONN_REFUSED_MS 60000 /* wrong password, no such vhost: waiting helps little */
#define CONN_STABLE_MS 60000  /* up for so long: the next failure is the first one */
#define CONN_REPEAT_MS 60000  /* the same warning is given again after so long */

enum conn_state {
	CONN_IDLE,
	CONN_BACKOFF,
	CONN_RESOLVE,
	CONN_CONNECT,
	CONN_HANDSHAKE,
	CONN_UP,
	CONN_CLOSING,
};

#define TO(state) (1u << CONN_##state)
static const unsigned allowed[] = {
    [CONN_IDLE] = TO(BACKOFF),
    [CONN_BACKOFF] = TO(RESOLVE) | TO(CONNECT) | TO(IDLE),
    [CONN_RESOLVE] = TO(CONNECT) | TO(BACKOFF) | TO(IDLE),
    [CONN_CONNECT] = TO(HANDSHAKE) | TO(BACKOFF) | TO(IDLE),
    [CONN_HANDSHAKE] = TO(UP) | TO(BACKOFF) | TO(IDLE),
    [CONN_UP] = TO(CLOSING) | TO(BACKOFF),
    [CONN_CLOSING] = TO(IDLE),
};
#undef TO

struct amqp_conn {
	unsigned magic;
	struct loop *loop;
	const struct amqp_conn_events *events;
	void *arg;

	struct amqp_url *urls;
	size_t nurls, url; /* url: the one in use */
	char *name;
	int64_t heartbeat_ms, connect_timeout_ms, reconnect_max_ms;

	enum conn_state state;
	uint32_t epoch;
	int64_t up_since_ms;
	unsigned tries, refusals; /* in a row */

	struct resolve *resolve;
	struct dial dial;
	struct handshake handshake;
	int fd;
	struct wire wire;
	struct loop_io io;
	struct loop_timer timer; /* limit of the state */
	struct loop_timer heart, more;
	struct loop_hook hook;
	int64_t last_in_ms, last_out_ms;
	bool blocked, congested, dirty;

	struct channel **channels; /* by number; [0] is not used */
	size_t nchannels;

	unsigned busy;
	bool freed, stopping;
	char abandon[120]; /* why, if not empty */
	char noticed[300];
	int64_t noticed_ms;
};

static void fail(struct amqp_conn *c, enum amqp_notice level, bool refused, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

static void set_state(struct amqp_conn *c, enum conn_state state)
{
	if (!(allowed[c->state] >> state & 1))
		BUG("connection goes from state %d to %d", c->state, state);
	c->state = state;
}

static uint32_t random_u32(void)
{
	uint32_t r = 0;

	/* Cannot fail for so few bytes once the kernel's generator is seeded. */
	if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r)
		BUG("getrandom: %s", strerror(errno));
	return r;
}

int64_t conn_backoff_ms(unsigned tries, int64_t first_ms, int64_t max_ms)
{
	int64_t ceiling = first_ms;

	for (; tries > 0 && ceiling < max_ms; tries--)
		ceiling *= 2;
	if (ceiling > max_ms)
		ceiling = max_ms;
	if (ceiling <= CONN_BACKOFF_LEAST_MS)
		return CONN_BACKOFF_LEAST_MS;
	return CONN_BACKOFF_LEAST_MS + random_u32() % (ceiling - CONN_BACKOFF_LEAST_MS + 1);
}

/* --- telling -------------------------------------------------------------------------------------- */

void conn_notice(struct amqp_conn *c, enum amqp_notice level, const char *fmt, ...)
{
	char text[500];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (!c->freed)
		c->events->notice(c->arg, level, text);
}

static bool said_lately(struct amqp_conn *c, const char *why)
{
	int64_t now = loop_now_ms(c->loop);

	if (strncmp(c->noticed, why, sizeof c->noticed - 1) == 0
	    && now - c->noticed_ms < CONN_REPEAT_MS)
		return true;
	slice_copy(c->noticed, sizeof c->noticed, slice_str(why));
	c->noticed_ms = now;
	return false;
}

/* Owners may attach and free channels meanwhile, so the table is read anew each time. */
static struct channel *channel_at(struct amqp_conn *c, size_t number)
{
	return number < c->nchannels ? c->channels[number] : NULL;
}

static void each_channel(struct amqp_conn *c, void (*fn)(struct channel *ch))
{
	for (size_t i = 1; i < c->nchannels && !c->freed; i++) {
		if (channel_at(c, i))
			fn(channel_at(c, i));
	}
}

/* --- ends ----------------------------------------------------------------------------------------- */

static void teardown(struct amqp_conn *c)
{
	resolve_cancel(c->resolve);
	c->resolve = NULL;
	dial_cancel(&c->dial);
	loop_timer_stop(&c->timer);
	loop_timer_stop(&c->heart);
	loop_timer_stop(&c->more);
	if (c->fd >= 0) {
		loop_io_stop(&c->io);
		close(take_fd(&c->fd));
	}
	wire_close(&c->wire);
	c->dirty = c->congested = false;
	c->abandon[0] = '\0';
}

static void tell_lost(struct amqp_conn *c, const char *why)
{
	for (size_t i = 1; i < c->nchannels; i++) {
		if (channel_at(c, i))
			channel_lost(channel_at(c, i), why);
	}
}

static void finish(struct amqp_conn *c)
{
	teardown(c);
	if (c->state != CONN_IDLE)
		set_state(c, CONN_IDLE);
	if (!c->freed)
		c->events->closed(c->arg);
}

static void fail(struct amqp_conn *c, enum amqp_notice level, bool refused, const char *fmt, ...)
{
	const struct amqp_url *u = &c->urls[c->url];
	bool was_up = c->state == CONN_UP, was_blocked = c->blocked;
	char why[400];
	int64_t wait;
	va_list ap;

	if (c->state == CONN_CLOSING) {
		finish(c);
		return;
	}
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	teardown(c);
	set_state(c, CONN_BACKOFF);
	c->blocked = false;
	if (was_up && loop_now_ms(c->loop) - c->up_since_ms >= CONN_STABLE_MS)
		c->tries = 0;
	c->refusals = refused ? c->refusals + 1 : 0;
	wait = conn_backoff_ms(c->tries / (unsigned)c->nurls, CONN_BACKOFF_FIRST_MS,
	    c->reconnect_max_ms);
	c->tries++;
	if (c->refusals >= c->nurls)
		wait = CONN_REFUSED_MS;
	c->url = (c->url + 1) % c->nurls;
	loop_timer_set(&c->timer, wait);
	if (level == AMQP_NOTICE_ALERT || was_up || !said_lately(c, why)) {
		conn_notice(c, level, "broker %s:%u: %s; next try in %.1f s", u->host, u->port, why,
		    (double)wait / 1000.0);
	}
	if (!was_up)
		return;
	tell_lost(c, why);
	if (was_blocked && !c->freed)
		c->events->blocked(c->arg, false);
	if (!c->freed)
		c->events->down(c->arg, why);
}

static void begin_close(struct amqp_conn *c)
{
	amqp_connection_close_t close = {.reply_code = AMQP_REPLY_SUCCESS};

	if (c->state != CONN_UP) {
		/* `closed` comes from the loop, also when nothing is there to be closed. */
		teardown(c);
		if (c->state != CONN_IDLE)
			set_state(c, CONN_IDLE);
		loop_timer_set(&c->timer, 0);
		return;
	}
	each_channel(c, channel_before_write);
	wire_method(&c->wire, 0, AMQP_CONNECTION_CLOSE_METHOD, &close);
	set_state(c, CONN_CLOSING);
	c->blocked = false;
	loop_timer_stop(&c->heart);
	loop_timer_set(&c->timer, CONN_CLOSE_MS);
	conn_dirty(c);
	tell_lost(c, "stopped");
}

static void destroy(struct amqp_conn *c)
{
	teardown(c);
	for (size_t i = 1; i < c->nchannels; i++) {
		if (c->channels[i])
			channel_lost(c->channels[i], "freed");
	}
	for (size_t i = 1; i < c->nchannels; i++) {
		if (c->channels[i])
			BUG("a connection is freed before the owner of channel %zu", i);
	}
	loop_hook_del(&c->hook);
	explicit_bzero(c->urls, c->nurls * sizeof *c->urls);
	free(c->urls);
	free(c->name);
	free(c->channels);
	c->magic = 0;
	free(c);
}

static void enter(struct amqp_conn *c)
{
	c->busy++;
}

static void leave(struct amqp_conn *c)
{
	if (c->busy == 1 && !c->freed && c->abandon[0] && c->state == CONN_UP) {
		char why[sizeof c->abandon];

		memcpy(why, c->abandon, sizeof why);
		fail(c, AMQP_NOTICE_WARN, false, "%s", why);
	}
	if (c->busy == 1 && !c->freed && c->stopping && c->state != CONN_CLOSING
	    && c->state != CONN_IDLE)
		begin_close(c);
	if (--c->busy == 0 && c->freed)
		destroy(c);
}

void conn_abandon(struct amqp_conn *c, const char *why)
{
	slice_copy(c->abandon, sizeof c->abandon, slice_str(why));
	conn_dirty(c);
}

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
		fail(c, AMQP_NOTICE_WARN, false, "connection lost: %s", strerror(errno));
	else if (c->state == CONN_HANDSHAKE)
		fail(c, AMQP_NOTICE_WARN, false, "it closed the connection during the login");
	else
		fail(c, AMQP_NOTICE_WARN, false, "it closed the connection");
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
	if (rc < 0) {
		/* The broker may have said why before it hung up. */
		input(c);
		if (c->fd >= 0)
			fail(c, AMQP_NOTICE_WARN, false, "connection lost: %s", strerror(-rc));
		return;
	}
	if (buf_size(&c->wire.out) > AMQP_OUT_HIGH_BYTES) {
		c->congested = true;
	} else if (c->congested && buf_size(&c->wire.out) < AMQP_OUT_HIGH_BYTES / 2) {
		c->congested = false;
		each_channel(c, channel_room);
	}
}

static void write_now(struct amqp_conn *c)
{
	if (c->state == CONN_UP)
		each_channel(c, channel_before_write);
	c->dirty = false;
	output(c);
}

static void on_turn(struct loop_hook *hook)
{
	OBJ(struct amqp_conn, c, hook->arg, CONN_MAGIC);

	if (!c->dirty)
		return;
	enter(c);
	write_now(c);
	leave(c);
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
	fail(c, login ? AMQP_NOTICE_ALERT : AMQP_NOTICE_WARN, login,
	    login ? "login refused: %u %s" : "it closed the connection: %u %s", code, text);
	return 0;
}

static int on_close_ok(struct amqp_conn *c, const amqp_method_t *m UNUSED, struct err *err)
{
	if (c->state != CONN_CLOSING)
		return err_set(err, -EPROTO, "the broker confirms a close that was not asked for");
	finish(c);
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
		each_channel(c, channel_room);
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

static void go_up(struct amqp_conn *c)
{
	const struct amqp_url *u = &c->urls[c->url];
	int64_t heartbeat_ms = c->handshake.heartbeat_s * 1000;

	set_state(c, CONN_UP);
	loop_timer_stop(&c->timer);
	c->epoch++;
	c->refusals = 0;
	c->up_since_ms = loop_now_ms(c->loop);
	c->noticed[0] = '\0';
	if (heartbeat_ms)
		loop_timer_set(&c->heart, heartbeat_ms / 2);
	conn_notice(c, AMQP_NOTICE_INFO, "connected to %s:%u (%s)", u->host, u->port,
	    c->handshake.server);
	if (!c->freed)
		c->events->up(c->arg);
	each_channel(c, channel_up);
	conn_dirty(c);
}

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
		go_up(c);
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
	ch = c->state == CONN_UP ? channel_at(c, frame->channel) : NULL;
	if (!ch)
		return err_set(err, -EPROTO, "the broker sent a frame on unknown channel %u",
		    frame->channel);
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
	fail(c, why->code == -EACCES ? AMQP_NOTICE_ALERT : AMQP_NOTICE_WARN, why->code == -EACCES,
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

	enter(c);
	if (events & LOOP_READ)
		input(c);
	if (events & LOOP_WRITE)
		output(c);
	leave(c);
}

static void on_more(struct loop_timer *timer)
{
	OBJ(struct amqp_conn, c, timer->arg, CONN_MAGIC);

	enter(c);
	input(c);
	leave(c);
}

static void on_heart(struct loop_timer *timer)
{
	OBJ(struct amqp_conn, c, timer->arg, CONN_MAGIC);
	int64_t beat = c->handshake.heartbeat_s * 1000, now, limit;

	enter(c);
	/* This process may have been stopped: what has arrived meanwhile counts. */
	input(c);
	now = loop_now_ms(c->loop);
	limit = c->last_in_ms + 2 * beat;
	if (c->fd >= 0 && now >= limit) {
		fail(c, AMQP_NOTICE_WARN, false, "no heartbeat for %lld s", (long long)(2 * beat / 1000));
	} else if (c->fd >= 0) {
		/* Bytes that wait already will serve as well. */
		if (now - c->last_out_ms >= beat / 2 && buf_size(&c->wire.out) == 0)
			wire_heartbeat(&c->wire);
		conn_dirty(c);
		loop_timer_set(&c->heart, limit - now < beat / 2 ? limit - now : beat / 2);
	}
	leave(c);
}

/* --- connecting ----------------------------------------------------------------------------------- */

static void connect_to(struct amqp_conn *c, const struct resolve_addrs *addrs)
{
	set_state(c, CONN_CONNECT);
	loop_timer_stop(&c->timer); /* each address has its own limit */
	dial_start(&c->dial, addrs, c->connect_timeout_ms);
}

static void on_resolved(void *arg, const struct resolve_addrs *addrs, const char *why)
{
	OBJ(struct amqp_conn, c, arg, CONN_MAGIC);

	c->resolve = NULL;
	enter(c);
	if (addrs)
		connect_to(c, addrs);
	else
		fail(c, AMQP_NOTICE_WARN, false, "cannot look up its name: %s", why);
	leave(c);
}

static void resolve_next(struct amqp_conn *c)
{
	const struct amqp_url *u = &c->urls[c->url];
	struct resolve_addrs addrs;
	struct err err = {0};

	if (resolve_numeric(u->host, u->port, &addrs)) {
		connect_to(c, &addrs);
		return;
	}
	set_state(c, CONN_RESOLVE);
	c->resolve = resolve_start(c->loop, u->host, u->port, on_resolved, c, &err);
	if (!c->resolve)
		fail(c, AMQP_NOTICE_WARN, false, "%s", err.text);
	else
		loop_timer_set(&c->timer, CONN_RESOLVE_MS);
}

static void on_dialled(void *arg, int fd, const char *why)
{
	OBJ(struct amqp_conn, c, arg, CONN_MAGIC);

	enter(c);
	if (fd < 0) {
		fail(c, AMQP_NOTICE_WARN, false, "cannot connect: %s", why);
	} else {
		set_state(c, CONN_HANDSHAKE);
		c->fd = fd;
		c->last_in_ms = c->last_out_ms = loop_now_ms(c->loop);
		loop_io_init(&c->io, c->loop, fd, on_io, c);
		loop_io_set(&c->io, LOOP_READ);
		wire_open(&c->wire);
		handshake_init(&c->handshake, &c->urls[c->url], c->name,
		    (uint16_t)(c->heartbeat_ms / 1000));
		loop_timer_set(&c->timer, CONN_HANDSHAKE_MS);
		output(c);
	}
	leave(c);
}

static void on_timer(struct loop_timer *timer)
{
	OBJ(struct amqp_conn, c, timer->arg, CONN_MAGIC);

	enter(c);
	switch (c->state) {
	case CONN_BACKOFF:
		resolve_next(c);
		break;
	case CONN_RESOLVE:
		fail(c, AMQP_NOTICE_WARN, false, "looking up its name took too long");
		break;
	case CONN_HANDSHAKE:
		fail(c, AMQP_NOTICE_WARN, false, "it did not finish the login in time");
		break;
	case CONN_IDLE:
	case CONN_CLOSING:
		finish(c);
		break;
	case CONN_CONNECT:
	case CONN_UP:
		BUG("state %d has no time limit", c->state);
	}
	leave(c);
}

/* --- life ----------------------------------------------------------------------------------------- */

static int parse_urls(struct amqp_conn *c, const struct amqp_conn_config *config, struct err *err)
{
	if (config->nurls == 0)
		return err_set(err, -EINVAL, "there is no broker url");
	c->urls = xcalloc(config->nurls, sizeof *c->urls);
	for (; c->nurls < config->nurls; c->nurls++) {
		if (amqp_url_parse(config->urls[c->nurls], &c->urls[c->nurls], err) < 0) {
			err_prefix(err, "broker url %zu", c->nurls + 1);
			return -EINVAL;
		}
	}
	/* Shuffled (Fisher-Yates), so that many processes spread over the brokers. */
	for (size_t i = c->nurls - 1; i > 0; i--) {
		size_t j = random_u32() % (i + 1);
		struct amqp_url swap = c->urls[i];

		c->urls[i] = c->urls[j];
		c->urls[j] = swap;
	}
	return 0;
}

struct amqp_conn *amqp_conn_new(struct loop *loop, const struct amqp_conn_config *config,
    const struct amqp_conn_events *events, void *arg, struct err *err)
{
	struct amqp_conn *c = xcalloc(1, sizeof *c);

	if (parse_urls(c, config, err) < 0) {
		free(c->urls);
		free(c);
		return NULL;
	}
	c->magic = CONN_MAGIC;
	c->loop = loop;
	c->events = events;
	c->arg = arg;
	c->name = xstrdup(config->name);
	c->heartbeat_ms = config->heartbeat_ms;
	c->connect_timeout_ms = config->connect_timeout_ms;
	c->reconnect_max_ms = config->reconnect_max_ms;
	c->fd = -1;
	wire_init(&c->wire, AMQP_OUT_MAX_BYTES);
	dial_init(&c->dial, loop, on_dialled, c);
	loop_timer_init(&c->timer, loop, on_timer, c);
	loop_timer_init(&c->heart, loop, on_heart, c);
	loop_timer_init(&c->more, loop, on_more, c);
	loop_hook_add(loop, &c->hook, on_turn, c);
	set_state(c, CONN_BACKOFF);
	loop_timer_set(&c->timer, 0);
	return c;
}

void amqp_conn_stop(struct amqp_conn *c)
{
	if (c->stopping)
		return;
	c->stopping = true;
	enter(c);
	leave(c);
}

void amqp_conn_free(struct amqp_conn *c)
{
	if (!c)
		return;
	enter(c);
	c->freed = true;
	leave(c);
}

bool amqp_conn_is_up(const struct amqp_conn *c)
{
	return c->state == CONN_UP;
}

bool amqp_conn_is_blocked(const struct amqp_conn *c)
{
	return c->blocked;
}

uint32_t amqp_conn_epoch(const struct amqp_conn *c)
{
	return c->epoch;
}

size_t amqp_conn_backlog(const struct amqp_conn *c)
{
	return buf_size(&c->wire.out);
}

void amqp_conn_flush(struct amqp_conn *c)
{
	enter(c);
	write_now(c);
	leave(c);
}

/* --- for channels --------------------------------------------------------------------------------- */

uint16_t conn_attach(struct amqp_conn *c, struct channel *ch)
{
	size_t number = 1;

	while (number < c->nchannels && c->channels[number])
		number++;
	if (number > UINT16_MAX)
		BUG("more channels than AMQP has");
	if (number >= c->nchannels) {
		c->nchannels = number + 1;
		c->channels = xrealloc(c->channels, c->nchannels * sizeof *c->channels);
	}
	c->channels[0] = NULL;
	c->channels[number] = ch;
	return (uint16_t)number;
}

void conn_detach(struct amqp_conn *c, uint16_t number)
{
	c->channels[number] = NULL;
}

bool conn_allows(const struct amqp_conn *c, uint16_t number)
{
	return number <= c->handshake.channel_max;
}

struct wire *conn_wire(struct amqp_conn *c)
{
	return &c->wire;
}

struct loop *conn_loop(struct amqp_conn *c)
{
	return c->loop;
}

void conn_dirty(struct amqp_conn *c)
{
	if (c->dirty)
		return;
	c->dirty = true;
	/* Whoever adds something in a hook behind ours must not wait for the next event. */
	loop_again(c->loop);
}
