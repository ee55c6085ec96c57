/* links: daemon/worker/dispatch.c daemon/worker/answers.c daemon/worker/shelf.c daemon/worker/show.c daemon/worker/report.c daemon/worker/delivery.c daemon/worker/prefetch.c daemon/worker/handlers.c daemon/worker/next.c daemon/worker/service.c daemon/worker/service_runs.c daemon/worker/talk.c daemon/worker/lines.c daemon/worker/chatter.c daemon/worker/launch.c daemon/worker/age.c daemon/worker/runner.c daemon/worker/capture.c daemon/worker/environment.c daemon/worker/oom.c daemon/worker/scheduling.c daemon/worker/reap.c */
/* SPDX-License-Identifier: MIT */
/* What becomes of the deliveries of a broker. */
#include "tests/unit/worker_bench.h"

/* --- first deliveries ------------------------------------------------------------------------- */

static void test_done(void **state)
{
	struct bench *b = *state;
	struct seen *claim, *outcome;

	deliver(b, "a", "printf $SKEP_ATTEMPT-$SKEP_JOB_ID");
	claim = expect(b, MSG_CLAIM);
	assert_int_equal(claim->flags, 0);
	outcome = expect(b, MSG_OUTCOME);
	assert_true(id_eq(claim->run, outcome->run));
	assert_int_equal(outcome->outcome, OUTCOME_DONE);
	assert_string_equal(outcome->text, "1-a");
	assert_false(outcome->has_body);
	say_recorded(b, outcome);
	expect_word(b, "ack 1");
	expect_nothing_held(b);
	assert_int_equal(b->slot.done, 1);
	assert_int_equal(b->slot.delivered, 1);
	assert_int_equal(b->slot.nruns, 0);
}

static void test_failed_comes_with_body(void **state)
{
	struct bench *b = *state;
	struct seen *s;

	deliver(b, NULL, "exit 3");
	s = expect(b, MSG_CLAIM);
	assert_int_equal(s->flags, CLAIM_NAMELESS);
	assert_int_equal(strlen(s->job), ID_TEXT_BYTES - 1);
	s = expect(b, MSG_OUTCOME);
	assert_int_equal(s->outcome, OUTCOME_RETRY);
	assert_int_equal(s->flags, OUTCOME_NAMELESS);
	assert_int_equal(s->exit_code, 3);
	assert_true(s->has_body);
	assert_string_equal(s->body, "exit 3");
	say_recorded(b, s);
	expect_word(b, "ack 1");
	assert_int_equal(b->slot.failed, 1);
}

static void test_next_runs_while_the_last_is_recorded(void **state)
{
	struct bench *b = *state;
	struct seen *first, *second;

	deliver(b, "a", "echo 1");
	deliver(b, "b", "echo 2");
	expect(b, MSG_CLAIM);
	first = expect(b, MSG_OUTCOME);
	expect(b, MSG_CLAIM);
	second = expect(b, MSG_OUTCOME);
	say_recorded(b, first);
	say_recorded(b, second);
	expect_word(b, "ack 1");
	expect_word(b, "ack 2");
	expect_nothing_held(b);
}

static void test_slow_store_slows_the_starts(void **state)
{
	struct bench *b = *state;
	struct seen *first = NULL;

	b->prefetch.value = 2;
	for (int i = 0; i < 5; i++)
		deliver(b, (char[]){(char)('a' + i), 0}, "exit 0");
	for (int i = 0; i < 3; i++) {
		expect(b, MSG_CLAIM);
		first = expect(b, MSG_OUTCOME);
	}
	for (int i = 0; i < 3; i++)
		dispatch_turn(b->dispatch);
	assert_int_equal(b->slot.started, 3);
	say_recorded(b, first);
	expect_word(b, "ack 3");
	expect(b, MSG_CLAIM);
	expect(b, MSG_OUTCOME);
}

