/* SPDX-License-Identifier: MIT */
/* Connection and consumer against a broker that misbehaves on purpose. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

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

static void look(void)
{
	if (t.done && t.done())
		loop_stop(t.loop);
}

static void on_up(void *arg UNUSED)
{
	buf_adds(&t.events, "up ");
	look();
}

static void on_down(void *arg UNUSED, const char *why UNUSED)
{
	buf_adds(&t.events, "down ");
	look();
}

static void on_blocked(void *arg UNUSED, bool blocked)
{
	buf_adds(&t.events, blocked ? "blocked " : "unblocked ");
	look();
}

static void on_conn_closed(void *arg UNUSED)
{
	buf_adds(&t.events, "closed ");
	look();
}

static void on_notice(void *arg UNUSED, enum amqp_notice level, const char *text)
{
	size_t n = strlen(t.notices);

	snprintf(t.notices + n, sizeof t.notices - n, "%d: %s\n", level, text);
	look();
}

static void on_delivery(void *arg UNUSED, struct amqp_tag tag, const struct message *m)
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

static void on_oversize(void *arg UNUSED, const struct message *m UNUSED, uint64_t body_bytes)
{
	buf_addf(&t.events, "oversize%llu ", (unsigned long long)body_bytes);
	look();
}

static void on_lost(void *arg UNUSED)
{
	buf_adds(&t.events, "lost ");
	look();
}

static void on_stopped(void *arg UNUSED)
{
	buf_adds(&t.events, "stopped ");
	look();
}

static const struct amqp_conn_events conn_events = {on_up, on_down, on_blocked, on_conn_closed, on_notice};
static const struct amqp_consumer_events consumer_events = {on_delivery, on_oversize, on_lost, on_stopped};

/* --- the stage ------------------------------------------------------------------------------------ */

static void on_limit(struct loop_timer *timer UNUSED)
{
	fail_msg("nothing more happens; events: " SLICE_FMT "; notices:\n%s", SLICE_ARG(buf_slice(&t.events)),
	    t.notices);
}

static int setup(void **state)
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

static void connect_to(const char *url, enum conf_topology topology, uint16_t prefetch)
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

static int teardown(void **state)
{
	(void)state;
	amqp_consumer_free(t.consumer);
	amqp_conn_free(t.conn);
	broker_free(&t.broker);
	buf_free(&t.events);
	loop_free(t.loop);
	return 0;
}

static bool has_event(const char *event)
{
	char text[4096];

	return strstr(slice_copy(text, sizeof text, buf_slice(&t.events)), event) != NULL;
}

static void run_until(bool (*done)(void))
{
	t.done = done;
	if (!done())
		loop_run(t.loop);
	t.done = NULL;
}

static bool delivered(void)
{
	return t.ntags > 0;
}

static bool down(void)
{
	return has_event("down");
}

static bool closed(void)
{
	return has_event("closed");
}

/* Looks at every turn, for what the broker alone sees. */
static void on_turn(struct loop_hook *hook UNUSED)
{
	look();
}

static void run_until_broker(bool (*done)(void))
{
	struct loop_hook hook;

	loop_hook_add(t.loop, &hook, on_turn, NULL);
	run_until(done);
	loop_hook_del(&hook);
}

static bool consumed(const amqp_method_t *m)
{
	return m->id == AMQP_BASIC_CONSUME_METHOD;
}

/* --- bad frames ----------------------------------------------------------------------------------- */

static void bad_end_byte(struct broker *b)
{
	broker_raw(b, "\x08\0\0\0\0\0\0\xcd", 8);
}

static void too_large(struct broker *b)
{
	broker_raw(b, "\x03\0\x01\0\x02\0\0", 7);
}

static void unknown_type(struct broker *b)
{
	broker_raw(b, "\x05\0\x01\0\0\0\0\xce", 8);
}

static void unknown_method(struct broker *b)
{
	broker_frame(b, AMQP_FRAME_METHOD, 1, "\0\x3c\0\xff", 4);
}

static void cut_method(struct broker *b)
{
	broker_frame(b, AMQP_FRAME_METHOD, 1, "\0\x3c", 2);
}

