/* SPDX-License-Identifier: MIT */
/*
 * The client's side of a connection to the store: connects, says HELLO, and does so again whenever the store
 * goes away, for ever (every 50 ms at first, then every half second: the supervisor restarts it). The listening
 * socket outlives the store, so a connect succeeds and waits.
 */
#ifndef SKEP_DAEMON_STORE_LINK_H
#define SKEP_DAEMON_STORE_LINK_H

#include "daemon/process.h"

struct store_link;

struct store_link_ops {
	uint32_t (*held)(void *arg); /* how many HOLDs the next hello announces; NULL: none */
	void (*hold)(void *arg, struct peer *peer); /* send them now, before WELCOME; NULL: none */
	void (*up)(void *arg);       /* WELCOME has come: send what is unanswered */
	void (*down)(void *arg);     /* whatever was asked and not answered must be asked again */
	int (*frame)(void *arg, struct frame *f);
};

struct store_link *store_link_new(struct process *p, const struct store_link_ops *ops, void *arg);
void store_link_free(struct store_link *l);

bool store_link_is_up(const struct store_link *l);

/* For peer_send_*(): NULL while it is down. */
struct peer *store_link_peer(const struct store_link *l);

#endif
