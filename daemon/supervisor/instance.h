/* SPDX-License-Identifier: MIT */
/*
 * One skepd for each state directory and each runtime directory: a lock (flock) on a file skepd.pid
 * in both, held by the supervisor alone for as long as it lives. The file stays when it ends,
 * emptied: removing a lock file would let two hold "it" at once.
 */
#ifndef SKEP_DAEMON_SUPERVISOR_INSTANCE_H
#define SKEP_DAEMON_SUPERVISOR_INSTANCE_H

#include <sys/types.h>

#include "lib/conf/conf.h"

struct instance {
	int state_lock, runtime_lock;
};

/* Makes the directories that are missing (state 0700, owned by the store's user; runtime 0755, our
 * own) and takes both locks. -EBUSY with the pid of the other; -EPERM for a directory that somebody
 * else owns. */
int instance_open(struct instance *ret, const struct conf *conf, uid_t store_uid, gid_t store_gid,
    struct err *err);
void instance_close(struct instance *i);

#endif
