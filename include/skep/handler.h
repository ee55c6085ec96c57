/* SPDX-License-Identifier: MIT */
/*
 * libskep: makes a program a `service` handler of skep, a process that is started
 * once per worker and then given job after job. A whole service:
 *
 *     #include <skep/handler.h>
 *
 *     static int run(struct skep_job *job, void *arg)
 *     {
 *             size_t n;
 *             const void *body = skep_job_body(job, &n);
 *
 *             return skep_done(job, body, n);
 *     }
 *
 *     int main(void)
 *     {
 *             const struct skep_handler handler = {.run = run};
 *
 *             return skep_serve(&handler) < 0;
 *     }
 *
 * Link with `pkg-config --cflags --libs skep`, or statically with -l:libskep.a. It needs libc alone.
 *
 * The library prints nothing, handles no signals, and keeps no state outside of what is passed to it.
 * It ends the process (abort) only when memory runs out. Errors are negative errno values. Its
 * threads, one beside a sequential handler and at most `concurrency` otherwise, block all signals.
 * Standard output and standard error stay the program's: they go to the worker's log.
 */
#ifndef SKEP_HANDLER_H
#define SKEP_HANDLER_H

#include <stddef.h>
#include <stdint.h>

#include <skep/version.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef SKEP_API
#ifdef __GNUC__
#define SKEP_API __attribute__((visibility("default")))
#define SKEP_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define SKEP_API
#define SKEP_PRINTF(f, a)
#endif
#endif

/* One run of a job. It lives until `run` returns; so does all that the functions below return. */
struct skep_job;

/* What `concurrency` may be beside a number: as many as the configuration's `concurrency` says. */
#define SKEP_CONCURRENCY_OF_CONFIGURATION (-1)

/* Members that are 0 have their defaults: initialise the whole, `= {0}` or by designators. */
struct skep_handler {
	/*
	 * Does one job, and answers it with skep_done() or skep_fail() before it returns; what it
	 * returns then does not matter. If it has not: 0 ends the job as done with an empty result,
	 * anything else as failed, to be retried, with the number in the error.
	 */
	int (*run)(struct skep_job *job, void *arg);

	/*
	 * NULL, or called once when a run is to be given up (cancelled, or its timeout has passed),
	 * from another thread than the run's, which may be over before it is called, but not before
	 * it returns. Implies `cancels`.
	 */
	void (*cancel)(struct skep_job *job, void *arg);

	void *arg; /* handed to both */

	/*
	 * How many runs at a time: 0 or 1 (the default) calls `run` in the thread of skep_serve(),
	 * one job after the other; more (to 1024) calls it in up to so many threads, which are
	 * started when they are needed. Set `concurrency` in the handler's section to the same.
	 */
	int concurrency;

	/*
	 * Not 0: `run` looks at skep_job_cancelled() often enough to end within `kill_after`. Without it
	 * a cancelled or overdue run ends by SIGTERM to the process.
	 */
	int cancels;

	int fd; /* the stream socket to skep; 0 means 3, where skep puts it */
};

/*
 * Serves until skep closes the stream and what was given is answered: 0. Closes nothing; the
 * descriptor is set close-on-exec. -EINVAL: no `run`, or a concurrency out of range. -EBADF, -ENOTSOCK:
 * the descriptor is no socket: the program was not started by skep. -EPROTO: skep spoke another language.
 * -ECONNRESET, -EPIPE: the stream broke. -EAGAIN: no thread could be started.
 */
SKEP_API int skep_serve(const struct skep_handler *handler);

/* --- what the job is -------------------------------------------------------------------------- */

SKEP_API const char *skep_job_id(const struct skep_job *job);    /* never NULL */
SKEP_API const char *skep_job_type(const struct skep_job *job);  /* never NULL */
SKEP_API const char *skep_job_queue(const struct skep_job *job); /* never NULL */
SKEP_API int skep_job_attempt(const struct skep_job *job);       /* from 1 */
SKEP_API int skep_job_priority(const struct skep_job *job);      /* 0 when none was given */

/* NULL when none was given. */
SKEP_API const char *skep_job_content_type(const struct skep_job *job);
SKEP_API const char *skep_job_content_encoding(const struct skep_job *job);
SKEP_API const char *skep_job_correlation_id(const struct skep_job *job);
SKEP_API const char *skep_job_app_id(const struct skep_job *job);
SKEP_API const char *skep_job_traceparent(const struct skep_job *job);

/* Any bytes, *ret_n of them (`ret_n` may be NULL), and a NUL behind them. Never NULL. */
SKEP_API const void *skep_job_body(const struct skep_job *job, size_t *ret_n);

/* Milliseconds until the run's timeout, 0 when it has passed, -1 when there is none. */
SKEP_API int64_t skep_job_time_left_ms(const struct skep_job *job);

/* 1 when the run is to be given up: answer it soon, as a rule by skep_fail(). From any thread. */
SKEP_API int skep_job_cancelled(const struct skep_job *job);

/* --- what became of it ------------------------------------------------------------------------ */

/*
 * From the thread of the run or from others, until `run` returns. Each is 0 or negative: -EALREADY:
 * the job is answered. Answers of a burst of short jobs leave in one write.
 */

/*
 * Done, with a result of any bytes (n may be 0). What is above the handler's `max_result` is cut by skep.
 * -EMSGSIZE: too large to be sent at all; the job is not answered yet, and if it stays so the run
 * fails for good with that as its error.
 */
SKEP_API int skep_done(struct skep_job *job, const void *result, size_t n);

enum skep_failure {
	SKEP_RETRY = 1, /* again, as often and as late as the handler's `retries` and `backoff` say */
	SKEP_DEAD = 2   /* never again */
};

/* Failed, and why: in the format of printf, some hundred bytes of which are kept. */
SKEP_API int skep_fail(struct skep_job *job, enum skep_failure how, const char *format, ...)
    SKEP_PRINTF(3, 4);

/* How far it is: 0 to 100 (what is beyond is brought within), and what it does now, or NULL. Sent at once. */
SKEP_API int skep_progress(struct skep_job *job, int percent, const char *text);

/* A line of the run's log, of which skep keeps the last `max_logs` bytes. Sent at once. */
SKEP_API int skep_log(struct skep_job *job, const char *format, ...) SKEP_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif

#endif
