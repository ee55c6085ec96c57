/* SPDX-License-Identifier: MIT */
/* Connection and consumer against a broker that misbehaves on purpose. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/unit/amqp_stage.h"

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
	    TEST(a_refused_login_goes_to_the_slow_lane),
	    TEST(a_dead_address_is_passed_over),
	    TEST(names_are_looked_up),
	    TEST(silence_for_two_heartbeats_is_death),
	    TEST(malformed_urls_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
