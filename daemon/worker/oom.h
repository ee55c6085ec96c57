/* SPDX-License-Identifier: MIT */
/*
 * Tells a SIGKILL of the kernel's OOM killer from one that somebody sent: by the counter of the
 * worker's cgroup (memory.events, cgroup v2), or of the whole machine (/proc/vmstat) where there is
 * none.
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

#endif
