/* SPDX-License-Identifier: MIT */
#include "daemon/store/tally.h"

_Static_assert(OUTCOME_COUNT <= SERIES_OUTCOMES, "a row has no room for every outcome");
_Static_assert(JOB_STATE_COUNT <= SERIES_STATES, "a row has no room for every state");
_Static_assert(JOB_NAME_BYTES < SERIES_NAME_BYTES, "a row has no room for every name");

static struct series_row *row_of(struct ledger *l, struct slice queue, struct slice type)
{
	struct series_row *row = series_find(l->series, queue, type);
	const struct conf_queue *known;

	if (row)
		return row;
	known = conf_queue(l->conf, queue);
	if (!known)
		queue = slice_str(SERIES_OTHER);
	else if (type.n == 0)
		type = slice_str(known->handler);
	if (type.n == 0 || !conf_handler(l->conf, type))
		type = slice_str(SERIES_OTHER);
	return series_add(l->series, queue, type);
}

void tally_open(struct ledger *l, int64_t now_wall_ms)
{
	l->series = series_new(now_wall_ms);
	for (size_t i = 0; i < l->conf->nqueues; i++) {
		if (l->conf->queues[i].handler && l->conf->queues[i].handler[0])
			row_of(l, slice_str(l->conf->queues[i].section), slice_str(""));
	}
}

void tally_submitted(struct ledger *l, const struct job_names *job)
{
	row_of(l, job->queue, job->type)->submitted++;
}

/* A wait below 0 comes of clocks that differ, of two machines or of before a step and after it: it is not known. */
void tally_begun(
    struct ledger *l, const struct job_names *job, int64_t ready_wall_ms, int64_t begun_wall_ms)
{
	struct series_row *row = row_of(l, job->queue, job->type);

	row->begun++;
	if (ready_wall_ms > 0 && ready_wall_ms <= begun_wall_ms)
		series_observe(&row->wait_ms, &series_job_bounds,
		    (uint64_t)(begun_wall_ms - ready_wall_ms));
}

void tally_run(struct ledger *l, const struct job_names *job, const struct run_row *run)
{
	struct series_row *row = row_of(l, job->queue, job->type);

	row->runs[run->outcome]++;
	if (outcome_counts(run->outcome))
		series_observe(&row->run_ms, &series_job_bounds,
		    run->wall_ms > 0 ? (uint64_t)run->wall_ms : 0);
}

void tally_over(struct ledger *l, const struct job_names *job, enum job_state state)
{
	row_of(l, job->queue, job->type)->jobs[state]++;
}
