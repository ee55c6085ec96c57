/* SPDX-License-Identifier: MIT */
/*
 * What standard output is: a terminal with a width and perhaps colours, or a file that gets
 * everything, uncut and plain. Colours need a terminal, no --no-color, no NO_COLOR (no-color.org),
 * a TERM that is not dumb.
 */
#ifndef SKEP_CLIENT_SCREEN_H
#define SKEP_CLIENT_SCREEN_H

#include "lib/base/base.h"

enum paint { PAINT_NONE, PAINT_HEAD, PAINT_GOOD, PAINT_BAD, PAINT_BUSY, PAINT_WAIT, PAINT_DIM };

struct screen {
	size_t columns; /* 0: no limit */
	bool colors;
};

struct screen screen_of(int fd, bool no_color);

/* The escape sequence that begins a paint, or "" without colours; PAINT_NONE ends one. */
const char *screen_paint(const struct screen *s, enum paint paint);

/* How a job's state, or a run's outcome, is painted. */
enum paint screen_state_paint(const char *state);

#endif
