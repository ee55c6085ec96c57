/* SPDX-License-Identifier: MIT */
/*
 * Host names to addresses without stopping the loop: getaddrinfo(3) blocks for as long as it pleases, so a name
 * is looked up in a thread of its own. A numeric address needs no thread.
 */
#ifndef SKEP_AMQP_RESOLVE_H
#define SKEP_AMQP_RESOLVE_H

#include <netdb.h>
#include <sys/socket.h>

#include "lib/base/err.h"
#include "lib/base/loop.h"

#define RESOLVE_ADDRS_MAX 16

struct resolve_addr {
	struct sockaddr_storage sa;
	socklen_t len;
};

struct resolve_addrs {
	struct resolve_addr a[RESOLVE_ADDRS_MAX];
	size_t n;
};

struct resolve;

/* Called once from the loop, after which the resolve is gone; `addrs` is NULL on failure. */
typedef void resolve_fn(void *arg, const struct resolve_addrs *addrs, const char *why);

/* True if `host` is numeric: then the addresses are in `ret`. */
bool resolve_numeric(const char *host, uint16_t port, struct resolve_addrs *ret);

/* Starts a look-up. NULL if there is no thread or descriptor for it. */
struct resolve *resolve_start(struct loop *loop, const char *host, uint16_t port, resolve_fn *fn,
    void *arg, struct err *err);

/* Forgets it: `fn` is not called. The thread ends when getaddrinfo(3) does. NULL is fine. */
void resolve_cancel(struct resolve *r);

#endif
