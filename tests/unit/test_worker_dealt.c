/* links: daemon/worker/dispatch.c daemon/worker/answers.c daemon/worker/shelf.c daemon/worker/show.c daemon/worker/report.c daemon/worker/delivery.c daemon/worker/prefetch.c daemon/worker/handlers.c daemon/worker/next.c daemon/worker/service.c daemon/worker/service_runs.c daemon/worker/talk.c daemon/worker/lines.c daemon/worker/chatter.c daemon/worker/launch.c daemon/worker/age.c daemon/worker/runner.c daemon/worker/capture.c daemon/worker/environment.c daemon/worker/oom.c daemon/worker/scheduling.c daemon/worker/reap.c daemon/worker/dealt.c daemon/worker/intake.c */
/* SPDX-License-Identifier: MIT */
/* What becomes of the jobs that the store deals. */
#include "tests/unit/worker_bench.h"

#include <errno.h>

#include "daemon/worker/dealt.h"

static bool stopped, closed;

static void on_intake_changed(void *arg UNUSED)
{
}

static void on_intake_stopped(void *arg UNUSED)
{
	stopped = true;
	loop_stop(the->loop);
}

static void on_intake_closed(void *arg UNUSED)
{
	closed = true;
	loop_stop(the->loop);
}

static void on_intake_dealt(void *arg UNUSED, struct source *source, const struct msg_deal *m)
{
	dispatch_dealt(the->dispatch, source, m);
}

static int setup_dealt(void **state)
{
	static const struct intake_events events = {.dealt = on_intake_dealt,
	    .changed = on_intake_changed,
	    .stopped = on_intake_stopped,
	    .closed = on_intake_closed};
	static char q[] = "q", r[] = "r", *names[] = {q, r};
	static struct conf_queue queues[2];
	struct bench *b;

	setup(state);
	b = *state;
	stopped = closed = false;
	queues[0] = queues[1] = b->queue;
	queues[1].section = r;
	b->conf.queues = queues;
	b->conf.nqueues = 2;
	b->pool.queues = (struct conf_words){.v = names, .n = 2};
	b->intake = dealt_new(b->loop, &b->conf, &b->pool, 4, &events, b);
	assert_false(b->intake->ops->is_up(b->intake));
	b->intake->ops->link(b->intake, b->near);
	assert_int_equal(expect(b, MSG_WANT)->runs, 4);
	return 0;
}

static int teardown_dealt(void **state)
{
	struct bench *b = *state;
	struct intake *intake = b->intake;

	b->intake = NULL;
	intake->ops->free(intake);
	return teardown(state);
}

struct deal {
	unsigned run;
	const char *queue, *id, *type, *script;
	bool alone;
};

static struct id run_id(unsigned n)
{
	struct id id = {{0x52}};

	memcpy(id.b + 1, &n, sizeof n);
	return id;
}

static void deal_job(struct bench *b, struct deal d)
{
	struct job job = job_blank();
	struct buf envelope;

	buf_init(&envelope, 4096);
	job.id = slice_str(d.id);
	job.type = slice_str(d.type ? d.type : "sh");
	assert_int_equal(envelope_pack(&job, &envelope), 0);
	peer_send_deal(b->far, &(struct msg_deal){.run = run_id(d.run),
				   .queue = slice_str(d.queue),
				   .attempt = 3,
				   .alone = d.alone,
				   .parcel = 7,
				   .envelope = buf_slice(&envelope),
				   .body = slice_str(d.script)});
	buf_free(&envelope);
}

static void deal(struct bench *b, unsigned run, const char *id, const char *script)
{
	deal_job(b, (struct deal){.run = run, .queue = "q", .id = id, .script = script});
}

/* It says that it begins, and does not ask. */
static void expect_start(struct bench *b, unsigned run)
{
	struct seen *s = expect(b, MSG_CLAIM);

	assert_true(id_eq(s->run, run_id(run)));
	assert_int_equal(s->flags, 0);
}

static struct seen *expect_outcome(struct bench *b, unsigned run, enum outcome outcome)
{
	struct seen *s = expect(b, MSG_OUTCOME);

