/* SPDX-License-Identifier: MIT */
/* What the courier says, and what it is given. */
#include "daemon/store/deals.h"
#include "daemon/store/store.h"

#include <errno.h>

#include "lib/base/clock.h"

#define NO_ROOM_MS 20 /* the courier has not read what it was sent: look again */
#define CREDIT_MAX 65536 /* far above any confirm window */

static int on_credit(struct member *m, struct frame *f)
{
	struct msg_credit c;

	if (msg_credit_decode(f, &c) < 0 || c.parcels > CREDIT_MAX ||
	    m->s->credit + c.parcels > CREDIT_MAX)
		return -EPROTO;
	m->s->credit += c.parcels;
	return 0;
}

static int on_settle(struct member *m, struct frame *f)
{
	struct msg_settle settle;

	if (msg_settle_decode(f, &settle) < 0)
		return -EPROTO;
	return deals_settle(&m->s->ledger, &settle, clock_mono_ms(), clock_wall_ms());
}

member_frame_fn *const courier_frames[MSG_COUNT] = {
    [MSG_CREDIT] = on_credit,
    [MSG_SETTLE] = on_settle,
};

void courier_begin(struct store *s, struct member *m)
{
	s->courier = m;
	s->credit = 0;
}

void courier_gone(struct store *s)
{
	s->courier = NULL;
	s->credit = 0;
	lanes_unlease_all(&s->ledger.lanes);
}

static int send_parcel(
    void *arg, const struct parcel_row *row, struct slice envelope, struct slice body)
{
	struct store *s = arg;
	const char *state = row->kind == PARCEL_REPLY ? job_state_name(row->ended) : "";
	int rc = peer_send_parcel(s->courier->peer, &(struct msg_parcel){.parcel = (uint64_t)row->id,
						      .kind = (uint8_t)row->kind,
						      .destination = row->destination,
						      .attempt = (uint32_t)row->attempt,
						      .priority = (uint8_t)row->priority,
						      .state = slice_str(state),
						      .ready_wall_ms = parcels_ready_since(row),
						      .due_wall_ms = parcels_due(&s->ledger.parcels, row),
						      .envelope = envelope,
						      .body = body});

	return rc < 0 ? rc : !peer_has_room(s->courier->peer);
}

void courier_deal(struct store *s)
{
	int64_t now = clock_mono_ms(), next;
	uint64_t leased = s->ledger.lanes.leases.n;

	if (!s->courier || !s->courier->peer || s->credit == 0 || s->ledger.lanes.ready == leased)
		return;
	if (peer_has_room(s->courier->peer))
		s->credit -= deals_run(&s->ledger, s->credit, now, clock_wall_ms(), send_parcel, s);
	next = lanes_next_ms(&s->ledger.lanes, now);
	if (!peer_has_room(s->courier->peer) && now + NO_ROOM_MS < next)
		next = now + NO_ROOM_MS;
	if (next != INT64_MAX)
		loop_timer_set(&s->deal_timer, next - now);
}
