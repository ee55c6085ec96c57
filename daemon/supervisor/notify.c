/* SPDX-License-Identifier: MIT */
#include "daemon/supervisor/notify.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A manager that does not take it now gets the next one; nothing here is worth waiting for. */
static void notify_send(struct notify *n, const char *text)
{
	if (n->fd >= 0 && send(n->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		errno = 0;
}

static void on_watchdog(struct loop_timer *t)
{
	notify_send(t->arg, "WATCHDOG=1");
}

/* Half the time allowed, as sd_watchdog_enabled(3) advises. */
static void watchdog_start(struct notify *n)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	long long period_ms = usec ? strtoll(usec, NULL, 10) / 2000 : 0;

	if (period_ms > 0 && (!pid || strtol(pid, NULL, 10) == getpid()))
		loop_timer_every(&n->watchdog, period_ms);
}

static int notify_connect(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	auto_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof sun.sun_path)
		return -1;
	slice_copy(sun.sun_path, sizeof sun.sun_path, slice_str(path));
	if (path[0] == '@')
		sun.sun_path[0] = '\0'; /* the abstract namespace */
	if (connect(fd, (struct sockaddr *)&sun, len) < 0)
		return -1;
	return take_fd(&fd);
}

void notify_open(struct notify *n, struct loop *loop)
{
	const char *path = getenv("NOTIFY_SOCKET");

	*n = (struct notify){.fd = path ? notify_connect(path) : -1};
	loop_timer_init(&n->watchdog, loop, on_watchdog, n);
	if (n->fd >= 0)
		watchdog_start(n);
}

void notify_close(struct notify *n)
{
	loop_timer_stop(&n->watchdog);
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

void notify_ready(struct notify *n)
{
	notify_send(n, "READY=1");
}

void notify_stopping(struct notify *n, int64_t within_ms)
{
	char text[80];

	snprintf(
	    text, sizeof text, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld", (long long)within_ms * 1000);
	notify_send(n, text);
}

void notify_status(struct notify *n, const char *status)
{
	char text[sizeof n->status + sizeof "STATUS="];

	if (strcmp(n->status, status) == 0)
		return;
	slice_copy(n->status, sizeof n->status, slice_str(status));
	snprintf(text, sizeof text, "STATUS=%s", n->status);
	notify_send(n, text);
}
