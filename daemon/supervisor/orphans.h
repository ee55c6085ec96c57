/* SPDX-License-Identifier: MIT */
/*
 * What a dead worker leaves behind. A worker is a child subreaper and cleans up after its handlers;
 * when it is killed itself, its handler dies with it (PDEATHSIG), but what the handler started
 * comes to the next subreaper above, which is the supervisor. So every child of ours that is not in
 * the table of children is such a remnant, except those that we were started with: `helper & exec
 * skepd` makes one.
 */
#ifndef SKEP_DAEMON_SUPERVISOR_ORPHANS_H
#define SKEP_DAEMON_SUPERVISOR_ORPHANS_H

#include <sys/types.h>

#include "lib/base/base.h"

struct orphans {
	pid_t *spared; /* children from before we were skepd */
	size_t nspared;
};

/* Makes this process the parent of orphaned descendants. Before the first child is started. */
void orphans_adopt(struct orphans *o);
void orphans_free(struct orphans *o);

/* Sends SIGKILL to each child of this process that `known` does not claim. Returns how many there
 * are that will die of it; each is reported by SIGCHLD and may leave further ones: call again
 * until 0. */
size_t orphans_kill(struct orphans *o, bool (*known)(pid_t pid, void *arg), void *arg);

#endif