	assert_true(id_eq(s->run, run_id(run)));
	assert_string_equal(outcome_name((enum outcome)s->outcome), outcome_name(outcome));
	return s;
}

/* Its end is heard of, and the store has it. */
static void expect_end(struct bench *b, unsigned run, enum outcome outcome)
{
	say_recorded(b, expect_outcome(b, run, outcome));
}

static void expect_never_started(struct bench *b, unsigned run, enum outcome outcome)
{
	struct seen *s = expect_outcome(b, run, outcome);

	assert_true(s->flags & OUTCOME_BURIED);
	say_recorded(b, s);
}

static void cancel(struct bench *b, unsigned run)
{
	peer_send_cancel(b->far, &(struct msg_cancel){.run = run_id(run)});
}

static void say_paused(struct bench *b, const char *queue, bool yes)
{
	peer_send_paused(b->far, &(struct msg_paused){.queue = slice_str(queue), .paused = yes});
}

/* The store's last word has been heard: a job more comes and goes. */
static void expect_all_over(struct bench *b)
{
	deal_job(b, (struct deal){.run = 999, .queue = "r", .id = "last", .script = "exit 0"});
	expect_start(b, 999);
	expect_end(b, 999, OUTCOME_DONE);
	cancel(b, 999); /* heard after the word before it, and answered by nothing */
	while (!dispatch_is_empty(b->dispatch)) {
		struct loop_timer later;

		loop_timer_init(&later, b->loop, on_later, NULL);
		loop_timer_set(&later, 1);
		turn(b);
	}
	assert_int_equal(b->nseen, b->looked);
}

/* --- runs ------------------------------------------------------------------------------------- */

static void test_a_dealt_job_runs_without_asking(void **state)
{
	struct bench *b = *state;
	struct seen *s;

	b->intake->sources[0]->ask = true; /* it has the store's word already */
	deal(b, 1, "a", "printf $SKEP_ATTEMPT-$SKEP_JOB_ID");
	expect_start(b, 1);
	s = expect_outcome(b, 1, OUTCOME_DONE);
	assert_string_equal(s->text, "3-a");
	assert_int_equal(s->flags, 0);
	assert_false(s->has_body);
	assert_false(dispatch_is_empty(b->dispatch));
	say_recorded(b, s);
	expect_all_over(b);
	assert_int_equal(b->slot.delivered, 2);
	assert_int_equal(b->slot.done, 2);
}

static void test_a_failure_comes_with_its_body(void **state)
{
	struct bench *b = *state;
	struct seen *s;

	deal(b, 1, "a", "exit 3");
	expect_start(b, 1);
	s = expect_outcome(b, 1, OUTCOME_RETRY);
	assert_int_equal(s->exit_code, 3);
	assert_true(s->has_body);
	assert_string_equal(s->body, "exit 3");
	say_recorded(b, s);
	expect_all_over(b);
}

static void test_no_handler(void **state)
{
	struct bench *b = *state;

	deal_job(b, (struct deal){.run = 1, .queue = "q", .id = "a", .type = "unheard-of", .script = "x"});
	expect_never_started(b, 1, OUTCOME_DEAD);
	expect_all_over(b);
}

/* What is not recorded yet holds up nobody. */
static void test_the_next_begins_while_the_last_is_recorded(void **state)
{
	struct bench *b = *state;
	struct seen *first;

	deal(b, 1, "a", "exit 0");
	deal(b, 2, "b", "exit 0");
	expect_start(b, 1);
	first = expect_outcome(b, 1, OUTCOME_DONE);
	expect_start(b, 2);
	expect_end(b, 2, OUTCOME_DONE);
	say_recorded(b, first);
	expect_all_over(b);
}

/* A job with a loss on record takes nobody else's outcome down with it. */
static void test_one_that_is_alone_waits_until_the_others_are_recorded(void **state)
{
	struct bench *b = *state;
	struct seen *first;

	deal(b, 1, "a", "exit 0");
	deal_job(b, (struct deal){.run = 2, .queue = "q", .id = "b", .script = "exit 0", .alone = true});
	expect_start(b, 1);
	first = expect_outcome(b, 1, OUTCOME_DONE);
	for (int i = 0; i < 3; i++)
		dispatch_turn(b->dispatch);
	assert_int_equal(b->slot.started, 1);
	say_recorded(b, first);
	expect_start(b, 2);
	expect_end(b, 2, OUTCOME_DONE);
	expect_all_over(b);
}

