/* SPDX-License-Identifier: MIT */
/*
 * Two connections, since one that consumes never publishes: jobs go out on the first, results come in on the
 * second, which is there only if results are wanted. The loop runs only within a call, until what the call
 * waits for has come, its time has passed, or the connection is lost; nothing happens between two calls.
 *
 * Jobs go to the default exchange, and mandatory: a queue that is not there is seen. A job of which it
 * is not known whether it arrived (a connection that broke) is not sent again here: that is the caller's decision.
 * But when the broker closes only the channel, over one message that is too large, the others are sent again.
 */
#include "client/libskep/via_broker.h"

#include <errno.h>

#include "client/libskep/broker_link.h"
#include "client/libskep/inbox.h"
#include "lib/amqp/publisher.h"
#include "lib/amqp/replies.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/job/envelope.h"

#define VIA_BROKER_MAGIC 0x76696272u
#define WINDOW 4096	      /* confirms outstanding at most */
#define PUMP_MS 3600000	      /* the loop runs at most so long before the time is looked at again */
#define CLOSE_MS 3000	      /* above the time that a connection takes to close */
#define QUEUE_BYTES 64
/* Behind a prefix that no node passes on. */
#define KEY_HEADER "skep-publish"

enum progress { WAITS, SENT, OVER };

/* The jobs of the submit that is under way. */
struct burst {
	struct skep_submission *jobs;
	uint8_t *progress;
	size_t n, next, open; /* next: the first that may wait; open: not over */
	uint64_t first_key;
};

struct via_broker {
	struct skep_client base;
	unsigned magic;
	char *url;
	struct loop *loop;
	struct loop_timer timer;
	struct broker_link out, in;
	struct amqp_publisher *publisher;
	struct amqp_replies *replies;
	bool listening;
	char queue[QUEUE_BYTES]; /* for results */
	struct inbox inbox;
	struct burst burst;
	uint64_t next_key;
};

static struct via_broker *of_client(struct skep_client *client)
{
	OBJ(struct via_broker, v, (void *)client, VIA_BROKER_MAGIC);
	return v;
}

/* --- the loop ------------------------------------------------------------------------------------- */

static void on_timer(struct loop_timer *timer)
{
	OBJ(struct via_broker, v, timer->arg, VIA_BROKER_MAGIC);

	loop_stop(v->loop);
}

/* Runs until something has happened. False when it is too late for that. */
static bool pump(struct via_broker *v, int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_mono_ms();

	if (left <= 0)
		return false;
	loop_timer_set(&v->timer, left < PUMP_MS ? left : PUMP_MS);
	loop_run(v->loop);
	loop_timer_stop(&v->timer);
	return true;
}

/* Takes what has come since the last call, above all the end of a connection. */
static void catch_up(struct via_broker *v)
{
	loop_timer_set(&v->timer, 0);
	loop_run(v->loop);
	loop_timer_stop(&v->timer);
}

/* --- connections ---------------------------------------------------------------------------------- */

static void set_over(struct burst *b, size_t i)
{
	b->progress[i] = OVER;
	b->open--;
}

static void on_settled(void *arg, uint64_t key, enum amqp_settled how, const char *reason)
{
	OBJ(struct via_broker, v, arg, VIA_BROKER_MAGIC);
	static const enum skep_code codes[] = {
	    [AMQP_CONFIRMED] = SKEP_OK,
	    [AMQP_RETURNED] = SKEP_UNROUTABLE,
	    [AMQP_NACKED] = SKEP_FULL,
	    [AMQP_REFUSED] = SKEP_INVALID,
	    [AMQP_UNSENT] = SKEP_REFUSED,
	};
	struct burst *b = &v->burst;
	size_t i = (size_t)(key - b->first_key);

	/* Of an earlier burst, which did not wait for it any longer. */
	if (key < b->first_key || i >= b->n)
		return;
	if (how == AMQP_UNSENT && !v->out.refused) {
		b->progress[i] = WAITS;
		b->next = i < b->next ? i : b->next;
		return;
	}
	if (how != AMQP_CONFIRMED)
		via_fail(&b->jobs[i].error, codes[how], "%s", reason);
	set_over(b, i);
	if (b->open == 0)
		loop_stop(v->loop);
}

