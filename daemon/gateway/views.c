/* SPDX-License-Identifier: MIT */
/*
 * A job is looked up in the database, then on the board: what runs there and is not over in the
 * database is running; what only the board knows is a foreign job in its first run.
 */
#include "daemon/gateway/views.h"

#include <errno.h>
#include <inttypes.h>

#include "daemon/gateway/checks.h"
#include "daemon/gateway/watches.h"
#include "lib/base/clock.h"

#define ORDER_MAGIC 0x6f726472u
#define VIEWS_ATTEMPT_MAX 1000000

static void unknown(struct http_request *r)
{
	http_error(r, 404,
	    "no such job: not known to this node; jobs published straight to the broker are known from "
	    "their first run on");
}

/* --- looking up ------------------------------------------------------------------------------- */

/* What is known of a job while the transaction is open. */
struct found {
	struct job_row row; /* row.seq 0: only the board knows it */
	struct fleet fleet;
	const struct fleet_run *running;
	bool reading;
};

static void found_done(struct gateway *g, struct found *f)
{
	fleet_free(&f->fleet);
	if (f->reading)
		reader_end(g->reader);
	f->reading = false;
}

/* Looks the job up. 0, and found_done() is due; negative: the request is answered. */
static int look_up(
    struct gateway *g, struct http_request *r, struct job_name name, struct found *ret)
{
	struct found f = {0};
	struct err err = {0};
	int rc = reader_begin(g->reader, &err);

	f.reading = rc == 0;
	if (rc == 0)
		rc =
		    reader_job(g->reader, name.queue, name.id, JOBS_RESULT_MAX_BYTES, &f.row, &err);
	else if (rc == -ENOENT)
		rc = 0;
	if (rc < 0) {
		gateway_reader_failed(r, &err);
		found_done(g, &f);
		return rc;
	}
	fleet_look(&f.fleet, g->p);
	f.running = fleet_find(&f.fleet, rc > 0 ? f.row.queue : name.queue, name.id);
	if (rc == 0 && !f.running) {
		unknown(r);
		found_done(g, &f);
		return -ENOENT;
	}
	*ret = f;
	return 0;
}

static enum job_state found_state(const struct found *f)
{
	return f->row.seq ? jobs_state(&f->row, f->running) : JOB_RUNNING;
}

/* The job object; NULL: the request is answered. */
static struct json *found_json(struct gateway *g, struct http_request *r, const struct found *f)
{
	struct err err = {0};
	struct json *attempts;

	if (!f->row.seq)
		return jobs_json_of_run(f->running);
	attempts = reader_attempts(g->reader, f->row.seq, &err);
	if (!attempts) {
		gateway_reader_failed(r, &err);
		return NULL;
	}
	return jobs_json(&f->row, attempts, f->running);
}

/* True if the request asks to wait and the job is not over: then it is answered later. */
static bool waits(struct gateway *g, struct http_request *r, struct job_name name,
    const struct found *f, void (*answer)(struct gateway *g, struct http_request *r))
{
	struct slice wait = target_param(http_target(r), "wait");
	int64_t wait_ms;

	if (!wait.p || job_state_over(found_state(f)) || clock_parse_duration(wait, &wait_ms) < 0 ||
	    wait_ms == 0 || g->stopping)
		return false;
	name.queue = f->row.seq ? f->row.queue : f->running->queue;
	watches_wait(g->watches, r, name, wait_ms, answer);
	return true;
}

static int check_wait(struct http_request *r)
{
	struct slice wait = target_param(http_target(r), "wait");
	int64_t wait_ms;

	if (!wait.p || clock_parse_duration(wait, &wait_ms) == 0)
		return 0;
	http_error(r, 400, "'wait' must be a duration such as 30s, at most 1h");
	return -EINVAL;
}

/* --- the job ---------------------------------------------------------------------------------- */