static void test_a_queue_of_another_pool_is_not_the_stores_to_deal(void **state)
{
	struct bench *b = *state;
	struct msg_deal m = {.queue = slice_str("other")};

	assert_int_equal(b->intake->ops->deal(b->intake, &m), -EPROTO);
	assert_true(dispatch_is_empty(b->dispatch));
}

/* --- cancel, pause, stop ---------------------------------------------------------------------- */

static void test_cancelled(void **state)
{
	struct bench *b = *state;

	deal(b, 1, "runs", "sleep 1000");
	deal(b, 2, "waits", "exit 0");
	expect_start(b, 1);
	await_running(b);
	cancel(b, 2);
	expect_never_started(b, 2, OUTCOME_CANCELLED);
	cancel(b, 1);
	expect_end(b, 1, OUTCOME_CANCELLED);
	expect_all_over(b);
	assert_int_equal(b->slot.started, 2);
}

static void test_pausing_hands_back_what_has_not_begun(void **state)
{
	struct bench *b = *state;

	deal(b, 1, "runs", "sleep 1000");
	deal(b, 2, "waits", "exit 0");
	deal_job(b, (struct deal){.run = 3, .queue = "r", .id = "other", .script = "exit 0"});
	expect_start(b, 1);
	await_running(b);
	say_paused(b, "q", true);
	expect_never_started(b, 2, OUTCOME_RELEASED);
	cancel(b, 1); /* it went on */
	expect_end(b, 1, OUTCOME_CANCELLED);
	expect_start(b, 3);
	expect_end(b, 3, OUTCOME_DONE);
	expect_all_over(b);
}

/* The store had not heard of it when it dealt, or the other way round. */
static void test_dealt_while_it_is_paused(void **state)
{
	struct bench *b = *state;

	say_paused(b, "q", true);
	deal(b, 1, "a", "exit 0");
	expect_never_started(b, 1, OUTCOME_RELEASED);
	deal_job(b, (struct deal){.run = 2, .queue = "r", .id = "other", .script = "exit 0"});
	expect_start(b, 2);
	expect_end(b, 2, OUTCOME_DONE);
	say_paused(b, "q", false);
	deal(b, 3, "a", "exit 0");
	expect_start(b, 3);
	expect_end(b, 3, OUTCOME_DONE);
	expect_all_over(b);
}

static void test_stop_hands_back_what_has_not_begun(void **state)
{
	struct bench *b = *state;

	deal(b, 1, "runs", "sleep 1000");
	deal(b, 2, "waits", "exit 0");
	expect_start(b, 1);
	await_running(b);
	while (b->slot.buffered != 1)
		turn(b);
	dispatch_stop(b->dispatch, false, 3600000);
	expect_never_started(b, 2, OUTCOME_RELEASED);
	deal(b, 3, "late", "exit 0");
	expect_never_started(b, 3, OUTCOME_RELEASED);
	assert_false(b->empty);
	dispatch_stop(b->dispatch, true, 0);
	expect_end(b, 1, OUTCOME_RELEASED);
	await_empty(b);
	assert_int_equal(b->slot.started, 1);
}

/* --- the store goes and comes ----------------------------------------------------------------- */

static void test_a_new_store_is_told_what_was_dealt(void **state)
{
	struct bench *b = *state;
	struct seen *s;

	deal(b, 1, "runs", "sleep 1000");
	deal(b, 2, "waits", "exit 0");
	expect_start(b, 1);
	await_running(b);
	while (dispatch_held(b->dispatch) != 2)
		turn(b);
	link_down(b);
	link_up(b);
	s = expect(b, MSG_HOLD);
	assert_true(id_eq(s->run, run_id(1)));
	assert_int_equal(s->verdict, VERDICT_RUN);
	assert_int_equal(s->attempt, 3);
	assert_int_equal(s->begun, 1);
	s = expect(b, MSG_HOLD);
	assert_true(id_eq(s->run, run_id(2)));
	assert_int_equal(s->verdict, VERDICT_RUN);
	assert_int_equal(s->begun, 0);
	assert_int_equal(expect(b, MSG_WANT)->runs, 4);
	cancel(b, 1);
	expect_outcome(b, 1, OUTCOME_CANCELLED);
	expect_start(b, 2); /* it goes on as if nothing had been */
	expect_end(b, 2, OUTCOME_DONE);
}

