/* SPDX-License-Identifier: MIT */
/*
 * What a run is to whoever starts it, whatever the kind of handler: how it begins, what is heard of
 * it, how it ends. runner.h runs a `command`, service.h a `service`; handlers.h has both.
 */
#ifndef SKEP_WORKER_RUN_H
#define SKEP_WORKER_RUN_H

#include "daemon/worker/capture.h"
#include "lib/base/id.h"
#include "lib/base/list.h"
#include "lib/conf/conf.h"
#include "lib/job/job.h"

/* All borrowed until `ended`. */
struct run_spec {
	const struct job *job; /* with an id */
	struct slice type;     /* the handler's name, also where the job names none */
	const struct conf_handler *handler;
	struct id run;
	uint32_t attempt;
	int64_t timeout_ms; /* of job and handler together; 0: none */
};

struct run_end {
	enum outcome outcome;
	int exit_code; /* -1: ended by a signal, or never started */
	int signal;    /* 0: none */
	char error[ERR_TEXT_BYTES];
	int64_t started_wall_ms; /* -1: never started */
	int64_t wall_us, wall_ms, cpu_ms, max_rss_kb; /* wall_ms: the same, rounded */
	struct buf result, logs;
	bool result_cut, logs_cut;
};

/* Why a run is told to go before its time. The first reason stands. */
enum run_stop { RUN_STOP_NONE, RUN_STOP_TIMEOUT, RUN_STOP_CANCEL, RUN_STOP_RELEASE };

/* A run as its handler holds it, part of whatever it is a run of. `spec` is filled in before it is
 * started, the rest is the handler's; percent and note may be read. */
struct run {
	struct list link;
	struct run_spec spec;
	int32_t percent; /* -1 until the first */
	char note[PROGRESS_NOTE_BYTES];

	/* of a service */
	bool begun;          /* next in line: it counts as an attempt */
	bool sent;           /* its line is written, or on its way */
	enum run_stop stop;
	int64_t begun_us;    /* monotonic, since it is begun and sent */
	int64_t deadline_ms; /* of its timeout, or of its answer to a cancel; INT64_MAX: none */
	struct capture logs;
};

/* Where the next run of a handler would find itself. */
enum run_room {
	RUN_ROOM_NONE,   /* it waits until one ends */
	RUN_ROOM_PAUSED, /* it waits until the handler can run anything at all */
	RUN_ROOM_AHEAD,  /* behind another one */
	RUN_ROOM_NOW     /* it begins */
};

struct run_events {
	/* A run that was sent ahead is next in line now. */
	void (*begun)(void *arg, struct run *run);
	void (*progress)(void *arg, struct run *run); /* percent or note is new */
	/* It is over and nothing of it is left. The receiver takes over the two buffers. */
	void (*ended)(void *arg, struct run *run, struct run_end *end);
	/* A run that was sent ahead never began, and is the caller's again. */
	void (*returned)(void *arg, struct run *run);
};

#endif