static void job_now(struct gateway *g, struct http_request *r)
{
	struct job_name name;
	struct json *j;
	struct found f;

	if (gateway_job_name(r, &name) < 0 || look_up(g, r, name, &f) < 0)
		return;
	j = found_json(g, r, &f);
	if (j)
		http_reply_json(r, 200, j);
	found_done(g, &f);
}

static void wait_or(struct gateway *g, struct http_request *r,
    void (*now)(struct gateway *g, struct http_request *r))
{
	struct job_name name;
	struct found f;
	bool later;

	if (check_wait(r) < 0)
		return;
	if (!target_param(http_target(r), "wait").p) {
		now(g, r);
		return;
	}
	if (gateway_job_name(r, &name) < 0 || look_up(g, r, name, &f) < 0)
		return;
	later = waits(g, r, name, &f, now);
	found_done(g, &f);
	if (!later)
		now(g, r);
}

void views_job(struct gateway *g, struct http_request *r)
{
	wait_or(g, r, job_now);
}

/* --- its result ------------------------------------------------------------------------------- */

static void reply_bytes(struct http_request *r, const char *type, struct slice bytes)
{
	struct buf body;

	buf_init(&body, bytes.n + 1);
	buf_add(&body, bytes.p, bytes.n);
	http_reply(r, 200, type, &body);
}

static void reply_no_result(struct http_request *r, const struct found *f)
{
	const char *state = job_state_name(f->row.state);
	struct json *j = json_object();
	char text[80];

	if (f->row.state == JOB_DONE)
		snprintf(text, sizeof text, "its result is no longer kept (keep_done)");
	else
		snprintf(text, sizeof text, "no result: the job is %s", state);
	json_add_strz(j, "error", text);
	json_add_strz(j, "state", state);
	if (f->row.error.p)
		json_add_str(j, "reason", f->row.error);
	http_reply_json(r, 409, j);
}

static void reply_result(struct gateway *g, struct http_request *r, const struct found *f)
{
	struct slice result;
	struct err err = {0};

	if (reader_result(g->reader, f->row.seq, &result, &err) < 0) {
		gateway_reader_failed(r, &err);
		return;
	}
	if (f->row.result_cut)
		http_add_header(r, "Skep-Result-Cut", "true");
	reply_bytes(r, "application/octet-stream", result);
}

static void result_now(struct gateway *g, struct http_request *r)
{
	struct job_name name;
	enum job_state state;
	struct json *j;
	struct found f;

	if (gateway_job_name(r, &name) < 0 || look_up(g, r, name, &f) < 0)
		return;
	state = found_state(&f);
	http_add_header(r, "Skep-State", job_state_name(state));
	if (state == JOB_DONE && f.row.runs)
		reply_result(g, r, &f);
	else if (job_state_over(state))
		reply_no_result(r, &f);
	else if ((j = found_json(g, r, &f)))
		http_reply_json(r, 202, j);
	found_done(g, &f);
}

void views_result(struct gateway *g, struct http_request *r)
{
	wait_or(g, r, result_now);
}

/* --- its logs --------------------------------------------------------------------------------- */

static int read_attempt(struct http_request *r, int64_t *ret)
{
	struct slice text = target_param(http_target(r), "attempt");

	*ret = 0;
	if (!text.p || (checks_number(text, VIEWS_ATTEMPT_MAX, ret) == 0 && *ret > 0))
		return 0;
	http_error(r, 400, "'attempt' must be a number from 1");
	return -EINVAL;
}

static void reply_logs(
    struct gateway *g, struct http_request *r, const struct found *f, int64_t attempt)
{
	struct slice logs = {NULL, 0};
	struct err err = {0};
	int rc = f->row.seq ? reader_logs(g->reader, f->row.seq, attempt, &logs, &err) : 0;

	if (rc < 0)
		gateway_reader_failed(r, &err);
	else if (rc == 0 && attempt)
		http_error(r, 404, "no run with attempt %" PRId64 " of this job is recorded here",
		    attempt);
	else if (rc == 0)
		http_error(r, 404,
		    "no run of this job is recorded here: none has ended yet, or they are no "
		    "longer kept");
	else
		reply_bytes(r, "text/plain; charset=utf-8", logs);
}

