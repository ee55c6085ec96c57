/* SPDX-License-Identifier: MIT */
#include "daemon/store/requests.h"

#include <stdarg.h>

#include "daemon/store/record.h"
#include "daemon/store/tally.h"
#include "lib/base/fault.h"

#define QUEUES_MAX 8 /* looked at (and named) where an id is known in several */

static struct request_answer answer(uint16_t status, const char *state)
{
	return (struct request_answer){.status = status, .state = state};
}

PRINTF_LIKE(3, 4)
static struct request_answer refuse(uint16_t status, const char *state, const char *fmt, ...)
{
	struct request_answer a = answer(status, state);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a.text, sizeof a.text, fmt, ap);
	va_end(ap);
	return a;
}

/* --- which job is meant --------------------------------------------------------------------- */

struct queue_name {
	size_t n;
	uint8_t text[JOB_NAME_BYTES];
};

/* The queues that know an id: by a row, or by a run that goes on. */
struct known {
	size_t n;
	struct queue_name queues[QUEUES_MAX];
};

static struct slice name_at(const struct known *k, size_t i)
{
	return slice_of(k->queues[i].text, k->queues[i].n);
}

static void add_known(void *arg, struct slice queue)
{
	struct known *k = arg;

	for (size_t i = 0; i < k->n; i++) {
		if (slice_eq(name_at(k, i), queue))
			return;
	}
	if (k->n == QUEUES_MAX || queue.n > JOB_NAME_BYTES)
		return;
	memcpy(k->queues[k->n].text, queue.p, queue.n);
	k->queues[k->n++].n = queue.n;
}

static void find_queues(struct ledger *l, struct slice queue, struct slice id, struct known *k)
{
	k->n = 0;
	if (queue.n) {
		add_known(k, queue);
		return;
	}
	jobs_queues(&l->jobs, id, QUEUES_MAX, add_known, k);
	for (const struct claim *c = NULL; (c = claims_by_id(&l->claims, id, c));)
		add_known(k, c->queue);
}

/* True if there is no doubt; otherwise the answer says why. */
static bool resolve(struct ledger *l, struct slice queue, struct slice id, struct known *k,
    struct request_answer *ret)
{
	char names[160] = "";
	size_t at = 0;

	if (id.n == 0 || id.n > JOB_ID_BYTES || queue.n > JOB_NAME_BYTES) {
		*ret = refuse(400, "", "an id has 1 to %d bytes, a queue at most %d", JOB_ID_BYTES,
		    JOB_NAME_BYTES);
		return false;
	}
	find_queues(l, queue, id, k);
	if (k->n == 1)
		return true;
	if (k->n == 0) {
		*ret = refuse(404, "", "no such job");
		return false;
	}
	for (size_t i = 0; i < k->n && at < sizeof names; i++)
		at += (size_t)snprintf(names + at, sizeof names - at, "%s" SLICE_FMT, i ? ", " : "",
		    SLICE_ARG(name_at(k, i)));
	*ret = refuse(409, "", "several queues know this id, name one: %s", names);
	return false;
}

/* --- submit --------------------------------------------------------------------------------- */

struct request_answer requests_submit(struct ledger *l, const struct msg_submit *m, int64_t now)
{
	struct job_names names = {m->queue, m->job, m->type};
	struct job_row row = {.state = JOB_QUEUED, .priority = m->priority, .created_wall_ms = now};
	struct parcel_row parcel = {.kind = PARCEL_JOB,
	    .destination = m->queue,
	    .priority = m->priority,
	    .attempt = 1,
	    .due_wall_ms = m->due_wall_ms > now ? m->due_wall_ms : now,
	    .delay_ms = m->delay_ms};
	struct request_answer a;

	if (m->queue.n == 0 || m->queue.n > JOB_NAME_BYTES || m->job.n == 0 ||
	    m->job.n > JOB_ID_BYTES || m->type.n > JOB_NAME_BYTES)
		return refuse(400, "", "queue and id have 1 to %d bytes, a type at most as many",
		    JOB_NAME_BYTES);
	FAULT(store_submit);
	if (m->due_wall_ms > now)
		row.due_wall_ms = m->due_wall_ms;
	if (!jobs_insert(&l->jobs, &names, &row, &(struct job_text){0})) {
		jobs_find(&l->jobs, m->queue, m->job, &row);
		a = answer(200, job_state_name(row.state));
		a.existing = true;
		return a;
	}
	parcel.job = row.seq;
	parcel.body = bodies_add(&l->bodies, m->job, m->type, m->envelope, m->body);
	parcels_add(&l->parcels, &parcel, now);
	tally_submitted(l, &names);
	return answer(201, job_state_name(row.state));
}

/* --- retry by hand -------------------------------------------------------------------------- */

/* The kept body, without a job-expires that has passed: whoever retries the job wants it to run. */
static int64_t fresh_body(struct ledger *l, int64_t body, int64_t now)
{
	struct slice envelope, data;
	int64_t fresh = body;
	struct job job;

	if (!bodies_get(&l->bodies, body, &envelope, &data))
		return 0;
	if (envelope_unpack(&job, envelope, NULL) == 0 && job.expires_wall_ms != JOB_NOT_GIVEN &&
	    job.expires_wall_ms <= now) {
		job.expires_wall_ms = JOB_NOT_GIVEN;
		fresh = bodies_add_job(&l->bodies, &job, data);
	}
	bodies_done(&l->bodies);
	if (fresh != body)
		bodies_drop(&l->bodies, body);
	return fresh;
}

