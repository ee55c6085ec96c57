/* SPDX-License-Identifier: MIT */
/*
 * The workers of one pool: how many of its children have a process, and which ones come and go. A crew
 * is told how many it should be (scaler.h) and gets there: upwards at once; downwards by retiring, an
 * idle worker first, and one that is busy drains: it takes nothing new and ends when its jobs have
 * ended. Nobody is killed.
 *
 * It also replaces workers that have served their time (`max_jobs`, `max_age`, `max_rss` of the pool),
 * one at a time: the new one must be ready before the old one retires.
 */
#ifndef SKEP_DAEMON_SUPERVISOR_CREW_H
#define SKEP_DAEMON_SUPERVISOR_CREW_H

#include "lib/conf/conf.h"

struct supervisor;
struct child;

/* Children beyond the largest number of workers: for those that drain, and for replacements. */
#define CREW_SPARE 32

struct crew {
	struct supervisor *s;
	const struct conf_pool *pool;
	struct child *children;
	size_t n;
	uint32_t target;
	int64_t start_ms; /* how long a worker took of late until it was ready; -1: none was yet */
	struct child *old, *fresh; /* a replacement that is under way; both NULL: none */
};

struct crew_count {
	uint32_t starting, ready; /* on their way to work, or at work */
	uint32_t leaving;         /* told to end */
	uint32_t waiting;         /* died, and wait for their restart */
};

/* How many children a pool may have, spares included. */
size_t crew_room(const struct conf_pool *pool);

void crew_init(struct crew *w, struct supervisor *s, const struct conf_pool *pool, struct child *children);

/* From now on so many. Starts and retires at once. */
void crew_resize(struct crew *w, uint32_t target);

/* Something of it has ended or become ready: goes on towards the target, and with a replacement. */
void crew_advance(struct crew *w);

/* A worker of it was ready so long after its start. */
void crew_came_up(struct crew *w, int64_t after_ms);

/* Are its workers ever replaced? */
bool crew_grows_old(const struct crew *w);

/* Once in a while: begins the replacement of a worker that has served its time. */
void crew_renew(struct crew *w, int64_t now_ms);

struct crew_count crew_count(const struct crew *w);

#endif
