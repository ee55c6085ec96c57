/* SPDX-License-Identifier: MIT */
#include "daemon/worker/report.h"

#include "lib/base/clock.h"
#include "lib/base/fault.h"

#define ENVELOPE_BYTES (1u << 20) /* an AMQP header table is smaller than a frame of 128 KiB */

static uint8_t claim_flags(const struct delivery *d, bool asks)
{
	unsigned flags = asks ? CLAIM_ASKS : 0;

	flags |= d->job.redelivered ? CLAIM_REDELIVERED : 0u;
	flags |= d->nameless ? CLAIM_NAMELESS : 0u;
	return (uint8_t)flags;
}

static int send_claim(struct peer *store, const struct delivery *d, bool asks)
{
	return peer_send_claim(store,
	    &(struct msg_claim){.run = d->run,
		.queue = d->job.queue,
		.job = d->job.id,
		.type = d->type,
		.flags = claim_flags(d, asks),
		.deliveries = d->job.deliveries,
		.parcel = d->job.parcel,
		.expires_wall_ms = d->job.expires_wall_ms,
		.retries = d->job.retries,
		.ready_wall_ms = d->job.ready_wall_ms});
}

/* Bodies and envelopes are given as present even when they are empty: an absent blob says "as
 * before". */
static struct slice present(struct slice s)
{
	return s.p ? s : slice_of("", 0);
}

static int pack(const struct delivery *d, struct buf *out)
{
	buf_init(out, ENVELOPE_BYTES);
	return envelope_pack(&d->job, out);
}

static int send_take(struct peer *store, const struct delivery *d)
{
	struct buf envelope;
	int rc = pack(d, &envelope);

	if (rc == 0)
		rc = peer_send_take(store,
		    &(struct msg_take){.run = d->run,
			.queue = d->job.queue,
			.job = d->job.id,
			.type = d->type,
			.due_wall_ms = delivery_due_wall_ms(d),
			.running = d->state == DELIVERY_RUNNING,
			.reason = slice_str(d->reason),
			.priority = d->job.priority,
			.envelope = buf_slice(&envelope),
			.body = present(d->job.body)});
	buf_free(&envelope);
	return rc;
}

static uint8_t outcome_flags(const struct delivery *d)
{
	unsigned flags = d->nameless ? OUTCOME_NAMELESS : 0;

	flags |= d->end.result_cut ? OUTCOME_RESULT_CUT : 0u;
	flags |= d->end.logs_cut ? OUTCOME_LOGS_CUT : 0u;
	flags |= d->buried ? OUTCOME_BURIED : 0u;
	return (uint8_t)flags;
}

/*~ 6. How the run ended, to the store; envelope and body go along unless it is done, since a
 * retry needs them. The delivery is not acknowledged yet. Next: record.c. */
static int send_outcome(struct peer *store, const struct delivery *d)
{
	const struct run_end *end = &d->end;
	struct msg_outcome m = {.run = d->run,
	    .queue = d->job.queue,
	    .job = d->job.id,
	    .type = d->type,
	    .outcome = (uint8_t)end->outcome,
	    .flags = outcome_flags(d),
	    .exit_code = end->exit_code,
	    .signal = end->signal,
	    .ready_wall_ms = d->job.ready_wall_ms,
	    .started_wall_ms = end->started_wall_ms,
	    .wall_ms = end->wall_ms,
	    .cpu_ms = end->cpu_ms,
	    .max_rss_kb = end->max_rss_kb,
	    .error = slice_str(end->error),
	    .reply_to = d->job.reply_to,
	    .correlation = d->job.correlation_id,
	    .retries = d->job.retries,
	    .priority = d->job.priority,
	    .result = buf_slice(&end->result),
	    .logs = buf_slice(&end->logs)};
	struct buf envelope;
	int rc;

	if (end->outcome == OUTCOME_DONE)
		return peer_send_outcome(store, &m);
	rc = pack(d, &envelope);
	m.envelope = buf_slice(&envelope);
	m.body = present(d->job.body);
	if (rc == 0)
		rc = peer_send_outcome(store, &m);
	buf_free(&envelope);
	return rc;
}

static int report_hold(struct peer *store, const struct delivery *d)
{
	int64_t started = d->end.started_wall_ms;

	return peer_send_hold(store,
	    &(struct msg_hold){.run = d->run,
		.queue = d->job.queue,
		.job = d->job.id,
		.type = d->type,
		.verdict = d->verdict,
		.attempt = d->attempt,
		.started_wall_ms = started != JOB_NOT_GIVEN ? started : clock_wall_ms(),
		.nameless = d->nameless,
		.begun = d->begun});
}

int report_owed(struct peer *store, struct delivery *d)
{
	int rc = 0;

	if (d->owes & OWES_CLAIM) {
		rc = send_claim(store, d, true);
	} else if (d->owes & OWES_BEGUN) {
		rc = send_claim(store, d, false);
	} else if (d->owes & OWES_TAKE) {
		FAULT(worker_before_take);
		rc = send_take(store, d);
	} else if (d->owes & OWES_OUTCOME) {
		rc = send_outcome(store, d);
	}
	if (rc == 0)
		d->owes &= d->owes - 1; /* the lowest bit: the frames go in that order */
	return rc;
}

void report_again(struct delivery *d)
{
	switch (d->state) {
	case DELIVERY_ASKING:
		d->owes = OWES_CLAIM;
		return;
	case DELIVERY_TAKING:
		d->owes = OWES_TAKE;
		return;
	case DELIVERY_RUNNING:
		d->owes = d->taken && !d->settled ? OWES_TAKE : 0;
		return;
	case DELIVERY_RECORDING:
		d->owes = OWES_OUTCOME; /* of a take-over nothing is left to be said */
		return;
	case DELIVERY_WAITING:
	case DELIVERY_AHEAD:
	case DELIVERY_CLEARED:
	case DELIVERY_OVER:
	case DELIVERY_STATE_COUNT:
		return;
	}
}

uint32_t report_held(struct peer *store, const struct list *list)
{
	uint32_t n = 0;

	list_each(const struct delivery, d, list, link) {
		if (!delivery_is_held(d))
			continue;
		n++;
		if (store)
			report_hold(store, d);
	}
	return n;
}
