/* SPDX-License-Identifier: MIT */
/*
 * Requests that wait for the end of a job. The store is asked once for each job, however many wait
 * for it and however often they come back: a watch stays until the store has answered, also when
 * nobody waits any more.
 */
#ifndef SKEP_GATEWAY_WATCHES_H
#define SKEP_GATEWAY_WATCHES_H

#include "daemon/gateway/gateway.h"

#define WATCHES_MAX 4096
#define WATCHES_LONGEST_MS 3600000

struct watches *watches_new(struct gateway *g);

/* Calls `answer` for the request when the job is over or `wait_ms` have passed, not before this
 * returns. If the client hangs up, it is not called. */
void watches_wait(struct watches *w, struct http_request *r, struct job_name job, int64_t wait_ms,
    void (*answer)(struct gateway *g, struct http_request *r));

/* Ends all waiting, as if the time had passed. */
void watches_end(struct watches *w);

#endif
