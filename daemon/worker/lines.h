/* SPDX-License-Identifier: MIT */
/* A stream socket that carries lines both ways: our end of a service's descriptor 3. */
#ifndef SKEP_WORKER_LINES_H
#define SKEP_WORKER_LINES_H

#include "lib/base/buf.h"
#include "lib/base/loop.h"

struct lines_events {
	void (*line)(void *arg, struct slice line); /* without its line feed, never empty */
	void (*too_long)(void *arg, struct slice begin);
	void (*end)(void *arg); /* the other side has closed; what it wrote before is read */
};

/* Embedded in its owner. */
struct lines {
	unsigned magic;
	int fd; /* -1: closed */
	struct loop_io io;
	const struct lines_events *events;
	void *arg;
	size_t max_line;
	size_t scanned; /* bytes of `in` that hold no line feed */
	struct buf in, out; /* lines are appended to `out` directly; lines_flush() sends them */
	bool ending, ended; /* no more to write; nothing more to read */
};

void lines_init(struct lines *w, const struct lines_events *events, void *arg); /* closed */
void lines_open(struct lines *w, struct loop *loop, int fd, size_t max_line);  /* takes fd */
void lines_close(struct lines *w); /* not from inside `line` or `too_long` */

void lines_flush(struct lines *w);
void lines_end(struct lines *w);  /* the other side reads the end once all is written */
void lines_rest(struct lines *w); /* reads what is there; then it will not be read again */

#endif
