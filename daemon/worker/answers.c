/* SPDX-License-Identifier: MIT */
#include "daemon/worker/answers.h"

#include <errno.h>

#include "lib/base/fault.h"
#include "lib/base/log.h"

typedef void act_fn(struct shelf *s, struct delivery *d, const struct msg_verdict *m);

static void verdict_run(struct shelf *s, struct delivery *d, const struct msg_verdict *m)
{
	d->verdict = VERDICT_RUN;
	d->attempt = m->attempt;
	d->alone = m->alone;
	shelf_cleared(s, d);
}

static void verdict_drop(struct shelf *s, struct delivery *d, const struct msg_verdict *m)
{
	log_debug(SHELF_JOB_FMT " not started: %s", SHELF_JOB_ARG(d),
	    m->verdict == VERDICT_DROP ? "it is over, or in the store already" : "cancelled");
	shelf_acked(s, d);
}

static void verdict_bury(struct shelf *s, struct delivery *d, const struct msg_verdict *m)
{
	char why[ERR_TEXT_BYTES];

	d->attempt = m->attempt;
	shelf_bury(s, d, (enum outcome)m->outcome, slice_copy(why, sizeof why, m->reason));
}

static void verdict_take(struct shelf *s, struct delivery *d, const struct msg_verdict *m)
{
	char why[sizeof d->reason];

	if (m->job.n)
		delivery_rename(d, m->job);
	shelf_take(s, d, slice_copy(why, sizeof why, m->reason));
}

static int on_verdict(struct shelf *s, struct frame *f, bool stopping)
{
	static act_fn *const act[] = {
	    [VERDICT_RUN] = verdict_run,
	    [VERDICT_DROP] = verdict_drop,
	    [VERDICT_CANCELLED] = verdict_drop,
	    [VERDICT_BURY] = verdict_bury,
	    [VERDICT_TAKE] = verdict_take,
	};
	struct msg_verdict m;
	struct delivery *d;

	if (msg_verdict_decode(f, &m) < 0 || m.verdict >= ARRAY_SIZE(act) || !act[m.verdict] ||
	    m.outcome >= OUTCOME_COUNT)
		return -EPROTO;
	d = shelf_find(s, m.run);
	if (!d || d->state != DELIVERY_ASKING)
		return 0;
	act[m.verdict](s, d, &m);
	/* Cleared for nothing: the source has it again, or nothing (of it) is started any more. */
	if (m.verdict == VERDICT_RUN && (stopping || d->settled || d->source->paused))
		shelf_release(s, d);
	return 0;
}

static int on_taken(struct shelf *s, struct frame *f, bool stopping UNUSED)
{
	struct msg_taken m;
	struct delivery *d;

	if (msg_taken_decode(f, &m) < 0)
		return -EPROTO;
	d = shelf_find(s, m.run);
	if (!d || !d->taken)
		return 0;
	FAULT(worker_taken);
	d->nameless = false; /* the store knows it by its id, for good */
	if (d->state == DELIVERY_TAKING)
		shelf_acked(s, d);
	else
		shelf_ack_early(d);
	return 0;
}

/*~ 10. Durable: the delivery is acknowledged. tags_fold() (lib/amqp/tags.c) makes one `multiple`
 * of a run of acks before the connection writes. For a job that is done, this is the end. Next,
 * for a retry: deals.c. */
static int on_recorded(struct shelf *s, struct frame *f, bool stopping UNUSED)
{
	struct msg_recorded m;
	struct delivery *d;

	if (msg_recorded_decode(f, &m) < 0)
		return -EPROTO;
	d = shelf_find(s, m.run);
	if (!d || d->state != DELIVERY_RECORDING)
		return 0;
	FAULT(worker_before_ack);
	if (d->end.outcome == OUTCOME_RELEASED)
		shelf_requeued(s, d);
	else
		shelf_acked(s, d);
	return 0;
}

int answers_frame(struct shelf *s, struct frame *f, bool stopping)
{
	static int (*const on[MSG_COUNT])(struct shelf *, struct frame *, bool) = {
	    [MSG_VERDICT] = on_verdict,
	    [MSG_TAKEN] = on_taken,
	    [MSG_RECORDED] = on_recorded,
	};

	return on[f->type] ? on[f->type](s, f, stopping) : -EPROTO;
}
