/* SPDX-License-Identifier: MIT */
#include "lib/amqp/channel.h"

#include <errno.h>

#include "lib/amqp/conn.h"

enum channel_state { CHANNEL_CLOSED, CHANNEL_OPENING, CHANNEL_OPEN, CHANNEL_CLOSING };

#define TO(state) (1u << CHANNEL_##state)
static const unsigned allowed[] = {
    [CHANNEL_CLOSED] = TO(OPENING),
    [CHANNEL_OPENING] = TO(OPEN) | TO(CLOSING) | TO(CLOSED),
    [CHANNEL_OPEN] = TO(CLOSING) | TO(CLOSED),
    [CHANNEL_CLOSING] = TO(CLOSED),
};
#undef TO

struct channel {
	struct amqp_conn *conn;
	uint16_t number;
	enum channel_state state;
	bool reopen; /* as soon as it is closed */
	const struct channel_ops *ops; /* NULL: the owner is gone */
	void *arg;
	struct content content;
};

static void set_state(struct channel *ch, enum channel_state state)
{
	if (!(allowed[ch->state] >> state & 1))
		BUG("channel %u goes from state %d to %d", ch->number, ch->state, state);
	ch->state = state;
}

static void destroy(struct channel *ch)
{
	conn_detach(ch->conn, ch->number);
	content_free(&ch->content);
	free(ch);
}

struct channel *channel_new(struct amqp_conn *conn, uint64_t max_body_bytes,
    const struct channel_ops *ops, void *arg)
{
	struct channel *ch = xcalloc(1, sizeof *ch);

	ch->conn = conn;
	ch->ops = ops;
	ch->arg = arg;
	content_init(&ch->content, max_body_bytes);
	ch->number = conn_attach(conn, ch);
	return ch;
}

void channel_send(struct channel *ch, amqp_method_number_t id, void *decoded)
{
	int rc = wire_method(conn_wire(ch->conn), ch->number, id, decoded);

	if (rc == -ENOBUFS)
		conn_abandon(ch->conn, "the out-buffer is full");
	else if (rc < 0)
		BUG("cannot encode %s", amqp_method_name(id));
	conn_dirty(ch->conn);
}

int channel_publish(struct channel *ch, amqp_basic_publish_t *method,
    amqp_basic_properties_t *props, struct slice body)
{
	int rc = wire_publish(conn_wire(ch->conn), ch->number, method, props, body);

	if (rc == 0)
		conn_dirty(ch->conn);
	return rc;
}

void channel_open(struct channel *ch)
{
	amqp_channel_open_t open = {0};

	if (!amqp_conn_is_up(ch->conn))
		return;
	if (ch->state != CHANNEL_CLOSED) {
		ch->reopen = ch->state == CHANNEL_CLOSING;
		return;
	}
	if (!conn_allows(ch->conn, ch->number)) {
		conn_notice(ch->conn, AMQP_NOTICE_ALERT,
		    "the broker allows too few channels for channel %u: raise its channel_max",
		    ch->number);
		return;
	}
	set_state(ch, CHANNEL_OPENING);
	channel_send(ch, AMQP_CHANNEL_OPEN_METHOD, &open);
}

void channel_close(struct channel *ch)
{
	amqp_channel_close_t close = {.reply_code = AMQP_REPLY_SUCCESS};

	ch->reopen = false;
	if (ch->state != CHANNEL_OPENING && ch->state != CHANNEL_OPEN)
		return;
	set_state(ch, CHANNEL_CLOSING);
	channel_send(ch, AMQP_CHANNEL_CLOSE_METHOD, &close);
}

void channel_free(struct channel *ch)
{
	if (!ch)
		return;
	ch->ops = NULL;
	channel_close(ch);
	/* A channel that is closing is freed at its close-ok: the broker still sends on it. */
	if (ch->state == CHANNEL_CLOSED)
		destroy(ch);
}

bool channel_is_open(const struct channel *ch)
{
	return ch->state == CHANNEL_OPEN;
}

struct amqp_conn *channel_conn(const struct channel *ch)
{
	return ch->conn;
}

/* --- frames --------------------------------------------------------------------------------------- */

/* The last thing done with `ch`: its owner may free it in here. */
static void tell_closed(struct channel *ch, unsigned code, const char *why)
{
	content_reset(&ch->content);
	if (!ch->ops)
		destroy(ch);
	else
		ch->ops->closed(ch->arg, code, why);
}