static void test_no_handler(void **state)
{
	struct bench *b = *state;
	struct message m = message_of("a", "x");
	struct seen *s;

	m.type = slice_str("unheard-of");
	deliver_message(b, &m);
	s = expect(b, MSG_OUTCOME);
	assert_int_equal(s->outcome, OUTCOME_DEAD);
	assert_true(s->flags & OUTCOME_BURIED);
	assert_true(s->has_body);
	assert_string_equal(s->text, "no handler 'unheard-of' is configured here");
	say_recorded(b, s);
	expect_word(b, "ack 1");
	b->queue.handler = NULL;
	deliver(b, "b", "x");
	s = expect(b, MSG_OUTCOME);
	assert_int_equal(s->outcome, OUTCOME_DEAD);
	assert_string_equal(s->text, "the message has no type, and queue 'q' has no handler for such");
}

static void test_unreadable(void **state)
{
	struct bench *b = *state;
	struct message m = message_of("a", "x");
	struct seen *s;

	m.headers[m.nheaders++] = (struct header){
	    .name = slice_str("job-retries"), .kind = HEADER_STRING, .text = slice_str("many")};
	m.redelivered = true;
	deliver_message(b, &m);
	s = expect(b, MSG_OUTCOME);
	assert_int_equal(s->outcome, OUTCOME_DEAD);
	assert_non_null(strstr(s->text, "job-retries"));
}

static void test_expired(void **state)
{
	struct bench *b = *state;
	struct message m = message_of("a", "x");
	struct seen *s;

	m.headers[m.nheaders++] = (struct header){.name = slice_str("job-expires"),
	    .kind = HEADER_STRING,
	    .text = slice_str("2020-01-01T00:00:00Z")};
	deliver_message(b, &m);
	s = expect(b, MSG_OUTCOME);
	assert_int_equal(s->outcome, OUTCOME_EXPIRED);
	assert_true(s->flags & OUTCOME_BURIED);
	assert_int_equal(b->slot.started, 0);
}

static void test_not_due(void **state)
{
	struct bench *b = *state;
	struct message m = message_of("a", "x");
	int64_t now = clock_wall_ms();
	struct seen *s;

	m.headers[m.nheaders++] = (struct header){
	    .name = slice_str("job-delay"), .kind = HEADER_STRING, .text = slice_str("1h")};
	deliver_message(b, &m);
	s = expect(b, MSG_TAKE);
	assert_int_equal(s->running, 0);
	assert_true(s->due_wall_ms >= now + 3600000);
	assert_string_equal(s->body, "x");
	say_taken(b, s);
	expect_word(b, "ack 1");
	expect_nothing_held(b);
}

static void test_program_is_missing(void **state)
{
	struct bench *b = *state;
	const char *command[] = {"/no/such/handler", NULL};
	struct seen *s;

	b->handlers[0].command = (struct conf_words){.v = (char **)command, .n = 1};
	deliver(b, "a", "x");
	expect(b, MSG_CLAIM);
	s = expect(b, MSG_OUTCOME);
	assert_int_equal(s->outcome, OUTCOME_RETRY);
	assert_int_equal(s->exit_code, 127);
	assert_non_null(strstr(s->text, "/no/such/handler"));
	say_recorded(b, s);
	expect_word(b, "ack 1");
}

/* --- verdicts --------------------------------------------------------------------------------- */

static void test_asks_and_runs(void **state)
{
	struct bench *b = *state;
	struct seen *claim, *s;

	deliver_again(b, "a", "printf $SKEP_ATTEMPT");
	deliver(b, "b", "exit 0");
	claim = expect(b, MSG_CLAIM);
	assert_int_equal(claim->flags, CLAIM_ASKS | CLAIM_REDELIVERED);
	dispatch_turn(b->dispatch);
	assert_int_equal(b->slot.started, 0); /* the other waits too */
	say_verdict(b, claim, (struct msg_verdict){.verdict = VERDICT_RUN, .attempt = 4});
	expect_begin(b, claim);
	s = expect(b, MSG_OUTCOME);
	assert_true(id_eq(s->run, claim->run));
	assert_string_equal(s->text, "4");
	assert_string_equal(expect(b, MSG_CLAIM)->job, "b");
}

