/* SPDX-License-Identifier: MIT */
/*
 * All handlers of a worker, both kinds behind one face. The rule of capacity: a command runs alone;
 * services run side by side, each as many as it can.
 */
#ifndef SKEP_WORKER_HANDLERS_H
#define SKEP_WORKER_HANDLERS_H

#include "daemon/worker/environment.h"
#include "lib/base/loop.h"

struct handlers;

/* Everything is borrowed for life. */
struct handlers *handlers_new(struct loop *loop, const struct conf *conf,
    struct environment *environment, const struct run_events *events, void *arg);
void handlers_free(struct handlers *x); /* kills what runs, tells nobody */

enum run_room handlers_room(const struct handlers *x, const struct conf_handler *h);

/* How many runs of the handler, beyond those that it has, are worth being cleared by the store. */
unsigned handlers_clear_ahead(const struct handlers *x, const struct conf_handler *h);

/* Begins, or sends ahead; its `ended` or `returned` follows, never from inside this call. Negative
 * when the program cannot be started: then nothing follows, and `ret_end` says what it came to. */
int handlers_start(struct handlers *x, struct run *run, struct run_end *ret_end);

/* Has the run end; by force after kill_after_ms (0: at once). Its `ended` may come from inside. */
void handlers_stop(struct handlers *x, struct run *run, enum run_stop why, int64_t kill_after_ms);

/* Services finish what they have and leave. */
void handlers_quit(struct handlers *x);

/* All runs are stopped (RUN_STOP_RELEASE); SIGKILL after each handler's kill_after, but never later
 * than after most_ms. */
void handlers_release(struct handlers *x, int64_t most_ms);
bool handlers_are_gone(const struct handlers *x); /* no process is left */

pid_t handlers_pid(const struct handlers *x, const struct run *run);

/* Sends what has gathered for services. */
void handlers_flush(struct handlers *x);

#endif