static void on_room(void *arg)
{
	OBJ(struct via_broker, v, arg, VIA_BROKER_MAGIC);

	if (v->burst.next < v->burst.n)
		loop_stop(v->loop);
}

static enum skep_code connect_out(struct via_broker *v, int64_t deadline_ms, struct skep_error *error)
{
	static const struct amqp_publisher_events events = {on_settled, on_room};
	const struct amqp_publisher_config config = {.window = WINDOW,
	    .confirm_timeout_ms = v->base.timeout_ms, .key_header = KEY_HEADER};

	v->out.refused = false;
	if (v->out.up)
		return SKEP_OK;
	amqp_publisher_free(v->publisher);
	v->publisher = NULL;
	if (broker_link_dial(&v->out, v->url, v->base.timeout_ms, error) != SKEP_OK)
		return error->code;
	while (!v->out.up && !v->out.failed && pump(v, deadline_ms))
		;
	if (!v->out.up)
		return broker_link_error(&v->out, error);
	v->publisher = amqp_publisher_new(v->out.conn, &config, &events, v);
	return SKEP_OK;
}

static void on_ready(void *arg)
{
	OBJ(struct via_broker, v, arg, VIA_BROKER_MAGIC);

	v->listening = true;
	loop_stop(v->loop);
}

static struct slice text_header(const struct message *m, const char *name)
{
	for (size_t i = 0; i < m->nheaders; i++) {
		if (m->headers[i].kind == HEADER_STRING && slice_is(m->headers[i].name, name))
			return m->headers[i].text;
	}
	return slice_of(NULL, 0);
}

static void on_reply(void *arg, const struct message *m, bool cut)
{
	OBJ(struct via_broker, v, arg, VIA_BROKER_MAGIC);
	enum skep_state state = via_state(text_header(m, "job-state"));
	struct slice body = slice_of(m->body.p ? (const void *)m->body.p : "", m->body.n);

	if (state)
		inbox_put(&v->inbox, text_header(m, "job-id"), state, cut ? slice_of(NULL, 0) : body);
	loop_stop(v->loop);
}

static void on_refused(void *arg, const char *why)
{
	OBJ(struct via_broker, v, arg, VIA_BROKER_MAGIC);

	v->listening = false;
	v->in.refused = true;
	slice_copy(v->in.why, sizeof v->in.why, slice_str(why));
	inbox_lost(&v->inbox);
	loop_stop(v->loop);
}

static void on_deaf(void *arg)
{
	OBJ(struct via_broker, v, arg, VIA_BROKER_MAGIC);

	v->listening = false;
	inbox_lost(&v->inbox);
}

static enum skep_code connect_in(struct via_broker *v, int64_t deadline_ms, struct skep_error *error)
{
	static const struct amqp_replies_events events = {on_ready, on_reply, on_refused};

	if (v->listening)
		return SKEP_OK;
	amqp_replies_free(v->replies);
	v->replies = NULL;
	if (broker_link_dial(&v->in, v->url, v->base.timeout_ms, error) != SKEP_OK)
		return error->code;
	v->replies = amqp_replies_new(v->in.conn, v->queue, INBOX_BYTES_MAX, &events, v);
	while (!v->listening && !v->in.failed && !v->in.refused && pump(v, deadline_ms))
		;
	return v->listening ? SKEP_OK : broker_link_error(&v->in, error);
}

/* --- submitting ----------------------------------------------------------------------------------- */

static struct job describe(const struct via_broker *v, const struct skep_submission *from)
{
	struct job job = job_blank();
	int64_t now = clock_wall_ms();

