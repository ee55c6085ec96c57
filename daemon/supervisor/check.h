/* SPDX-License-Identifier: MIT */
/* What is wrong or doubtful about a configuration beyond what conf_load() refuses: users, sockets, programs. */
#ifndef SKEP_DAEMON_SUPERVISOR_CHECK_H
#define SKEP_DAEMON_SUPERVISOR_CHECK_H

#include "lib/conf/conf.h"

/* What would keep skepd from starting with it. A user that only root can become is for check_warnings(). */
int check_errors(const struct conf *conf, struct err *err);

/* Calls `say` with each warning. */
void check_warnings(const struct conf *conf, void (*say)(const char *text));

#endif
