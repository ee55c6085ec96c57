/* SPDX-License-Identifier: MIT */
/*
 * When a child that has ended is started again: pure, no clock of its own. A child that dies at
 * once waits longer each time: 0, 0.5, 1, 2 ... 30 seconds. One that has lived for a while was not
 * wrong from the start: a life of RESTART_SHORT_MS and more halves what is held against it, one of
 * RESTART_LONG_MS clears it. A child that says that restarting cannot help (EXIT_PERMANENT) waits
 * RESTART_PERMANENT_MS.
 */
#ifndef SKEP_DAEMON_SUPERVISOR_RESTART_H
#define SKEP_DAEMON_SUPERVISOR_RESTART_H

#include "lib/base/base.h"

#define RESTART_SHORT_MS 5000
#define RESTART_LONG_MS 60000
#define RESTART_PERMANENT_MS 60000
#define RESTART_MAX_MS 30000

/* What is held against one child; starts as zero. */
struct restart {
	unsigned strikes;
};

struct restart_facts {
	int64_t lived_ms; /* from its start to its end; 0 if it could not be started at all */
	bool permanent; /* it exited with EXIT_PERMANENT */
};

/* The wait before the next start, in milliseconds. */
int64_t restart_delay_ms(struct restart *memory, const struct restart_facts *facts);

#endif