static void other_protocol(struct broker *b)
{
	broker_raw(b, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
}

static void unknown_channel(struct broker *b)
{
	broker_deliver(b, 77, 1, "x", 1, 1);
}

static void message_on_channel_0(struct broker *b)
{
	broker_header(b, 0, 1, NULL);
}

static void body_too_long(struct broker *b)
{
	broker_deliver_method(b, 1, 1);
	broker_header(b, 1, 5, NULL);
	broker_body(b, 1, "123", 3);
	broker_body(b, 1, "456", 3);
}

static void method_in_mid_body(struct broker *b)
{
	broker_deliver_method(b, 1, 1);
	broker_header(b, 1, 5, NULL);
	broker_body(b, 1, "123", 3);
	broker_deliver_method(b, 1, 2);
}

static void header_in_mid_body(struct broker *b)
{
	broker_deliver_method(b, 1, 1);
	broker_header(b, 1, 5, NULL);
	broker_header(b, 1, 5, NULL);
}

static void header_of_nothing(struct broker *b)
{
	broker_header(b, 1, 5, NULL);
}

static void body_of_nothing(struct broker *b)
{
	broker_body(b, 1, "123", 3);
}

static void more_than_prefetch(struct broker *b)
{
	for (uint64_t tag = 1; tag <= 4; tag++)
		broker_deliver(b, 1, tag, "x", 1, 1);
}

static void same_tag_twice(struct broker *b)
{
	broker_deliver(b, 1, 1, "x", 1, 1);
	broker_deliver(b, 1, 1, "x", 1, 1);
}

static void confirm_of_nothing(struct broker *b)
{
	uint64_t empty[8] = {0};

	broker_send(b, 1, AMQP_CHANNEL_CLOSE_OK_METHOD, empty);
}

static void stray_answer(struct broker *b)
{
	uint64_t empty[8] = {0};

	broker_send(b, 1, AMQP_QUEUE_BIND_OK_METHOD, empty);
}

static void login_again(struct broker *b)
{
	uint64_t empty[8] = {0};

	broker_send(b, 0, AMQP_CONNECTION_OPEN_OK_METHOD, empty);
}

static void bad_header_table(struct broker *b)
{
	broker_deliver_method(b, 1, 1);
	broker_frame(b, AMQP_FRAME_HEADER, 1, "\0\x3c\0\0\0\0\0\0\0\0\0\x01\x20\0\0\0\0\x09z", 19);
}

static const struct {
	const char *what;
	void (*send)(struct broker *b);
	const char *why;
} bad[] = {
    {"a bad end byte", bad_end_byte, "malformed frame"},
    {"a frame larger than the limit", too_large, "malformed frame"},
    {"an unknown type of frame", unknown_type, "unknown type 5"},
    {"an unknown method", unknown_method, "malformed frame"},
    {"half a method", cut_method, "malformed frame"},
    {"another protocol", other_protocol, "unknown type"},
    {"a channel that nobody opened", unknown_channel, "unknown channel 77"},
    {"a message on channel 0", message_on_channel_0, "channel 0"},
    {"a body longer than announced", body_too_long, "longer than the 5 bytes"},
    {"a method in mid-body", method_in_mid_body, "in the middle of a message"},
    {"a header in mid-body", header_in_mid_body, "belongs to no message"},
    {"a header of no message", header_of_nothing, "belongs to no message"},
    {"a body of no message", body_of_nothing, "belongs to no message"},
    {"more deliveries than the prefetch", more_than_prefetch, "did not expect"},
    {"one tag twice", same_tag_twice, "did not expect"},
    {"a close-ok of no close", confirm_of_nothing, "not asked for"},
    {"an answer to no question", stray_answer, "unexpected"},
    {"a second login", login_again, "during the login"},
    {"a table with a wrong length", bad_header_table, "malformed frame"},
};

static size_t bad_case;

static bool send_bad_once(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	if (!consumed(m))
		return false;
	broker_answer(b, channel, m);
	if (b->sessions == 1)
		bad[bad_case].send(b);
	else
		broker_deliver(b, channel, 1, "good", 4, 4);
	return true;
}

static void run_bad_case(size_t i, size_t piece)
{
	struct amqp_tag good;

	bad_case = i;
	setup(NULL);
	t.broker.hook = send_bad_once;
	t.broker.piece = piece;
	connect_to(NULL, TOPOLOGY_DECLARE, 3);
	run_until(down);
	if (!strstr(t.notices, bad[i].why))
		fail_msg("%s:\n%s", bad[i].what, t.notices);
	assert_true(has_event("lost "));
	for (size_t k = 0; k < t.ntags; k++)
		assert_false(amqp_consumer_tag_valid(t.consumer, t.tags[k]));
	/* It comes back, and everything works. */
	t.ntags = 0;
	run_until(delivered);
	good = t.tags[0];
	assert_true(amqp_consumer_tag_valid(t.consumer, good));
	assert_int_equal(t.broker.sessions, 2);
	assert_int_equal(amqp_conn_epoch(t.conn), 2);
	assert_int_equal(t.body_bytes, 4);
	teardown(NULL);
}

static void malformed_input_costs_the_connection_and_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		run_bad_case(i, 0);
		run_bad_case(i, 1);
	}
}

