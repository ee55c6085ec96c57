/* SPDX-License-Identifier: MIT */
/*
 * Tells a SIGKILL of the kernel's OOM killer from one that somebody sent: by the counter of the
 * worker's cgroup (memory.events, cgroup v2), or of the whole machine (/proc/vmstat) where there is
 * none. And tells the kernel that it should rather take a handler than one of us.
 */
#ifndef SKEP_WORKER_OOM_H
#define SKEP_WORKER_OOM_H

#include "lib/base/base.h"

struct oom {
	char path[512]; /* where the counter is; empty: nowhere */
	int64_t seen;
};

void oom_init(struct oom *o);

/* Has the counter moved since the last call? Only worth asking after a SIGKILL that is not ours. */
bool oom_check(struct oom *o);

/* What this process starts between the two inherits the score (proc(5), oom_score_adj) of a handler. It has that score
 * itself meanwhile, and runs nothing but the start: to write it in each child would be to open a file of /proc for each
 * job. False: it cannot be had so. */
#define OOM_HANDLER_SCORE 200 /* workers have 100 */
bool oom_lend_score(void);
void oom_take_score_back(void);

#endif
