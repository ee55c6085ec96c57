/* SPDX-License-Identifier: MIT */
#include "lib/amqp/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

static void try_next(struct dial *d);

static void forget(struct dial *d)
{
	loop_timer_stop(&d->timer);
	if (d->fd < 0)
		return;
	loop_io_stop(&d->io);
	close(take_fd(&d->fd));
}

static void on_timeout(struct loop_timer *timer)
{
	struct dial *d = timer->arg;

	/* Also set to 0 by dial_start(), so that nothing is called from inside it. */
	if (d->fd >= 0)
		snprintf(d->why, sizeof d->why, "no answer in %lld ms", (long long)d->timeout_ms);
	try_next(d);
}

static void on_connected(struct loop_io *io, unsigned events UNUSED)
{
	struct dial *d = io->arg;
	int error = 0, fd;
	socklen_t n = sizeof error;

	if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	if (error) {
		snprintf(d->why, sizeof d->why, "%s", strerror(error));
		try_next(d);
		return;
	}
	loop_timer_stop(&d->timer);
	loop_io_stop(&d->io);
	fd = take_fd(&d->fd);
	d->fn(d->arg, fd, NULL);
}

static void set_int(int fd, int level, int name, int value)
{
	/* Refined manners; a socket without them works too. */
	(void)setsockopt(fd, level, name, &value, sizeof value);
}

void dial_user_timeout(int fd, unsigned ms)
{
	set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)ms);
}

static int open_socket(const struct resolve_addr *to)
{
	int fd = socket(to->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
	dial_user_timeout(fd, DIAL_USER_TIMEOUT_MS);
	return fd;
}

/* Begins with the next address that can be begun with; tells when there is none left. */
static void try_next(struct dial *d)
{
	forget(d);
	while (d->next < d->addrs.n) {
		const struct resolve_addr *to = &d->addrs.a[d->next++];

		d->fd = open_socket(to);
		if (d->fd >= 0 && (connect(d->fd, (const struct sockaddr *)&to->sa, to->len) == 0
				   || errno == EINPROGRESS)) {
			loop_io_init(&d->io, d->loop, d->fd, on_connected, d);
			loop_io_set(&d->io, LOOP_WRITE);
			loop_timer_set(&d->timer, d->timeout_ms);
			return;
		}
		snprintf(d->why, sizeof d->why, "%s", strerror(errno));
		if (d->fd >= 0)
			close(take_fd(&d->fd));
	}
	d->fn(d->arg, -1, d->why);
}

void dial_init(struct dial *d, struct loop *loop, dial_fn *fn, void *arg)
{
	*d = (struct dial){.loop = loop, .fd = -1, .fn = fn, .arg = arg};
	loop_timer_init(&d->timer, loop, on_timeout, d);
}

void dial_start(struct dial *d, const struct resolve_addrs *addrs, int64_t timeout_ms)
{
	forget(d);
	d->addrs = *addrs;
	d->next = 0;
	d->timeout_ms = timeout_ms;
	snprintf(d->why, sizeof d->why, "it has no address");
	loop_timer_set(&d->timer, 0);
}

void dial_cancel(struct dial *d)
{
	forget(d);
}
