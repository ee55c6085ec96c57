/* SPDX-License-Identifier: MIT */
#include "daemon/store/deals.h"

#include <errno.h>
#include <inttypes.h>

#include "daemon/store/record.h"
#include "lib/base/fault.h"
#include "lib/base/log.h"

#define DEALS_TURN 16 /* parcels that one lane is served at a time */

/* It will never be delivered: its job is dead, and a reply is dropped. */
static void give_up(struct ledger *l, struct parcel_row *row, struct slice reason, int64_t now_wall)
{
	uint8_t text[JOBS_TEXT_BYTES];
	struct job_names names;
	struct job_row job;

	if (row->kind == PARCEL_JOB && jobs_get(&l->jobs, row->job, &job, &names, text)) {
		log_error("job=" SLICE_FMT " queue=" SLICE_FMT
			  " is dead, it cannot be published: " SLICE_FMT,
		    SLICE_ARG(names.id), SLICE_ARG(names.queue), SLICE_ARG(reason));
		record_end(l, &names, &job, JOB_DEAD, reason, now_wall);
		return;
	}
	log_warn("a reply to '" SLICE_FMT "' is dropped: " SLICE_FMT, SLICE_ARG(row->destination),
	    SLICE_ARG(reason));
	parcels_remove(&l->parcels, row, false);
	lanes_worked(&l->lanes, row->destination); /* so that the lane may be forgotten */
}

/* --- out ------------------------------------------------------------------------------------ */

struct dealing {
	struct ledger *l;
	int64_t now_ms, now_wall;
	deals_send_fn *send;
	void *arg;
	bool full; /* the courier shall have no more in this turn */
};

/*~ 11. The parcel is due: its lane deals it to the courier, which has given credit; it stays in
 * the database. Next: courier/parcel.c. */
static bool deal_one(struct dealing *d, struct lane *lane, int64_t id)
{
	struct slice envelope, body;
	struct parcel_row row;
	int rc;

	if (!parcels_get(&d->l->parcels, id, &row))
		BUG("parcel %" PRId64 " was ready a moment ago", id);
	if (!bodies_get(&d->l->bodies, row.body, &envelope, &body)) {
		give_up(
		    d->l, &row, slice_str("its body is missing from the database"), d->now_wall);
		return false;
	}
	rc = d->send(d->arg, &row, envelope, body);
	bodies_done(&d->l->bodies);
	if (rc == -EAGAIN)
		return false;
	if (rc < 0) {
		log_error("cannot hand parcel %" PRId64 " to the courier: %s", id, strerror(-rc));
		lanes_pause(&d->l->lanes, row.destination, d->now_ms);
		return false;
	}
	d->full = rc > 0;
	lanes_lease(&d->l->lanes, lane, id);
	FAULT(store_lease);
	return true;
}

/* The leased ones are the first of the lane, or nearly so; they are passed over. */
static uint32_t deal_lane(struct dealing *d, struct lane *lane, uint32_t most)
{
	int64_t ids[LANE_WINDOW + DEALS_TURN];
	uint32_t room = lane_room(lane, d->now_ms), dealt = 0;
	size_t n;

	if (room == 0)
		return 0;
	most = most < DEALS_TURN ? most : DEALS_TURN;
	most = most < room ? most : room;
	n = parcels_ready_of(&d->l->parcels, lane->destination, lane->leased + most, ids);
	for (size_t i = 0; i < n && dealt < most && !d->full; i++) {
		if (lanes_is_leased(&d->l->lanes, ids[i]))
			continue;
		if (!deal_one(d, lane, ids[i]))
			break;
		dealt++;
	}
	return dealt;
}

