/* SPDX-License-Identifier: MIT */
/* A consumer that changes its prefetch, or pauses, while anything may happen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/unit/amqp_stage.h"

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(another_prefetch_keeps_what_was_delivered),
	    TEST(a_smaller_prefetch_waits_for_what_is_unsettled),
	    TEST(no_more_than_the_new_prefetch_may_come),
	    TEST(a_pause_is_not_ended_by_the_broker),
	    TEST(a_pause_outlives_the_connection),
	    cmocka_unit_test(a_change_survives_every_loss),
	    TEST(stopping_in_the_middle_of_a_change_lets_acks_work),
	    TEST(stopping_while_paused_lets_acks_work),
	    TEST(stopping_while_it_resumes_lets_acks_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
