/* SPDX-License-Identifier: MIT */
/*
 * One skep_serve(): the stream, the jobs that were read from it, the answers that wait to be written.
 * Everything in it is guarded by `lock`, which the functions below want held; those that read, write
 * or run a job let go of it meanwhile.
 */
#ifndef SKEP_CLIENT_LIBSKEP_SESSION_H
#define SKEP_CLIENT_LIBSKEP_SESSION_H

#include <pthread.h>

#include "include/skep/handler.h"
#include "lib/base/buf.h"
#include "lib/base/list.h"

#define SESSION_MAGIC 0x73657373u

struct session {
	unsigned magic;
	const struct skep_handler *handler;
	int fd;
	pthread_mutex_t lock;
	pthread_cond_t work; /* for runners: a job waits, or it is over */
	pthread_cond_t rest; /* a write or a callback has ended */
	struct buf in, out, spare;
	size_t scanned;       /* bytes of `in` without a line feed */
	struct list waiting;  /* jobs, as they came */
	struct list running;
	size_t nwaiting, nidle;
	uint64_t nbegun;
	int64_t unsent_us;    /* when `out` got its first bytes */
	int64_t max_line;     /* of skep's hello; 0: not known */
	int64_t concurrency;  /* of skep's hello */
	bool reading, writing; /* somebody does, without the lock */
	bool listening;       /* the ear is: nobody else sends answers that are held back */
	bool ended;           /* nothing more to read */
	bool over;            /* and nothing more to do: threads leave */
	int error;            /* negative errno */
};

struct skep_job {
	struct list link;
	struct session *session;
	char *text; /* its line, which the strings below lie in */
	uint8_t *decoded; /* of body_base64 */
	struct slice run, body;
	const char *id, *type, *queue, *content_type, *content_encoding;
	const char *correlation_id, *app_id, *traceparent;
	int64_t attempt, priority, timeout_ms, begun_ms;
	size_t too_large; /* the size of a result that could not be sent */
	bool answered;
	bool cancelled;      /* atomic: __atomic_load_n */
	bool tell;           /* handler->cancel is to be called */
	unsigned told;       /* is being called */
};

void session_init(struct session *s, const struct skep_handler *handler);
void session_free(struct session *s);

/* Reads once, waiting for something to come or not, and takes the lines: jobs go to `waiting`. While
 * somebody else reads it waits for the end of that, or does nothing. */
void session_read(struct session *s, bool wait);

void session_hello(struct session *s);

/* Begins a line of `kind` about the run; its members are added to `out`, and session_said() ends it. False:
 * it is longer than skep reads, and not said. */
size_t session_say(struct session *s, const char *kind, const struct skep_job *job);
bool session_said(struct session *s, size_t start);

void session_flush(struct session *s);      /* writes what there is, unless somebody does already */
void session_finish(struct session *s);     /* the same, and waits for it */
void session_run(struct session *s, struct skep_job *job); /* a job of `waiting`, and frees it */
void session_tell(struct session *s);       /* calls handler->cancel where it is due */
void session_fail(struct session *s, int error); /* negative errno; the first counts */

#endif