static void test_dropped_and_cancelled(void **state)
{
	struct bench *b = *state;

	deliver_again(b, "a", "exit 0");
	say_verdict(b, expect(b, MSG_CLAIM), (struct msg_verdict){.verdict = VERDICT_DROP});
	expect_word(b, "ack 1");
	deliver_again(b, "b", "exit 0");
	say_verdict(b, expect(b, MSG_CLAIM), (struct msg_verdict){.verdict = VERDICT_CANCELLED});
	expect_word(b, "ack 2");
	expect_nothing_held(b);
	assert_int_equal(b->slot.started, 0);
}

static void test_buried(void **state)
{
	struct bench *b = *state;
	struct seen *s;

	deliver_again(b, "a", "exit 0");
	say_verdict(b, expect(b, MSG_CLAIM),
	    (struct msg_verdict){.verdict = VERDICT_BURY, .outcome = OUTCOME_DEAD, .reason = slice_str("3 times")});
	s = expect(b, MSG_OUTCOME);
	assert_int_equal(s->outcome, OUTCOME_DEAD);
	assert_true(s->flags & OUTCOME_BURIED);
	assert_string_equal(s->text, "3 times");
	assert_true(s->has_body);
	say_recorded(b, s);
	expect_word(b, "ack 1");
	expect_nothing_held(b);
}

static void test_taken_and_named(void **state)
{
	struct bench *b = *state;
	struct seen *s;

	deliver_again(b, NULL, "exit 0");
	s = expect(b, MSG_CLAIM);
	assert_int_equal(s->flags, CLAIM_ASKS | CLAIM_REDELIVERED | CLAIM_NAMELESS);
	say_verdict(b, s,
	    (struct msg_verdict){.verdict = VERDICT_TAKE, .job = slice_str("named"), .reason = slice_str("why")});
	s = expect(b, MSG_TAKE);
	assert_string_equal(s->job, "named");
	assert_string_equal(s->text, "why");
	assert_int_equal(s->due_wall_ms, JOB_NOT_GIVEN);
	say_taken(b, s);
	expect_word(b, "ack 1");
	expect_nothing_held(b);
}

static void test_copy_of_the_running_job_asks_at_once(void **state)
{
	struct bench *b = *state;
	struct seen *claim;

	deliver(b, "a", "sleep 1000");
	deliver(b, "b", "exit 0");
	expect(b, MSG_CLAIM);
	await_running(b);
	deliver_again(b, "a", "sleep 1000");
	claim = expect(b, MSG_CLAIM);
	assert_string_equal(claim->job, "a");
	say_verdict(b, claim, (struct msg_verdict){.verdict = VERDICT_TAKE, .job = slice_str("a")});
	say_taken(b, expect(b, MSG_TAKE));
	expect_word(b, "ack 3");
	assert_int_equal(b->slot.nruns, 1);
}

static void test_alone(void **state)
{
	struct bench *b = *state;
	struct seen *first, *claim;

	deliver(b, "a", "exit 0");
	deliver_again(b, "b", "exit 0");
	expect(b, MSG_CLAIM);
	claim = expect(b, MSG_CLAIM); /* asked for while the first runs */
	assert_string_equal(claim->job, "b");
	first = expect(b, MSG_OUTCOME);
	say_verdict(b, claim, (struct msg_verdict){.verdict = VERDICT_RUN, .attempt = 2, .alone = 1});
	say_recorded(b, first);
	expect_word(b, "ack 1"); /* before the start: two were open otherwise */
	assert_int_equal(b->slot.started, 1);
	expect_begin(b, claim);
	assert_string_equal(expect(b, MSG_OUTCOME)->job, "b");
}

static void test_ask_is_passed_on(void **state)
{
	struct bench *b = *state;

	peer_send_ask(b->far, &(struct msg_ask){.queue = slice_str("q"), .always = 1});
	turn(b);
	assert_string_equal(b->asked, "q 1");
	link_down(b);
	link_up(b); /* it may have changed its mind while nobody heard it: it says anew what it asks */
	assert_string_equal(b->asked, " 0");
}

/* --- take-over, cancel ------------------------------------------------------------------------ */

