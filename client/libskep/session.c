/* SPDX-License-Identifier: MIT */
/*
 * Writing lets go of the lock: whoever comes while somebody writes only appends, and what was
 * appended meanwhile is the writer's next turn. So the answers of many threads share writes.
 *
 * A socket that takes no more is no reason to stop reading: skep may be waiting for just that. The writer
 * then reads too, unless somebody else does.
 */
#include "client/libskep/session.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "client/libskep/intake.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"

#define CHUNK_BYTES (64u << 10)
#define KEEP_BYTES (256u << 10)

void session_init(struct session *s, const struct skep_handler *handler)
{
	pthread_condattr_t clock;

	*s = (struct session){.magic = SESSION_MAGIC, .handler = handler, .concurrency = 1};
	s->fd = handler->fd ? handler->fd : 3;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&s->work, &clock);
	pthread_cond_init(&s->rest, &clock);
	pthread_condattr_destroy(&clock);
	buf_init(&s->in, SIZE_MAX / 2);
	buf_init(&s->out, SIZE_MAX / 2);
	buf_init(&s->spare, SIZE_MAX / 2);
	list_init(&s->waiting);
	list_init(&s->running);
}

void session_free(struct session *s)
{
	list_each(struct skep_job, job, &s->waiting, link)
		intake_job_free(job);
	buf_free(&s->in);
	buf_free(&s->out);
	buf_free(&s->spare);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->rest);
	pthread_mutex_destroy(&s->lock);
	s->magic = 0;
}

