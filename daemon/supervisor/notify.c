/* SPDX-License-Identifier: MIT */
#include "daemon/supervisor/notify.h"

#include <systemd/sd-daemon.h>

static void on_watchdog(struct loop_timer *t UNUSED)
{
	sd_notify(0, "WATCHDOG=1");
}

void notify_open(struct notify *n, struct loop *loop)
{
	uint64_t period_us;

	*n = (struct notify){0};
	loop_timer_init(&n->watchdog, loop, on_watchdog, n);
	/* Half the time allowed, as sd_watchdog_enabled(3) advises. */
	if (sd_watchdog_enabled(0, &period_us) > 0)
		loop_timer_every(&n->watchdog, (int64_t)(period_us / 2000));
}

void notify_close(struct notify *n)
{
	loop_timer_stop(&n->watchdog);
}

void notify_ready(void)
{
	sd_notify(0, "READY=1");
}

void notify_stopping(int64_t within_ms)
{
	sd_notifyf(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld", (long long)within_ms * 1000);
}

void notify_status(struct notify *n, const char *status)
{
	if (strcmp(n->status, status) == 0)
		return;
	slice_copy(n->status, sizeof n->status, slice_str(status));
	sd_notifyf(0, "STATUS=%s", n->status);
}
