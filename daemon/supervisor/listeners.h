/* SPDX-License-Identifier: MIT */
/*
 * The listening sockets of the node. The supervisor makes them once and hands them to each
 * incarnation of their process, so that whoever connects while it restarts just waits. The store
 * has one for each user that connects to it, mode 0600 and owned by that user: the file's
 * permission says who may connect, SO_PEERCRED says who did.
 */
#ifndef SKEP_DAEMON_SUPERVISOR_LISTENERS_H
#define SKEP_DAEMON_SUPERVISOR_LISTENERS_H

#include "daemon/inherit.h"
#include "daemon/supervisor/account.h"
#include "lib/conf/conf.h"

struct listeners {
	struct {
		int fd;
		uid_t uid;
		char *path;
	} store[INHERIT_LISTEN_MAX];
	size_t nstore;
	int http;
	char *http_path;
};

void listeners_init(struct listeners *l);

/* Makes the store's socket for `account` unless that user has one. The runtime directory must be
 * locked: what stands there under that name is a remnant and is removed. -E2BIG: too many users. */
int listeners_add_store(
    struct listeners *l, const struct conf *conf, const struct account *account, struct err *err);

/* Makes the HTTP socket. One that somebody answers is not taken away from him: -EADDRINUSE. */
int listeners_add_http(
    struct listeners *l, const struct conf *conf, const struct account *account, struct err *err);

/* Closes them and removes their files. */
void listeners_close(struct listeners *l);

/* The permissions of the HTTP socket. */
mode_t listeners_mode(const struct conf *conf);

#endif