struct request_answer requests_retry(struct ledger *l, const struct msg_retry *m, int64_t now)
{
	struct parcel_row parcel = {.kind = PARCEL_JOB, .attempt = 1, .due_wall_ms = now};
	struct request_answer a;
	struct job_row row;
	struct known k;

	if (!resolve(l, m->queue, m->job, &k, &a))
		return a;
	if (!jobs_find(&l->jobs, name_at(&k, 0), m->job, &row))
		return refuse(404, "", "no such job");
	if (m->again && !job_state_over(row.state)) /* by the request whose answer was lost */
		return answer(200, job_state_name(row.state));
	if (!job_state_over(row.state) || row.state == JOB_DONE)
		return refuse(409, job_state_name(row.state),
		    "it is %s: only a job that is dead, cancelled or expired "
		    "can be retried",
		    job_state_name(row.state));
	parcel.body = row.body ? fresh_body(l, row.body, now) : 0;
	if (!parcel.body)
		return refuse(409, job_state_name(row.state),
		    "its body is not kept here, so it cannot be sent again");
	parcel.job = row.seq;
	parcel.destination = name_at(&k, 0);
	parcel.priority = row.priority;
	parcels_add(&l->parcels, &parcel, now);
	row.state = JOB_QUEUED;
	row.attempt = row.losses = row.body = 0;
	row.started_wall_ms = row.ended_wall_ms = 0;
	jobs_save(&l->jobs, &row, &(struct job_text){0});
	tombs_remove(&l->tombs, row.seq, name_at(&k, 0));
	return answer(200, job_state_name(row.state));
}

/* --- cancel --------------------------------------------------------------------------------- */

static int64_t tomb_until(const struct ledger *l, int64_t now)
{
	return now + l->conf->store.dedupe_keep;
}

/* The request outlives the run, should its worker die, and this store, should it restart: the
 * tombstone is looked at whenever the job comes by. */
static struct request_answer abort_running(
    struct ledger *l, const struct job_names *names, struct job_row *row, int64_t now)
{
	const struct claim *claim = NULL;

	if (!row->seq)
		jobs_insert(&l->jobs, names, row, &(struct job_text){0});
	tombs_add(&l->tombs, row->seq, names->queue, tomb_until(l, now));
	for (claim = NULL; (claim = claims_by_id(&l->claims, names->id, claim));) {
		if (slice_eq(claim->queue, names->queue))
			l->events->cancel(l->arg, claim);
	}
	return answer(202, job_state_name(JOB_RUNNING));
}

static struct request_answer abort_waiting(
    struct ledger *l, const struct job_names *names, struct job_row *row, int64_t now)
{
	struct parcel_row parcel;
	bool here;

	if (!row->seq)
		jobs_insert(&l->jobs, names, row, &(struct job_text){0});
	/* A parcel that the courier has may arrive in the broker all the same; but what comes out
	 * of a parcel always asks, and is told that the job is over. Nobody needs to ask for the
	 * whole queue then. */
	here = parcels_of_job(&l->parcels, row->seq, &parcel);
	record_end(l, names, row, JOB_CANCELLED, slice_str("cancelled on request"), now);
	if (!here)
		tombs_add(&l->tombs, row->seq, names->queue, tomb_until(l, now));
	return answer(200, job_state_name(JOB_CANCELLED));
}

struct request_answer requests_abort(struct ledger *l, const struct msg_abort *m, int64_t now)
{
	struct job_row row = {.state = JOB_QUEUED, .created_wall_ms = now};
	struct job_names names = {.id = m->job, .type = slice_str("")};
	const struct claim *claim;
	struct request_answer a;
	struct known k;

	if (!resolve(l, m->queue, m->job, &k, &a))
		return a;
	names.queue = name_at(&k, 0);
	claim = claims_of_job(&l->claims, names.queue, names.id, NULL);
	if (claim)
		names.type = claim->type;
	if (jobs_find(&l->jobs, names.queue, names.id, &row) && job_state_over(row.state)) {
		if (m->again && row.state == JOB_CANCELLED)
			return answer(200, job_state_name(row.state));
		return refuse(
		    409, job_state_name(row.state), "it is %s already", job_state_name(row.state));
	}
	return claim ? abort_running(l, &names, &row, now) : abort_waiting(l, &names, &row, now);
}

/* --- watch ---------------------------------------------------------------------------------- */

struct request_answer requests_watch(
    struct ledger *l, const struct msg_watch *m, uint8_t *queue_text, struct slice *ret_queue)
{
	struct request_answer a;
	struct job_row row;
	struct known k;

	if (!resolve(l, m->queue, m->job, &k, &a))
		return a;
	*ret_queue = slice_of(queue_text, k.queues[0].n);
	memcpy(queue_text, k.queues[0].text, k.queues[0].n);
	if (jobs_find(&l->jobs, *ret_queue, m->job, &row))
		return answer(job_state_over(row.state) ? 200 : 202, job_state_name(row.state));
	if (claims_of_job(&l->claims, *ret_queue, m->job, NULL))
		return answer(202, job_state_name(JOB_RUNNING));
	return refuse(404, "", "no such job");
}
