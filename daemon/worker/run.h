/* SPDX-License-Identifier: MIT */
/*
 * What a run is to whoever starts it, whatever the kind of handler: how it begins, what is heard of
 * it, how it ends. runner.h runs a `command`.
 */
#ifndef SKEP_WORKER_RUN_H
#define SKEP_WORKER_RUN_H

#include "lib/base/buf.h"
#include "lib/base/id.h"
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
	int64_t wall_ms, cpu_ms, max_rss_kb;
	struct buf result, logs;
	bool result_cut, logs_cut;
};

struct run_events {
	void (*progress)(void *arg, int32_t percent, const char *note);
	/* The run is over and nothing of it is left. The receiver takes over the two buffers. */
	void (*ended)(void *arg, struct run_end *end);
};

/* Why a run is told to go before its time. The first reason stands. */
enum run_stop { RUN_STOP_NONE, RUN_STOP_TIMEOUT, RUN_STOP_CANCEL, RUN_STOP_RELEASE };

#endif
