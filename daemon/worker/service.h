/* SPDX-License-Identifier: MIT */
/*
 * A `service` handler: one process that is started once and given its jobs as lines (talk.h) on
 * descriptor 3. Up to `concurrency` runs are begun at a time; where that is one and the jobs are
 * short, further ones are sent ahead of their predecessors' results. A run that was sent ahead is
 * begun when it is next in line: from then on it counts, and its timeout runs.
 *
 *     OFF -> STARTING -> READY -> DRAINING --> SWEEPING -> OFF
 *      ^        |          |         |            ^ |
 *      |        '----------+---------'--> LEAVING-' |
 *      '----------------- RESTING <-----------------'  after a fault
 *
 * What a service does wrong ends it: a line that is not of the language, a run that it was not
 * given, silence after a ping. So do its death, and a run that does not end when it should. Then
 * every run that was begun ends, each with its reason, the others are returned, and the service
 * is started again, after a fault with a growing pause.
 */
#ifndef SKEP_WORKER_SERVICE_H
#define SKEP_WORKER_SERVICE_H

#include <sys/types.h>

#include "daemon/worker/environment.h"
#include "daemon/worker/reap.h"
#include "lib/base/loop.h"

struct service;

/* Everything is borrowed for life. With `warmup` it starts at once. */
struct service *service_new(struct loop *loop, struct reaper *reaper,
    struct environment *environment, const struct conf_handler *handler,
    const struct run_events *events, void *arg);
void service_free(struct service *s); /* kills what runs, tells nobody */

enum run_room service_room(const struct service *s);
unsigned service_clear_ahead(const struct service *s); /* see handlers.h */
bool service_is_busy(const struct service *s); /* has runs */
bool service_is_gone(const struct service *s); /* there is no process */
pid_t service_pid(const struct service *s);

/* Takes a run, there being room. Negative when the program cannot be started, as with
 * runner_start(). */
int service_start(struct service *s, struct run *run, struct run_end *ret_end);

/* Asks that the run end; a service that cannot cancel is ended with all its runs, as is one that
 * has not answered after kill_after_ms. */
void service_stop(struct service *s, struct run *run, enum run_stop why, int64_t kill_after_ms);

/* Finishes what it has and leaves, for good. */
void service_quit(struct service *s);

/* Has no more time for that: SIGTERM, and SIGKILL after kill_after_ms (0: at once). */
void service_release(struct service *s, int64_t kill_after_ms);

/* Sends the lines that have gathered. */
void service_flush(struct service *s);

#endif
