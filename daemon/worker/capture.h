/* SPDX-License-Identifier: MIT */
/*
 * What a handler writes, kept within a bound: its standard output from the beginning (a result that
 * is cut is at least a prefix), its standard error from the end (what it said last is why it
 * failed), its progress lines as the last one alone. No I/O here.
 */
#ifndef SKEP_WORKER_CAPTURE_H
#define SKEP_WORKER_CAPTURE_H

#include "lib/base/buf.h"

struct capture {
	struct buf bytes; /* may be taken over when the run has ended */
	size_t max;
	bool tail; /* keeps the end instead of the beginning */
	bool cut;  /* something was dropped */
};

void capture_init(struct capture *c, size_t max_bytes, bool tail);
void capture_free(struct capture *c);
void capture_add(struct capture *c, const void *p, size_t n);
void capture_finish(struct capture *c); /* from here on `bytes` holds at most max_bytes */

#define PROGRESS_NOTE_BYTES 60
#define PROGRESS_LINE_BYTES 256 /* the rest of a longer line is dropped */

/* Lines `PERCENT[ text]` on descriptor 3; a line that is none is passed over. */
struct progress {
	char line[PROGRESS_LINE_BYTES];
	size_t n;
	int32_t percent; /* -1 until the first */
	char note[PROGRESS_NOTE_BYTES];
};

void progress_init(struct progress *p);

/* True: percent or note is new. */
bool progress_add(struct progress *p, const void *bytes, size_t n);

#endif
