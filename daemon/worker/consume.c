/* SPDX-License-Identifier: MIT */
#include "daemon/worker/consume.h"

#include "lib/amqp/consumer.h"
#include "lib/base/fault.h"
#include "lib/base/log.h"

#define CONSUME_MAGIC 0x636e736du

struct queue_source {
	struct source source; /* first, so that a source of ours is one of these */
	unsigned magic;
	struct consume *c;
	struct amqp_consumer *consumer;
	bool stopped;
};

struct consume {
	unsigned magic;
	const struct consume_events *events;
	void *arg;
	struct amqp_conn *conn;
	struct queue_source *queues;
	size_t nqueues;
	bool blocked, stopping;
};

/* --- settlements ------------------------------------------------------------------------------ */

static struct queue_source *of(struct source *s)
{
	OBJ(struct queue_source, q, (void *)s, CONSUME_MAGIC);

	return q;
}

static struct amqp_tag tag_of(struct source_tag tag)
{
	return (struct amqp_tag){.session = tag.session, .delivery = tag.delivery};
}

static void source_ack(struct source *s, struct source_tag tag)
{
	struct queue_source *q = of(s);

	amqp_consumer_ack(q->consumer, tag_of(tag));
#ifdef SKEP_FAULTS
	amqp_conn_flush(q->c->conn); /* the fault point is about an ack that is written */
#endif
	FAULT(worker_after_ack);
}

static void source_requeue(struct source *s, struct source_tag tag)
{
	amqp_consumer_requeue(of(s)->consumer, tag_of(tag));
}

static const struct source_ops source_ops = {.ack = source_ack, .requeue = source_requeue};

/* --- a consumer's events ---------------------------------------------------------------------- */

static void on_delivery(void *arg, struct amqp_tag tag, const struct message *m)
{
	OBJ(struct queue_source, q, arg, CONSUME_MAGIC);

	q->c->events->delivered(q->c->arg, &q->source,
	    (struct source_tag){.session = tag.session, .delivery = tag.delivery}, m);
}

static void on_oversize(void *arg, const struct message *m, uint64_t body_bytes)
{
	OBJ(struct queue_source, q, arg, CONSUME_MAGIC);

	log_warn("job=" SLICE_FMT " queue=%s refused: its body of %llu bytes is above max_body of "
		 "the pool; the broker dead-letters it",
	    SLICE_ARG(m->message_id), q->source.queue->section, (unsigned long long)body_bytes);
}

static void on_lost(void *arg)
{
	OBJ(struct queue_source, q, arg, CONSUME_MAGIC);

	q->c->events->lost(q->c->arg, &q->source);
}

static void on_stopped(void *arg)
{
	OBJ(struct queue_source, q, arg, CONSUME_MAGIC);
	struct consume *c = q->c;

	q->stopped = true;
	for (size_t i = 0; i < c->nqueues; i++) {
		if (!c->queues[i].stopped)
			return;
	}
	c->events->stopped(c->arg);
}

/* --- the connection's events ------------------------------------------------------------------ */

static void on_up(void *arg)
{
	OBJ(struct consume, c, arg, CONSUME_MAGIC);

	c->events->changed(c->arg);
}

/* Both were said already, as notices. */
static void on_down(void *arg, const char *why UNUSED)
{
	OBJ(struct consume, c, arg, CONSUME_MAGIC);

	c->blocked = false;
	c->events->changed(c->arg);
}

static void on_blocked(void *arg, bool blocked)
{
	OBJ(struct consume, c, arg, CONSUME_MAGIC);

	c->blocked = blocked;
	c->events->changed(c->arg);
}

static void on_closed(void *arg)
{
	OBJ(struct consume, c, arg, CONSUME_MAGIC);

	c->events->closed(c->arg);
}

