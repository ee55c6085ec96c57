/* SPDX-License-Identifier: MIT */
/* Who wants to hear when a job is over. In memory: whoever asked asks again when the store has
 * restarted. */
#ifndef SKEP_STORE_WATCHES_H
#define SKEP_STORE_WATCHES_H

#include "daemon/store/map.h"

/* Above it the oldest is forgotten: nobody says when he has stopped waiting, and whoever has not
 * looks again when his own time is over. */
#define WATCHES_MAX 4096

struct watches {
	struct map by_job;
	struct list by_age;
};

void watches_init(struct watches *w);
void watches_free(struct watches *w);

void watches_add(
    struct watches *w, void *owner, uint64_t request, struct slice queue, struct slice id);

/* Calls `tell` for everybody who watches the job, and forgets them. */
void watches_fire(struct watches *w, struct slice queue, struct slice id,
    void (*tell)(void *arg, void *owner, uint64_t request), void *arg);

/* The owner is gone. */
void watches_drop(struct watches *w, const void *owner);

#endif