/* Nothing of AMQP comes back at all. */
static bool answer_nothing(struct broker *b, uint16_t channel UNUSED, const amqp_method_t *m UNUSED)
{
	if (b->sessions == 1)
		broker_raw(b, "AMQP\0\0\x09\x01", 8);
	return b->sessions == 1;
}

static bool up(void)
{
	return has_event("up ");
}

static void another_version_is_no_broker(void **state)
{
	(void)state;
	t.broker.hook = answer_nothing;
	connect_to(NULL, TOPOLOGY_DECLARE, 1);
	run_until(up);
	assert_true(strstr(t.notices, "does not speak AMQP 0-9-1") || strstr(t.notices, "malformed"));
	assert_int_equal(t.broker.sessions, 2);
}

/* --- deliveries ----------------------------------------------------------------------------------- */

static char big[100000];

static bool deliver_big(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	if (!consumed(m))
		return false;
	broker_answer(b, channel, m);
	broker_deliver(b, channel, 1, big, 3000, 700);
	return true;
}

static uint64_t sum(size_t n)
{
	uint64_t s = 0;

	for (size_t i = 0; i < n; i++)
		s += (uint8_t)big[i] * (i + 1);
	return s;
}

static bool acked(void)
{
	return buf_size(&t.broker.log) > 0;
}

static void one_byte_at_a_time_is_enough(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)(i * 7);
	t.broker.hook = deliver_big;
	t.broker.piece = 1;
	t.ack = true;
	connect_to(NULL, TOPOLOGY_DECLARE, 1);
	run_until_broker(acked);
	assert_int_equal(t.body_bytes, 3000);
	assert_int_equal(t.body_sum, sum(3000));
	assert_string_equal(broker_log(&t.broker), "ack1 ");
}

static bool deliver_many(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	if (!consumed(m))
		return false;
	broker_answer(b, channel, m);
	broker_deliver(b, channel, 1, big, sizeof big, 100000);
	for (uint64_t tag = 2; tag <= 5; tag++)
		broker_deliver(b, channel, tag, big, 10, 10);
	return true;
}

static bool five(void)
{
	return t.ntags == 5;
}

static void acks_of_one_turn_are_one_frame(void **state)
{
	(void)state;
	t.broker.hook = deliver_many;
	connect_to(NULL, TOPOLOGY_PASSIVE, 5);
	run_until(five);
	assert_int_equal(amqp_consumer_unsettled(t.consumer), 5);
	for (size_t i = 0; i < 4; i++)
		amqp_consumer_ack(t.consumer, t.tags[i == 3 ? 4 : i]);
	assert_int_equal(amqp_consumer_unsettled(t.consumer), 1);
	run_until_broker(acked);
	assert_string_equal(broker_log(&t.broker), "ack<=3 ack5 ");
	amqp_consumer_requeue(t.consumer, t.tags[3]);
	amqp_consumer_requeue(t.consumer, t.tags[3]);
	run_until_broker(acked);
	assert_string_equal(broker_log(&t.broker), "AMQP_BASIC_NACK_METHOD ");
	assert_int_equal(amqp_consumer_unsettled(t.consumer), 0);
}

