/* SPDX-License-Identifier: MIT */
/* What workers say. */
#include "daemon/store/asks.h"
#include "daemon/store/embedded.h"
#include "daemon/store/record.h"
#include "daemon/store/store.h"
#include "daemon/store/takes.h"

#include <errno.h>

#include "lib/base/clock.h"
#include "lib/base/fault.h"
#include "lib/base/log.h"

static bool is_named(struct slice queue, struct slice id)
{
	return queue.n > 0 && queue.n <= JOB_NAME_BYTES && id.n > 0 && id.n <= JOB_ID_BYTES;
}

static void send_cancel(struct member *m, struct id run)
{
	peer_send_cancel(m->peer, &(struct msg_cancel){.run = run});
}

/* False: the verdict has to wait. */
static bool decide(void *owner, const struct msg_claim *c)
{
	struct member *m = owner;
	struct verdict_reading r;

	asks_decide(&m->s->ledger, c, NULL, &m->claims, slice_str(m->name), clock_wall_ms(), &r);
	if (r.verdict == VERDICT_NONE)
		return false;
	m->s->verdicts = true;
	peer_send_verdict(m->peer, &(struct msg_verdict){.run = c->run,
				       .verdict = (uint8_t)r.verdict,
				       .attempt = r.attempt,
				       .alone = r.alone,
				       .job = c->job,
				       .outcome = (uint8_t)r.outcome,
				       .reason = slice_str(r.reason)});
	return true;
}

void workers_turn(struct store *s)
{
	struct ledger *l = &s->ledger;

	if (s->waits.n && asks_wait_ms(l, clock_wall_ms()) == 0)
		waits_each(&s->waits, decide);
	if (s->waits.n)
		loop_timer_set(&s->waits_timer, asks_wait_ms(l, clock_wall_ms()));
}

/*~ 4. The store hears of the run. One that does not ask is kept in memory; one that asks is
 * judged by the table of verdict.c, and RUN is durable before it is sent. Next: the handler
 * starts, runner.c. */
static int on_claim(struct member *m, struct frame *f)
{
	struct msg_claim c;
	struct claim *open;

	if (msg_claim_decode(f, &c) < 0 || !is_named(c.queue, c.job) || c.type.n > JOB_NAME_BYTES)
		return -EPROTO;
	open = claims_find(&m->s->ledger.claims, c.run);
	if ((open && open->owner != &m->claims) || m->claims.n >= CLAIMS_PER_OWNER_MAX)
		return -EPROTO;
	FAULT(store_claim);
	if (c.flags & CLAIM_ASKS)
		return decide(m, &c) ? 0 : waits_add(&m->s->waits, m, &c);
	if (asks_note(&m->s->ledger, &c, &m->claims, slice_str(m->name), clock_wall_ms()))
		send_cancel(m, c.run);
	return 0;
}

static int on_take(struct member *m, struct frame *f)
{
	struct msg_take t;
	int rc;

	if (msg_take_decode(f, &t) < 0)
		return -EPROTO;
	rc = takes_record(&m->s->ledger, &t, &m->claims, slice_str(m->name), m->s->p->move == MOVE_IN,
	    clock_wall_ms());
	return rc < 0 ? rc : peer_send_taken(m->peer, &(struct msg_taken){.run = t.run});
}

/* Workers hand their runs back when the supervisor dies, as they do when it tells them to go; but
 * then nobody has told them, and a job that kills the supervisor must not get away with it. Its end
 * is in the control socket before the worker can have acted on it. */
static bool supervisor_is_gone(struct store *s)
{
	if (s->p->control)
		peer_drain(s->p->control);
	return !s->p->control;
}

static int on_outcome(struct member *m, struct frame *f)
{
	struct msg_outcome o;
	int rc;

	if (msg_outcome_decode(f, &o) < 0)
		return -EPROTO;
	if (o.outcome == OUTCOME_RELEASED && supervisor_is_gone(m->s))
		return 0;
	m->reported = true;
	rc = record_outcome(&m->s->ledger, &o, slice_str(m->name), clock_wall_ms());
	return rc < 0 ? rc : peer_send_recorded(m->peer, &(struct msg_recorded){.run = o.run});
}

