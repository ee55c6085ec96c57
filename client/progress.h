/* SPDX-License-Identifier: MIT */
/* One line on standard error that grows, if that is a terminal; nothing otherwise. */
#ifndef SKEP_CLIENT_PROGRESS_H
#define SKEP_CLIENT_PROGRESS_H

#include "client/screen.h"

struct progress {
	struct screen screen;
	int64_t began_ms, drawn_ms;
	bool shown;
};

void progress_start(struct progress *p, bool no_color);

/* `done` jobs, and the part of the work they are (0 to 1, negative if unknown); drawn ten times a
 * second. */
void progress_update(struct progress *p, uint64_t done, double part);

/* Wipes the line, so that something else can be printed. */
void progress_clear(struct progress *p);

/* The line's text, without escapes, for `columns`. */
void progress_text(
    char *buf, size_t cap, size_t columns, uint64_t done, double part, int64_t passed_ms);

#endif
