/* SPDX-License-Identifier: MIT */
/*
 * Every child that ends, and nothing of a handler outlives it. The worker is a child subreaper:
 * whatever a handler leaves, also daemonized and in sessions of its own, becomes the worker's child
 * when its parent dies, and is killed here as a stray. A fork bomb can outrun this; only a cgroup
 * cannot be outrun. One reaper per process: it has SIGCHLD.
 */
#ifndef SKEP_WORKER_REAP_H
#define SKEP_WORKER_REAP_H

#include <sys/types.h>

#include "lib/base/err.h"
#include "lib/base/loop.h"

struct reaper;

/* A child that somebody waits for; embedded in its owner. */
struct reap_child {
	struct list link;
	pid_t pid;
	bool alone; /* strays may be its own and are left as long as it lives */
	/* It has ended, and is not watched any more. It is left a zombie, so that its process group
	 * cannot pass to somebody else before it is killed; the call must collect it. */
	void (*exited)(void *arg);
	void *arg;
};

/* Somebody who waits for the end of the strays. */
struct reap_sweep {
	struct list link;
	int64_t until_ms;
	void (*swept)(void *arg);
	void *arg;
};

/* Makes this process the parent of its descendants' orphans. Once, at start. */
int reap_begin(struct err *err);

struct reaper *reaper_new(struct loop *loop);
void reaper_free(struct reaper *r);

void reaper_watch(struct reaper *r, struct reap_child *c);
void reaper_forget(struct reap_child *c); /* also of one that is not watched, or never was */

/* Kills and collects what nobody watches, then calls `swept`, never from inside this call; after
 * two seconds in any case. Strays in the process group of a watched child are left to it. */
void reaper_sweep(struct reaper *r, struct reap_sweep *s);
void reaper_sweep_stop(struct reap_sweep *s);

/* One round of it: true when no stray is left. Costs one system call when there are no children. */
bool reaper_kill_strays(struct reaper *r);

#endif
