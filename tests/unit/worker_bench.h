/* SPDX-License-Identifier: MIT */
/*
 * A worker without broker, supervisor and database: a source that writes down what it is told, a
 * store that is the other end of a socket pair and says what the test wants, and real handlers in
 * sh.
 */
#ifndef SKEP_TESTS_WORKER_BENCH_H
#define SKEP_TESTS_WORKER_BENCH_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>

#include "daemon/worker/delivery.h"
#include "daemon/worker/dispatch.h"
#include "daemon/worker/intake.h"
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
	unsigned flags, outcome, running, verdict, attempt, begun, runs;
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
	struct intake *intake; /* of a test that has one: it is what is dealt and paused */
	struct peer *near, *far; /* the worker's end and the store's */
	struct seen seen[SEEN_MAX];
	size_t nseen, looked;
	uint64_t tags;
	bool empty;
	char asked[32];
};

static struct bench *the; /* what callbacks without an argument belong to */

/* --- what is written down --------------------------------------------------------------------- */

static inline struct seen *note(void)
{
	assert_true(the->nseen < SEEN_MAX);
	loop_stop(the->loop);
	return &the->seen[the->nseen++];
}

static inline void note_word(const char *what, struct source_tag tag)
{
	snprintf(note()->word, sizeof the->seen[0].word, "%s %u", what, (unsigned)tag.delivery);
}

static inline void source_ack(struct source *s UNUSED, struct source_tag tag)
{
	note_word("ack", tag);
}

static inline void source_requeue(struct source *s UNUSED, struct source_tag tag)
{
	note_word("requeue", tag);
}

static inline void saw_claim(struct frame *f, struct seen *s)
{
	struct msg_claim m;

	assert_int_equal(msg_claim_decode(f, &m), 0);
	s->run = m.run;
	s->flags = m.flags;
	slice_copy(s->job, sizeof s->job, m.job);
}

static inline void saw_take(struct frame *f, struct seen *s)
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

static inline void saw_outcome(struct frame *f, struct seen *s)
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

static inline void saw_hold(struct frame *f, struct seen *s)
{
	struct msg_hold m;

	assert_int_equal(msg_hold_decode(f, &m), 0);
	s->run = m.run;
	s->verdict = m.verdict;
	s->attempt = m.attempt;
	s->begun = m.begun;
}

static inline void saw_want(struct frame *f, struct seen *s)
{
	struct msg_want m;

	assert_int_equal(msg_want_decode(f, &m), 0);
	s->runs = m.runs;
}

static inline int on_far_frame(struct peer *peer UNUSED, struct frame *f, void *arg UNUSED)
{
	static void (*const saw[MSG_COUNT])(struct frame *, struct seen *) = {
	    [MSG_CLAIM] = saw_claim,
	    [MSG_TAKE] = saw_take,
	    [MSG_OUTCOME] = saw_outcome,
	    [MSG_HOLD] = saw_hold,
	    [MSG_WANT] = saw_want,
	};
	struct seen *s = note();

	assert_non_null(saw[f->type]);
	s->type = f->type;
	saw[f->type](f, s);
	return 0;
}

static inline void on_far_closed(struct peer *peer UNUSED, const char *why UNUSED, void *arg UNUSED)
{
	the->far = NULL;
}

static inline int on_near_frame(struct peer *peer UNUSED, struct frame *f, void *arg UNUSED)
{
	return dispatch_frame(the->dispatch, f);
}

static inline void on_near_closed(
    struct peer *peer UNUSED, const char *why UNUSED, void *arg UNUSED)
{
	the->near = NULL;
	dispatch_link(the->dispatch, NULL);
	if (the->intake)
		the->intake->ops->link(the->intake, NULL);
}

static inline void on_ask(void *arg UNUSED, struct slice queue, bool always)
{
	snprintf(the->asked, sizeof the->asked, SLICE_FMT " %d", SLICE_ARG(queue), always);
	loop_stop(the->loop);
}

static inline int on_deal(void *arg UNUSED, const struct msg_deal *m)
{
	return the->intake->ops->deal(the->intake, m);
}

static inline void on_paused(void *arg UNUSED, struct slice queue, bool paused)
{
	struct bench *b = the;
	struct source *source = &b->source;

	for (size_t i = 0; b->intake && i < b->intake->nsources; i++) {
		if (slice_is(queue, b->intake->sources[i]->queue->section))
			source = b->intake->sources[i];
	}
	source->paused = paused;
	dispatch_paused(b->dispatch, source);
}

static inline void on_changed(void *arg UNUSED)
{
}

