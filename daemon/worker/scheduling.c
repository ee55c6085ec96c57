/* SPDX-License-Identifier: MIT */
#include "daemon/worker/scheduling.h"

#include <errno.h>
#include <sched.h>

#include "lib/base/log.h"

static bool is_batch;

void scheduling_begin(void)
{
	const struct sched_param none = {0};

	if (sched_getscheduler(0) != SCHED_OTHER)
		return;
	is_batch = sched_setscheduler(0, SCHED_BATCH, &none) == 0;
	if (!is_batch) /* a filter of system calls, as one may stand in a unit */
		log_debug("cannot be scheduled as SCHED_BATCH: %s", strerror(errno));
}

bool scheduling_is_batch(void)
{
	return is_batch;
}
