/* SPDX-License-Identifier: MIT */
/*
 * Declaration and consumption go out together. If the broker refuses the first it closes the channel, and drops
 * what was sent behind it. There is no second try on the same connection: whoever waits is told.
 */
#include "lib/amqp/replies.h"

#include <errno.h>

#include "lib/amqp/conn.h"

#define REPLIES_MAGIC 0x7265706cu

struct amqp_replies {
	unsigned magic;
	struct channel *channel;
	const char *queue;
	const struct amqp_replies_events *events;
	void *arg;
};

static void on_conn_up(void *arg)
{
	OBJ(struct amqp_replies, r, arg, REPLIES_MAGIC);

	channel_open(r->channel);
}

/* A vhost may make its queues quorum queues by default, which cannot be exclusive. */
static void on_opened(void *arg)
{
	OBJ(struct amqp_replies, r, arg, REPLIES_MAGIC);
	amqp_table_entry_t type = {.key = wire_str("x-queue-type"),
	    .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = wire_str("classic")}};
	amqp_queue_declare_t declare = {.queue = wire_str(r->queue), .exclusive = 1,
	    .auto_delete = 1, .arguments = {1, &type}};
	amqp_basic_consume_t consume = {.queue = wire_str(r->queue),
	    .consumer_tag = wire_str(r->queue), .no_ack = 1, .exclusive = 1};

	channel_send(r->channel, AMQP_QUEUE_DECLARE_METHOD, &declare);
	channel_send(r->channel, AMQP_BASIC_CONSUME_METHOD, &consume);
}

static int on_method(void *arg, const amqp_method_t *m, struct err *err)
{
	OBJ(struct amqp_replies, r, arg, REPLIES_MAGIC);

	if (m->id == AMQP_QUEUE_DECLARE_OK_METHOD)
		return 0;
	if (m->id == AMQP_BASIC_CONSUME_OK_METHOD) {
		r->events->ready(r->arg);
		return 0;
	}
	if (m->id == AMQP_BASIC_CANCEL_METHOD) {
		r->events->refused(r->arg, "the queue for results was deleted");
		return 0;
	}
	return err_set(err, -EPROTO, "the broker sent an unexpected %s to a queue for replies",
	    amqp_method_name(m->id));
}

static int on_content(void *arg, const struct content *content, struct err *err)
{
	OBJ(struct amqp_replies, r, arg, REPLIES_MAGIC);

	if (content->method != AMQP_BASIC_DELIVER_METHOD)
		return err_set(err, -EPROTO, "the broker returned a message to a queue for replies");
	r->events->reply(r->arg, &content->m, content->oversize);
	return 0;
}

static void on_closed(void *arg, unsigned code, const char *why)
{
	OBJ(struct amqp_replies, r, arg, REPLIES_MAGIC);

	if (code)
		r->events->refused(r->arg, why);
}

struct amqp_replies *amqp_replies_new(struct amqp_conn *conn, const char *queue,
    uint64_t max_body_bytes, const struct amqp_replies_events *events, void *arg)
{
	static const struct channel_ops ops = {
	    .conn_up = on_conn_up,
	    .opened = on_opened,
	    .method = on_method,
	    .content = on_content,
	    .closed = on_closed,
	};
	struct amqp_replies *r = xcalloc(1, sizeof *r);

	r->magic = REPLIES_MAGIC;
	r->queue = queue;
	r->events = events;
	r->arg = arg;
	r->channel = channel_new(conn, max_body_bytes, &ops, r);
	channel_open(r->channel);
	return r;
}

void amqp_replies_free(struct amqp_replies *r)
{
	if (!r)
		return;
	channel_free(r->channel);
	r->magic = 0;
	free(r);
}