uint32_t deals_run(struct ledger *l, uint32_t most, int64_t now_ms, int64_t now_wall_ms,
    deals_send_fn *send, void *arg)
{
	struct dealing d = {l, now_ms, now_wall_ms, send, arg, false};
	uint32_t dealt = 0;
	size_t idle = 0;

	while (dealt < most && idle < l->lanes.nring && !d.full) {
		uint32_t n = deal_lane(&d, lanes_turn(&l->lanes), most - dealt);

		idle = n ? 0 : idle + 1;
		dealt += n;
	}
	return dealt;
}

/* --- back ----------------------------------------------------------------------------------- */

struct settling {
	struct ledger *l;
	const struct msg_settle *m;
	struct parcel_row row;
	bool leased;
	int64_t now_ms, now_wall;
};

/* Whoever leased it: that it was confirmed is true in any case. */
static void on_confirmed(struct settling *s)
{
	lanes_worked(&s->l->lanes, s->row.destination);
	parcels_remove(&s->l->parcels, &s->row, false);
}

/* One that is sent ahead of its time keeps its due time, and so stays as it is: its lane waits. */
static void wait_for(struct settling *s, enum parcel_state state)
{
	int64_t backoff =
	    lanes_failed(&s->l->lanes, s->row.destination, (unsigned)s->row.tries, s->now_ms);

	if (s->l->parcels.early) {
		lanes_unlease(&s->l->lanes, s->row.id);
		return;
	}
	s->row.tries++;
	parcels_set_state(&s->l->parcels, &s->row, state, s->now_wall + backoff, backoff);
}

static void on_returned(struct settling *s)
{
	if (!s->leased)
		return;
	if (s->row.kind == PARCEL_REPLY) {
		give_up(s->l, &s->row, slice_str("no queue takes it"), s->now_wall);
		return;
	}
	if (lanes_may_complain(&s->l->lanes, s->row.destination, s->now_ms))
		log_error("no queue '" SLICE_FMT "' takes jobs: they wait here until there is one",
		    SLICE_ARG(s->row.destination));
	wait_for(s, PARCEL_UNROUTABLE);
}

static void on_nacked(struct settling *s)
{
	if (!s->leased)
		return;
	if (lanes_may_complain(&s->l->lanes, s->row.destination, s->now_ms))
		log_warn("the broker takes no jobs for queue '" SLICE_FMT
			 "' now: they wait here (" SLICE_FMT ")",
		    SLICE_ARG(s->row.destination), SLICE_ARG(s->m->reason));
	wait_for(s, PARCEL_DELAYED);
}

/* A node that only moves ends no job. It stays leased, so that what stands behind it is not kept. */
static void on_refused(struct settling *s)
{
	if (s->leased && s->l->parcels.early)
		log_error("a job for queue '" SLICE_FMT "' stays here, the broker refuses it: " SLICE_FMT,
		    SLICE_ARG(s->row.destination), SLICE_ARG(s->m->reason));
	else if (s->leased)
		give_up(s->l, &s->row, s->m->reason, s->now_wall);
}

static void on_unsent(struct settling *s)
{
	if (lanes_unlease(&s->l->lanes, s->row.id))
		lanes_pause(&s->l->lanes, s->row.destination, s->now_ms);
}

static void (*const settle[])(struct settling *s) = {
    [SETTLE_CONFIRMED] = on_confirmed,
    [SETTLE_RETURNED] = on_returned,
    [SETTLE_NACKED] = on_nacked,
    [SETTLE_REFUSED] = on_refused,
    [SETTLE_UNSENT] = on_unsent,
};

int deals_settle(struct ledger *l, const struct msg_settle *m, int64_t now_ms, int64_t now_wall_ms)
{
	struct settling s = {.l = l, .m = m, .now_ms = now_ms, .now_wall = now_wall_ms};

	if (m->how >= ARRAY_SIZE(settle))
		return -EPROTO;
	FAULT(store_settle);
	if (m->parcel > INT64_MAX || !parcels_get(&l->parcels, (int64_t)m->parcel, &s.row))
		return 0;
	s.leased = lanes_is_leased(&l->lanes, s.row.id);
	settle[m->how](&s);
	return 0;
}