void views_logs(struct gateway *g, struct http_request *r)
{
	struct job_name name;
	struct found f;
	int64_t attempt;

	if (read_attempt(r, &attempt) < 0 || gateway_job_name(r, &name) < 0 ||
	    look_up(g, r, name, &f) < 0)
		return;
	reply_logs(g, r, &f, attempt);
	found_done(g, &f);
}

/* --- retry and cancel ------------------------------------------------------------------------- */

struct order {
	unsigned magic;
	struct http_request *r;
	char *queue, *id;
};

static void on_order_answer(const struct call_answer *a, void *arg)
{
	OBJ(struct order, o, arg, ORDER_MAGIC);
	struct json *j = json_object();
	unsigned status = a->status;
	auto_free char *text = slice_dup(a->text);

	if (status == 0) {
		status = 503;
		json_add_strz(j, "error",
		    "the store did not answer within 30 s: look at the job, then try again");
	} else if (status >= 300) {
		json_add_strz(j, "error", text[0] ? text : "the store refused it");
	}
	if (o->id[0])
		json_add_strz(j, "id", o->id);
	if (o->queue[0])
		json_add_strz(j, "queue", o->queue);
	if (a->state.n)
		json_add_str(j, "state", a->state);
	http_reply_json(o->r, status, j);
	free(o->queue);
	free(o->id);
	o->magic = 0;
	free(o);
}

/* Which queue is meant, where the client does not say: the one that the database or the board
 * knows. */
static int order_queue(struct gateway *g, struct http_request *r, struct job_name name, char **ret)
{
	struct job_row row = {0};
	struct err err = {0};
	struct fleet fleet;
	const struct fleet_run *run;
	int rc = reader_begin(g->reader, &err);

	*ret = NULL;
	if (rc == 0) {
		rc = reader_job(g->reader, name.queue, name.id, 0, &row, &err);
		if (rc > 0)
			*ret = slice_dup(row.queue);
		reader_end(g->reader);
	}
	if (rc < 0 && rc != -ENOENT) {
		gateway_reader_failed(r, &err);
		return rc;
	}
	if (*ret)
		return 0;
	fleet_look(&fleet, g->p);
	run = fleet_find(&fleet, name.queue, name.id);
	*ret = slice_dup(run ? run->queue : name.queue);
	fleet_free(&fleet);
	return 0;
}

static void place(struct gateway *g, struct http_request *r, enum message_type type,
    struct slice queue, struct slice id)
{
	struct order *o = xcalloc(1, sizeof *o);

	o->magic = ORDER_MAGIC;
	o->r = r;
	o->queue = slice_dup(queue);
	o->id = slice_dup(id);
	calls_ask(g->calls, type, queue, id, on_order_answer, o);
}

static void order(struct gateway *g, struct http_request *r, enum message_type type)
{
	auto_free char *queue = NULL;
	struct job_name name;

	if (gateway_job_name(r, &name) == 0 && order_queue(g, r, name, &queue) == 0)
		place(g, r, type, slice_str(queue), name.id);
}

void views_retry(struct gateway *g, struct http_request *r)
{
	order(g, r, MSG_RETRY);
}

void views_cancel(struct gateway *g, struct http_request *r)
{
	order(g, r, MSG_ABORT);
}

/* --- queues ----------------------------------------------------------------------------------- */

static void order_for_queue(struct gateway *g, struct http_request *r, enum message_type type)
{
	struct slice name = routes_subject(http_target(r));

	if (!conf_queue(g->p->conf, name)) {
		http_error(r, 404, "no queue '" SLICE_FMT "' is configured here",
		    SLICE_ARG(name));
		return;
	}
	place(g, r, type, name, slice_str(""));
}

void views_pause(struct gateway *g, struct http_request *r)
{
	order_for_queue(g, r, MSG_PAUSE);
}

void views_resume(struct gateway *g, struct http_request *r)
{
	order_for_queue(g, r, MSG_RESUME);
}
