/* SPDX-License-Identifier: MIT */
/*
 * Which delivery is next, and which the store is asked for before that. In order of arrival, as far
 * as their handlers have room; one that is asked for lets nothing overtake it.
 */
#ifndef SKEP_WORKER_NEXT_H
#define SKEP_WORKER_NEXT_H

#include "daemon/worker/handlers.h"
#include "daemon/worker/shelf.h"

/* A redelivery, or a copy that came out of a parcel: it may start only when the store has cleared
 * it, and has not been asked for yet. */
bool next_must_ask(const struct delivery *d);

/* Asks for those whose turn comes soon, so that the store's word is there when it does. True if
 * there was one. */
bool next_ask_ahead(struct shelf *s, const struct handlers *handlers);

/* The next to be dealt with; NULL: there is none, or no room for it. `alone`: a run that wants no
 * other beside it goes on. ret_ahead: it is to be sent ahead. */
struct delivery *next_to_start(
    struct shelf *s, const struct handlers *handlers, bool alone, bool *ret_ahead);

#endif