member_frame_fn *const workers_frames[MSG_COUNT] = {
    [MSG_CLAIM] = on_claim,
    [MSG_TAKE] = on_take,
    [MSG_OUTCOME] = on_outcome,
    [MSG_WANT] = embedded_want,
};

/* --- hello ---------------------------------------------------------------------------------- */

int workers_hold(struct member *m, struct frame *f)
{
	struct claims *claims = &m->s->ledger.claims;
	struct claim *claim;
	struct msg_hold h;

	if (msg_hold_decode(f, &h) < 0 || !is_named(h.queue, h.job) || h.type.n > JOB_NAME_BYTES)
		return -EPROTO;
	claim = claims_find(claims, h.run);
	if (claim && claim->owner && claim->owner != &m->claims)
		return -EPROTO;
	if (!claim)
		claim = claims_open(
		    claims, &m->claims, h.run, &(struct claim_names){h.queue, h.job, h.type});
	else
		claims_own(claims, claim, &m->claims);
	claim->unheld = false;
	claim->nameless = h.nameless;
	claim->begun = h.begun;
	claim->attempt = h.attempt;
	claim->started_wall_ms = h.started_wall_ms > 0 ? h.started_wall_ms : clock_wall_ms();
	slice_copy(claim->worker, sizeof claim->worker, slice_str(m->name));
	return 0;
}

static void send_ask(void *arg, struct slice queue)
{
	struct member *m = arg;

	peer_send_ask(m->peer, &(struct msg_ask){.queue = queue, .always = true});
}

void workers_welcome(struct member *m)
{
	struct ledger *l = &m->s->ledger;
	struct job_row row;

	for (size_t i = 0; m->pool && i < m->pool->queues.n; i++) {
		struct slice queue = slice_str(m->pool->queues.v[i]);

		peer_send_paused(m->peer, &(struct msg_paused){.queue = queue,
					      .paused = pauses_has(&l->pauses, queue)});
	}
	tombs_each(&l->tombs, send_ask, m);
	/* A cancel may have been on its way when the last store died. */
	list_each(struct claim, claim, &m->claims.claims, link)
	{
		if (tombs_any(&l->tombs, claim->queue) &&
		    jobs_find(&l->jobs, claim->queue, claim->id, &row) &&
		    tombs_has(&l->tombs, row.seq, claim->queue))
			send_cancel(m, claim->run);
	}
}

/* It lives and does not know of this run: the verdict was lost on the way, and it will ask again;
 * or the run has ended, and its outcome comes again. A parcel that was held for it must not wait
 * for either. */
void workers_dropped(struct member *m, struct claim *claim)
{
	struct ledger *l = &m->s->ledger;
	uint8_t text[2 * JOB_NAME_BYTES];
	struct job_names names = {
	    slice_of(text, claim->queue.n), slice_of(text + claim->queue.n, claim->id.n), {0}};
	struct job_row row;

	memcpy(text, claim->text, claim->queue.n + claim->id.n);
	ledger_claim_close(l, claim);
	if (jobs_find(&l->jobs, names.queue, names.id, &row))
		record_release_parcel(l, &names, row.seq, clock_wall_ms());
}

/* Claims of the last store that it made for this very process, which has named what it holds: these
 * jobs were dealt and never arrived. */
void workers_not_received(struct member *m)
{
	struct ledger *l = &m->s->ledger;
	struct board_slot slot;

	if (!board_read(m->s->p->board, m->slot, &slot) || slot.pid != m->pid)
		return;
	list_each(struct claim, claim, &l->claims.nobody.claims, link)
	{
		if (strcmp(claim->worker, m->name) == 0 &&
		    claim->started_wall_ms >= slot.started_wall_ms)
			workers_dropped(m, claim);
	}
}