static void test_taken_while_it_runs(void **state)
{
	struct bench *b = *state;
	struct seen *s, *claim;

	b->pool.take_after = 100;
	deliver(b, "a", "sleep 1000");
	deliver(b, "b", "exit 0");
	claim = expect(b, MSG_CLAIM);
	s = expect(b, MSG_TAKE);
	assert_string_equal(s->job, "a");
	assert_int_equal(s->running, 1);
	say_taken(b, s);
	s = expect(b, MSG_TAKE);
	assert_string_equal(s->job, "b");
	assert_int_equal(s->running, 0);
	say_taken(b, s);
	expect_word(b, "ack 1");
	expect_word(b, "ack 2");
	assert_int_equal(b->slot.nruns, 1);
	peer_send_cancel(b->far, &(struct msg_cancel){.run = claim->run});
	s = expect(b, MSG_OUTCOME);
	assert_string_equal(s->job, "a");
	say_recorded(b, s);
	expect_answered(b, "ack 3");
}

/* It is old enough while it still waits for the verdict. */
static void test_aged_while_asking(void **state)
{
	struct bench *b = *state;
	struct loop_timer later;
	struct seen *claim, *s;

	b->pool.take_after = 10;
	deliver_again(b, "a", "sleep 1000");
	claim = expect(b, MSG_CLAIM);
	loop_timer_init(&later, b->loop, on_later, NULL);
	loop_timer_set(&later, 50);
	turn(b);
	say_verdict(b, claim, (struct msg_verdict){.verdict = VERDICT_RUN, .attempt = 2});
	expect_begin(b, claim);
	s = expect(b, MSG_TAKE);
	assert_int_equal(s->running, 1);
	say_taken(b, s);
	expect_word(b, "ack 1");
}

static void test_cancelled_while_it_runs(void **state)
{
	struct bench *b = *state;
	struct seen *s;

	deliver(b, "a", "sleep 1000");
	s = expect(b, MSG_CLAIM);
	await_running(b);
	peer_send_cancel(b->far, &(struct msg_cancel){.run = s->run});
	s = expect(b, MSG_OUTCOME);
	assert_int_equal(s->outcome, OUTCOME_CANCELLED);
	assert_true(s->has_body);
	say_recorded(b, s);
	expect_word(b, "ack 1");
}

/* --- the store goes, the broker goes ---------------------------------------------------------- */

static void test_outcome_is_sent_again(void **state)
{
	struct bench *b = *state;
	struct seen *first, *hold, *again;

	deliver(b, "a", "printf x");
	expect(b, MSG_CLAIM);
	first = expect(b, MSG_OUTCOME);
	link_down(b);
	assert_int_equal(dispatch_held(b->dispatch), 1);
	link_up(b);
	hold = expect(b, MSG_HOLD);
	assert_true(id_eq(hold->run, first->run));
	assert_int_equal(hold->verdict, VERDICT_NONE);
	assert_int_equal(hold->attempt, 1);
	again = expect(b, MSG_OUTCOME);
	assert_true(id_eq(again->run, first->run));
	assert_string_equal(again->text, "x");
	say_recorded(b, again);
	expect_word(b, "ack 1");
	expect_nothing_held(b);
}

static void test_nothing_starts_without_a_store(void **state)
{
	struct bench *b = *state;

	link_down(b);
	deliver(b, "a", "exit 0");
	dispatch_turn(b->dispatch);
	assert_int_equal(b->slot.started, 0);
	assert_int_equal(b->slot.buffered, 1);
	link_up(b);
	expect(b, MSG_CLAIM);
	expect(b, MSG_OUTCOME);
}

static void test_asks_again(void **state)
{
	struct bench *b = *state;
	struct seen *first, *again;

	deliver_again(b, "a", "exit 0");
	first = expect(b, MSG_CLAIM);
	link_down(b);
	assert_int_equal(dispatch_held(b->dispatch), 1);
	link_up(b);
	assert_int_equal(expect(b, MSG_HOLD)->verdict, VERDICT_NONE);
	again = expect(b, MSG_CLAIM);
	assert_true(id_eq(first->run, again->run));
	say_verdict(b, again, (struct msg_verdict){.verdict = VERDICT_RUN, .attempt = 2});
	expect_begin(b, again);
	expect(b, MSG_OUTCOME);
	link_down(b);
	link_up(b);
	assert_int_equal(expect(b, MSG_HOLD)->verdict, VERDICT_RUN);
	expect(b, MSG_OUTCOME);
}

