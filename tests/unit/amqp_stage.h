/* SPDX-License-Identifier: MIT */
/* A consumer on its connection, before a broker that is played by the test; what its owner is told is written down. */
#ifndef SKEP_TESTS_AMQP_STAGE_H
#define SKEP_TESTS_AMQP_STAGE_H

#include "lib/amqp/connection.h"
#include "lib/amqp/consumer.h"
#include "tests/unit/fake_broker.h"

static struct {
	struct loop *loop;
	struct broker broker;
	struct amqp_conn *conn;
	struct amqp_consumer *consumer;
	struct conf_queue queue;
	struct loop_timer limit;
	struct buf events; /* what the owner was told, one word each */
	char notices[8192];
	struct amqp_tag tags[64];
	size_t ntags;
	uint64_t body_bytes, body_sum;
	bool ack; /* every delivery at once */
	bool (*done)(void);
} t;

/* --- what the owner hears ------------------------------------------------------------------------- */

static inline void look(void)
{
	if (t.done && t.done())
		loop_stop(t.loop);
}

static inline void on_up(void *arg UNUSED)
{
	buf_adds(&t.events, "up ");
	look();
}

static inline void on_down(void *arg UNUSED, const char *why UNUSED)
{
	buf_adds(&t.events, "down ");
	look();
}

static inline void on_blocked(void *arg UNUSED, bool blocked)
{
	buf_adds(&t.events, blocked ? "blocked " : "unblocked ");
	look();
}

static inline void on_conn_closed(void *arg UNUSED)
{
	buf_adds(&t.events, "closed ");
	look();
}

static inline void on_notice(void *arg UNUSED, enum amqp_notice level, const char *text)
{
	size_t n = strlen(t.notices);

	snprintf(t.notices + n, sizeof t.notices - n, "%d: %s\n", level, text);
	look();
}

static inline void on_delivery(void *arg UNUSED, struct amqp_tag tag, const struct message *m)
{
	buf_addf(&t.events, "m%llu ", (unsigned long long)tag.delivery);
	t.tags[t.ntags++] = tag;
	t.body_bytes = m->body.n;
	t.body_sum = 0;
	for (size_t i = 0; i < m->body.n; i++)
		t.body_sum += m->body.p[i] * (i + 1);
	if (t.ack)
		amqp_consumer_ack(t.consumer, tag);
	look();
}

static inline void on_oversize(void *arg UNUSED, const struct message *m UNUSED, uint64_t body_bytes)
{
	buf_addf(&t.events, "oversize%llu ", (unsigned long long)body_bytes);
	look();
}

static inline void on_lost(void *arg UNUSED)
{
	buf_adds(&t.events, "lost ");
	look();
}

static inline void on_stopped(void *arg UNUSED)
{
	buf_adds(&t.events, "stopped ");
	look();
}

static const struct amqp_conn_events conn_events = {on_up, on_down, on_blocked, on_conn_closed, on_notice};
static const struct amqp_consumer_events consumer_events = {on_delivery, on_oversize, on_lost, on_stopped};

/* --- the stage ------------------------------------------------------------------------------------ */

static inline void on_limit(struct loop_timer *timer UNUSED)
{
	fail_msg("nothing more happens; events: " SLICE_FMT "; notices:\n%s", SLICE_ARG(buf_slice(&t.events)),
	    t.notices);
}

static inline int setup(void **state)
{
	static char name[] = "mail";

	(void)state;
	memset(&t, 0, sizeof t);
	t.loop = loop_new();
	buf_init(&t.events, 1u << 16);
	broker_open(&t.broker, t.loop);
	t.queue = (struct conf_queue){.section = name, .type = QUEUE_QUORUM};
	loop_timer_init(&t.limit, t.loop, on_limit, NULL);
	loop_timer_set(&t.limit, 20000);
	return 0;
}

static inline void connect_to(const char *url, enum conf_topology topology, uint16_t prefetch)
{
	char own[64];
	const char *urls[2] = {own, url};
	const struct amqp_conn_config config = {.urls = urls, .nurls = url ? 2 : 1, .name = "test",
	    .heartbeat_ms = 1000, .connect_timeout_ms = 1000, .reconnect_max_ms = 100};
	struct err err = {0};

	snprintf(own, sizeof own, "amqp://127.0.0.1:%u/", t.broker.port);
	t.conn = amqp_conn_new(t.loop, &config, &conn_events, NULL, &err);
	assert_non_null(t.conn);
	t.consumer = amqp_consumer_new(t.conn, &t.queue, topology, prefetch, 100000, &consumer_events,
	    NULL);
}

static inline int teardown(void **state)
{
	(void)state;
	amqp_consumer_free(t.consumer);
	amqp_conn_free(t.conn);
	broker_free(&t.broker);
	buf_free(&t.events);
	loop_free(t.loop);
	return 0;
}

static inline bool has_event(const char *event)
{
	char text[4096];

	return strstr(slice_copy(text, sizeof text, buf_slice(&t.events)), event) != NULL;
}

static inline void run_until(bool (*done)(void))
{
	t.done = done;
	if (!done())
		loop_run(t.loop);
	t.done = NULL;
}

static inline bool delivered(void)
{
	return t.ntags > 0;
}

static inline bool down(void)
{
	return has_event("down");
}

static inline bool closed(void)
{
	return has_event("closed");
}

/* Looks at every turn, for what the broker alone sees. */
static inline void on_turn(struct loop_hook *hook UNUSED)
{
	look();
}

static inline void run_until_broker(bool (*done)(void))
{
	struct loop_hook hook;

	loop_hook_add(t.loop, &hook, on_turn, NULL);
	run_until(done);
	loop_hook_del(&hook);
}

static inline bool consumed(const amqp_method_t *m)
{
	return m->id == AMQP_BASIC_CONSUME_METHOD;
}

static inline bool acked(void)
{
	return buf_size(&t.broker.log) > 0;
}

static inline bool two(void)
{
	return t.ntags == 2;
}

static inline bool five(void)
{
	return t.ntags == 5;
}

static inline bool stopped(void)
{
	return has_event("stopped ");
}

static inline bool up(void)
{
	return has_event("up ");
}

#endif
