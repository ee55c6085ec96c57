/* SPDX-License-Identifier: MIT */
/*
 * What the service manager is told, through libsystemd (sd_notify(3)). Without $NOTIFY_SOCKET all of this
 * does nothing.
 */
#ifndef SKEP_DAEMON_SUPERVISOR_NOTIFY_H
#define SKEP_DAEMON_SUPERVISOR_NOTIFY_H

#include "lib/base/loop.h"

struct notify {
	struct loop_timer watchdog;
	char status[200]; /* as sent last */
};

/* Starts the watchdog's heartbeat if the manager asks for one. */
void notify_open(struct notify *n, struct loop *loop);
void notify_close(struct notify *n);

void notify_ready(void);
void notify_stopping(int64_t within_ms);                  /* asks for that much time, too */
void notify_status(struct notify *n, const char *status); /* sent if it differs from the last */

#endif
