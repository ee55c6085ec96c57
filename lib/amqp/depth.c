/* SPDX-License-Identifier: MIT */
/*
 * All queues are asked for in one write; the answers come in the same order. The first one that is missing closes the
 * channel, and the broker drops the questions behind it: the channel is opened again and the round goes on with
 * the next queue.
 */
#include "lib/amqp/depth.h"

#include <errno.h>

#include "lib/amqp/conn.h"

#define DEPTH_MAGIC 0x64657074u

struct amqp_depth {
	unsigned magic;
	struct amqp_conn *conn;
	struct channel *channel;
	const char *const *names;
	size_t n;
	int64_t interval_ms;
	const struct amqp_depth_events *events;
	void *arg;
	struct loop_timer timer;
	size_t next; /* the queue that the next answer is about; n: the round is over */
};

static void ask_rest(struct amqp_depth *d)
{
	for (size_t i = d->next; i < d->n; i++) {
		amqp_queue_declare_t m = {.queue = wire_str(d->names[i]), .passive = 1};

		channel_send(d->channel, AMQP_QUEUE_DECLARE_METHOD, &m);
	}
}

static void on_round(struct loop_timer *timer)
{
	OBJ(struct amqp_depth, d, timer->arg, DEPTH_MAGIC);

	/* A broker too slow to answer within the interval is not asked twice. */
	if (!channel_is_open(d->channel) || d->next < d->n)
		return;
	d->next = 0;
	ask_rest(d);
}

static void on_conn_up(void *arg)
{
	OBJ(struct amqp_depth, d, arg, DEPTH_MAGIC);

	d->next = 0;
	channel_open(d->channel);
}

static void on_opened(void *arg)
{
	OBJ(struct amqp_depth, d, arg, DEPTH_MAGIC);

	ask_rest(d);
}

static int on_method(void *arg, const amqp_method_t *m, struct err *err)
{
	OBJ(struct amqp_depth, d, arg, DEPTH_MAGIC);
	const amqp_queue_declare_ok_t *ok = m->decoded;

	if (m->id != AMQP_QUEUE_DECLARE_OK_METHOD || d->next >= d->n)
		return err_set(err, -EPROTO, "the broker sent an unexpected %s to a depth poll",
		    amqp_method_name(m->id));
	d->events->depth(d->arg, d->next++, ok->message_count, ok->consumer_count);
	return 0;
}

static int on_content(void *arg UNUSED, const struct content *c UNUSED, struct err *err)
{
	return err_set(err, -EPROTO, "the broker sent a message to a depth poll");
}

/* Whatever the reason, this queue has had its turn: one that is locked or forbidden must not stop the others. */
static void on_closed(void *arg, unsigned code, const char *why)
{
	OBJ(struct amqp_depth, d, arg, DEPTH_MAGIC);
	size_t index = d->next;

	if (code == 0)
		return;
	if (index < d->n)
		d->next++;
	if (code == AMQP_NOT_FOUND && index < d->n)
		d->events->missing(d->arg, index);
	else
		conn_notice(d->conn, AMQP_NOTICE_WARN, "depth of queue '%s': %u %s",
		    index < d->n ? d->names[index] : "?", code, why);
	channel_open(d->channel);
}

struct amqp_depth *amqp_depth_new(struct amqp_conn *conn, const char *const *names, size_t n,
    int64_t interval_ms, const struct amqp_depth_events *events, void *arg)
{
	static const struct channel_ops ops = {
	    .conn_up = on_conn_up,
	    .opened = on_opened,
	    .method = on_method,
	    .content = on_content,
	    .closed = on_closed,
	};
	struct amqp_depth *d = xcalloc(1, sizeof *d);

	d->magic = DEPTH_MAGIC;
	d->conn = conn;
	d->names = names;
	d->n = n;
	d->next = n;
	d->interval_ms = interval_ms;
	d->events = events;
	d->arg = arg;
	d->channel = channel_new(conn, 0, &ops, d);
	loop_timer_init(&d->timer, conn_loop(conn), on_round, d);
	loop_timer_every(&d->timer, interval_ms);
	if (amqp_conn_is_up(conn))
		on_conn_up(d);
	return d;
}

void amqp_depth_free(struct amqp_depth *d)
{
	if (!d)
		return;
	loop_timer_stop(&d->timer);
	channel_free(d->channel);
	d->magic = 0;
	free(d);
}
