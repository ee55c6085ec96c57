/* SPDX-License-Identifier: MIT */
/* Queue depths, asked for every few seconds and shown on the board by the queue's index in the configuration;
 * more often while the supervisor wants it (board_pool.watch). */
#ifndef SKEP_COURIER_DEPTHS_H
#define SKEP_COURIER_DEPTHS_H

#include "daemon/process.h"
#include "lib/amqp/depth.h"

struct depths;

struct depths *depths_new(struct process *p, struct amqp_conn *conn);
void depths_free(struct depths *d);

#endif
