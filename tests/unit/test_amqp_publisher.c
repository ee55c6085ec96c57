/* SPDX-License-Identifier: MIT */
/* Publisher and depth against a scripted broker: every key that is accepted ends exactly once. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/amqp/depth.h"
#include "lib/amqp/publisher.h"
#include "tests/unit/fake_broker.h"

static struct {
	struct loop *loop;
	struct broker broker;
	struct amqp_conn *conn;
	struct amqp_publisher *publisher;
	struct conf conf;
	struct conf_queue queues[2];
	struct loop_timer limit;
	struct buf settled; /* "KEY:how " */
	char notices[8192];
	uint64_t seq; /* of the broker: publishes on its channel so far */
	bool (*done)(void);
} t;

static void look(void)
{
	if (t.done && t.done())
		loop_stop(t.loop);
}

static void on_nothing(void *arg UNUSED)
{
	look();
}

static void on_down(void *arg UNUSED, const char *why UNUSED)
{
	look();
}

static void on_blocked(void *arg UNUSED, bool blocked)
{
	buf_adds(&t.settled, blocked ? "blocked " : "unblocked ");
	look();
}

static void on_notice(void *arg UNUSED, enum amqp_notice level, const char *text)
{
	size_t n = strlen(t.notices);

	snprintf(t.notices + n, sizeof t.notices - n, "%d: %s\n", level, text);
	look();
}

static const char *const words[] = {
    [AMQP_CONFIRMED] = "confirmed",
    [AMQP_RETURNED] = "returned",
    [AMQP_NACKED] = "nacked",
    [AMQP_REFUSED] = "refused",
    [AMQP_UNSENT] = "unsent",
};

static void on_settled(void *arg UNUSED, uint64_t key, enum amqp_settled how, const char *reason)
{
	assert_true(how == AMQP_CONFIRMED || reason);
	assert_false(amqp_publisher_has(t.publisher, key));
	buf_addf(&t.settled, "%llu:%s ", (unsigned long long)key, words[how]);
	look();
}

static const struct amqp_conn_events conn_events = {on_nothing, on_down, on_blocked, on_nothing, on_notice};
static const struct amqp_publisher_events publisher_events = {on_settled, on_nothing};

static void on_limit(struct loop_timer *timer UNUSED)
{
	fail_msg("nothing more happens; settled: " SLICE_FMT "; notices:\n%s",
	    SLICE_ARG(buf_slice(&t.settled)), t.notices);
}

static void on_turn(struct loop_hook *hook UNUSED)
{
	look();
}

static void run_until(bool (*done)(void))
{
	struct loop_hook hook;

	loop_hook_add(t.loop, &hook, on_turn, NULL);
	t.done = done;
	if (!done())
		loop_run(t.loop);
	t.done = NULL;
	loop_hook_del(&hook);
}

