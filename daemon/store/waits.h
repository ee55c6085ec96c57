/* SPDX-License-Identifier: MIT */
/* Claims whose verdict has to wait (asks.h), with the process that asks; its connection's end
 * forgets them, since whoever connects again asks again. */
#ifndef SKEP_STORE_WAITS_H
#define SKEP_STORE_WAITS_H

#include "lib/base/list.h"
#include "lib/ipc/codec.h"

#define WAITS_MAX 4096

struct waits {
	struct list all; /* the first has waited longest */
	size_t n;
};

void waits_init(struct waits *w);

/* Copies the claim. -ENOBUFS above WAITS_MAX. */
int waits_add(struct waits *w, void *owner, const struct msg_claim *m);

void waits_drop(struct waits *w, const void *owner); /* NULL: all */

/* Asks `again` for each in turn: true if it was answered, and is forgotten. */
void waits_each(struct waits *w, bool (*again)(void *owner, const struct msg_claim *m));

#endif
