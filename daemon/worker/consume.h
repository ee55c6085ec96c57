/* SPDX-License-Identifier: MIT */
/*
 * The broker as an intake: the queues of a pool, each with a consumer of its own, all on one
 * connection. It never publishes (invariant 6).
 */
#ifndef SKEP_WORKER_CONSUME_H
#define SKEP_WORKER_CONSUME_H

#include "daemon/worker/intake.h"

/* `conf` and `pool` are borrowed for life. NULL with err if a url is malformed. */
struct intake *consume_new(struct loop *loop, const struct conf *conf, const struct conf_pool *pool,
    uint32_t prefetch, const char *connection_name, const struct intake_events *events, void *arg,
    struct err *err);

#endif
