/* SPDX-License-Identifier: MIT */
/* A client of one node: HTTP on its unix socket. */
#ifndef SKEP_CLIENT_LIBSKEP_VIA_NODE_H
#define SKEP_CLIENT_LIBSKEP_VIA_NODE_H

#include "client/libskep/via.h"

/* `path` NULL: where the command finds it. NULL with `error`. */
struct skep_client *via_node_open(const char *path, int64_t timeout_ms, struct skep_error *error);

#endif