	job.queue = slice_str(from->queue);
	job.id = slice_str(from->id);
	job.type = slice_str(from->type);
	job.correlation_id = slice_str(from->correlation_id);
	job.reply_to = slice_str(from->wants_result ? v->queue : from->reply_to);
	job.content_type = slice_str(from->content_type);
	job.timestamp_s = now / 1000;
	job.has_priority = from->priority > 0;
	job.priority = (uint8_t)from->priority;
	if (from->retries)
		job.retries = from->retries > 0 ? from->retries : 0;
	if (from->timeout_ms)
		job.timeout_ms = from->timeout_ms;
	if (from->delay_ms || from->at_ms)
		job.at_wall_ms = from->at_ms ? from->at_ms : now + from->delay_ms;
	if (from->expires_ms)
		job.expires_wall_ms = from->expires_ms;
	job.body = slice_of(from->body, from->body_bytes);
	return job;
}

static void publish(struct via_broker *v, size_t i)
{
	struct burst *b = &v->burst;
	struct job job = describe(v, &b->jobs[i]);
	struct message m;
	struct err err = {0};

	envelope_write(&m, &job);
	m.exchange = slice_str("");
	m.routing_key = job.queue;
	if (amqp_publisher_publish(v->publisher, b->first_key + i, &m, &err) == 0) {
		b->progress[i] = SENT;
		return;
	}
	via_fail(&b->jobs[i].error, SKEP_INVALID, "%s", err.text);
	set_over(b, i);
}

static void publish_all(struct via_broker *v)
{
	struct burst *b = &v->burst;

	for (; b->next < b->n && amqp_publisher_room(v->publisher) > 0; b->next++) {
		if (b->progress[b->next] == WAITS)
			publish(v, b->next);
	}
}

/* What is not over when the call has to end. */
static void give_up(struct via_broker *v)
{
	struct burst *b = &v->burst;
	struct skep_error error = {SKEP_OK, ""};

	if (b->open == 0)
		return;
	if (v->out.up && amqp_conn_is_blocked(v->out.conn))
		via_fail(&error, SKEP_FULL, "the broker takes nothing now, or later (connection.blocked)");
	else
		broker_link_error(&v->out, &error);
	for (size_t i = 0; i < b->n; i++) {
		if (b->progress[i] != OVER)
			b->jobs[i].error = error;
	}
}

static void run_burst(struct via_broker *v, int64_t deadline_ms)
{
	struct burst *b = &v->burst;

	do {
		publish_all(v);
	} while (b->open && v->out.up && pump(v, deadline_ms));
	give_up(v);
}

static void burst_begin(struct via_broker *v, struct skep_submission *jobs, size_t n)
{
	struct burst *b = &v->burst;

	*b = (struct burst){.jobs = jobs, .n = n, .first_key = v->next_key};
	v->next_key += n;
	b->progress = xcalloc(n, 1);
	for (size_t i = 0; i < n; i++) {
		if (jobs[i].error.code == SKEP_OK && !jobs[i].queue)
			via_fail(&jobs[i].error, SKEP_INVALID, "a broker needs the name of the queue");
		if (jobs[i].error.code != SKEP_OK)
			b->progress[i] = OVER;
		else
			b->open++;
	}
}

static void burst_fail(struct via_broker *v, const struct skep_error *error, bool wanting)
{
	struct burst *b = &v->burst;

	for (size_t i = 0; i < b->n; i++) {
		if (b->progress[i] == OVER || (wanting && !b->jobs[i].wants_result))
			continue;
		b->jobs[i].error = *error;
		set_over(b, i);
	}
}

/* Makes sure that results have somewhere to go before a job asks for one. */
static void expect_results(struct via_broker *v, int64_t deadline_ms)
{
	struct burst *b = &v->burst;
	struct skep_error error = {SKEP_OK, ""};
	bool any = false;

	for (size_t i = 0; i < b->n; i++)
		any |= b->progress[i] != OVER && b->jobs[i].wants_result;
	if (any && connect_in(v, deadline_ms, &error) != SKEP_OK)
		burst_fail(v, &error, true);
	for (size_t i = 0; i < b->n; i++) {
		if (b->progress[i] != OVER && b->jobs[i].wants_result)
			inbox_expect(&v->inbox, b->jobs[i].id);
	}
}

