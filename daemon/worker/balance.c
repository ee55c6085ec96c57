/* SPDX-License-Identifier: MIT */
#include "daemon/worker/balance.h"

#include "daemon/worker/shelf.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define BALANCE_MAGIC 0x62616c61u
#define BALANCE_STUCK_MS 1000
#define BALANCE_LOOK_MS 250 /* how often the board is read while the worker is stuck */
#define BALANCE_PAUSE_MS 20 /* how often it looks whether the pause is confirmed */

struct balance {
	unsigned magic;
	struct process *p;
	struct prefetch *prefetch;
	struct shelf *shelf;
	struct intake *intake;
	struct loop_timer timer;
	bool paused;
	int64_t paused_us;
};

static void ask_for(struct balance *b, uint32_t prefetch)
{
	b->p->slot->prefetch = prefetch;
	process_board_changed(b->p);
	b->intake->ops->set_prefetch(b->intake, prefetch);
}

/* Could what waits here run elsewhere at once? */
static bool somebody_is_idle(const struct balance *b)
{
	struct board_slot slot;

	for (size_t i = 0; i < board_slots(b->p->board); i++) {
		if (i == b->p->slot_index || !board_read(b->p->board, i, &slot))
			continue;
		if (slot.role == ROLE_WORKER && slot.state == BOARD_READY && slot.connected
		    && !slot.blocked && slot.nruns == 0 && slot.buffered == 0
		    && strncmp(slot.pool, b->p->pool, sizeof slot.pool - 1) == 0)
			return true;
	}
	return false;
}

/* Does something wait here, and nothing move? */
static bool is_stuck(const struct balance *b)
{
	int64_t since_ms = shelf_waits_since_ms(b->shelf);

	return since_ms != INT64_MAX && clock_mono_ms() - since_ms >= BALANCE_STUCK_MS
	       && prefetch_stuck_ms(b->prefetch, clock_mono_us()) >= BALANCE_STUCK_MS;
}

static void hand_back(struct balance *b)
{
	if (!b->paused) {
		b->paused = true;
		b->paused_us = clock_mono_us();
		ask_for(b, 0);
	}
	if (!b->intake->ops->is_paused(b->intake))
		return;
	log_info("another worker is idle: %u deliveries that waited behind a run were handed back",
	    shelf_hand_back(b->shelf, NULL));
}

static bool may_resume(const struct balance *b)
{
	const struct prefetch *p = b->prefetch;

	return p->running < p->slots || p->ended_us > b->paused_us;
}

/* A store that is slow to answer is no reason to ask for more, however fast the handlers are. */
void balance_look(struct balance *b)
{
	if (b->prefetch->fixed || b->p->stopping)
		return;
	if (b->paused && may_resume(b)) {
		b->paused = false;
		prefetch_restart(b->prefetch, clock_mono_ms());
		ask_for(b, b->prefetch->value);
	} else if (!b->paused && b->shelf->n[DELIVERY_RECORDING] <= b->prefetch->value
		   && prefetch_update(b->prefetch, clock_mono_ms())) {
		ask_for(b, b->prefetch->value);
	}
	/* While it runs it may get stuck, or be slower than what it asks for. */
	if (b->prefetch->running && !loop_timer_active(&b->timer)
	    && (shelf_waits_since_ms(b->shelf) != INT64_MAX
		|| b->prefetch->value > b->prefetch->slots))
		loop_timer_set(&b->timer, BALANCE_LOOK_MS);
}

static void on_timer(struct loop_timer *t)
{
	OBJ(struct balance, b, t->arg, BALANCE_MAGIC);

	prefetch_running(b->prefetch, b->prefetch->running, clock_mono_us());
	balance_look(b);
	if (b->p->stopping || !is_stuck(b) || !somebody_is_idle(b))
		return;
	hand_back(b);
	if (b->paused && !b->intake->ops->is_paused(b->intake))
		loop_timer_set(&b->timer, BALANCE_PAUSE_MS);
}

struct balance *balance_new(struct process *p, struct prefetch *prefetch, struct dispatch *dispatch,
    struct intake *intake)
{
	struct balance *b = xcalloc(1, sizeof *b);

	b->magic = BALANCE_MAGIC;
	b->p = p;
	b->prefetch = prefetch;
	b->shelf = dispatch_shelf(dispatch);
	b->intake = intake;
	loop_timer_init(&b->timer, p->loop, on_timer, b);
	p->slot->prefetch = prefetch->value;
	return b;
}