static int setup(void **state)
{
	static char mail[] = "mail", other[] = "other";
	char url[64];
	const char *urls[] = {url};
	struct amqp_conn_config config = {.urls = urls, .nurls = 1, .name = "test",
	    .heartbeat_ms = 10000, .connect_timeout_ms = 1000, .reconnect_max_ms = 100};

	(void)state;
	memset(&t, 0, sizeof t);
	t.loop = loop_new();
	buf_init(&t.settled, 1u << 16);
	broker_open(&t.broker, t.loop);
	t.queues[0] = (struct conf_queue){.section = mail, .type = QUEUE_QUORUM};
	t.queues[1] = (struct conf_queue){.section = other, .type = QUEUE_CLASSIC};
	t.conf.queues = t.queues;
	t.conf.nqueues = 2;
	loop_timer_init(&t.limit, t.loop, on_limit, NULL);
	loop_timer_set(&t.limit, 20000);
	snprintf(url, sizeof url, "amqp://127.0.0.1:%u/", t.broker.port);
	t.conn = amqp_conn_new(t.loop, &config, &conn_events, NULL, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	amqp_publisher_free(t.publisher);
	amqp_conn_free(t.conn);
	broker_free(&t.broker);
	buf_free(&t.settled);
	loop_free(t.loop);
	return 0;
}

static bool has_room(void)
{
	return amqp_publisher_room(t.publisher) > 0;
}

static bool none_outstanding(void)
{
	return amqp_publisher_outstanding(t.publisher) == 0;
}

static void open_publisher(enum conf_topology topology, int64_t timeout_ms)
{
	struct amqp_publisher_config config = {.conf = &t.conf, .declares = true, .window = 8,
	    .confirm_timeout_ms = timeout_ms};

	t.conf.broker.topology = topology;
	t.publisher = amqp_publisher_new(t.conn, &config, &publisher_events, NULL);
	assert_int_equal(amqp_publisher_room(t.publisher), 0);
	run_until(has_room);
}

static int publish(uint64_t key, size_t body_bytes)
{
	static char body[2000];
	const struct message m = {.exchange = slice_str("skep.in"), .routing_key = slice_str("mail"),
	    .timestamp_s = -1, .priority = -1, .body = slice_of(body, body_bytes)};

	return amqp_publisher_publish(t.publisher, key, &m, NULL);
}

static void expect_settled(const char *expected)
{
	buf_add(&t.settled, "", 1);
	assert_string_equal((char *)buf_head(&t.settled), expected);
	buf_clear(&t.settled);
}

static void answer(struct broker *b, uint16_t channel, uint64_t seq, bool multiple, bool ack)
{
	amqp_basic_ack_t yes = {.delivery_tag = seq, .multiple = multiple};
	amqp_basic_nack_t no = {.delivery_tag = seq, .multiple = multiple};

	broker_send(b, channel, ack ? AMQP_BASIC_ACK_METHOD : AMQP_BASIC_NACK_METHOD, ack ? (void *)&yes : &no);
}

static bool is_publish(struct broker *b UNUSED, const amqp_method_t *m)
{
	if (m->id == AMQP_CHANNEL_OPEN_METHOD)
		t.seq = 0;
	if (m->id != AMQP_BASIC_PUBLISH_METHOD)
		return false;
	t.seq++;
	return true;
}

/* --- confirms ------------------------------------------------------------------------------------- */

static bool confirm_late(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	if (!is_publish(b, m))
		return false;
	if (t.seq == 6) {
		answer(b, channel, 2, false, true);
		answer(b, channel, 6, false, true);
		answer(b, channel, 4, false, false);
		answer(b, channel, 5, true, true);
		answer(b, channel, 5, true, true);
	}
	return true;
}

static void confirms_settle_exactly_what_they_mean(void **state)
{
	(void)state;
	t.broker.hook = confirm_late;
	open_publisher(TOPOLOGY_DECLARE, 30000);
	assert_int_equal(amqp_publisher_room(t.publisher), 8);
	for (uint64_t key = 101; key <= 106; key++) {
		assert_int_equal(publish(key, key), 0);
		assert_true(amqp_publisher_has(t.publisher, key));
	}
	assert_int_equal(amqp_publisher_room(t.publisher), 2);
	expect_settled("");
	run_until(none_outstanding);
	expect_settled("102:confirmed 106:confirmed 104:nacked 101:confirmed 103:confirmed 105:confirmed ");
	assert_int_equal(amqp_publisher_room(t.publisher), 8);
}

static void the_window_is_a_bound(void **state)
{
	struct err err = {0};
	const struct message m = {.timestamp_s = -1, .priority = -1};

	(void)state;
	t.broker.hook = confirm_late;
	open_publisher(TOPOLOGY_NONE, 30000);
	for (uint64_t key = 1; key <= 8; key++)
		assert_int_equal(publish(key, 1), 0);
	assert_int_equal(amqp_publisher_room(t.publisher), 0);
	assert_int_equal(amqp_publisher_publish(t.publisher, 9, &m, &err), -EAGAIN);
	assert_false(amqp_publisher_has(t.publisher, 9));
	assert_int_equal(amqp_publisher_outstanding(t.publisher), 8);
}

static bool return_second(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	amqp_basic_return_t back = {.reply_code = 312, .reply_text = wire_str("NO_ROUTE"),
	    .routing_key = wire_str("mail")};
	amqp_table_entry_t parcel = {.key = wire_str("skep-parcel"),
	    .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = 72}};
	amqp_table_t headers = {1, &parcel};

	if (!is_publish(b, m))
		return false;
	if (t.seq == 2) {
		broker_send(b, channel, AMQP_BASIC_RETURN_METHOD, &back);
		broker_header(b, channel, 3, &headers);
		broker_body(b, channel, "abc", 3);
	}
	if (t.seq == 3)
		answer(b, channel, 3, true, true);
	return true;
}

