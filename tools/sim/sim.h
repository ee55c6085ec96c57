/* SPDX-License-Identifier: MIT */
/*
 * One pool before one queue, in simulated time: jobs arrive, wait in order, run on workers that take a while to start,
 * and a rule says every now and then how many workers there should be. Everything is deterministic: the same traffic
 * and rule give the same figures.
 *
 * A worker that is not needed any more leaves at once while it starts or idles, and after its job while it runs one.
 */
#ifndef SKEP_TOOLS_SIM_SIM_H
#define SKEP_TOOLS_SIM_SIM_H

#include "lib/base/base.h"

#define SIM_WORKERS_MAX 256 /* those that drain count, too */

struct sim_job {
	double at;    /* seconds from the start */
	double takes; /* seconds of run time, without the traffic's slowness */
};

struct sim_traffic {
	const char *name, *text;
	struct sim_job *jobs; /* by `at` */
	size_t njobs;
	double length;   /* seconds; then the queue is emptied, which counts, too */
	double start_s;  /* from the start of a worker until it takes jobs */
	double target_s; /* 99 of 100 jobs are to start within it */
	unsigned min, max;
	double mean_takes;
	double slow_from, slow_to, slow_by; /* jobs that begin in between take `slow_by` times as long; 0: never */
	double (*rate)(const struct sim_traffic *traffic, double t); /* the true rate of arrivals at t, per second */
};

/* What a rule may see, as the broker and the board show it. */
struct sim_view {
	const struct sim_traffic *traffic; /* for the oracles only */
	double now;
	uint64_t ready, delivered, finished;
	double run_s, run_age_s; /* run time of all that ended; of those under way so far */
	double busy_share;       /* of the workers' time since the last call, 0..1 */
	unsigned starting, idle, busy, draining;
	double start_s; /* as observed; < 0: no worker has started yet */
	size_t next;    /* the first job that has not arrived, for the clairvoyant */
};

struct sim_rule {
	const char *name, *text;
	size_t state_bytes; /* zeroed before a run */
	/* The number of workers from now on; sets when it wants to be asked again. */
	unsigned (*decide)(void *state, const struct sim_view *view, double *ret_poll_s);
	const void *setting;
};

struct sim_sample {
	double at, ready, workers, target, wait;
};

struct sim_result {
	double p50, p95, p99, longest; /* seconds of wait */
	double worker_s;
	unsigned changes; /* of the target */
	unsigned most;    /* workers at a time */
	struct sim_sample *samples; /* one a second, if asked for; to be freed by the caller */
	size_t nsamples;
};

/* Runs the traffic under the rule. `setting` is given to the rule in front of its state. */
struct sim_result sim_run(
    const struct sim_traffic *traffic, const struct sim_rule *rule, const void *setting, bool sampled);

#endif
