/* links: daemon/worker/dispatch.c daemon/worker/answers.c daemon/worker/shelf.c daemon/worker/show.c daemon/worker/report.c daemon/worker/delivery.c daemon/worker/prefetch.c daemon/worker/handlers.c daemon/worker/next.c daemon/worker/service.c daemon/worker/service_runs.c daemon/worker/talk.c daemon/worker/lines.c daemon/worker/chatter.c daemon/worker/launch.c daemon/worker/age.c daemon/worker/runner.c daemon/worker/capture.c daemon/worker/environment.c daemon/worker/oom.c daemon/worker/reap.c */
/* SPDX-License-Identifier: MIT */
/*
 * A worker without broker, supervisor and database: a source that writes down what it is told, a
 * store that is the other end of a socket pair and says what the test wants, and real handlers in
 * sh.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>

#include "daemon/worker/delivery.h"
#include "daemon/worker/dispatch.h"
#include "daemon/worker/reap.h"
#include "lib/base/clock.h"

#define PATIENCE_MS 30000
#define SEEN_MAX 64

/* A frame that the store got, or a word that the source got. */
struct seen {
	enum message_type type; /* MSG_NONE: of the source */
	char word[16];          /* "ack 3" */
	struct id run;
	char job[64], text[200];
	unsigned flags, outcome, running, verdict, attempt;
	int64_t exit_code, signal, due_wall_ms;
	bool has_body;
	char body[64];
};

struct bench {
	struct loop *loop;
	struct peer_hub *hub;
	struct loop_hook turn;
	struct conf conf;
	struct conf_pool pool;
	struct conf_queue queue;
	struct conf_handler handlers[2];
	struct environment *environment;
	struct prefetch prefetch;
	struct board_slot slot;
	struct dispatch *dispatch;
	struct source source;
	struct peer *near, *far; /* the worker's end and the store's */
	struct seen seen[SEEN_MAX];
	size_t nseen, looked;
	uint64_t tags;
	bool empty;
	char asked[32];
};

static struct bench *the; /* what callbacks without an argument belong to */

/* --- what is written down --------------------------------------------------------------------- */

static struct seen *note(void)
{
	assert_true(the->nseen < SEEN_MAX);
	loop_stop(the->loop);
	return &the->seen[the->nseen++];
}

static void note_word(const char *what, struct source_tag tag)
{
	snprintf(note()->word, sizeof the->seen[0].word, "%s %u", what, (unsigned)tag.delivery);
}

static void source_ack(struct source *s UNUSED, struct source_tag tag)
{
	note_word("ack", tag);
}

static void source_requeue(struct source *s UNUSED, struct source_tag tag)
{
	note_word("requeue", tag);
}

static void saw_claim(struct frame *f, struct seen *s)
{
	struct msg_claim m;

	assert_int_equal(msg_claim_decode(f, &m), 0);
	s->run = m.run;
	s->flags = m.flags;
	slice_copy(s->job, sizeof s->job, m.job);
}

static void saw_take(struct frame *f, struct seen *s)
{
	struct msg_take m;

	assert_int_equal(msg_take_decode(f, &m), 0);
	s->run = m.run;
	s->running = m.running;
	s->due_wall_ms = m.due_wall_ms;
	s->has_body = m.body.p && m.envelope.p;
	slice_copy(s->job, sizeof s->job, m.job);
	slice_copy(s->text, sizeof s->text, m.reason);
	slice_copy(s->body, sizeof s->body, m.body);
}

static void saw_outcome(struct frame *f, struct seen *s)
{
	struct msg_outcome m;

	assert_int_equal(msg_outcome_decode(f, &m), 0);
	s->run = m.run;
	s->outcome = m.outcome;
	s->flags = m.flags;
	s->exit_code = m.exit_code;
	s->signal = m.signal;
	s->has_body = m.body.p && m.envelope.p;
	slice_copy(s->job, sizeof s->job, m.job);
	slice_copy(s->text, sizeof s->text, m.outcome == OUTCOME_DONE ? m.result : m.error);
	slice_copy(s->body, sizeof s->body, m.body);
}

static void saw_hold(struct frame *f, struct seen *s)
{
	struct msg_hold m;

	assert_int_equal(msg_hold_decode(f, &m), 0);
	s->run = m.run;
	s->verdict = m.verdict;
	s->attempt = m.attempt;
}