static void an_unroutable_message_is_returned_and_then_confirmed(void **state)
{
	(void)state;
	t.broker.hook = return_second;
	open_publisher(TOPOLOGY_DECLARE, 30000);
	for (uint64_t key = 71; key <= 73; key++)
		publish(key, 3);
	run_until(none_outstanding);
	expect_settled("71:confirmed 72:returned 73:confirmed ");
}

/* --- failures ------------------------------------------------------------------------------------- */

static bool drop_first(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	amqp_connection_close_t close = {.reply_code = 320, .reply_text = wire_str("CONNECTION_FORCED")};

	if (!is_publish(b, m))
		return false;
	if (b->sessions == 1 && t.seq == 2) {
		answer(b, channel, 2, false, true);
		broker_send(b, 0, AMQP_CONNECTION_CLOSE_METHOD, &close);
	} else if (b->sessions == 2) {
		answer(b, channel, t.seq, false, true);
	}
	return true;
}

static void a_lost_connection_leaves_all_unsent(void **state)
{
	(void)state;
	t.broker.hook = drop_first;
	open_publisher(TOPOLOGY_DECLARE, 30000);
	for (uint64_t key = 1; key <= 3; key++)
		publish(key, 1);
	run_until(none_outstanding);
	expect_settled("2:confirmed 1:unsent 3:unsent ");
	assert_int_equal(amqp_publisher_room(t.publisher), 0);
	run_until(has_room);
	publish(1, 1);
	run_until(none_outstanding);
	expect_settled("1:confirmed ");
}

/* A broker that takes bodies of up to 1000 bytes. What follows a close is dropped until close-ok. */
static bool closing;

static bool limit_size(struct broker *b, uint16_t channel UNUSED, const amqp_method_t *m)
{
	if (m->id == AMQP_CHANNEL_CLOSE_OK_METHOD)
		closing = false;
	if (closing)
		return true;
	return is_publish(b, m);
}

static void limit_body(struct broker *b, uint16_t channel, uint64_t bytes)
{
	if (closing)
		return;
	if (bytes <= 1000) {
		answer(b, channel, t.seq, false, true);
		return;
	}
	closing = true;
	broker_close_channel(b, channel, 406,
	    "PRECONDITION_FAILED - message size 1500 is larger than configured max size 1000");
}

static void publish_again(const size_t *bytes)
{
	for (uint64_t key = 1; key <= 4; key++) {
		if (bytes[key] && !amqp_publisher_has(t.publisher, key)) {
			run_until(has_room);
			assert_int_equal(publish(key, bytes[key]), 0);
			run_until(none_outstanding);
		}
	}
}

static void one_that_is_too_large_is_found_and_refused(void **state)
{
	const size_t bytes[5] = {0, 10, 1500, 10, 10};

	(void)state;
	closing = false;
	t.broker.hook = limit_size;
	t.broker.header = limit_body;
	open_publisher(TOPOLOGY_DECLARE, 30000);
	for (uint64_t key = 1; key <= 4; key++)
		publish(key, bytes[key]);
	run_until(none_outstanding);
	expect_settled("1:confirmed 2:unsent 3:unsent 4:unsent ");
	/* From now on one at a time, until it shows itself. */
	run_until(has_room);
	assert_int_equal(amqp_publisher_room(t.publisher), 1);
	publish_again((const size_t[5]){0, 0, 0, 10, 0});
	expect_settled("3:confirmed ");
	assert_int_equal(amqp_publisher_room(t.publisher), 1);
	publish_again((const size_t[5]){0, 0, 1500, 0, 0});
	expect_settled("2:refused ");
	run_until(has_room);
	assert_int_equal(amqp_publisher_room(t.publisher), 8);
	publish_again((const size_t[5]){0, 0, 0, 0, 10});
	expect_settled("4:confirmed ");
}