static void test_an_outcome_is_sent_again(void **state)
{
	struct bench *b = *state;

	deal(b, 1, "a", "exit 0");
	expect_start(b, 1);
	expect_outcome(b, 1, OUTCOME_DONE);
	link_down(b);
	link_up(b);
	assert_int_equal(expect(b, MSG_HOLD)->begun, 1);
	expect(b, MSG_WANT);
	expect_end(b, 1, OUTCOME_DONE);
	expect_all_over(b);
}

static void test_nothing_begins_without_a_store(void **state)
{
	struct bench *b = *state;

	deal(b, 1, "first", "exit 0");
	expect_start(b, 1);
	deal_job(b, (struct deal){.run = 2, .queue = "q", .id = "b", .script = "exit 0", .alone = true});
	expect_outcome(b, 1, OUTCOME_DONE);
	while (dispatch_held(b->dispatch) != 2)
		turn(b);
	link_down(b);
	dispatch_turn(b->dispatch);
	assert_int_equal(b->slot.started, 1);
	assert_int_equal(b->slot.buffered, 1);
	link_up(b);
	expect(b, MSG_HOLD);
	expect(b, MSG_HOLD);
	expect(b, MSG_WANT);
	expect_end(b, 1, OUTCOME_DONE);
	expect_start(b, 2);
	expect_end(b, 2, OUTCOME_DONE);
	expect_all_over(b);
}

static void test_it_wants_its_prefetch_and_none_when_it_leaves(void **state)
{
	struct bench *b = *state;
	struct intake *in = b->intake;

	assert_true(in->ops->is_up(in));
	assert_false(in->ops->is_blocked(in));
	in->ops->set_prefetch(in, 0);
	assert_true(in->ops->is_paused(in));
	assert_int_equal(expect(b, MSG_WANT)->runs, 0);
	link_down(b);
	assert_false(in->ops->is_up(in));
	in->ops->set_prefetch(in, 7);
	assert_false(in->ops->is_paused(in));
	link_up(b);
	assert_int_equal(expect(b, MSG_WANT)->runs, 7);
	in->ops->stop(in);
	assert_false(stopped); /* not from inside the call */
	assert_int_equal(expect(b, MSG_WANT)->runs, 0);
	while (!stopped)
		turn(b);
	in->ops->set_prefetch(in, 9); /* whatever the balance says, it is leaving */
	assert_int_equal(expect(b, MSG_WANT)->runs, 0);
	in->ops->close(in);
	assert_false(closed);
	while (!closed)
		turn(b);
}

#define DEALT(f) cmocka_unit_test_setup_teardown(f, setup_dealt, teardown_dealt)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    DEALT(test_a_dealt_job_runs_without_asking),
	    DEALT(test_a_failure_comes_with_its_body),
	    DEALT(test_no_handler),
	    DEALT(test_the_next_begins_while_the_last_is_recorded),
	    DEALT(test_one_that_is_alone_waits_until_the_others_are_recorded),
	    DEALT(test_a_queue_of_another_pool_is_not_the_stores_to_deal),
	    DEALT(test_cancelled),
	    DEALT(test_pausing_hands_back_what_has_not_begun),
	    DEALT(test_dealt_while_it_is_paused),
	    DEALT(test_stop_hands_back_what_has_not_begun),
	    DEALT(test_a_new_store_is_told_what_was_dealt),
	    DEALT(test_an_outcome_is_sent_again),
	    DEALT(test_nothing_begins_without_a_store),
	    DEALT(test_it_wants_its_prefetch_and_none_when_it_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