static bool deliver_oversize(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	if (!consumed(m))
		return false;
	broker_answer(b, channel, m);
	broker_deliver_method(b, channel, 1);
	broker_header(b, channel, 100001, NULL);
	broker_body(b, channel, big, 100000);
	broker_body(b, channel, big, 1);
	broker_deliver(b, channel, 2, big, 100000, 99999);
	return true;
}

static void a_body_above_the_bound_is_rejected_unread(void **state)
{
	(void)state;
	t.broker.hook = deliver_oversize;
	connect_to(NULL, TOPOLOGY_NONE, 1);
	run_until(delivered);
	assert_true(has_event("oversize100001 m2 "));
	run_until_broker(acked);
	assert_string_equal(broker_log(&t.broker), "AMQP_BASIC_REJECT_METHOD ");
	assert_int_equal(t.body_sum, sum(100000));
}

/* A header may announce what never comes: no memory is set aside for it. */
static bool announce(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	amqp_connection_close_t close = {.reply_code = 320, .reply_text = wire_str("CONNECTION_FORCED")};

	if (!consumed(m))
		return false;
	broker_answer(b, channel, m);
	if (b->sessions == 1) {
		broker_deliver_method(b, channel, 1);
		broker_header(b, channel, UINT64_MAX, NULL);
		broker_body(b, channel, big, 10);
		broker_send(b, 0, AMQP_CONNECTION_CLOSE_METHOD, &close);
	} else {
		broker_deliver(b, channel, 1, big, 10, 10);
	}
	return true;
}

static void a_connection_closed_in_mid_message_is_made_again(void **state)
{
	(void)state;
	t.broker.hook = announce;
	connect_to(NULL, TOPOLOGY_NONE, 1);
	run_until(delivered);
	assert_true(has_event("up lost down up m1 "));
	assert_non_null(strstr(t.notices, "320 CONNECTION_FORCED"));
	assert_string_equal(broker_log(&t.broker), "AMQP_CONNECTION_CLOSE_OK_METHOD ");
}

/* --- channels ------------------------------------------------------------------------------------- */

static unsigned consumes;

static bool cancel_first(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	amqp_basic_cancel_t cancel = {.consumer_tag = wire_str("any"), .nowait = 1};

	if (!consumed(m))
		return false;
	broker_answer(b, channel, m);
	if (++consumes == 1) {
		broker_deliver(b, channel, 1, "x", 1, 1);
		broker_send(b, channel, AMQP_BASIC_CANCEL_METHOD, &cancel);
		/* On its way already when the channel is closed: ignored. */
		broker_deliver(b, channel, 2, "x", 1, 1);
	} else {
		broker_deliver(b, channel, 1, "y", 1, 1);
	}
	return true;
}

static bool two(void)
{
	return t.ntags == 2;
}

static void a_cancelled_consumer_begins_again_on_a_new_channel(void **state)
{
	(void)state;
	consumes = 0;
	t.broker.hook = cancel_first;
	connect_to(NULL, TOPOLOGY_DECLARE, 2);
	run_until(two);
	assert_true(has_event("up m1 lost m1 "));
	assert_int_not_equal(t.tags[0].session, t.tags[1].session);
	assert_false(amqp_consumer_tag_valid(t.consumer, t.tags[0]));
	assert_true(amqp_consumer_tag_valid(t.consumer, t.tags[1]));
	assert_int_equal(t.broker.sessions, 1);
	broker_log(&t.broker);
	amqp_consumer_ack(t.consumer, t.tags[0]);
	amqp_consumer_ack(t.consumer, t.tags[1]);
	run_until_broker(acked);
	assert_string_equal(broker_log(&t.broker), "ack1 ");
}

static uint16_t parked_channel;

/* From its channel.close on a broker drops what was sent behind the cause. */
static bool refuse_declare(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	const amqp_queue_declare_t *declare = m->decoded;

	if (parked_channel && channel == parked_channel)
		return true;
	if (m->id != AMQP_QUEUE_DECLARE_METHOD || !slice_is(wire_slice(declare->queue), "mail"))
		return false;
	parked_channel = channel;
	broker_close_channel(b, channel, 406, "PRECONDITION_FAILED - inequivalent arg");
	return true;
}