static void test_take_is_sent_again(void **state)
{
	struct bench *b = *state;
	struct seen *first, *again;

	deliver_again(b, "a", "exit 0");
	say_verdict(b, expect(b, MSG_CLAIM), (struct msg_verdict){.verdict = VERDICT_TAKE, .job = slice_str("a")});
	first = expect(b, MSG_TAKE);
	link_down(b);
	link_up(b);
	again = expect(b, MSG_TAKE);
	assert_true(id_eq(first->run, again->run));
	say_taken(b, again);
	expect_word(b, "ack 1");
	expect_nothing_held(b);
}

static void test_broker_lost(void **state)
{
	struct bench *b = *state;
	struct seen *s;

	deliver(b, "a", "sleep 1000");
	deliver(b, "b", "exit 0");
	s = expect(b, MSG_CLAIM);
	await_running(b);
	dispatch_lost(b->dispatch, &b->source);
	assert_int_equal(b->slot.nruns, 1);
	peer_send_cancel(b->far, &(struct msg_cancel){.run = s->run});
	s = expect(b, MSG_OUTCOME);
	assert_string_equal(s->job, "a");
	say_recorded(b, s);
	expect_answered(b, "ack 3");
}

static void test_broker_lost_while_asking(void **state)
{
	struct bench *b = *state;
	struct seen *s;

	deliver_again(b, "a", "exit 0");
	s = expect(b, MSG_CLAIM);
	dispatch_lost(b->dispatch, &b->source);
	say_verdict(b, s, (struct msg_verdict){.verdict = VERDICT_RUN, .attempt = 2});
	s = expect(b, MSG_OUTCOME);
	assert_int_equal(s->outcome, OUTCOME_RELEASED);
	assert_int_equal(b->slot.started, 0);
	say_recorded(b, s);
	expect_answered(b, "ack 2");
}

/* --- pausing and stopping --------------------------------------------------------------------------------- */

static void say_paused(struct bench *b, bool yes)
{
	peer_send_paused(b->far, &(struct msg_paused){.queue = slice_str("q"), .paused = yes});
}

static void test_pausing_hands_back_what_waits(void **state)
{
	struct bench *b = *state;
	struct seen *s;

	deliver(b, "a", "sleep 1000");
	deliver(b, "b", "exit 0");
	s = expect(b, MSG_CLAIM);
	await_running(b);
	say_paused(b, true);
	expect_word(b, "requeue 2");
	deliver(b, "c", "exit 0"); /* it was on its way */
	expect_word(b, "requeue 3");
	peer_send_cancel(b->far, &(struct msg_cancel){.run = s->run});
	s = expect(b, MSG_OUTCOME); /* what ran went on */
	assert_int_equal(s->outcome, OUTCOME_CANCELLED);
	say_paused(b, false);
	say_recorded(b, s);
	expect_word(b, "ack 1");
	deliver(b, "d", "exit 0");
	assert_string_equal(expect(b, MSG_CLAIM)->job, "d");
	expect(b, MSG_OUTCOME);
}

/* Cleared for nothing: its claim is closed, and then the broker has it again. */
static void test_pausing_while_asking(void **state)
{
	struct bench *b = *state;
	struct seen *s;

	deliver_again(b, "a", "exit 0");
	s = expect(b, MSG_CLAIM);
	say_paused(b, true);
	say_verdict(b, s, (struct msg_verdict){.verdict = VERDICT_RUN, .attempt = 2});
	s = expect(b, MSG_OUTCOME);
	assert_int_equal(s->outcome, OUTCOME_RELEASED);
	assert_int_equal(b->slot.started, 0);
	say_recorded(b, s);
	expect_word(b, "requeue 1");
	expect_nothing_held(b);
}