static int on_close(struct channel *ch, const amqp_method_t *m, struct err *err UNUSED)
{
	const amqp_channel_close_t *close = m->decoded;
	amqp_channel_close_ok_t ok = {0};
	char why[300];

	channel_send(ch, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
	/* Both sides closed at once: ours is still to be confirmed, and the broker does that. */
	if (ch->state == CHANNEL_CLOSING)
		return 0;
	snprintf(why, sizeof why, SLICE_FMT, SLICE_ARG(wire_slice(close->reply_text)));
	set_state(ch, CHANNEL_CLOSED);
	tell_closed(ch, close->reply_code, why);
	return 0;
}

static int on_close_ok(struct channel *ch, const amqp_method_t *m UNUSED, struct err *err)
{
	if (ch->state != CHANNEL_CLOSING)
		return err_set(err, -EPROTO, "the broker confirms a close that was not asked for");
	set_state(ch, CHANNEL_CLOSED);
	content_reset(&ch->content);
	if (!ch->ops) {
		destroy(ch);
	} else if (ch->reopen) {
		ch->reopen = false;
		channel_open(ch);
	}
	return 0;
}

static int on_open_ok(struct channel *ch, const amqp_method_t *m UNUSED, struct err *err)
{
	if (ch->state == CHANNEL_CLOSING)
		return 0;
	if (ch->state != CHANNEL_OPENING)
		return err_set(err, -EPROTO, "the broker opened a channel that was not asked for");
	set_state(ch, CHANNEL_OPEN);
	ch->ops->opened(ch->arg);
	return 0;
}

static const struct {
	amqp_method_number_t id;
	int (*fn)(struct channel *ch, const amqp_method_t *m, struct err *err);
} own_methods[] = {
    {AMQP_CHANNEL_CLOSE_METHOD, on_close},
    {AMQP_CHANNEL_CLOSE_OK_METHOD, on_close_ok},
    {AMQP_CHANNEL_OPEN_OK_METHOD, on_open_ok},
};

static int take_method(struct channel *ch, const amqp_method_t *m, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_methods); i++) {
		if (own_methods[i].id == m->id)
			return own_methods[i].fn(ch, m, err);
	}
	if (ch->state == CHANNEL_CLOSING)
		return 0;
	if (ch->state != CHANNEL_OPEN) {
		return err_set(err, -EPROTO, "the broker sent %s on a channel that is not open",
		    amqp_method_name(m->id));
	}
	if (content_follows(m->id))
		return content_method(&ch->content, m, err);
	if (ch->content.wants != CONTENT_NONE) {
		return err_set(err, -EPROTO, "the broker sent %s in the middle of a message",
		    amqp_method_name(m->id));
	}
	return ch->ops->method(ch->arg, m, err);
}

int channel_frame(struct channel *ch, const amqp_frame_t *frame, struct err *err)
{
	int rc;

	if (frame->frame_type == AMQP_FRAME_METHOD)
		return take_method(ch, &frame->payload.method, err);
	if (ch->state == CHANNEL_CLOSING)
		return 0;
	if (ch->state != CHANNEL_OPEN)
		return err_set(err, -EPROTO, "the broker sent a message on a channel that is not open");
	rc = content_frame(&ch->content, frame, err);
	if (rc != 1)
		return rc;
	rc = ch->ops->content(ch->arg, &ch->content, err);
	/* An open channel outlives its owner, so it is still there; a large body is not kept. */
	content_reset(&ch->content);
	return rc;
}

void channel_up(struct channel *ch)
{
	if (ch->ops)
		ch->ops->conn_up(ch->arg);
}

void channel_lost(struct channel *ch, const char *why)
{
	bool used = ch->state == CHANNEL_OPENING || ch->state == CHANNEL_OPEN;

	ch->reopen = false;
	if (ch->state != CHANNEL_CLOSED)
		set_state(ch, CHANNEL_CLOSED);
	content_reset(&ch->content);
	/* The owner of a channel that it closed itself has forgotten it; it waits for conn_up. */
	if (!ch->ops || used)
		tell_closed(ch, 0, why);
}

void channel_before_write(struct channel *ch)
{
	if (ch->ops && ch->ops->before_write && ch->state == CHANNEL_OPEN)
		ch->ops->before_write(ch->arg);
}

void channel_room(struct channel *ch)
{
	if (ch->ops && ch->ops->room && ch->state == CHANNEL_OPEN)
		ch->ops->room(ch->arg);
}