static bool parked(void)
{
	return strstr(t.notices, "parked") != NULL;
}

static bool channel_closed(void)
{
	char text[1024];

	return strstr(slice_copy(text, sizeof text, buf_slice(&t.broker.log)), "CHANNEL_CLOSE_OK") != NULL;
}

static void wrong_arguments_park_the_queue(void **state)
{
	(void)state;
	t.broker.hook = refuse_declare;
	connect_to(NULL, TOPOLOGY_DECLARE, 1);
	run_until(parked);
	assert_non_null(strstr(t.notices, "2: queue 'mail' is parked"));
	assert_non_null(strstr(t.notices, "406 PRECONDITION_FAILED"));
	run_until_broker(channel_closed);
	assert_true(amqp_conn_is_up(t.conn));
	assert_false(has_event("lost"));
	amqp_consumer_stop(t.consumer);
	assert_true(has_event("stopped "));
}

/* What the broker still sends on a channel whose owner is gone is nobody's. */
static bool deliver_on_close(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	if (m->id == AMQP_CHANNEL_CLOSE_METHOD)
		broker_deliver(b, channel, 2, "x", 1, 1);
	if (!consumed(m))
		return false;
	broker_answer(b, channel, m);
	broker_deliver(b, channel, 1, "x", 1, 1);
	return true;
}

static void a_freed_consumer_is_not_called_any_more(void **state)
{
	(void)state;
	t.broker.hook = deliver_on_close;
	connect_to(NULL, TOPOLOGY_NONE, 9);
	run_until(delivered);
	amqp_consumer_free(t.consumer);
	t.consumer = NULL;
	amqp_conn_stop(t.conn);
	run_until(closed);
	assert_int_equal(t.ntags, 1);
}

static bool stopped(void)
{
	return has_event("stopped ");
}

static void stopping_goes_in_order(void **state)
{
	(void)state;
	t.broker.hook = deliver_many;
	connect_to(NULL, TOPOLOGY_DECLARE, 5);
	run_until(five);
	amqp_consumer_stop(t.consumer);
	run_until(stopped);
	assert_false(amqp_consumer_is_consuming(t.consumer));
	assert_true(amqp_consumer_tag_valid(t.consumer, t.tags[4]));
	for (size_t i = 0; i < 5; i++)
		amqp_consumer_ack(t.consumer, t.tags[i]);
	amqp_conn_stop(t.conn);
	run_until(closed);
	assert_string_equal(broker_log(&t.broker),
	    "AMQP_BASIC_CANCEL_METHOD ack<=5 AMQP_CONNECTION_CLOSE_METHOD ");
	assert_false(has_event("down"));
}

/* --- another prefetch ----------------------------------------------------------------------------- */

/* What the broker does at each step of a change: the tests say. */
static struct {
	unsigned consumes;
	uint16_t prefetch[8]; /* of each consume */
	char tags[8][256];
	uint64_t next;       /* delivery tag */
	size_t at_consume;   /* deliveries with each consume-ok */
	size_t before_ok;    /* deliveries between cancel and cancel-ok */
	enum amqp_step { STEP_NONE, STEP_CANCEL, STEP_CONSUME } drop_at, close_at;
} change;

static void deliver_some(struct broker *b, uint16_t channel, size_t n)
{
	while (n--)
		broker_deliver(b, channel, ++change.next, "x", 1, 1);
}

/* The connection or the channel ends instead of an answer, in the first session. */
static bool fails_at(struct broker *b, uint16_t channel, enum amqp_step step)
{
	if (change.drop_at == step) {
		change.drop_at = STEP_NONE;
		shutdown(b->fd, SHUT_RDWR);
	} else if (change.close_at == step) {
		change.close_at = STEP_NONE;
		broker_close_channel(b, channel, 406, "PRECONDITION_FAILED - ack timeout");
	} else {
		return false;
	}
	change.next = 0;
	return true;
}

