/* SPDX-License-Identifier: MIT */
/*
 * A poll sends the declares of all queues at once. The answers come in that order; a queue that is missing
 * closes the channel and takes the declares behind it along, so the channel is opened again and the poll goes on
 * with the next queue.
 */
#include "lib/amqp/depth.h"

#include <errno.h>

#include "lib/amqp/conn.h"
#include "lib/amqp/declare.h"

#define DEPTH_MAGIC 0x64707468u

struct amqp_depth {
	unsigned magic;
	struct amqp_conn *conn;
	struct channel *channel;
	const char *const *names;
	size_t n;
	const struct amqp_depth_events *events;
	void *arg;
	struct loop_timer timer;
	size_t next; /* the queue whose answer comes next; n: no poll is under way */
};

static void ask(struct amqp_depth *d)
{
	for (size_t i = d->next; i < d->n; i++) {
		struct topology_step step = {.op = TOPOLOGY_OP_QUEUE, .passive = true};

		snprintf(step.name, sizeof step.name, "%s", d->names[i]);
		declare_send(d->channel, &step);
	}
}

void amqp_depth_ask(struct amqp_depth *d)
{
	/* A broker that is slow to answer is not asked more. */
	if (!channel_is_open(d->channel) || d->next < d->n)
		return;
	d->next = 0;
	ask(d);
}

static void on_timer(struct loop_timer *timer)
{
	OBJ(struct amqp_depth, d, timer->arg, DEPTH_MAGIC);

	amqp_depth_ask(d);
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

	ask(d);
}

static int on_method(void *arg, const amqp_method_t *m, struct err *err)
{
	OBJ(struct amqp_depth, d, arg, DEPTH_MAGIC);
	const amqp_queue_declare_ok_t *ok = m->decoded;

	if (m->id != AMQP_QUEUE_DECLARE_OK_METHOD || d->next >= d->n)
		return err_set(err, -EPROTO, "the broker sent an unexpected %s", amqp_method_name(m->id));
	d->events->depth(d->arg, d->next++, ok->message_count, ok->consumer_count);
	return 0;
}

static int on_content(void *arg UNUSED, const struct content *content UNUSED, struct err *err)
{
	return err_set(err, -EPROTO, "the broker sent a message where nobody consumes");
}

static void on_closed(void *arg, unsigned code, const char *why)
{
	OBJ(struct amqp_depth, d, arg, DEPTH_MAGIC);
	size_t index = d->next;

	if (code == 0)
		return;
	if (index < d->n)
		d->next++;
	channel_open(d->channel);
	if (index >= d->n)
		return;
	if (code == AMQP_NOT_FOUND) {
		d->events->missing(d->arg, index);
	} else {
		conn_notice(d->conn, AMQP_NOTICE_WARN, "cannot ask for the depth of queue '%s': %u %s",
		    d->names[index], code, why);
	}
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
	d->n = d->next = n;
	d->events = events;
	d->arg = arg;
	loop_timer_init(&d->timer, conn_loop(conn), on_timer, d);
	loop_timer_every(&d->timer, interval_ms);
	d->channel = channel_new(conn, 0, &ops, d);
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