static void test_stop_lets_the_run_finish(void **state)
{
	struct bench *b = *state;
	char go[] = "/tmp/test_worker_dispatch.XXXXXX", script[128];
	auto_fd int fd = mkstemp(go);
	struct seen *s;

	snprintf(script, sizeof script, "while test -e %s; do sleep 0.01; done; printf x", go);
	deliver(b, "a", script);
	deliver(b, "b", "exit 0");
	expect(b, MSG_CLAIM);
	await_running(b);
	dispatch_stop(b->dispatch, false, 20000);
	expect_word(b, "requeue 2");
	deliver(b, "c", "exit 0");
	expect_word(b, "requeue 3");
	assert_int_equal(unlink(go), 0);
	s = expect(b, MSG_OUTCOME);
	assert_int_equal(s->outcome, OUTCOME_DONE);
	say_recorded(b, s);
	expect_word(b, "ack 1");
	await_empty(b);
}

static void test_stop_releases(void **state)
{
	struct bench *b = *state;
	struct seen *s;

	deliver(b, "a", "sleep 1000");
	expect(b, MSG_CLAIM);
	await_running(b);
	dispatch_stop(b->dispatch, false, 50);
	s = expect(b, MSG_OUTCOME);
	assert_int_equal(s->outcome, OUTCOME_RELEASED);
	assert_int_equal(s->signal, SIGTERM);
	say_recorded(b, s);
	expect_word(b, "requeue 1");
	await_empty(b);
	assert_int_equal(b->slot.released, 1);
}

static void test_hurry_kills(void **state)
{
	struct bench *b = *state;
	struct seen *s;

	deliver(b, "a", "trap '' TERM; while :; do sleep 1000; done");
	expect(b, MSG_CLAIM);
	await_running(b);
	dispatch_stop(b->dispatch, false, 3600000);
	dispatch_stop(b->dispatch, true, 0);
	s = expect(b, MSG_OUTCOME);
	assert_int_equal(s->outcome, OUTCOME_RELEASED);
	say_recorded(b, s);
	expect_word(b, "requeue 1");
	await_empty(b);
}

static void test_stop_while_asking(void **state)
{
	struct bench *b = *state;
	struct seen *s;

	deliver_again(b, "a", "exit 0");
	s = expect(b, MSG_CLAIM);
	dispatch_stop(b->dispatch, false, 1000);
	say_verdict(b, s, (struct msg_verdict){.verdict = VERDICT_RUN, .attempt = 2});
	s = expect(b, MSG_OUTCOME);
	assert_int_equal(s->outcome, OUTCOME_RELEASED);
	say_recorded(b, s);
	expect_word(b, "requeue 1");
	await_empty(b);
}

static void test_stop_while_asking_nobody(void **state)
{
	struct bench *b = *state;

	deliver_again(b, "a", "exit 0");
	expect(b, MSG_CLAIM);
	link_down(b);
	dispatch_stop(b->dispatch, false, 1000);
	expect_word(b, "requeue 1");
	await_empty(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_done),
	    CASE(test_failed_comes_with_body),
	    CASE(test_next_runs_while_the_last_is_recorded),
	    CASE(test_slow_store_slows_the_starts),
	    CASE(test_no_handler),
	    CASE(test_unreadable),
	    CASE(test_expired),
	    CASE(test_not_due),
	    CASE(test_program_is_missing),
	    CASE(test_asks_and_runs),
	    CASE(test_dropped_and_cancelled),
	    CASE(test_buried),
	    CASE(test_taken_and_named),
	    CASE(test_copy_of_the_running_job_asks_at_once),
	    CASE(test_alone),
	    CASE(test_ask_is_passed_on),
	    CASE(test_taken_while_it_runs),
	    CASE(test_aged_while_asking),
	    CASE(test_cancelled_while_it_runs),
	    CASE(test_outcome_is_sent_again),
	    CASE(test_nothing_starts_without_a_store),
	    CASE(test_asks_again),
	    CASE(test_take_is_sent_again),
	    CASE(test_broker_lost),
	    CASE(test_broker_lost_while_asking),
	    CASE(test_pausing_hands_back_what_waits),
	    CASE(test_pausing_while_asking),
	    CASE(test_stop_lets_the_run_finish),
	    CASE(test_stop_releases),
	    CASE(test_hurry_kills),
	    CASE(test_stop_while_asking),
	    CASE(test_stop_while_asking_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