/* Of a job that is surely not there no result will come. */
static void forget_results(struct via_broker *v)
{
	for (size_t i = 0; i < v->burst.n; i++) {
		const struct skep_submission *job = &v->burst.jobs[i];

		if (job->wants_result && job->error.code != SKEP_OK
		    && job->error.code != SKEP_UNREACHABLE && job->error.code != SKEP_TIMEOUT)
			inbox_forget(&v->inbox, job->id);
	}
}

static void submit(struct skep_client *client, struct skep_submission *jobs, size_t n)
{
	struct via_broker *v = of_client(client);
	int64_t deadline_ms = via_deadline(client->timeout_ms);
	struct skep_error error = {SKEP_OK, ""};

	catch_up(v);
	burst_begin(v, jobs, n);
	expect_results(v, deadline_ms);
	if (v->burst.open && connect_out(v, deadline_ms, &error) != SKEP_OK)
		burst_fail(v, &error, false);
	if (v->burst.open)
		run_burst(v, deadline_ms);
	forget_results(v);
	free(v->burst.progress);
	v->burst = (struct burst){.first_key = v->next_key};
}

/* --- waiting -------------------------------------------------------------------------------------- */

static enum skep_code wait_for(struct skep_client *client, const char *id, const char *queue UNUSED,
    int64_t timeout_ms, struct skep_result *ret, struct skep_error *error)
{
	struct via_broker *v = of_client(client);
	int64_t deadline_ms = via_deadline(timeout_ms);
	enum inbox_found found;

	if (v->in.conn)
		catch_up(v);
	while ((found = inbox_take(&v->inbox, id, ret)) == INBOX_PENDING) {
		if (!v->listening
		    && connect_in(v, via_deadline(client->timeout_ms), error) != SKEP_OK)
			return error->code;
		if (!pump(v, deadline_ms))
			return via_fail(error, SKEP_TIMEOUT, "job %s is not over yet", id);
	}
	if (found == INBOX_TAKEN)
		return SKEP_OK;
	if (found == INBOX_LOST)
		return via_fail(error, SKEP_UNREACHABLE, "the connection for results was lost, and what "
		    "came meanwhile with it: %s", v->in.why);
	return via_fail(error, SKEP_NOT_FOUND, "on a broker only the jobs that this client submitted "
	    "with wants_result can be waited for, each once; the socket of a node knows all");
}

/* --- life ----------------------------------------------------------------------------------------- */

static void close_broker(struct skep_client *client)
{
	struct via_broker *v = of_client(client);
	int64_t deadline_ms = via_deadline(CLOSE_MS);

	amqp_publisher_free(v->publisher);
	amqp_replies_free(v->replies);
	broker_link_stop(&v->out);
	broker_link_stop(&v->in);
	while (!(v->out.closed && v->in.closed) && pump(v, deadline_ms))
		;
	broker_link_free(&v->out);
	broker_link_free(&v->in);
	inbox_free(&v->inbox);
	loop_timer_stop(&v->timer);
	loop_free(v->loop);
	free(v->url);
	v->magic = 0;
	free(v);
}

struct skep_client *via_broker_open(const char *url, int64_t timeout_ms, struct skep_error *error)
{
	static const struct via_ops ops = {submit, wait_for, close_broker};
	struct via_broker *v = xcalloc(1, sizeof *v);
	char id[ID_TEXT_BYTES];

	v->base = (struct skep_client){&ops, timeout_ms};
	v->magic = VIA_BROKER_MAGIC;
	v->url = xstrdup(url);
	v->loop = loop_new();
	v->next_key = v->burst.first_key = 1;
	loop_timer_init(&v->timer, v->loop, on_timer, v);
	broker_link_init(&v->out, v->loop);
	broker_link_init(&v->in, v->loop);
	v->in.down = on_deaf;
	v->in.arg = v;
	inbox_init(&v->inbox);
	snprintf(v->queue, sizeof v->queue, "skep.reply.%s", id_format(id, id_new()));
	if (connect_out(v, via_deadline(timeout_ms), error) == SKEP_OK)
		return &v->base;
	close_broker(&v->base);
	return NULL;
}