static bool play_change(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	const amqp_basic_consume_t *consume = m->decoded;
	const amqp_basic_qos_t *qos = m->decoded;

	switch (m->id) {
	case AMQP_BASIC_QOS_METHOD:
		change.prefetch[change.consumes] = qos->prefetch_count;
		return false;
	case AMQP_BASIC_CONSUME_METHOD:
		slice_copy(change.tags[change.consumes], sizeof change.tags[0],
		    wire_slice(consume->consumer_tag));
		change.consumes++;
		broker_note(b, "consume%u", change.prefetch[change.consumes - 1]);
		if (change.consumes > 1 && fails_at(b, channel, STEP_CONSUME))
			return true;
		broker_answer(b, channel, m);
		deliver_some(b, channel, change.at_consume);
		return true;
	case AMQP_BASIC_CANCEL_METHOD:
		if (fails_at(b, channel, STEP_CANCEL))
			return true;
		deliver_some(b, channel, change.before_ok);
		return false;
	}
	return false;
}

static void play(uint16_t prefetch, size_t at_consume, size_t before_ok)
{
	memset(&change, 0, sizeof change);
	change.at_consume = at_consume;
	change.before_ok = before_ok;
	t.broker.hook = play_change;
	connect_to(NULL, TOPOLOGY_NONE, prefetch);
}

static bool consumed_twice(void)
{
	return change.consumes == 2 && amqp_consumer_is_consuming(t.consumer);
}

static bool paused(void)
{
	return amqp_consumer_is_paused(t.consumer);
}

static void another_prefetch_keeps_what_was_delivered(void **state)
{
	(void)state;
	play(4, 2, 1);
	run_until(two);
	amqp_consumer_set_prefetch(t.consumer, 8);
	amqp_consumer_set_prefetch(t.consumer, 9); /* the value at cancel-ok counts */
	run_until_broker(consumed_twice);
	assert_int_equal(change.prefetch[1], 9);
	assert_string_not_equal(change.tags[0], change.tags[1]);
	run_until(five);
	assert_int_equal(t.tags[0].session, t.tags[4].session);
	broker_log(&t.broker);
	for (size_t i = 0; i < 5; i++) {
		assert_true(amqp_consumer_tag_valid(t.consumer, t.tags[i]));
		amqp_consumer_ack(t.consumer, t.tags[i]);
	}
	run_until_broker(acked);
	assert_string_equal(broker_log(&t.broker), "ack<=5 ");
	assert_false(has_event("lost"));
}

static void a_smaller_prefetch_waits_for_what_is_unsettled(void **state)
{
	(void)state;
	play(5, 5, 0);
	run_until(five);
	amqp_consumer_set_prefetch(t.consumer, 2);
	for (size_t i = 0; i < 3; i++)
		amqp_consumer_ack(t.consumer, t.tags[i]);
	run_until_broker(acked);
	amqp_consumer_requeue(t.consumer, t.tags[3]);
	change.at_consume = 0;
	run_until_broker(consumed_twice);
	assert_string_equal(broker_log(&t.broker),
	    "consume5 AMQP_BASIC_CANCEL_METHOD AMQP_BASIC_NACK_METHOD ack<=3 consume2 ");
	assert_true(amqp_consumer_tag_valid(t.consumer, t.tags[4]));
}

static void no_more_than_the_new_prefetch_may_come(void **state)
{
	(void)state;
	play(2, 2, 0);
	run_until(two);
	change.at_consume = 5; /* one too many */
	amqp_consumer_set_prefetch(t.consumer, 4);
	run_until(down);
	assert_non_null(strstr(t.notices, "did not expect"));
	assert_int_equal(t.ntags, 6);
}

static void a_pause_is_not_ended_by_the_broker(void **state)
{
	(void)state;
	play(3, 2, 1);
	run_until(two);
	amqp_consumer_set_prefetch(t.consumer, 0);
	assert_false(paused());
	run_until_broker(paused);
	assert_int_equal(t.ntags, 3);
	amqp_consumer_requeue(t.consumer, t.tags[2]);
	amqp_consumer_ack(t.consumer, t.tags[0]);
	amqp_consumer_ack(t.consumer, t.tags[1]);
	run_until_broker(acked);
	assert_true(paused());
	assert_int_equal(change.consumes, 1);
	amqp_consumer_set_prefetch(t.consumer, 3);
	run_until_broker(consumed_twice);
	assert_false(paused());
}

