/* SPDX-License-Identifier: MIT */
#include "daemon/store/serve.h"

#include <inttypes.h>

#include "daemon/store/asks.h"
#include "daemon/store/record.h"
#include "lib/base/fault.h"
#include "lib/base/log.h"

#define SERVE_TURN 16     /* jobs of one queue at a time */
#define SERVE_PASSED 64   /* jobs that have to wait, each for another (asks_wait_ms()), and are passed over */

struct serving {
	struct ledger *l;
	const struct serve_to *to;
	int64_t now_ms, now_wall_ms;
	bool full; /* the worker shall have no more now */
};

static void bury(struct serving *s, struct ware *w, enum job_state state, struct slice why)
{
	log_info("job=" SLICE_FMT " queue=" SLICE_FMT " not started, %s: " SLICE_FMT,
	    SLICE_ARG(w->names.id), SLICE_ARG(w->names.queue), job_state_name(state), SLICE_ARG(why));
	record_end(s->l, &w->names, &w->job, state, why, s->now_wall_ms);
}

/* What would be the claim of its run; its body stays open. False: it cannot be run, and is recorded so. */
static bool look(struct serving *s, int64_t id, struct ware *w, struct msg_claim *ret)
{
	struct job job;

	if (!wares_get(&s->l->wares, id, w))
		BUG("parcel %" PRId64 " was ready a moment ago", id);
	if (!w->has_job) {
		wares_done(&s->l->wares);
		log_error("parcel %" PRId64 " has no job: it is dropped", id);
		parcels_remove(&s->l->parcels, &w->parcel, false);
		return false;
	}
	if (!w->envelope.p || envelope_unpack(&job, w->envelope, NULL) < 0) {
		wares_done(&s->l->wares);
		bury(s, w, JOB_DEAD, slice_str("its body is missing from the database"));
		return false;
	}
	*ret = (struct msg_claim){.run = id_new(),
	    .queue = w->names.queue,
	    .job = w->names.id,
	    .type = w->names.type,
	    .parcel = (uint64_t)id,
	    .expires_wall_ms = job.expires_wall_ms,
	    .retries = job.retries,
	    .ready_wall_ms = parcels_ready_since(&w->parcel)};
	return true;
}

/* It is claimed; a claim that cannot be sent is taken back. */
static bool send(struct serving *s, struct ware *w, struct id run, const struct verdict_reading *r)
{
	int64_t ready = w->parcel.due_wall_ms;
	struct msg_deal deal = {.run = run,
	    .queue = w->names.queue,
	    .attempt = r->attempt,
	    .alone = r->alone,
	    .parcel = (uint64_t)w->parcel.id,
	    .envelope = w->envelope,
	    .body = w->body};
	int rc;

	parcels_set_state(&s->l->parcels, &w->parcel, PARCEL_HELD, s->now_wall_ms, 0);
	rc = s->to->send(s->to->arg, &deal);
	wares_done(&s->l->wares);
	s->full = rc != 0;
	FAULT(store_dealt);
	if (rc >= 0)
		return true;
	log_error("job=" SLICE_FMT " cannot be handed to worker " SLICE_FMT " now: %s",
	    SLICE_ARG(w->names.id), SLICE_ARG(s->to->name), strerror(-rc));
	ledger_claim_close(s->l, claims_find(&s->l->claims, run));
	parcels_set_state(&s->l->parcels, &w->parcel, PARCEL_READY, ready, 0);
	lanes_pause(&s->l->lanes, w->parcel.destination, s->now_ms);
	return false;
}

/* True if it was dealt. */
static bool serve_one(struct serving *s, int64_t id)
{
	struct verdict_reading r;
	struct msg_claim claim;
	struct ware w;

	if (!look(s, id, &w, &claim))
		return false;
	asks_decide(s->l, &claim, &w.job, s->to->owner, s->to->name, s->now_wall_ms, &r);
	if (r.verdict == VERDICT_RUN)
		return send(s, &w, claim.run, &r);
	wares_done(&s->l->wares);
	switch (r.verdict) {
	case VERDICT_RUN:
	case VERDICT_NONE: /* it waits for another that was lost before, too */
		break;
	case VERDICT_BURY:
		bury(s, &w, r.outcome == OUTCOME_EXPIRED ? JOB_EXPIRED : JOB_DEAD, slice_str(r.reason));
		break;
	case VERDICT_TAKE: /* an older run goes on */
		parcels_set_state(&s->l->parcels, &w.parcel, PARCEL_HELD, s->now_wall_ms, 0);
		break;
	case VERDICT_DROP:
	case VERDICT_CANCELLED:
		if (parcels_get(&s->l->parcels, id, &w.parcel))
			parcels_remove(&s->l->parcels, &w.parcel, false);
		break;
	}
	return false;
}

/*~ 2b. The embedded queue: the first of the queue's ready parcels are claimed for a worker that has
 * room, and go to it once that is durable. Next: dispatch.c. */
uint32_t serve_queue(struct ledger *l, const struct serve_to *to, struct slice queue, uint32_t most,
    int64_t now_ms, int64_t now_wall_ms)
{
	struct serving s = {l, to, now_ms, now_wall_ms, false};
	uint32_t passed = l->claims.suspects ? SERVE_PASSED : 0, dealt = 0;
	int64_t ids[SERVE_TURN + SERVE_PASSED];
	uint64_t before;
	size_t n;

	if (most > SERVE_TURN)
		most = SERVE_TURN;
	do { /* again while some of them were ended and not dealt: others may stand behind */
		before = lanes_count(&l->lanes, queue);
		n = parcels_ready_of(&l->parcels, queue, most - dealt + passed, ids);
		for (size_t i = 0; i < n && dealt < most && !s.full; i++)
			dealt += serve_one(&s, ids[i]);
	} while (dealt < most && !s.full && lanes_count(&l->lanes, queue) < before &&
		 !batch_is_full(&l->batch));
	return dealt;
}
