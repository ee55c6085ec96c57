/* SPDX-License-Identifier: MIT */
/*
 * Two ways to run jobs. Sequentially, in the caller's thread, which also reads: a burst of short jobs
 * costs one read, one write and no switch between threads. Beside it stands the ear, a thread that
 * sleeps until a job has been running for a whole tick; then it reads in the runner's place, answers
 * pings and takes cancels, and sends the answers that were held back for a fuller write. Or in several
 * threads, with the caller's as the one that reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>

#include "client/libskep/session.h"
#include "lib/base/base64.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"

#define CONCURRENCY_MAX 1024
#define TICK_NS 10000000L
#define HELD_BACK_US 1000	  /* an answer, for those that come after it, */
#define HELD_BACK_BYTES (64u << 10) /* up to so many */
#define TEXT_BYTES 4096		  /* of an error, or a line of log */

static bool is_sequential(const struct skep_handler *handler)
{
	return handler->concurrency == 0 || handler->concurrency == 1;
}

/* --- sequentially ----------------------------------------------------------------------------- */

static void tick(struct session *s)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += TICK_NS;
	if (at.tv_nsec >= 1000000000L) {
		at.tv_nsec -= 1000000000L;
		at.tv_sec++;
	}
	pthread_cond_timedwait(&s->work, &s->lock, &at);
}

/* A job runs for long: hears what skep says meanwhile. */
static void listen_for(struct session *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};

	s->listening = true;
	session_flush(s);
	pthread_mutex_unlock(&s->lock);
	poll(&p, 1, -1);
	pthread_mutex_lock(&s->lock);
	s->listening = false;
	if (list_empty(&s->running) || s->reading || s->ended)
		return;
	session_read(s, false);
	session_flush(s);
	session_tell(s);
}