static void on_notice(void *arg UNUSED, enum amqp_notice level, const char *text)
{
	static const enum log_level levels[] = {
	    [AMQP_NOTICE_INFO] = LOG_INFO,
	    [AMQP_NOTICE_WARN] = LOG_WARN,
	    [AMQP_NOTICE_ALERT] = LOG_ERROR,
	};

	log_write(levels[level], "%s", text);
}

/* --- life ------------------------------------------------------------------------------------- */

static void add_queue(struct consume *c, const struct conf *conf, const struct conf_pool *pool,
    const struct conf_queue *queue, uint32_t prefetch)
{
	static const struct amqp_consumer_events events = {
	    on_delivery, on_oversize, on_lost, on_stopped};
	struct queue_source *q = &c->queues[c->nqueues++];

	q->magic = CONSUME_MAGIC;
	q->c = c;
	q->source = (struct source){.ops = &source_ops, .queue = queue};
	q->consumer = amqp_consumer_new(c->conn, queue, conf->broker.topology,
	    (uint16_t)prefetch, (uint64_t)pool->max_body, &events, q);
}

struct consume *consume_new(struct loop *loop, const struct conf *conf,
    const struct conf_pool *pool, uint32_t prefetch, const char *connection_name,
    const struct consume_events *events, void *arg, struct err *err)
{
	static const struct amqp_conn_events conn_events = {
	    on_up, on_down, on_blocked, on_closed, on_notice};
	const struct conf_broker *b = &conf->broker;
	struct amqp_conn_config config = {.urls = (const char *const *)b->url.v,
	    .nurls = b->url.n,
	    .name = connection_name,
	    .heartbeat_ms = b->heartbeat,
	    .connect_timeout_ms = b->connect_timeout,
	    .reconnect_max_ms = b->reconnect_max};
	struct consume *c = xcalloc(1, sizeof *c);

	c->magic = CONSUME_MAGIC;
	c->events = events;
	c->arg = arg;
	c->conn = amqp_conn_new(loop, &config, &conn_events, c, err);
	if (!c->conn) {
		consume_free(c);
		return NULL;
	}
	c->queues = xcalloc(pool->queues.n + 1, sizeof *c->queues);
	for (size_t i = 0; i < pool->queues.n; i++) {
		const struct conf_queue *queue = conf_queue(conf, slice_str(pool->queues.v[i]));

		if (!queue)
			BUG("pool %s has an unknown queue", pool->section);
		add_queue(c, conf, pool, queue, prefetch);
	}
	return c;
}

void consume_free(struct consume *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->nqueues; i++)
		amqp_consumer_free(c->queues[i].consumer);
	amqp_conn_free(c->conn);
	free(c->queues);
	c->magic = 0;
	free(c);
}

void consume_set_prefetch(struct consume *c, uint32_t prefetch)
{
	for (size_t i = 0; i < c->nqueues; i++)
		amqp_consumer_set_prefetch(c->queues[i].consumer, (uint16_t)prefetch);
}

bool consume_is_paused(const struct consume *c)
{
	for (size_t i = 0; i < c->nqueues; i++) {
		if (!amqp_consumer_is_paused(c->queues[i].consumer))
			return false;
	}
	return true;
}

void consume_stop(struct consume *c)
{
	if (c->stopping)
		return;
	c->stopping = true;
	for (size_t i = 0; i < c->nqueues; i++)
		amqp_consumer_stop(c->queues[i].consumer);
}

void consume_close(struct consume *c)
{
	amqp_conn_stop(c->conn);
}

bool consume_is_up(const struct consume *c)
{
	return amqp_conn_is_up(c->conn);
}

bool consume_is_blocked(const struct consume *c)
{
	return c->blocked;
}

struct source *consume_source(struct consume *c, struct slice queue)
{
	for (size_t i = 0; i < c->nqueues; i++) {
		if (slice_is(queue, c->queues[i].source.queue->section))
			return &c->queues[i].source;
	}
	return NULL;
}

void consume_ask_all(struct consume *c, bool ask)
{
	for (size_t i = 0; i < c->nqueues; i++)
		c->queues[i].source.ask = ask;
}
