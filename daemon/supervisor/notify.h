/* SPDX-License-Identifier: MIT */
/*
 * The service manager's protocol (sd_notify(3)): datagrams of NAME=value lines to the socket in
 * $NOTIFY_SOCKET. Not by libsystemd: its sd_notify() waits while the manager does not read, and the
 * supervisor waits for nobody. Without that socket all of this does nothing.
 */
#ifndef SKEP_DAEMON_SUPERVISOR_NOTIFY_H
#define SKEP_DAEMON_SUPERVISOR_NOTIFY_H

#include "lib/base/loop.h"

struct notify {
	int fd; /* -1: nobody listens */
	struct loop_timer watchdog;
	char status[200]; /* as sent last */
};

/* Connects, and starts the watchdog's heartbeat if the manager asks for one. */
void notify_open(struct notify *n, struct loop *loop);
void notify_close(struct notify *n);

void notify_ready(struct notify *n);
void notify_stopping(struct notify *n, int64_t within_ms); /* asks for that much time, too */
void notify_status(struct notify *n, const char *status);  /* sent if it differs from the last */

#endif
