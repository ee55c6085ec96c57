/* SPDX-License-Identifier: MIT */
/* Whom a child runs as. Looked up once, at the start. */
#ifndef SKEP_DAEMON_SUPERVISOR_ACCOUNT_H
#define SKEP_DAEMON_SUPERVISOR_ACCOUNT_H

#include "lib/base/spawn.h"

struct account {
	char *name, *home, *shell; /* NULL for skepd's own */
	struct spawn_user ids;
	gid_t *groups; /* what ids.groups points to */
	bool change;   /* another than skepd's own: setuid and friends are needed */
};

/* The account of user `name`; "" is skepd's own. -ENOENT: no such user; -EPERM: only root can
 * become it. */
int account_find(const char *name, struct account *ret, struct err *err);
void account_free(struct account *a);

#endif
