/* SPDX-License-Identifier: MIT */
#include "daemon/store/asks.h"

#include "daemon/store/record.h"
#include "daemon/store/tally.h"

static struct claim *open_claim(struct ledger *l, const struct msg_claim *m,
    struct claim_owner *owner, struct slice worker, int64_t now)
{
	struct claim *claim = claims_find(&l->claims, m->run);

	if (!claim) {
		claim = claims_open(
		    &l->claims, owner, m->run, &(struct claim_names){m->queue, m->job, m->type});
		claim->started_wall_ms = now;
		claim->ready_wall_ms = m->ready_wall_ms;
		claim->nameless = m->flags & CLAIM_NAMELESS;
		claim->attempt = 1;
		slice_copy(claim->worker, sizeof claim->worker, worker);
	}
	return claim;
}

bool asks_note(struct ledger *l, const struct msg_claim *m, struct claim_owner *owner,
    struct slice worker, int64_t now)
{
	struct claim *claim = open_claim(l, m, owner, worker, now);
	struct job_row row;

	if (!claim->begun) {
		claim->started_wall_ms = now;
		tally_begun(l, &(struct job_names){claim->queue, claim->id, claim->type},
		    claim->ready_wall_ms, now);
	}
	claim->begun = true;
	return tombs_any(&l->tombs, m->queue) && jobs_find(&l->jobs, m->queue, m->job, &row) &&
	       tombs_has(&l->tombs, row.seq, m->queue);
}

static struct verdict_facts facts_of(
    struct ledger *l, const struct msg_claim *m, const struct job_row *known, struct job_row *row)
{
	struct parcel_row parcel;
	struct verdict_facts f = {
	    .nameless = m->flags & CLAIM_NAMELESS,
	    .redelivered = m->flags & CLAIM_REDELIVERED,
	    .from_parcel = m->parcel != 0,
	    .deliveries = m->deliveries,
	    .runs = claims_of_job(&l->claims, m->queue, m->job, claims_find(&l->claims, m->run)),
	    .max_losses = l->conf->store.max_losses,
	    .retries = ledger_retries(l, m->type, m->retries),
	    .expires_wall_ms = m->expires_wall_ms,
	};

	*row = known ? *known : (struct job_row){0};
	if (!known && !jobs_find(&l->jobs, m->queue, m->job, row))
		return f;
	record_found_again(l, row, m->run);
	f.over = job_state_over(row->state);
	f.cancelled = row->state == JOB_CANCELLED || tombs_has(&l->tombs, row->seq, m->queue);
	f.losses = row->losses;
	f.attempt = row->attempt;
	f.parcel_waits = !known && parcels_of_job(&l->parcels, row->seq, &parcel) &&
			 parcel.state != PARCEL_HELD && (uint64_t)parcel.id != m->parcel;
	return f;
}

/* The claim is durable, and so the job has a row, except where the message has no id: its
 * redelivery will have another one, so nothing could be told of it after a loss. */
static void grant(struct ledger *l, const struct msg_claim *m, struct claim *claim,
    struct job_row *row, uint32_t attempt, int64_t now)
{
	struct job_names names = {m->queue, m->job, m->type};

	claim->attempt = attempt;
	if (claim->nameless)
		return;
	if (!row->seq) {
		*row = (struct job_row){.state = JOB_QUEUED, .created_wall_ms = now};
		jobs_insert(&l->jobs, &names, row, &(struct job_text){0});
	}
	ledger_claim_keep(l, claim, row->seq);
}

int64_t asks_wait_ms(const struct ledger *l, int64_t now)
{
	int64_t since = now - l->suspect_wall_ms;

	/* Before 0: the clock was set back. */
	return l->claims.suspects == 0 || since < 0 || since >= ASKS_SUSPECT_MS
		   ? 0
		   : ASKS_SUSPECT_MS - since;
}

/* A suspect that has its verdict already and asks again does not wait for itself. */
static bool must_wait(const struct ledger *l, const struct msg_claim *m, int64_t now)
{
	const struct claim *own = claims_find(&l->claims, m->run);

	return !(own && own->suspect) && asks_wait_ms(l, now) > 0;
}

void asks_decide(struct ledger *l, const struct msg_claim *m, const struct job_row *known,
    struct claim_owner *owner, struct slice worker, int64_t now, struct verdict_reading *ret)
{
	struct job_names names = {m->queue, m->job, m->type};
	struct verdict_facts facts;
	struct job_row row;

	facts = facts_of(l, m, known, &row);
	verdict_read(&facts, now, ret);
	if (ret->verdict == VERDICT_RUN && ret->alone && must_wait(l, m, now)) {
		ret->verdict = VERDICT_NONE;
		return;
	}
	if (ret->verdict == VERDICT_RUN) {
		struct claim *claim = open_claim(l, m, owner, worker, now);

		grant(l, m, claim, &row, ret->attempt, now);
		if (ret->alone) {
			claims_suspect(&l->claims, claim);
			l->suspect_wall_ms = now;
		}
		return;
	}
	/* The message has come by: the cancel that waited for it is served. */
	if (ret->verdict == VERDICT_CANCELLED && facts.over)
		tombs_remove(&l->tombs, row.seq, m->queue);
	else if (ret->verdict == VERDICT_CANCELLED)
		record_end(l, &names, &row, JOB_CANCELLED, slice_str("cancelled on request"), now);
	ledger_claim_close(l, claims_find(&l->claims, m->run));
}