static void a_culprit_that_stays_away_does_not_slow_the_others_for_ever(void **state)
{
	const size_t bytes[5] = {0, 1500, 10, 10, 10};

	(void)state;
	closing = false;
	t.broker.hook = limit_size;
	t.broker.header = limit_body;
	open_publisher(TOPOLOGY_DECLARE, 30000);
	for (uint64_t key = 1; key <= 4; key++)
		publish(key, bytes[key]);
	run_until(none_outstanding);
	expect_settled("1:unsent 2:unsent 3:unsent 4:unsent ");
	run_until(has_room);
	for (uint64_t key = 2; key <= 5; key++) {
		assert_int_equal(amqp_publisher_room(t.publisher), 1);
		publish(key, 10);
		assert_int_equal(amqp_publisher_room(t.publisher), 0);
		run_until(none_outstanding);
	}
	expect_settled("2:confirmed 3:confirmed 4:confirmed 5:confirmed ");
	assert_int_equal(amqp_publisher_room(t.publisher), 8);
}

static void one_alone_is_refused_at_once(void **state)
{
	(void)state;
	closing = false;
	t.broker.hook = limit_size;
	t.broker.header = limit_body;
	open_publisher(TOPOLOGY_DECLARE, 30000);
	publish(1, 1500);
	run_until(none_outstanding);
	expect_settled("1:refused ");
}

static bool no_exchange(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	if (m->id == AMQP_CHANNEL_CLOSE_OK_METHOD)
		closing = false;
	if (closing)
		return true;
	if (!is_publish(b, m))
		return false;
	closing = true;
	broker_close_channel(b, channel, 404, "NOT_FOUND - no exchange 'skep.in'");
	return true;
}

static void a_missing_exchange_refuses_nobody(void **state)
{
	(void)state;
	closing = false;
	t.broker.hook = no_exchange;
	open_publisher(TOPOLOGY_PASSIVE, 30000);
	publish(1, 1);
	run_until(none_outstanding);
	expect_settled("1:unsent ");
	assert_non_null(strstr(t.notices, "2: the broker closed the publishing channel: 404"));
	run_until(has_room);
	assert_int_equal(amqp_publisher_room(t.publisher), 8);
}

static bool confirm_nothing(struct broker *b, uint16_t channel UNUSED, const amqp_method_t *m)
{
	return is_publish(b, m);
}

static void a_confirm_that_does_not_come_ends_the_channel(void **state)
{
	(void)state;
	t.broker.hook = confirm_nothing;
	open_publisher(TOPOLOGY_DECLARE, 100);
	publish(1, 1);
	publish(2, 1);
	run_until(none_outstanding);
	expect_settled("1:unsent 2:unsent ");
	run_until(has_room);
	assert_int_equal(t.broker.sessions, 1);
	assert_non_null(strstr(broker_log(&t.broker), "AMQP_CHANNEL_CLOSE_METHOD"));
}

/* --- blocking ------------------------------------------------------------------------------------- */

