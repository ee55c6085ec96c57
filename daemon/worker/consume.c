/* SPDX-License-Identifier: MIT */
#include "daemon/worker/consume.h"

#include <errno.h>

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
	struct intake intake; /* first, so that an intake of ours is one of these */
	unsigned magic;
	uint32_t prefetch;
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

	q->c->intake.events->delivered(q->c->intake.arg, &q->source,
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

	q->c->intake.events->lost(q->c->intake.arg, &q->source);
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
	c->intake.events->stopped(c->intake.arg);
}

/* --- the connection's events ------------------------------------------------------------------ */

static void on_up(void *arg)
{
	OBJ(struct consume, c, arg, CONSUME_MAGIC);

	c->intake.events->changed(c->intake.arg);
}

/* Both were said already, as notices. */
static void on_down(void *arg, const char *why UNUSED)
{
	OBJ(struct consume, c, arg, CONSUME_MAGIC);

	c->blocked = false;
	c->intake.events->changed(c->intake.arg);
}

static void on_blocked(void *arg, bool blocked)
{
	OBJ(struct consume, c, arg, CONSUME_MAGIC);

	c->blocked = blocked;
	c->intake.events->changed(c->intake.arg);
}

static void on_closed(void *arg)
{
	OBJ(struct consume, c, arg, CONSUME_MAGIC);

	c->intake.events->closed(c->intake.arg);
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
    const struct conf_queue *queue)
{
	static const struct amqp_consumer_events events = {
	    on_delivery, on_oversize, on_lost, on_stopped};
	struct queue_source *q = &c->queues[c->nqueues++];

	q->magic = CONSUME_MAGIC;
	q->c = c;
	q->source = (struct source){.ops = &source_ops, .queue = queue, .index = c->intake.nsources};
	c->intake.sources[c->intake.nsources++] = &q->source;
	q->consumer = amqp_consumer_new(c->conn, queue, conf->broker.topology,
	    (uint16_t)c->prefetch, (uint64_t)pool->max_body, &events, q);
}

static struct consume *consume_of(struct intake *in)
{
	OBJ(struct consume, c, (void *)in, CONSUME_MAGIC);

	return c;
}

static const struct consume *seen(const struct intake *in)
{
	return (const struct consume *)(const void *)in;
}

static void consume_free(struct intake *in)
{
	struct consume *c = consume_of(in);

	for (size_t i = 0; i < c->nqueues; i++)
		amqp_consumer_free(c->queues[i].consumer);
	amqp_conn_free(c->conn);
	free(c->queues);
	free(in->sources);
	c->magic = 0;
	free(c);
}

static void set_prefetch(struct intake *in, uint32_t prefetch)
{
	struct consume *c = consume_of(in);

	c->prefetch = prefetch;
	for (size_t i = 0; i < c->nqueues; i++) {
		if (!c->queues[i].source.paused)
			amqp_consumer_set_prefetch(c->queues[i].consumer, (uint16_t)prefetch);
	}
}

static bool is_paused(const struct intake *in)
{
	const struct consume *c = seen(in);

	for (size_t i = 0; i < c->nqueues; i++) {
		if (!amqp_consumer_is_paused(c->queues[i].consumer))
			return false;
	}
	return true;
}

static void pause_queue(struct intake *in, struct source *s)
{
	amqp_consumer_set_prefetch(
	    of(s)->consumer, s->paused ? 0 : (uint16_t)consume_of(in)->prefetch);
}

static void stop(struct intake *in)
{
	struct consume *c = consume_of(in);

	if (c->stopping)
		return;
	c->stopping = true;
	for (size_t i = 0; i < c->nqueues; i++)
		amqp_consumer_stop(c->queues[i].consumer);
}

static void close_it(struct intake *in)
{
	amqp_conn_stop(consume_of(in)->conn);
}

static bool is_up(const struct intake *in)
{
	return amqp_conn_is_up(seen(in)->conn);
}

static bool is_blocked(const struct intake *in)
{
	return seen(in)->blocked;
}

static void link_store(struct intake *in UNUSED, struct peer *store UNUSED)
{
}

static int deal(struct intake *in UNUSED, const struct msg_deal *m UNUSED)
{
	return -EPROTO;
}

static void add_queues(struct consume *c, const struct conf *conf, const struct conf_pool *pool)
{
	c->queues = xcalloc(pool->queues.n + 1, sizeof *c->queues);
	c->intake.sources = xcalloc(pool->queues.n + 1, sizeof *c->intake.sources);
	for (size_t i = 0; i < pool->queues.n; i++) {
		const struct conf_queue *queue = conf_queue(conf, slice_str(pool->queues.v[i]));

		if (!queue)
			BUG("pool %s has an unknown queue", pool->section);
		add_queue(c, conf, pool, queue);
	}
}

struct intake *consume_new(struct loop *loop, const struct conf *conf, const struct conf_pool *pool,
    uint32_t prefetch, const char *connection_name, const struct intake_events *events, void *arg,
    struct err *err)
{
	static const struct intake_ops ops = {.free = consume_free,
	    .set_prefetch = set_prefetch,
	    .is_paused = is_paused,
	    .pause = pause_queue,
	    .stop = stop,
	    .close = close_it,
	    .is_up = is_up,
	    .is_blocked = is_blocked,
	    .link = link_store,
	    .deal = deal};
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
	c->intake = (struct intake){.ops = &ops, .events = events, .arg = arg};
	c->prefetch = prefetch;
	c->conn = amqp_conn_new(loop, &config, &conn_events, c, err);
	if (!c->conn) {
		consume_free(&c->intake);
		return NULL;
	}
	add_queues(c, conf, pool);
	return &c->intake;
}