static int on_far_frame(struct peer *peer UNUSED, struct frame *f, void *arg UNUSED)
{
	static void (*const saw[MSG_COUNT])(struct frame *, struct seen *) = {
	    [MSG_CLAIM] = saw_claim,
	    [MSG_TAKE] = saw_take,
	    [MSG_OUTCOME] = saw_outcome,
	    [MSG_HOLD] = saw_hold,
	};
	struct seen *s = note();

	assert_non_null(saw[f->type]);
	s->type = f->type;
	saw[f->type](f, s);
	return 0;
}

static void on_far_closed(struct peer *peer UNUSED, const char *why UNUSED, void *arg UNUSED)
{
	the->far = NULL;
}

static int on_near_frame(struct peer *peer UNUSED, struct frame *f, void *arg UNUSED)
{
	return dispatch_frame(the->dispatch, f);
}

static void on_near_closed(struct peer *peer UNUSED, const char *why UNUSED, void *arg UNUSED)
{
	the->near = NULL;
	dispatch_link(the->dispatch, NULL);
}

static void on_ask(void *arg UNUSED, struct slice queue, bool always)
{
	snprintf(the->asked, sizeof the->asked, SLICE_FMT " %d", SLICE_ARG(queue), always);
	loop_stop(the->loop);
}

static int on_deal(void *arg UNUSED, const struct msg_deal *m)
{
	struct bench *b = the;

	dispatch_dealt(b->dispatch, &b->source, m);
	return 0;
}

static void on_paused(void *arg UNUSED, struct slice queue UNUSED, bool paused)
{
	struct bench *b = the;

	b->source.paused = paused;
	dispatch_paused(b->dispatch, &b->source);
}

static void on_changed(void *arg UNUSED)
{
}

static void on_empty(void *arg UNUSED)
{
	the->empty = true;
	loop_stop(the->loop);
}

static void on_turn(struct loop_hook *hook UNUSED)
{
	dispatch_turn(the->dispatch);
}

/* --- the bench -------------------------------------------------------------------------------- */

static void link_up(struct bench *b)
{
	static const struct peer_ops near_ops = {on_near_frame, on_near_closed};
	static const struct peer_ops far_ops = {on_far_frame, on_far_closed};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	b->near = peer_new(b->hub, fds[0], &near_ops, NULL);
	b->far = peer_new(b->hub, fds[1], &far_ops, NULL);
	dispatch_hold(b->dispatch, b->near);
	dispatch_link(b->dispatch, b->near);
}

static void link_down(struct bench *b)
{
	peer_free(b->near);
	peer_free(b->far);
	b->near = b->far = NULL;
	dispatch_link(b->dispatch, NULL);
}

