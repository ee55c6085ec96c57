/* SPDX-License-Identifier: MIT */
/*
 * What a service writes to its standard output and standard error, as lines in the worker's log:
 * each is cut, so many a second are kept, and how many were dropped is said.
 */
#ifndef SKEP_WORKER_CHATTER_H
#define SKEP_WORKER_CHATTER_H

#include "lib/base/loop.h"

#define CHATTER_LINE_BYTES 512
#define CHATTER_LINES_A_SECOND 100

/* Embedded in its owner. */
struct chatter {
	unsigned magic;
	struct loop *loop;
	const char *name; /* the handler's */
	int fd;           /* -1: closed */
	struct loop_io io;
	char line[CHATTER_LINE_BYTES];
	size_t n;
	int64_t second; /* in which `lines` were logged */
	unsigned lines, dropped;
};

void chatter_init(struct chatter *c, struct loop *loop, const char *name);
void chatter_open(struct chatter *c, int fd); /* takes fd, which must not block */
void chatter_close(struct chatter *c);        /* reads what is there first */

#endif
