/* SPDX-License-Identifier: MIT */
/*
 * A job has one parcel at most, so a take-over replaces whatever was there. While any run of the
 * job is open the parcel is held: a copy that was published now would come round, be taken over
 * again, and so on without end.
 */
#include "daemon/store/takes.h"

#include <errno.h>

#include "lib/base/fault.h"
#include "lib/base/log.h"

static void keep_running(struct ledger *l, const struct msg_take *m, struct claim_owner *owner,
    struct slice worker, int64_t seq, int64_t now)
{
	struct claim *claim = claims_find(&l->claims, m->run);

	if (!claim) {
		claim = claims_open(
		    &l->claims, owner, m->run, &(struct claim_names){m->queue, m->job, m->type});
		claim->started_wall_ms = now;
		claim->begun = true;
		slice_copy(claim->worker, sizeof claim->worker, worker);
	}
	claim->nameless = false; /* it has a row now, and its redelivery would be ours */
	ledger_claim_keep(l, claim, seq);
}

int takes_record(struct ledger *l, const struct msg_take *m, struct claim_owner *owner,
    struct slice worker, bool keeps, int64_t now)
{
	struct parcel_row there;
	struct job_names names = {m->queue, m->job, m->type};
	struct parcel_row parcel = {.kind = PARCEL_JOB,
	    .destination = m->queue,
	    .priority = m->priority,
	    .due_wall_ms = m->due_wall_ms > now ? m->due_wall_ms : now};
	struct job_row row;

	if (m->job.n == 0 || m->job.n > JOB_ID_BYTES || m->queue.n == 0 ||
	    m->queue.n > JOB_NAME_BYTES || m->type.n > JOB_NAME_BYTES)
		return -EPROTO;
	FAULT(store_take);
	log_debug(
	    "took job=" SLICE_FMT " over: " SLICE_FMT, SLICE_ARG(m->job), SLICE_ARG(m->reason));
	if (!m->running)
		ledger_claim_close(l, claims_find(&l->claims, m->run));
	if (!jobs_find(&l->jobs, m->queue, m->job, &row)) {
		row = (struct job_row){
		    .state = JOB_QUEUED, .priority = m->priority, .created_wall_ms = now};
		jobs_insert(&l->jobs, &names, &row, &(struct job_text){0});
	}
	if (job_state_over(row.state))
		return 0; /* nothing is owed any more: the delivery may be acked */
	if (keeps && parcels_of_job(&l->parcels, row.seq, &there))
		return 0;
	parcels_remove_of_job(&l->parcels, row.seq, false);
	parcel.job = row.seq;
	parcel.attempt = row.attempt + 1;
	parcel.body = bodies_add(&l->bodies, m->job, m->type, m->envelope, m->body);
	if (m->running)
		keep_running(l, m, owner, worker, row.seq, now);
	if (claims_of_job(&l->claims, m->queue, m->job, NULL))
		parcel.state = PARCEL_HELD;
	parcels_add(&l->parcels, &parcel, now);
	row.due_wall_ms = parcel.state == PARCEL_DELAYED ? parcel.due_wall_ms : 0;
	jobs_touch(&l->jobs, &row);
	return 0;
}
