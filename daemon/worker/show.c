/* SPDX-License-Identifier: MIT */
#include "daemon/worker/show.h"

#include "daemon/worker/shelf.h"
#include "lib/base/log.h"

void show_started(struct board_slot *slot, const struct delivery *d, pid_t pid)
{
	struct board_run *run = &slot->runs[0];

	*run = (struct board_run){.run = d->run,
	    .attempt = d->attempt,
	    .pid = pid,
	    .since_wall_ms = d->end.started_wall_ms,
	    .progress = -1};
	slice_copy(run->queue, sizeof run->queue, d->job.queue);
	slice_copy(run->type, sizeof run->type, d->type);
	slice_copy(run->job, sizeof run->job, d->job.id);
	slot->nruns = 1;
	slot->started++;
}

void show_progress(struct board_slot *slot, int32_t percent, const char *note)
{
	slot->runs[0].progress = percent;
	slice_copy(slot->runs[0].note, sizeof slot->runs[0].note, slice_str(note));
}

/* A job that fails is worth a line, one that is done is not. */
static void log_ended(const struct delivery *d)
{
	const struct run_end *end = &d->end;
	const char *what = end->outcome == OUTCOME_RETRY ? "failed" : outcome_name(end->outcome);

	if (end->outcome == OUTCOME_DONE)
		log_debug(SHELF_JOB_FMT " attempt=%u done in %lld ms", SHELF_JOB_ARG(d), d->attempt,
		    (long long)end->wall_ms);
	else
		log_info(SHELF_JOB_FMT " attempt=%u %s: %s", SHELF_JOB_ARG(d), d->attempt, what,
		    end->error);
}

void show_ended(struct board_slot *slot, const struct delivery *d)
{
	enum outcome outcome = d->end.outcome;

	slot->nruns = 0;
	slot->done += outcome == OUTCOME_DONE;
	slot->failed += outcome == OUTCOME_RETRY || outcome == OUTCOME_DEAD;
	slot->released += outcome == OUTCOME_RELEASED;
	log_ended(d);
}