static bool block_first(struct broker *b, uint16_t channel UNUSED, const amqp_method_t *m)
{
	amqp_connection_blocked_t blocked = {.reason = wire_str("low on memory")};

	if (!is_publish(b, m))
		return false;
	broker_send(b, 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
	return true;
}

static bool blocked(void)
{
	return amqp_conn_is_blocked(t.conn);
}

static bool unblocked(void)
{
	return !amqp_conn_is_blocked(t.conn) && has_room();
}

static struct loop_timer timer;
static bool over;

static void on_timer(struct loop_timer *unused UNUSED)
{
	over = true;
	look();
}

static bool is_over(void)
{
	return over;
}

static void let_pass(int64_t ms)
{
	over = false;
	loop_timer_init(&timer, t.loop, on_timer, NULL);
	loop_timer_set(&timer, ms);
	run_until(is_over);
}

/* That something does not happen takes time to see: the deadline is 2 s. */
static void a_block_stops_the_clock_of_confirms(void **state)
{
	uint64_t empty[8] = {0};

	(void)state;
	t.broker.hook = block_first;
	open_publisher(TOPOLOGY_DECLARE, 2000);
	publish(1, 1);
	run_until(blocked);
	assert_int_equal(amqp_publisher_room(t.publisher), 0);
	let_pass(2600);
	expect_settled("blocked ");
	broker_send(&t.broker, 0, AMQP_CONNECTION_UNBLOCKED_METHOD, empty);
	loop_again(t.loop);
	run_until(unblocked);
	let_pass(900);
	expect_settled("unblocked ");
	answer(&t.broker, 1, 1, false, true);
	loop_again(t.loop);
	run_until(none_outstanding);
	expect_settled("1:confirmed ");
}

/* --- topology ------------------------------------------------------------------------------------- */

static bool refuse_mail(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	const amqp_queue_declare_t *declare = m->decoded;

	if (m->id == AMQP_CHANNEL_CLOSE_OK_METHOD)
		closing = false;
	if (closing)
		return true;
	if (m->id != AMQP_QUEUE_DECLARE_METHOD)
		return false;
	broker_note(b, SLICE_FMT, SLICE_ARG(wire_slice(declare->queue)));
	if (!slice_is(wire_slice(declare->queue), "mail"))
		return false;
	closing = true;
	broker_close_channel(b, channel, 406, "PRECONDITION_FAILED - inequivalent arg");
	return true;
}

static void a_refused_queue_does_not_stop_the_others(void **state)
{
	(void)state;
	closing = false;
	t.broker.hook = refuse_mail;
	open_publisher(TOPOLOGY_DECLARE, 30000);
	assert_non_null(strstr(t.notices, "2: cannot declare queue 'mail': 406"));
	assert_string_equal(broker_log(&t.broker),
	    "skep.unrouted mail.dead mail AMQP_CHANNEL_CLOSE_OK_METHOD"
	    " skep.unrouted other.dead other ");
}

/* --- depth ---------------------------------------------------------------------------------------- */

static char depths[200];

static void on_depth(void *arg UNUSED, size_t index, uint32_t ready, uint32_t consumers)
{
	size_t n = strlen(depths);

	snprintf(depths + n, sizeof depths - n, "%zu:%u/%u ", index, ready, consumers);
}

static void on_missing(void *arg UNUSED, size_t index)
{
	size_t n = strlen(depths);

	snprintf(depths + n, sizeof depths - n, "%zu:missing ", index);
}

static bool queue_b_is_missing(struct broker *b, uint16_t channel, const amqp_method_t *m)
{
	const amqp_queue_declare_t *declare = m->decoded;

	if (m->id == AMQP_CHANNEL_CLOSE_OK_METHOD)
		closing = false;
	if (closing)
		return true;
	if (m->id != AMQP_QUEUE_DECLARE_METHOD || !slice_is(wire_slice(declare->queue), "b"))
		return false;
	assert_true(declare->passive);
	closing = true;
	broker_close_channel(b, channel, 404, "NOT_FOUND - no queue 'b'");
	return true;
}

static bool polled_twice(void)
{
	return strlen(depths) >= 2 * strlen("0:3/1 1:missing 2:3/1 ");
}

static void depths_go_on_behind_a_missing_queue(void **state)
{
	static const char *const names[] = {"a", "b", "c"};
	static const struct amqp_depth_events events = {on_depth, on_missing};
	struct amqp_depth *depth;

	(void)state;
	closing = false;
	t.broker.hook = queue_b_is_missing;
	depth = amqp_depth_new(t.conn, names, 3, 50, &events, NULL);
	run_until(polled_twice);
	assert_string_equal(depths, "0:3/1 1:missing 2:3/1 0:3/1 1:missing 2:3/1 ");
	amqp_depth_free(depth);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(confirms_settle_exactly_what_they_mean),
	    TEST(the_window_is_a_bound),
	    TEST(an_unroutable_message_is_returned_and_then_confirmed),
	    TEST(a_lost_connection_leaves_all_unsent),
	    TEST(one_that_is_too_large_is_found_and_refused),
	    TEST(a_culprit_that_stays_away_does_not_slow_the_others_for_ever),
	    TEST(one_alone_is_refused_at_once),
	    TEST(a_missing_exchange_refuses_nobody),
	    TEST(a_confirm_that_does_not_come_ends_the_channel),
	    TEST(a_block_stops_the_clock_of_confirms),
	    TEST(a_refused_queue_does_not_stop_the_others),
	    TEST(depths_go_on_behind_a_missing_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
