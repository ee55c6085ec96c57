/* SPDX-License-Identifier: MIT */
/*
 * The run of a `command` handler (DESIGN, "Handler contract"): one process for one job, in a
 * process group of its own. The body goes to its standard input, its standard output is the result,
 * its standard error the log, descriptor 3 takes progress lines. Nothing here waits: not for the
 * handler to read, not for its pipes to close, not for what it leaves to die.
 *
 *     IDLE -> RUNNING -> SWEEPING -> IDLE
 *
 * A runner has one run at a time, and a process one runner: what a handler has left behind could
 * not be told from what another one needs. SIGPIPE must be ignored.
 */
#ifndef SKEP_WORKER_RUNNER_H
#define SKEP_WORKER_RUNNER_H

#include <sys/types.h>

#include "daemon/worker/environment.h"
#include "daemon/worker/reap.h"
#include "lib/base/loop.h"

struct runner;

struct runner_events {
	void (*progress)(void *arg, int32_t percent, const char *note);
	/* The run is over and nothing of it is left. The receiver takes over the two buffers. */
	void (*ended)(void *arg, struct run_end *end);
};

/* `reaper`, `environment` and `events` are borrowed for life. */
struct runner *runner_new(struct loop *loop, struct reaper *reaper,
    struct environment *environment, const struct runner_events *events, void *arg);
void runner_free(struct runner *r); /* kills what runs, tells nobody */

bool runner_is_idle(const struct runner *r);
pid_t runner_pid(const struct runner *r); /* 0: none */

/* Begins; `ended` follows, never from inside this call. Negative when the program cannot be
 * started: then nothing follows, and `ret_end` says what the run came to (127: no such program,
 * 126: it cannot be executed; -1: this machine lacks something for it). */
int runner_start(struct runner *r, const struct run_spec *spec, struct run_end *ret_end);

/* SIGTERM to the group now, SIGKILL after kill_after_ms (0: at once). When it is being stopped
 * already, that reason stands, and the earlier SIGKILL of the two. */
void runner_stop(struct runner *r, enum run_stop why, int64_t kill_after_ms);

#endif
