/* SPDX-License-Identifier: MIT */
/* A screenful before it is shown: lines of pieces of text, each with its paint. Nothing here knows
 * of a terminal. */
#ifndef SKEP_CLIENT_SHEET_H
#define SKEP_CLIENT_SHEET_H

#include "client/screen.h"

enum sheet_mark { SHEET_PLAIN, SHEET_MARKED, SHEET_PICKED }; /* chosen; and where the keys go */

struct sheet_piece {
	enum paint paint;
	char *text; /* clean (text.h) */
};

struct sheet_line {
	struct sheet_piece *pieces;
	size_t n;
	enum sheet_mark mark;
};

struct sheet {
	struct sheet_line *lines;
	size_t n;
	bool open; /* the last line is not ended */
};

void sheet_free(struct sheet *s); /* it is empty then */

/* Text at the end of the last line; "\n" ends that. It must be clean: what is not goes through
 * sheet_add(). */
void sheet_put(struct sheet *s, enum paint paint, struct slice text);

/* The same for any text: white space becomes one blank, control characters harmless. Ends no line.
 */
void sheet_add(struct sheet *s, enum paint paint, const char *text);
void sheet_addf(struct sheet *s, enum paint paint, const char *fmt, ...) PRINTF_LIKE(3, 4);
void sheet_end(struct sheet *s);

void sheet_mark(struct sheet *s, size_t line, enum sheet_mark mark);

#endif