/* The handler `sh` runs its body as a script; `hard` dies of signal 9 alone. */
static int setup(void **state)
{
	static const struct source_ops ops = {source_ack, source_requeue};
	static const struct dispatch_events events = {
	    on_ask, on_deal, on_paused, on_changed, on_empty};
	static const char *inherited[] = {"PATH=/usr/local/bin:/usr/bin:/bin", NULL};
	static const char *command[] = {"/bin/sh", "-s", NULL};
	static char queue[] = "q", sh[] = "sh";
	struct bench *b = the = xcalloc(1, sizeof *b);
	struct err err = {0};

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(reap_begin(&err), 0);
	b->loop = loop_new();
	prefetch_init(&b->prefetch, 4, 1, 1);
	b->pool.take_after = 3600000;
	b->queue.section = queue;
	b->queue.handler = sh;
	b->handlers[0] = (struct conf_handler){.section = sh,
	    .command = {(char **)command, 2},
	    .max_result = 1 << 20,
	    .max_logs = 1 << 16,
	    .kill_after = 5000};
	b->conf.queues = &b->queue;
	b->conf.nqueues = 1;
	b->conf.handlers = b->handlers;
	b->conf.nhandlers = 1;
	b->source = (struct source){.ops = &ops, .queue = &b->queue};
	b->environment = environment_new(&b->conf, "node-1", "pool/1", (char **)inherited);
	b->dispatch = dispatch_new(&(struct dispatch_config){.loop = b->loop,
				       .conf = &b->conf,
				       .pool = &b->pool,
				       .environment = b->environment,
				       .prefetch = &b->prefetch,
				       .slot = &b->slot},
	    &events, b);
	loop_hook_add(b->loop, &b->turn, on_turn, b);
	b->hub = peer_hub_new(b->loop);
	link_up(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	struct reaper *reaper;

	peer_free(b->near);
	peer_free(b->far);
	dispatch_free(b->dispatch);
	environment_free(b->environment);
	reaper = reaper_new(b->loop);
	while (!reaper_kill_strays(reaper))
		continue;
	reaper_free(reaper);
	peer_hub_free(b->hub);
	loop_free(b->loop);
	free(b);
	return 0;
}

static struct message message_of(const char *id, const char *script)
{
	return (struct message){.message_id = slice_str(id),
	    .body = slice_str(script),
	    .timestamp_s = -1,
	    .priority = -1};
}

static uint64_t deliver_message(struct bench *b, const struct message *m)
{
	dispatch_delivered(b->dispatch, &b->source, (struct source_tag){1, ++b->tags}, m);
	return b->tags;
}

static void deliver(struct bench *b, const char *id, const char *script)
{
	struct message m = message_of(id, script);

	deliver_message(b, &m);
}

static void deliver_again(struct bench *b, const char *id, const char *script)
{
	struct message m = message_of(id, script);

	m.redelivered = true;
	deliver_message(b, &m);
}

static void on_later(struct loop_timer *t)
{
	loop_stop(t->loop);
}

static void on_impatience(struct loop_timer *t UNUSED)
{
	fail_msg("nothing happens any more");
}

static void turn(struct bench *b)
{
	struct loop_timer impatience;

	loop_timer_init(&impatience, b->loop, on_impatience, NULL);
	loop_timer_set(&impatience, PATIENCE_MS);
	loop_run(b->loop);
	loop_timer_stop(&impatience);
}

/* The next thing that store or source got. */
static struct seen *next(struct bench *b)
{
	while (b->looked == b->nseen)
		turn(b);
	return &b->seen[b->looked++];
}

static struct seen *expect(struct bench *b, enum message_type type)
{
	struct seen *s = next(b);

	if (s->type != type)
		fail_msg("%s%s instead of %s", message_name(s->type), s->word, message_name(type));
	return s;
}

static void expect_word(struct bench *b, const char *word)
{
	assert_string_equal(expect(b, MSG_NONE)->word, word);
}

/* A run that was cleared says that it begins. */
static void expect_begin(struct bench *b, const struct seen *claim)
{
	struct seen *s = expect(b, MSG_CLAIM);

	assert_true(id_eq(s->run, claim->run));
	assert_false(s->flags & CLAIM_ASKS);
}

static void say_verdict(struct bench *b, const struct seen *claim, struct msg_verdict m)
{
	m.run = claim->run;
	peer_send_verdict(b->far, &m);
}

static void say_recorded(struct bench *b, const struct seen *s)
{
	peer_send_recorded(b->far, &(struct msg_recorded){.run = s->run});
}

static void say_taken(struct bench *b, const struct seen *s)
{
	peer_send_taken(b->far, &(struct msg_taken){.run = s->run});
}

static void await_running(struct bench *b)
{
	while (b->slot.nruns == 0)
		dispatch_turn(b->dispatch);
}

static void expect_nothing_held(struct bench *b)
{
	assert_true(dispatch_is_empty(b->dispatch));
	assert_int_equal(b->nseen, b->looked);
}

/* Whatever the store has said so far has been heard, and nothing came of it: one more delivery
 * comes and goes, whose end is `word`. */
static void expect_answered(struct bench *b, const char *word)
{
	deliver_again(b, "last", "exit 0");
	say_verdict(b, expect(b, MSG_CLAIM), (struct msg_verdict){.verdict = VERDICT_DROP});
	expect_word(b, word);
	expect_nothing_held(b);
}

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

/* --- stopping --------------------------------------------------------------------------------- */

static void await_empty(struct bench *b)
{
	while (!b->empty)
		turn(b);
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

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

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
	    CASE(test_stop_lets_the_run_finish),
	    CASE(test_stop_releases),
	    CASE(test_hurry_kills),
	    CASE(test_stop_while_asking),
	    CASE(test_stop_while_asking_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
