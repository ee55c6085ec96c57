/* SPDX-License-Identifier: MIT */
/* Who is served next from the embedded queue: of the workers that have room, the one with the fewest
 * open runs; of its pool's queues, each in its turn. */
#include "daemon/store/embedded.h"

#include <errno.h>

#include "daemon/store/asks.h"
#include "daemon/store/serve.h"
#include "lib/base/clock.h"

#define NO_ROOM_MS 20 /* a worker has not read what it was sent: look again */
#define SHARE_MAX 16 /* jobs that one worker is dealt before the next is looked for */

/* Workers that take jobs from that queue. */
static uint32_t consumers(const struct store *s, const char *queue)
{
	uint32_t n = 0;

	list_each(const struct member, m, &s->members, link)
	{
		for (size_t i = 0; m->want && m->pool && i < m->pool->queues.n; i++)
			n += strcmp(m->pool->queues.v[i], queue) == 0;
	}
	return n;
}

void embedded_set_want(struct member *m, uint32_t runs)
{
	struct process *p = m->s->p;
	bool other = (m->want > 0) != (runs > 0);

	m->want = runs;
	if (!other || !conf_is_embedded(p->conf))
		return;
	for (size_t i = 0; i < p->conf->nqueues && i < BOARD_QUEUES_MAX; i++)
		p->slot->depths[i].consumers = consumers(m->s, p->conf->queues[i].section);
	process_board_changed(p);
}

int embedded_want(struct member *m, struct frame *f)
{
	struct msg_want w;

	if (msg_want_decode(f, &w) < 0 || w.runs > CLAIMS_PER_OWNER_MAX)
		return -EPROTO;
	embedded_set_want(m, w.runs);
	return 0;
}

static int send_deal(void *arg, const struct msg_deal *deal)
{
	struct member *m = arg;
	int rc = peer_send_deal(m->peer, deal);

	m->s->verdicts = true;
	return rc < 0 ? rc : !peer_has_room(m->peer);
}

static bool wants(const struct member *m)
{
	return m->pool && m->phase == MEMBER_WELCOMED && m->peer && m->claims.n < m->want;
}

static struct member *next_worker(struct store *s, size_t *ret_others)
{
	struct member *next = NULL;

	*ret_others = 0;
	list_each(struct member, m, &s->members, link)
	{
		if (!wants(m) || m->starved || !peer_has_room(m->peer))
			continue;
		++*ret_others;
		if (!next || m->claims.n < next->claims.n)
			next = m;
	}
	return next;
}

/* From the first of its queues, beginning with the one whose turn it is, that has something. */
static uint32_t deal_to(struct member *m, uint32_t most)
{
	const struct conf_words *queues = &m->pool->queues;
	struct ledger *l = &m->s->ledger;
	struct serve_to to = {&m->claims, slice_str(m->name), send_deal, m};
	int64_t now = clock_mono_ms(), now_wall = clock_wall_ms();

	for (size_t i = 0; i < queues->n; i++) {
		struct slice queue = slice_str(queues->v[(m->turn + i) % queues->n]);
		uint64_t ready = lanes_ready(&l->lanes, queue, now);
		uint32_t n;

		if (ready == 0 || pauses_has(&l->pauses, queue))
			continue;
		n = serve_queue(l, &to, queue, most, now, now_wall);
		if (n > 0) {
			m->turn = (m->turn + i + 1) % queues->n;
			return n;
		}
	}
	return 0;
}

static uint32_t share_of(const struct store *s, const struct member *m, size_t workers)
{
	uint64_t share = s->ledger.lanes.ready / workers;
	uint32_t room = m->want - (uint32_t)m->claims.n;

	share = share < 1 ? 1 : share > SHARE_MAX ? SHARE_MAX : share;
	return share < room ? (uint32_t)share : room;
}

/* What is still ready waits for something that makes no event of its own: for a lane that pauses, for
 * a worker that reads, or for the time that one suspect may have before the next. */
static void look_again(struct store *s)
{
	struct ledger *l = &s->ledger;
	int64_t now = clock_mono_ms(), next = lanes_next_ms(&l->lanes, now);
	int64_t wait = next == INT64_MAX ? INT64_MAX : next - now;
	int64_t suspects = asks_wait_ms(l, clock_wall_ms());

	if (suspects > 0 && suspects < wait)
		wait = suspects;
	list_each(struct member, m, &s->members, link)
	{
		if (wants(m) && !peer_has_room(m->peer) && wait > NO_ROOM_MS)
			wait = NO_ROOM_MS;
	}
	if (wait != INT64_MAX)
		loop_timer_set(&s->deal_timer, wait);
}

void embedded_deal(struct store *s)
{
	struct member *m;
	size_t workers;

	if (!s->recovered || !conf_is_embedded(s->p->conf) || s->disk.level == DISK_FULL)
		return;
	while (s->ledger.lanes.ready && !batch_is_full(&s->ledger.batch) &&
	       (m = next_worker(s, &workers)))
		m->starved = deal_to(m, share_of(s, m, workers)) == 0;
	list_each(struct member, each, &s->members, link) each->starved = false;
	if (s->ledger.lanes.ready == 0)
		return;
	if (batch_is_full(&s->ledger.batch))
		loop_again(s->p->loop);
	else
		look_again(s);
}

void embedded_show(struct store *s)
{
	const struct conf *conf = s->p->conf;

	for (size_t i = 0; i < conf->nqueues && i < BOARD_QUEUES_MAX; i++) {
		struct board_depth *depth = &s->p->slot->depths[i];
		struct slice queue = slice_str(conf->queues[i].section);
		uint64_t ready = lanes_count(&s->ledger.lanes, queue);

		depth->paused = pauses_has(&s->ledger.pauses, queue);
		if (!conf_is_embedded(conf))
			continue;
		depth->at_wall_ms = clock_wall_ms();
		depth->ready = ready > UINT32_MAX ? UINT32_MAX : (uint32_t)ready;
	}
}