static void a_pause_outlives_the_connection(void **state)
{
	(void)state;
	play(3, 1, 0);
	change.drop_at = STEP_CANCEL;
	run_until(delivered);
	amqp_consumer_set_prefetch(t.consumer, 0);
	run_until(down);
	assert_true(has_event("lost "));
	buf_clear(&t.events);
	run_until(up);
	assert_true(paused());
	assert_int_equal(change.consumes, 1);
	amqp_consumer_set_prefetch(t.consumer, 3);
	run_until_broker(consumed_twice);
}

/* Cancel answered, consume not: the same whether the connection goes or only the channel. A 406 while it
 * consumes is no reason to park. */
static void a_change_survives_every_loss(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		enum amqp_step step = i & 1 ? STEP_CANCEL : STEP_CONSUME;

		setup(NULL);
		play(3, 1, 0);
		*(i & 2 ? &change.drop_at : &change.close_at) = step;
		run_until(delivered);
		amqp_consumer_set_prefetch(t.consumer, 7);
		run_until(two);
		assert_true(has_event("lost "));
		assert_null(strstr(t.notices, "parked"));
		assert_false(amqp_consumer_tag_valid(t.consumer, t.tags[0]));
		assert_true(amqp_consumer_tag_valid(t.consumer, t.tags[1]));
		assert_int_equal(change.prefetch[change.consumes - 1], 7);
		teardown(NULL);
	}
}

static void expect_stops_and_acks(const char *log)
{
	run_until(stopped);
	assert_true(amqp_consumer_tag_valid(t.consumer, t.tags[0]));
	amqp_consumer_ack(t.consumer, t.tags[0]);
	amqp_conn_stop(t.conn);
	run_until(closed);
	assert_string_equal(broker_log(&t.broker), log);
	assert_false(has_event("down"));
}

static void stopping_in_the_middle_of_a_change_lets_acks_work(void **state)
{
	(void)state;
	play(3, 1, 0);
	run_until(delivered);
	amqp_consumer_set_prefetch(t.consumer, 6);
	amqp_consumer_stop(t.consumer);
	expect_stops_and_acks("consume3 AMQP_BASIC_CANCEL_METHOD ack1 AMQP_CONNECTION_CLOSE_METHOD ");
}

static void stopping_while_paused_lets_acks_work(void **state)
{
	(void)state;
	play(3, 1, 0);
	run_until(delivered);
	amqp_consumer_set_prefetch(t.consumer, 0);
	run_until_broker(paused);
	amqp_consumer_stop(t.consumer);
	amqp_consumer_set_prefetch(t.consumer, 5); /* too late */
	expect_stops_and_acks("consume3 AMQP_BASIC_CANCEL_METHOD ack1 AMQP_CONNECTION_CLOSE_METHOD ");
}

static void stopping_while_it_resumes_lets_acks_work(void **state)
{
	(void)state;
	play(3, 1, 0);
	run_until(delivered);
	amqp_consumer_set_prefetch(t.consumer, 0);
	run_until_broker(paused);
	change.at_consume = 0;
	amqp_consumer_set_prefetch(t.consumer, 5);
	amqp_consumer_stop(t.consumer);
	expect_stops_and_acks("consume3 AMQP_BASIC_CANCEL_METHOD consume5 AMQP_BASIC_CANCEL_METHOD ack1 "
			      "AMQP_CONNECTION_CLOSE_METHOD ");
}

/* --- connections ---------------------------------------------------------------------------------- */

static bool refuse_login(struct broker *b, uint16_t channel UNUSED, const amqp_method_t *m)
{
	amqp_connection_close_t close = {.reply_code = 403, .reply_text = wire_str("ACCESS_REFUSED")};

	if (m->id != AMQP_CONNECTION_START_OK_METHOD)
		return false;
	broker_send(b, 0, AMQP_CONNECTION_CLOSE_METHOD, &close);
	return true;
}

