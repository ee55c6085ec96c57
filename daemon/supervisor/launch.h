/* SPDX-License-Identifier: MIT */
/*
 * Starting the executable of a role: where it lies, which descriptors it gets (daemon/inherit.h),
 * its environment and user. What is the same for every start is prepared once.
 */
#ifndef SKEP_DAEMON_SUPERVISOR_LAUNCH_H
#define SKEP_DAEMON_SUPERVISOR_LAUNCH_H

#include "daemon/process.h"
#include "daemon/supervisor/listeners.h"
#include "daemon/supervisor/account.h"

struct launch {
	char *paths[ROLE_COUNT];
	int null;
	int conf_open, conf_secret; /* memfds: passwords are in the second only */
	int board_writable, board_readonly;
};

/* Finds the executables (beside skepd, or in ../libexec/skep). -ENOENT names the missing one. */
int launch_find_programs(char *ret_paths[ROLE_COUNT], struct err *err);

/* Borrows the board's writable descriptor. */
int launch_open(
    struct launch *l, const struct conf *conf, const struct board *board, struct err *err);
void launch_close(struct launch *l);

/* Starts one process. `ret_control` is our end of its control socket. */
int launch_process(const struct launch *l, enum role_id role, const char *name,
    const struct account *account, const struct listeners *listeners, pid_t *ret_pid,
    int *ret_control, struct err *err);

#endif
