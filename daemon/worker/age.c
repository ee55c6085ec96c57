/* SPDX-License-Identifier: MIT */
#include "daemon/worker/age.h"

#define AGE_MAGIC 0x61676500u
#define TAKE_RETRY_MS 1000

/* Unreadable ones are buried at their turn, not taken: what could not be read would be lost on
 * the way. */
static void take_aged(struct age *a, struct delivery *d)
{
	if (d->state == DELIVERY_AHEAD)
		a->claim(a->arg, d);
	if (d->state == DELIVERY_RUNNING || d->state == DELIVERY_CLEARED)
		shelf_take(a->shelf, d, "it was unacknowledged for long");
	else if (d->fault)
		shelf_bury(a->shelf, d, OUTCOME_DEAD, d->fault);
	else if (delivery_must_ask(d))
		shelf_ask(a->shelf, d);
	else
		shelf_take(a->shelf, d, "it was unacknowledged for long");
}

/* How long until it is old enough; negative: it is. INT64_MAX: its age does not matter. */
static int64_t until_aged_ms(const struct age *a, const struct delivery *d, int64_t now)
{
	int64_t left = d->arrived_ms + a->pool->take_after - now;

	if (d->settled || d->taken)
		return INT64_MAX;
	switch (d->state) {
	case DELIVERY_WAITING:
	case DELIVERY_AHEAD:
	case DELIVERY_CLEARED:
	case DELIVERY_RUNNING:
		return left;
	case DELIVERY_ASKING:
		/* what it becomes is seen then */
		return left > TAKE_RETRY_MS ? left : TAKE_RETRY_MS;
	case DELIVERY_TAKING:
	case DELIVERY_RECORDING:
	case DELIVERY_OVER:
	case DELIVERY_STATE_COUNT:
		return INT64_MAX;
	}
	BUG("delivery in state %d", d->state);
}

/* Takes what is old enough; returns how long until the next one is. */
static int64_t take_from(struct age *a, struct list *from, int64_t now)
{
	int64_t next = INT64_MAX;

	list_each(struct delivery, d, from, link) {
		int64_t left = until_aged_ms(a, d, now);

		if (left <= 0) {
			take_aged(a, d);
			left = until_aged_ms(a, d, now);
		}
		if (left < next)
			next = left;
	}
	return next;
}

static void on_timer(struct loop_timer *t)
{
	OBJ(struct age, a, t->arg, AGE_MAGIC);
	struct list *const lists[] = {&a->shelf->waiting, &a->shelf->asked, &a->shelf->active};
	int64_t now = loop_now_ms(a->loop), next = INT64_MAX;

	if (!a->linked) {
		loop_timer_set(&a->timer, TAKE_RETRY_MS);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		int64_t left = take_from(a, lists[i], now);

		if (left < next)
			next = left;
	}
	if (next != INT64_MAX)
		loop_timer_set(&a->timer, next);
}

void age_arrived(struct age *a)
{
	if (!loop_timer_active(&a->timer))
		loop_timer_set(&a->timer, a->pool->take_after);
}

void age_init(struct age *a, struct loop *loop, const struct conf_pool *pool, struct shelf *shelf,
    void (*claim)(void *arg, struct delivery *d), void *arg)
{
	*a = (struct age){.magic = AGE_MAGIC,
	    .loop = loop,
	    .shelf = shelf,
	    .pool = pool,
	    .claim = claim,
	    .arg = arg};
	loop_timer_init(&a->timer, loop, on_timer, a);
}

void age_stop(struct age *a)
{
	loop_timer_stop(&a->timer);
}
