/* SPDX-License-Identifier: MIT */
/*
 * The embedded queue as an intake: the store deals jobs over the connection that the worker has with it
 * anyway, up to what WANT has asked for. They come claimed. Nothing is settled with a source: the
 * outcome, or the end of the claim, says it all.
 */
#ifndef SKEP_WORKER_DEALT_H
#define SKEP_WORKER_DEALT_H

#include "daemon/worker/intake.h"

/* `conf` and `pool` are borrowed for life. */
struct intake *dealt_new(struct loop *loop, const struct conf *conf, const struct conf_pool *pool,
    uint32_t prefetch, const struct intake_events *events, void *arg);

#endif