static inline void on_empty(void *arg UNUSED)
{
	the->empty = true;
	loop_stop(the->loop);
}

static inline void on_turn(struct loop_hook *hook UNUSED)
{
	dispatch_turn(the->dispatch);
}

/* --- the bench -------------------------------------------------------------------------------- */

static inline void link_up(struct bench *b)
{
	static const struct peer_ops near_ops = {on_near_frame, on_near_closed};
	static const struct peer_ops far_ops = {on_far_frame, on_far_closed};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	b->near = peer_new(b->hub, fds[0], &near_ops, NULL);
	b->far = peer_new(b->hub, fds[1], &far_ops, NULL);
	dispatch_hold(b->dispatch, b->near);
	dispatch_link(b->dispatch, b->near);
	if (b->intake)
		b->intake->ops->link(b->intake, b->near);
}

static inline void link_down(struct bench *b)
{
	peer_free(b->near);
	peer_free(b->far);
	b->near = b->far = NULL;
	dispatch_link(b->dispatch, NULL);
	if (b->intake)
		b->intake->ops->link(b->intake, NULL);
}

/* The handler `sh` runs its body as a script; `hard` dies of signal 9 alone. */
static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline struct message message_of(const char *id, const char *script)
{
	return (struct message){.message_id = slice_str(id),
	    .body = slice_str(script),
	    .timestamp_s = -1,
	    .priority = -1};
}

static inline uint64_t deliver_message(struct bench *b, const struct message *m)
{
	dispatch_delivered(b->dispatch, &b->source, (struct source_tag){1, ++b->tags}, m);
	return b->tags;
}

static inline void deliver(struct bench *b, const char *id, const char *script)
{
	struct message m = message_of(id, script);

	deliver_message(b, &m);
}

static inline void deliver_again(struct bench *b, const char *id, const char *script)
{
	struct message m = message_of(id, script);

	m.redelivered = true;
	deliver_message(b, &m);
}

static inline void on_later(struct loop_timer *t)
{
	loop_stop(t->loop);
}

static inline void on_impatience(struct loop_timer *t UNUSED)
{
	fail_msg("nothing happens any more");
}

static inline void turn(struct bench *b)
{
	struct loop_timer impatience;

	loop_timer_init(&impatience, b->loop, on_impatience, NULL);
	loop_timer_set(&impatience, PATIENCE_MS);
	loop_run(b->loop);
	loop_timer_stop(&impatience);
}

/* The next thing that store or source got. */
static inline struct seen *next(struct bench *b)
{
	while (b->looked == b->nseen)
		turn(b);
	return &b->seen[b->looked++];
}

static inline struct seen *expect(struct bench *b, enum message_type type)
{
	struct seen *s = next(b);

	if (s->type != type)
		fail_msg("%s%s instead of %s", message_name(s->type), s->word, message_name(type));
	return s;
}

static inline void expect_word(struct bench *b, const char *word)
{
	assert_string_equal(expect(b, MSG_NONE)->word, word);
}

/* A run that was cleared says that it begins. */
static inline void expect_begin(struct bench *b, const struct seen *claim)
{
	struct seen *s = expect(b, MSG_CLAIM);

	assert_true(id_eq(s->run, claim->run));
	assert_false(s->flags & CLAIM_ASKS);
}

static inline void say_verdict(struct bench *b, const struct seen *claim, struct msg_verdict m)
{
	m.run = claim->run;
	peer_send_verdict(b->far, &m);
}

static inline void say_recorded(struct bench *b, const struct seen *s)
{
	peer_send_recorded(b->far, &(struct msg_recorded){.run = s->run});
}

static inline void say_taken(struct bench *b, const struct seen *s)
{
	peer_send_taken(b->far, &(struct msg_taken){.run = s->run});
}

static inline void await_running(struct bench *b)
{
	while (b->slot.nruns == 0)
		dispatch_turn(b->dispatch);
}

static inline void expect_nothing_held(struct bench *b)
{
	assert_true(dispatch_is_empty(b->dispatch));
	assert_int_equal(b->nseen, b->looked);
}

/* Whatever the store has said so far has been heard, and nothing came of it: one more delivery
 * comes and goes, whose end is `word`. */
static inline void expect_answered(struct bench *b, const char *word)
{
	deliver_again(b, "last", "exit 0");
	say_verdict(b, expect(b, MSG_CLAIM), (struct msg_verdict){.verdict = VERDICT_DROP});
	expect_word(b, word);
	expect_nothing_held(b);
}

static inline void await_empty(struct bench *b)
{
	while (!b->empty)
		turn(b);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