static void *ear(void *arg)
{
	OBJ(struct session, s, arg, SESSION_MAGIC);

	pthread_mutex_lock(&s->lock);
	while (!s->over) {
		uint64_t before = s->nbegun;

		session_tell(s);
		if (list_empty(&s->running) || s->ended) {
			s->nidle = 1;
			pthread_cond_wait(&s->work, &s->lock);
			s->nidle = 0;
			continue;
		}
		tick(s);
		if (before == s->nbegun && !list_empty(&s->running) && !s->ended)
			listen_for(s);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void run_waiting(struct session *s)
{
	struct skep_job *job;

	while ((job = list_first(&s->waiting, struct skep_job, link))) {
		if (buf_size(&s->out) && (buf_size(&s->out) > HELD_BACK_BYTES ||
					     clock_mono_us() - s->unsent_us > HELD_BACK_US))
			session_flush(s);
		if (s->error)
			return;
		if (s->nidle)
			pthread_cond_signal(&s->work);
		session_run(s, job);
	}
}

static int start_thread(pthread_t *thread, void *(*fn)(void *), struct session *s)
{
	sigset_t all, before;
	int code;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	code = pthread_create(thread, NULL, fn, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -code;
}

static void end_threads(struct session *s, pthread_t *threads, size_t n)
{
	s->over = true;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->lock);
	if (s->error)
		shutdown(s->fd, SHUT_RD); /* the ear may be listening there */
	while (n)
		pthread_join(threads[--n], NULL);
	pthread_mutex_lock(&s->lock);
}

static void serve_in_turn(struct session *s)
{
	pthread_t thread;

	if (start_thread(&thread, ear, s) < 0) {
		session_fail(s, -EAGAIN);
		return;
	}
	while (s->error == 0 && (!s->ended || s->nwaiting)) {
		if (s->nwaiting == 0)
			session_read(s, true);
		run_waiting(s);
		session_flush(s);
	}
	end_threads(s, &thread, 1);
}

/* --- in threads ------------------------------------------------------------------------------- */

static void *runner(void *arg)
{
	OBJ(struct session, s, arg, SESSION_MAGIC);
	struct skep_job *job;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		job = s->error ? NULL : list_first(&s->waiting, struct skep_job, link);
		if (job) {
			session_run(s, job);
			session_flush(s);
			continue;
		}
		if (s->over)
			break;
		s->nidle++;
		pthread_cond_wait(&s->work, &s->lock);
		s->nidle--;
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static size_t threads_wanted(const struct session *s)
{
	int64_t n = s->handler->concurrency;

	if (n == SKEP_CONCURRENCY_OF_CONFIGURATION)
		n = s->concurrency;
	return n < 1 ? 1 : n > CONCURRENCY_MAX ? CONCURRENCY_MAX : (size_t)n;
}

static void serve_at_once(struct session *s)
{
	auto_free pthread_t *threads = xcalloc(CONCURRENCY_MAX, sizeof *threads);
	size_t n = 0;

	while (!s->ended) {
		session_read(s, true);
		session_flush(s);
		session_tell(s);
		for (size_t need = s->nwaiting; need > s->nidle && n < threads_wanted(s); need--) {
			if (start_thread(&threads[n], runner, s) == 0)
				n++;
			else if (n == 0)
				session_fail(s, -EAGAIN);
			else
				break;
		}
		for (size_t i = 0; i < s->nwaiting && i < s->nidle; i++)
			pthread_cond_signal(&s->work);
	}
	end_threads(s, threads, n);
}

int skep_serve(const struct skep_handler *handler)
{
	struct session s;
	int type, rc;
	socklen_t size = sizeof type;

	if (!handler || !handler->run || handler->concurrency < SKEP_CONCURRENCY_OF_CONFIGURATION ||
	    handler->concurrency > CONCURRENCY_MAX)
		return -EINVAL;
	session_init(&s, handler);
	if (getsockopt(s.fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		session_fail(&s, -errno);
	else
		fcntl(s.fd, F_SETFD, FD_CLOEXEC);
	pthread_mutex_lock(&s.lock);
	if (s.error == 0) {
		session_hello(&s);
		if (is_sequential(handler))
			serve_in_turn(&s);
		else
			serve_at_once(&s);
		session_finish(&s);
	}
	rc = s.error;
	pthread_mutex_unlock(&s.lock);
	session_free(&s);
	return rc;
}

/* --- what the job is -------------------------------------------------------------------------- */

#define STRING_OF_JOB(member)                                                                      \
	const char *skep_job_##member(const struct skep_job *job)                                  \
	{                                                                                          \
		return job->member;                                                                \
	}

STRING_OF_JOB(id)
STRING_OF_JOB(type)
STRING_OF_JOB(queue)
STRING_OF_JOB(content_type)
STRING_OF_JOB(content_encoding)
STRING_OF_JOB(correlation_id)
STRING_OF_JOB(app_id)
STRING_OF_JOB(traceparent)

int skep_job_attempt(const struct skep_job *job)
{
	return (int)job->attempt;
}

int skep_job_priority(const struct skep_job *job)
{
	return (int)job->priority;
}

const void *skep_job_body(const struct skep_job *job, size_t *ret_n)
{
	if (ret_n)
		*ret_n = job->body.n;
	return job->body.p;
}

int64_t skep_job_time_left_ms(const struct skep_job *job)
{
	int64_t left;

	if (job->timeout_ms <= 0)
		return -1;
	left = job->begun_ms + job->timeout_ms - clock_mono_ms();
	return left > 0 ? left : 0;
}

int skep_job_cancelled(const struct skep_job *job)
{
	return __atomic_load_n(&job->cancelled, __ATOMIC_RELAXED);
}

/* --- what became of it ------------------------------------------------------------------------ */

/* Answers wait for those of the burst that are still to come, unless nothing is to come. */
static void answered(struct session *s, struct skep_job *job)
{
	job->answered = true;
	if (s->nwaiting == 0 || s->listening || !is_sequential(s->handler))
		session_flush(s);
}

int skep_done(struct skep_job *job, const void *result, size_t n)
{
	struct session *s = job->session;
	struct slice bytes = slice_of(result, n);
	auto_free char *encoded = json_utf8_valid(bytes) ? NULL : base64_encode(bytes);
	int rc = -EALREADY;

	pthread_mutex_lock(&s->lock);
	if (!job->answered) {
		size_t start = session_say(s, "done", job);

		buf_adds(&s->out, encoded ? ",\"result_base64\":" : ",\"result\":");
		json_quote(encoded ? slice_str(encoded) : bytes, &s->out);
		rc = session_said(s, start) ? 0 : -EMSGSIZE;
		job->too_large = rc < 0 ? n : 0;
		if (rc == 0)
			answered(s, job);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int skep_fail(struct skep_job *job, enum skep_failure how, const char *format, ...)
{
	struct session *s = job->session;
	char text[TEXT_BYTES];
	int rc = -EALREADY;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	pthread_mutex_lock(&s->lock);
	if (!job->answered) {
		size_t start = session_say(s, "failed", job);

		buf_adds(&s->out, how == SKEP_DEAD ? ",\"retry\":false,\"error\":" : ",\"error\":");
		json_quote(slice_str(text), &s->out);
		session_said(s, start);
		answered(s, job);
		rc = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/* What is said of a run while it goes on, at once: it may be its last word. */
static int remark(struct skep_job *job, const char *kind, int percent, const char *text)
{
	struct session *s = job->session;
	int rc = -EALREADY;

	pthread_mutex_lock(&s->lock);
	if (!job->answered) {
		size_t start = session_say(s, kind, job);

		if (percent >= 0)
			buf_addf(&s->out, ",\"percent\":%d", percent);
		if (text) {
			buf_adds(&s->out, ",\"text\":");
			json_quote(slice_str(text), &s->out);
		}
		session_said(s, start);
		session_flush(s);
		rc = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int skep_progress(struct skep_job *job, int percent, const char *text)
{
	return remark(job, "progress", percent < 0 ? 0 : percent > 100 ? 100 : percent, text);
}

int skep_log(struct skep_job *job, const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	return remark(job, "log", -1, text);
}