void session_fail(struct session *s, int error)
{
	if (s->error == 0)
		s->error = error;
	s->ended = true;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* A line of its own memory. A large one gets the buffer, and the buffer what is behind it. */
static char *take_line(struct session *s, size_t n)
{
	char *line;

	if (n >= KEEP_BYTES && s->in.head == 0) {
		struct buf rest;

		buf_init(&rest, s->in.max);
		buf_add(&rest, s->in.data + n + 1, buf_size(&s->in) - n - 1);
		line = (char *)s->in.data;
		s->in = rest;
		return line;
	}
	line = xmalloc(n + 1);
	memcpy(line, buf_head(&s->in), n);
	buf_consume(&s->in, n + 1);
	return line;
}

static void take_lines(struct session *s)
{
	while (s->error == 0 && buf_size(&s->in) > s->scanned) {
		const uint8_t *head = buf_head(&s->in);
		size_t size = buf_size(&s->in), n;
		const uint8_t *lf = memchr(head + s->scanned, '\n', size - s->scanned);

		if (!lf) {
			s->scanned = size;
			return;
		}
		n = (size_t)(lf - head);
		s->scanned = 0;
		if (intake_line_take(s, take_line(s, n), n) < 0)
			session_fail(s, -EPROTO);
	}
}

void session_read(struct session *s, bool wait)
{
	uint8_t *room;
	size_t size;
	ssize_t n;
	int code;

	if (s->reading) {
		if (wait)
			pthread_cond_wait(&s->rest, &s->lock);
		return;
	}
	room = buf_reserve(&s->in, CHUNK_BYTES);
	size = s->in.cap - s->in.len;
	s->reading = true;
	pthread_mutex_unlock(&s->lock);
	do {
		n = recv(s->fd, room, size, wait ? 0 : MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	code = errno;
	pthread_mutex_lock(&s->lock);
	s->reading = false;
	pthread_cond_broadcast(&s->rest);
	if (n > 0) {
		buf_added(&s->in, (size_t)n);
		take_lines(s);
	} else if (n == 0) {
		s->ended = true;
	} else if (code != EAGAIN) {
		session_fail(s, -code);
	}
	buf_trim(&s->in, KEEP_BYTES);
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Waits, without the lock, until the socket takes more. */
static void wait_for_room(struct session *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};

	pthread_mutex_lock(&s->lock);
	if (!s->reading && !s->ended)
		p.events |= POLLIN;
	pthread_mutex_unlock(&s->lock);
	if (poll(&p, 1, -1) <= 0 || !(p.revents & POLLIN))
		return;
	pthread_mutex_lock(&s->lock);
	session_read(s, false);
	pthread_mutex_unlock(&s->lock);
}

static int send_all(struct session *s, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t sent = send(s->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent >= 0) {
			p += sent;
			n -= (size_t)sent;
		} else if (errno == EAGAIN) {
			wait_for_room(s);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

void session_flush(struct session *s)
{
	if (s->writing)
		return;
	while (buf_size(&s->out)) {
		struct buf taken = s->out;
		int rc = 0;

		s->out = s->spare;
		buf_init(&s->spare, SIZE_MAX / 2);
		s->writing = true;
		pthread_mutex_unlock(&s->lock);
		rc = send_all(s, buf_head(&taken), buf_size(&taken));
		pthread_mutex_lock(&s->lock);
		s->writing = false;
		buf_clear(&taken);
		buf_trim(&taken, KEEP_BYTES);
		s->spare = taken;
		if (rc < 0) {
			session_fail(s, rc);
			buf_clear(&s->out);
		}
		pthread_cond_broadcast(&s->rest);
	}
}

void session_finish(struct session *s)
{
	while (s->writing)
		pthread_cond_wait(&s->rest, &s->lock);
	session_flush(s);
}

void session_hello(struct session *s)
{
	bool cancels = s->handler->cancels || s->handler->cancel;

	buf_addf(&s->out, "{\"hello\":{\"version\":1,\"capabilities\":[\"ping\"%s]}}\n",
	    cancels ? ",\"cancel\"" : "");
	session_flush(s);
}

size_t session_say(struct session *s, const char *kind, const struct skep_job *job)
{
	size_t start = buf_size(&s->out);

	if (start == 0)
		s->unsent_us = clock_mono_us();
	buf_addf(&s->out, "{\"%s\":{\"run\":\"" SLICE_FMT "\"", kind, SLICE_ARG(job->run));
	return start;
}

bool session_said(struct session *s, size_t start)
{
	buf_adds(&s->out, "}}\n");
	if (s->max_line == 0 || buf_size(&s->out) - start <= (size_t)s->max_line)
		return true;
	buf_truncate(&s->out, start);
	return false;
}

/* --- running ---------------------------------------------------------------------------------- */

/* For a run that returned `rc` without an answer. */
static void answer_for(struct session *s, const struct skep_job *job, int rc)
{
	size_t start = session_say(s, rc == 0 && !job->too_large ? "done" : "failed", job);

	if (job->too_large)
		buf_addf(&s->out, ",\"error\":\"a result of %zu bytes is too large to be sent\",\"retry\":false",
		    job->too_large);
	else if (rc)
		buf_addf(&s->out, ",\"error\":\"its function returned %d\"", rc);
	session_said(s, start);
}

void session_run(struct session *s, struct skep_job *job)
{
	int rc;

	list_del(&job->link);
	s->nwaiting--;
	s->nbegun++;
	list_add_tail(&s->running, &job->link);
	job->begun_ms = clock_mono_ms();
	pthread_mutex_unlock(&s->lock);
	rc = s->handler->run(job, s->handler->arg);
	pthread_mutex_lock(&s->lock);
	if (!job->answered)
		answer_for(s, job, rc);
	job->answered = true;
	job->tell = false;
	while (job->told)
		pthread_cond_wait(&s->rest, &s->lock);
	list_del(&job->link);
	intake_job_free(job);
}

static struct skep_job *to_be_told(struct session *s)
{
	list_each(struct skep_job, job, &s->running, link) {
		if (job->tell)
			return job;
	}
	return NULL;
}

void session_tell(struct session *s)
{
	struct skep_job *job;

	while ((job = to_be_told(s))) {
		job->tell = false;
		job->told++;
		pthread_mutex_unlock(&s->lock);
		s->handler->cancel(job, s->handler->arg);
		pthread_mutex_lock(&s->lock);
		job->told--;
		pthread_cond_broadcast(&s->rest);
	}
}
