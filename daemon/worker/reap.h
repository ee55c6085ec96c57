/* SPDX-License-Identifier: MIT */
/*
 * Nothing of a handler outlives its run. The worker is a child subreaper: whatever the handler
 * leaves, also daemonized and in sessions of its own, becomes the worker's child when its parent
 * dies, and is killed here. A fork bomb can outrun this; only a cgroup cannot be outrun.
 */
#ifndef SKEP_WORKER_REAP_H
#define SKEP_WORKER_REAP_H

#include <sys/types.h>

#include "lib/base/err.h"

/* Makes this process the parent of its descendants' orphans. Once, at start. */
int reap_begin(struct err *err);

/* The first child that has ended, left as a zombie, so that its process group cannot pass to
 * somebody else before it is killed. 0: none. */
pid_t reap_peek(void);

/* Kills all children and collects those that have ended, for a bounded time: true when none is
 * left. Each that is still to die brings a SIGCHLD. Costs one system call when there are none. */
bool reap_all(void);

#endif
