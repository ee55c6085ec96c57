/* SPDX-License-Identifier: MIT */
/*
 * The thread and the loop share one request, freed by whoever lets go of it last. The thread touches nothing
 * else: it writes its answer into the request, then rings the eventfd; the loop reads the answer only after it has
 * heard the bell. The eventfd belongs to the request too, so that a late thread cannot ring a descriptor
 * that has become somebody else's.
 */
#include "lib/amqp/resolve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#define RESOLVE_MAGIC 0x7265736fu

struct request {
	atomic_int owners;
	int bell;
	char host[256];
	uint16_t port;
	int rc; /* of getaddrinfo(3) */
	struct resolve_addrs addrs;
};

struct resolve {
	unsigned magic;
	struct loop_io io;
	struct request *request;
	resolve_fn *fn;
	void *arg;
};

static void request_unref(struct request *q)
{
	if (atomic_fetch_sub(&q->owners, 1) != 1)
		return;
	close(q->bell);
	free(q);
}

static int look_up(const char *host, uint16_t port, int flags, struct resolve_addrs *ret)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_NUMERICSERV | flags};
	struct addrinfo *list = NULL;
	char service[8];
	int rc;

	snprintf(service, sizeof service, "%u", port);
	rc = getaddrinfo(host, service, &hints, &list);
	if (rc != 0)
		return rc;
	ret->n = 0;
	for (struct addrinfo *a = list; a && ret->n < RESOLVE_ADDRS_MAX; a = a->ai_next) {
		struct resolve_addr *to = &ret->a[ret->n++];

		memcpy(&to->sa, a->ai_addr, a->ai_addrlen);
		to->len = a->ai_addrlen;
	}
	freeaddrinfo(list);
	return 0;
}

static void *resolver(void *arg)
{
	struct request *q = arg;
	const uint64_t one = 1;

	q->rc = look_up(q->host, q->port, AI_ADDRCONFIG, &q->addrs);
	/* An eventfd at 0 takes a 1; there is nothing to be done otherwise. */
	if (write(q->bell, &one, sizeof one) != (ssize_t)sizeof one)
		BUG("cannot ring an eventfd");
	request_unref(q);
	return NULL;
}

bool resolve_numeric(const char *host, uint16_t port, struct resolve_addrs *ret)
{
	return look_up(host, port, AI_NUMERICHOST, ret) == 0;
}

static void on_bell(struct loop_io *io, unsigned events UNUSED)
{
	OBJ(struct resolve, r, io->arg, RESOLVE_MAGIC);
	struct request *q = r->request;
	resolve_fn *fn = r->fn;
	void *cb_arg = r->arg;

	atomic_fetch_add(&q->owners, 1);
	resolve_cancel(r);
	if (q->rc == 0)
		fn(cb_arg, &q->addrs, NULL);
	else
		fn(cb_arg, NULL, gai_strerror(q->rc));
	request_unref(q);
}

/* Signals are the loop's: the thread takes none. */
static int start_thread(struct request *q)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = pthread_create(&thread, &attr, resolver, q);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

struct resolve *resolve_start(struct loop *loop, const char *host, uint16_t port, resolve_fn *fn,
    void *arg, struct err *err)
{
	struct request *q = xcalloc(1, sizeof *q);
	struct resolve *r;
	int rc;

	q->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->bell < 0) {
		err_sys(err, errno, "cannot make an eventfd");
		free(q);
		return NULL;
	}
	slice_copy(q->host, sizeof q->host, slice_str(host));
	q->port = port;
	atomic_init(&q->owners, 2);
	rc = start_thread(q);
	if (rc != 0) {
		err_sys(err, rc, "cannot start a thread to look up '%s'", host);
		close(q->bell);
		free(q);
		return NULL;
	}
	r = xcalloc(1, sizeof *r);
	*r = (struct resolve){.magic = RESOLVE_MAGIC, .request = q, .fn = fn, .arg = arg};
	loop_io_init(&r->io, loop, q->bell, on_bell, r);
	loop_io_set(&r->io, LOOP_READ);
	return r;
}

void resolve_cancel(struct resolve *r)
{
	if (!r)
		return;
	loop_io_stop(&r->io);
	request_unref(r->request);
	r->magic = 0;
	free(r);
}
