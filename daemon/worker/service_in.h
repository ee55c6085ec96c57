/* SPDX-License-Identifier: MIT */
/*
 * What the two halves of a service share: service.c has its process, service_runs.c its runs and
 * what it says of them. Nobody else includes this.
 */
#ifndef SKEP_WORKER_SERVICE_IN_H
#define SKEP_WORKER_SERVICE_IN_H

#include "daemon/worker/chatter.h"
#include "daemon/worker/lines.h"
#include "daemon/worker/oom.h"
#include "daemon/worker/service.h"

#define SERVICE_MAGIC 0x73727663u

enum service_state {
	SERVICE_OFF,
	SERVICE_STARTING, /* it has not said hello */
	SERVICE_READY,
	SERVICE_DRAINING, /* gets nothing more; leaves when its runs are over */
	SERVICE_LEAVING,  /* is being ended */
	SERVICE_SWEEPING, /* has exited */
	SERVICE_RESTING,
	SERVICE_STATE_COUNT
};

struct service {
	unsigned magic;
	struct loop *loop;
	struct reaper *reaper;
	struct environment *environment;
	const struct conf_handler *h;
	const struct run_events *events;
	void *arg;
	struct oom oom;
	struct lines lines;
	struct chatter chatter;
	struct loop_timer life, deadline, ping; /* life: of the state */
	int64_t deadline_ms;                    /* INT64_MAX: the timer is not set */
	bool quitting;

	struct list runs;
	unsigned nruns, nbegun;
	int64_t mean_us; /* of a run, moving; 0: nothing is known */
	int64_t now_us;  /* monotonic: when the line that is acted on now was read */

	/* since the last start */
	enum service_state state;
	struct reap_child child;
	struct reap_sweep sweep;
	int status; /* of waitpid(2) */
	unsigned can;
	int64_t njobs, pings, rss_at_ms;
	bool hello, useful; /* it has said hello; it has answered a job */
	bool heard, pinged;
	bool deaf;   /* what it says does not count any more */
	bool fault;  /* it is to blame for its end */
	bool killed; /* the SIGKILL is ours */
	int64_t rest_ms;
	char why[ERR_TEXT_BYTES]; /* of its end, for runs with no reason of their own */
};

/* --- service.c --- */

void service_set_state(struct service *s, enum service_state state);
bool service_is_alive(const struct service *s); /* there is a process, and it has not exited */

/* Ends it: SIGTERM, and SIGKILL after kill_after_ms (0: at once). `why` is the error of the runs that
 * have no reason of their own. The first reason stands, and the earlier SIGKILL. */
void service_leave(struct service *s, bool fault, int64_t kill_after_ms, const char *why);

void service_retire(struct service *s);       /* it gets nothing more */
void service_last_moments(struct service *s); /* it has nothing left to do, and so long to leave */

/* --- service_runs.c --- */

extern const struct lines_events service_runs_lines; /* what it says, and that it says no more */

void service_runs_add(struct service *s, struct run *run);
void service_runs_send(struct service *s, struct run *run);
void service_runs_unlink(struct service *s, struct run *run);
void service_runs_deadline(struct service *s, struct run *run, int64_t after_ms);

/* Ends a run that was told to go, or (why) one whose service has gone. A negative status: that has
 * not. */
void service_runs_end(struct service *s, struct run *run, int status, const char *why);

#endif
