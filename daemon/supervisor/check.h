/* SPDX-License-Identifier: MIT */
/* What is wrong or doubtful about a configuration beyond what conf_load() refuses: users, sockets,
 * programs. */
#ifndef SKEP_DAEMON_SUPERVISOR_CHECK_H
#define SKEP_DAEMON_SUPERVISOR_CHECK_H

#include "lib/conf/conf.h"

/* What would keep the caller from starting skepd with it: -errno and the first of them. */
int check_errors(const struct conf *conf, struct err *err);

/* Calls `say` with each warning. */
void check_warnings(const struct conf *conf, void (*say)(const char *text));

#endif
