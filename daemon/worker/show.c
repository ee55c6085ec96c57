/* SPDX-License-Identifier: MIT */
#include "daemon/worker/show.h"

#include "lib/base/log.h"

static void fill(struct board_run *run, const struct delivery *d, pid_t pid)
{
	*run = (struct board_run){.run = d->run,
	    .attempt = d->attempt,
	    .since_wall_ms = d->end.started_wall_ms};
	run->pid = pid;
	slice_copy(run->queue, sizeof run->queue, d->job.queue);
	slice_copy(run->type, sizeof run->type, d->type);
	slice_copy(run->job, sizeof run->job, d->job.id);
}

void show_runs(struct board_slot *slot, const struct shelf *shelf, const struct handlers *handlers)
{
	uint32_t n = 0;

	slot->nruns = shelf->n[DELIVERY_RUNNING];
	if (slot->nruns == 0)
		return;
	list_each(const struct delivery, d, &shelf->active, link) {
		struct board_run *run = &slot->runs[n];

		if (n == BOARD_RUNS_MAX || n == slot->nruns)
			return;
		if (d->state != DELIVERY_RUNNING)
			continue;
		n++;
		if (!id_eq(run->run, d->run))
			fill(run, d, handlers_pid(handlers, &d->live));
		run->progress = d->live.percent;
		slice_copy(run->note, sizeof run->note, slice_str(d->live.note));
	}
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

static struct board_flow *flow_of(struct board_slot *slot, const struct source *source)
{
	size_t last = BOARD_FLOWS_MAX - 1;

	return &slot->flows[source->index < last ? source->index : last];
}

void show_delivered(struct board_slot *slot, const struct source *source)
{
	slot->delivered++;
	flow_of(slot, source)->delivered++;
}

void show_flows(struct board_slot *slot, const struct intake *in)
{
	for (size_t i = 0; i < BOARD_FLOWS_MAX; i++)
		slot->flows[i].held = slot->flows[i].running = 0;
	for (size_t i = 0; i < in->nsources; i++) {
		struct board_flow *flow = flow_of(slot, in->sources[i]);

		flow->held += in->sources[i]->held;
		flow->running += in->sources[i]->running;
	}
}

void show_ended(struct board_slot *slot, const struct delivery *d)
{
	enum outcome outcome = d->end.outcome;
	struct board_flow *flow = flow_of(slot, d->source);

	slot->done += outcome == OUTCOME_DONE;
	slot->failed += outcome == OUTCOME_RETRY || outcome == OUTCOME_DEAD;
	slot->released += outcome == OUTCOME_RELEASED;
	if (outcome != OUTCOME_RELEASED) {
		flow->ended++;
		flow->run_us += (uint64_t)d->end.wall_us;
	}
	log_ended(d);
}
