/* SPDX-License-Identifier: MIT */
#include "daemon/worker/scheduling.h"

#include <errno.h>
#include <sched.h>

#include "lib/base/log.h"

void scheduling_begin(const struct conf_pool *pool)
{
	const struct sched_param none = {0};

	if (pool->scheduling == SCHEDULING_OTHER || sched_getscheduler(0) != SCHED_OTHER)
		return;
	if (sched_setscheduler(0, SCHED_BATCH, &none) < 0) /* a filter of system calls, as one may stand in a unit */
		log_warn("cannot be scheduled as SCHED_BATCH: %s", strerror(errno));
}
