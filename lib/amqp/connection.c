/* SPDX-License-Identifier: MIT */
/*
 * Two rules keep the callbacks harmless. Whatever happens to the connection as a whole (it fails, it is told to
 * stop, it is freed) happens at the end of the turn of work that asked for it, in conn_leave(): so while
 * a frame is handled, its memory and its channel are there. And what ends a connection goes through
 * conn_fail(), which tells the channels and the owner after the state is changed and the next try is set.
 */
#include "lib/amqp/connection.h"

#include <errno.h>
#include <stdarg.h>

#include "lib/amqp/conn_io.h"

#define CONN_HANDSHAKE_MS 10000
#define CONN_CLOSE_MS 2000
#define CONN_STABLE_MS 60000  /* up for so long: the next failure is the first one */
#define CONN_REPEAT_MS 60000  /* the same warning is given again after so long */

#define TO(state) (1u << CONN_##state)
static const unsigned allowed[] = {
    [CONN_IDLE] = TO(CONNECTING),
    [CONN_CONNECTING] = TO(HANDSHAKE) | TO(CONNECTING) | TO(IDLE),
    [CONN_HANDSHAKE] = TO(UP) | TO(CONNECTING) | TO(IDLE),
    [CONN_UP] = TO(CLOSING) | TO(CONNECTING),
    [CONN_CLOSING] = TO(IDLE),
};
#undef TO

static void set_state(struct amqp_conn *c, enum conn_state state)
{
	if (!(allowed[c->state] >> state & 1))
		BUG("connection goes from state %d to %d", c->state, state);
	c->state = state;
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

void conn_each_channel(struct amqp_conn *c, void (*fn)(struct channel *ch))
{
	for (size_t i = 1; i < c->nchannels && !c->freed; i++) {
		if (c->channels[i])
			fn(c->channels[i]);
	}
}

/* --- ends ----------------------------------------------------------------------------------------- */

static void teardown(struct amqp_conn *c)
{
	connector_stop(&c->connector);
	loop_timer_stop(&c->timer);
	conn_io_stop(c);
	c->abandon[0] = '\0';
}

static void tell_lost(struct amqp_conn *c, const char *why)
{
	for (size_t i = 1; i < c->nchannels; i++) {
		if (c->channels[i])
			channel_lost(c->channels[i], why);
	}
}

void conn_finish(struct amqp_conn *c)
{
	teardown(c);
	if (c->state != CONN_IDLE)
		set_state(c, CONN_IDLE);
	if (!c->freed)
		c->events->closed(c->arg);
}

void conn_fail(struct amqp_conn *c, enum amqp_notice level, bool refused, const char *fmt, ...)
{
	const struct amqp_url *u = connector_url(&c->connector);
	bool was_up = c->state == CONN_UP, was_blocked = c->blocked;
	char why[400];
	int64_t wait;
	va_list ap;

	if (c->state == CONN_CLOSING) {
		conn_finish(c);
		return;
	}
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	teardown(c);
	set_state(c, CONN_CONNECTING);
	c->blocked = false;
	if (was_up && loop_now_ms(c->loop) - c->up_since_ms >= CONN_STABLE_MS)
		connector_stable(&c->connector);
	wait = connector_retry(&c->connector, refused);
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
	conn_each_channel(c, channel_before_write);
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
	conn_io_free(c);
	connector_free(&c->connector);
	free(c->name);
	free(c->channels);
	c->magic = 0;
	free(c);
}

void conn_enter(struct amqp_conn *c)
{
	c->busy++;
}

void conn_leave(struct amqp_conn *c)
{
	if (c->busy == 1 && !c->freed && c->abandon[0] && c->state == CONN_UP) {
		char why[sizeof c->abandon];

		memcpy(why, c->abandon, sizeof why);
		conn_fail(c, AMQP_NOTICE_WARN, false, "%s", why);
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

/* --- life ----------------------------------------------------------------------------------------- */

void conn_up(struct amqp_conn *c)
{
	const struct amqp_url *u = connector_url(&c->connector);

	set_state(c, CONN_UP);
	loop_timer_stop(&c->timer);
	c->epoch++;
	connector_accepted(&c->connector);
	c->up_since_ms = loop_now_ms(c->loop);
	c->noticed[0] = '\0';
	conn_io_beat(c);
	conn_notice(c, AMQP_NOTICE_INFO, "connected to %s:%u (%s)", u->host, u->port,
	    c->handshake.server);
	if (!c->freed)
		c->events->up(c->arg);
	conn_each_channel(c, channel_up);
	conn_dirty(c);
}

static void on_connected(void *arg, int fd)
{
	OBJ(struct amqp_conn, c, arg, CONN_MAGIC);

	conn_enter(c);
	set_state(c, CONN_HANDSHAKE);
	conn_io_start(c, fd);
	handshake_init(&c->handshake, connector_url(&c->connector), c->name, c->heartbeat_s);
	loop_timer_set(&c->timer, CONN_HANDSHAKE_MS);
	conn_leave(c);
}

static void on_unconnected(void *arg, const char *why)
{
	OBJ(struct amqp_conn, c, arg, CONN_MAGIC);

	conn_enter(c);
	conn_fail(c, AMQP_NOTICE_WARN, false, "%s", why);
	conn_leave(c);
}

static void on_timer(struct loop_timer *timer)
{
	OBJ(struct amqp_conn, c, timer->arg, CONN_MAGIC);

	conn_enter(c);
	if (c->state == CONN_HANDSHAKE)
		conn_fail(c, AMQP_NOTICE_WARN, false, "it did not finish the login in time");
	else
		conn_finish(c);
	conn_leave(c);
}

struct amqp_conn *amqp_conn_new(struct loop *loop, const struct amqp_conn_config *config,
    const struct amqp_conn_events *events, void *arg, struct err *err)
{
	static const struct connector_events connector_events = {on_connected, on_unconnected};
	struct amqp_conn *c = xcalloc(1, sizeof *c);

	if (connector_init(&c->connector, loop, config, &connector_events, c, err) < 0) {
		connector_free(&c->connector);
		free(c);
		return NULL;
	}
	c->magic = CONN_MAGIC;
	c->loop = loop;
	c->events = events;
	c->arg = arg;
	c->name = xstrdup(config->name);
	c->heartbeat_s = (uint16_t)(config->heartbeat_ms / 1000);
	conn_io_init(c);
	loop_timer_init(&c->timer, loop, on_timer, c);
	set_state(c, CONN_CONNECTING);
	connector_start(&c->connector);
	return c;
}

void amqp_conn_stop(struct amqp_conn *c)
{
	if (c->stopping)
		return;
	c->stopping = true;
	conn_enter(c);
	conn_leave(c);
}

void amqp_conn_free(struct amqp_conn *c)
{
	if (!c)
		return;
	conn_enter(c);
	c->freed = true;
	conn_leave(c);
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
	conn_enter(c);
	conn_io_write(c);
	conn_leave(c);
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
