/* SPDX-License-Identifier: MIT */
/*
 * Where skepd's socket is: --socket, the configuration of --config, $SKEP_SOCKET, the configuration
 * in its default place, then the directories that skepd uses without one. What was named by hand is
 * taken as it is; of the default places the first one where somebody listens.
 */
#ifndef SKEP_CLIENT_SOCKET_H
#define SKEP_CLIENT_SOCKET_H

#include "lib/base/err.h"

/* A fresh string, or NULL with err: -EINVAL when a configuration that was named cannot be read,
 * -ENOENT with the places when nobody listens in any of them. */
char *socket_find(const char *socket_option, const char *config_option, struct err *err);

#endif