static bool refused(void)
{
	return strstr(t.notices, "login refused") != NULL;
}

static void a_refused_login_goes_to_the_slow_lane(void **state)
{
	(void)state;
	t.broker.hook = refuse_login;
	connect_to(NULL, TOPOLOGY_DECLARE, 1);
	run_until(refused);
	assert_non_null(strstr(t.notices, "2: broker 127.0.0.1:"));
	assert_non_null(strstr(t.notices, "403 ACCESS_REFUSED; next try in 60.0 s"));
	amqp_conn_stop(t.conn);
	run_until(closed);
}

static void a_dead_address_is_passed_over(void **state)
{
	(void)state;
	t.broker.hook = deliver_big;
	/* Port 1: nobody listens there. Both orders come up over the runs. */
	connect_to("amqp://127.0.0.1:1/", TOPOLOGY_DECLARE, 1);
	run_until(delivered);
}

static void names_are_looked_up(void **state)
{
	char url[64];
	const char *urls[] = {url};
	const struct amqp_conn_config config = {.urls = urls, .nurls = 1, .name = "test",
	    .heartbeat_ms = 1000, .connect_timeout_ms = 1000, .reconnect_max_ms = 100};
	struct err err = {0};

	(void)state;
	snprintf(url, sizeof url, "amqp://localhost:%u/", t.broker.port);
	t.conn = amqp_conn_new(t.loop, &config, &conn_events, NULL, &err);
	assert_non_null(t.conn);
	run_until(up);
	/* And one that is given up while the name is being looked up. */
	amqp_conn_free(t.conn);
	t.conn = amqp_conn_new(t.loop, &config, &conn_events, NULL, &err);
	amqp_conn_stop(t.conn);
	run_until(closed);
}

static bool go_mute(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	if (!consumed(m))
		return false;
	broker_answer(b, channel, m);
	b->mute = b->sessions == 1;
	return true;
}

static void silence_for_two_heartbeats_is_death(void **state)
{
	(void)state;
	t.broker.hook = go_mute;
	t.broker.heartbeat_s = 60;
	connect_to(NULL, TOPOLOGY_NONE, 1);
	run_until(down);
	assert_non_null(strstr(t.notices, "no heartbeat for 2 s"));
}

static void malformed_urls_are_refused(void **state)
{
	const char *urls[] = {"amqp://h", "amqps://u:secret@h"};
	const struct amqp_conn_config config = {.urls = urls, .nurls = 2, .name = "test"};
	struct err err = {0};

	(void)state;
	assert_null(amqp_conn_new(t.loop, &config, &conn_events, NULL, &err));
	assert_string_equal(err.text, "broker url 2: amqps is not supported yet");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(malformed_input_costs_the_connection_and_nothing_else),
	    TEST(another_version_is_no_broker),
	    TEST(one_byte_at_a_time_is_enough),
	    TEST(acks_of_one_turn_are_one_frame),
	    TEST(a_body_above_the_bound_is_rejected_unread),
	    TEST(a_connection_closed_in_mid_message_is_made_again),
	    TEST(a_cancelled_consumer_begins_again_on_a_new_channel),
	    TEST(wrong_arguments_park_the_queue),
	    TEST(a_freed_consumer_is_not_called_any_more),
	    TEST(stopping_goes_in_order),
	    TEST(another_prefetch_keeps_what_was_delivered),
	    TEST(a_smaller_prefetch_waits_for_what_is_unsettled),
	    TEST(no_more_than_the_new_prefetch_may_come),
	    TEST(a_pause_is_not_ended_by_the_broker),
	    TEST(a_pause_outlives_the_connection),
	    cmocka_unit_test(a_change_survives_every_loss),
	    TEST(stopping_in_the_middle_of_a_change_lets_acks_work),
	    TEST(stopping_while_paused_lets_acks_work),
	    TEST(stopping_while_it_resumes_lets_acks_work),
	    TEST(a_refused_login_goes_to_the_slow_lane),
	    TEST(a_dead_address_is_passed_over),
	    TEST(names_are_looked_up),
	    TEST(silence_for_two_heartbeats_is_death),
	    TEST(malformed_urls_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
