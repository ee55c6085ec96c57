/* SPDX-License-Identifier: MIT */
/* Connects to the first of several addresses that answers; each has its own time limit. */
#ifndef SKEP_AMQP_DIAL_H
#define SKEP_AMQP_DIAL_H

#include "lib/amqp/resolve.h"

/* Called once from the loop: a connected, non-blocking socket that is the receiver's, or -1 and why the last
 * address failed. */
typedef void dial_fn(void *arg, int fd, const char *why);

struct dial {
	struct loop *loop;
	struct resolve_addrs addrs;
	size_t next;
	int64_t timeout_ms;
	int fd; /* being connected, -1 if none */
	struct loop_io io;
	struct loop_timer timer;
	dial_fn *fn;
	void *arg;
	char why[160];
};

void dial_init(struct dial *d, struct loop *loop, dial_fn *fn, void *arg);
void dial_start(struct dial *d, const struct resolve_addrs *addrs, int64_t timeout_ms);
void dial_cancel(struct dial *d); /* harmless when idle */

/* How long written bytes may stay unacknowledged by the peer's kernel. 0: no limit, which is needed while
 * the broker deliberately does not read (connection.blocked). */
void dial_user_timeout(int fd, unsigned ms);
#define DIAL_USER_TIMEOUT_MS 30000u

#endif
