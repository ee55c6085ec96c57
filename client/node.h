/* SPDX-License-Identifier: MIT */
/* The node as a whole: `skep queues`, `skep pools`, `skep ping`. */
#ifndef SKEP_CLIENT_NODE_H
#define SKEP_CLIENT_NODE_H

#include "client/cli.h"

int node_queues(struct cli *cli);
int node_pools(struct cli *cli);
int node_ping(struct cli *cli);

#endif
