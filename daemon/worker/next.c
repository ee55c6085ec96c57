/* SPDX-License-Identifier: MIT */
#include "daemon/worker/next.h"

#define ASK_LOOK 32 /* waiting ones that are looked at in a turn: who asks from there is answered before its turn */

bool next_must_ask(const struct delivery *d)
{
	return !d->fault && d->handler && d->state == DELIVERY_WAITING && delivery_must_ask(d);
}

bool next_ask_ahead(struct shelf *s, const struct handlers *handlers)
{
	uint32_t n = s->n[DELIVERY_ASKING] + s->n[DELIVERY_CLEARED];
	unsigned looked = 0;
	bool any = false;

	list_each(struct delivery, d, &s->waiting, link) {
		if (looked++ == ASK_LOOK)
			break;
		if (!next_must_ask(d))
			continue;
		if (n++ >= handlers_clear_ahead(handlers, d->handler))
			break;
		shelf_ask(s, d);
		any = true;
	}
	return any;
}

static enum run_room room_for(const struct handlers *handlers, const struct delivery *d)
{
	if (d->fault || !d->handler)
		return RUN_ROOM_NOW; /* it is buried at once */
	return handlers_room(handlers, d->handler);
}

/* The first in a list whose handler can run anything at all. */
static struct delivery *first_in(
    const struct list *list, const struct handlers *handlers, enum run_room *ret_room)
{
	list_each(struct delivery, d, list, link) {
		*ret_room = room_for(handlers, d);
		if (*ret_room != RUN_ROOM_PAUSED)
			return d;
	}
	return NULL;
}

/* A job with a loss on record takes nobody else's outcome down with it. */
static bool must_wait_alone(const struct shelf *s, const struct delivery *d)
{
	return d->alone && s->n[DELIVERY_RECORDING] + s->n[DELIVERY_RUNNING] +
			s->n[DELIVERY_AHEAD] > 0;
}

struct delivery *next_to_start(
    struct shelf *s, const struct handlers *handlers, bool alone, bool *ret_ahead)
{
	struct delivery *first = list_first(&s->waiting, struct delivery, link), *asked;
	enum run_room room = RUN_ROOM_NONE, asked_room = RUN_ROOM_NONE;

	*ret_ahead = false;
	if (first && first->urgent)
		return first;
	if (alone)
		return NULL;
	first = first_in(&s->waiting, handlers, &room);
	asked = first_in(&s->asked, handlers, &asked_room);
	if (asked && (!first || asked->order < first->order)) {
		if (asked->state != DELIVERY_CLEARED || must_wait_alone(s, asked))
			return NULL;
		first = asked;
		room = asked_room;
	} else if (first && next_must_ask(first)) {
		return NULL;
	}
	*ret_ahead = room == RUN_ROOM_AHEAD;
	return room == RUN_ROOM_NOW || *ret_ahead ? first : NULL;
}
