/* SPDX-License-Identifier: MIT */
/*
 * The terminal as a screen, over ncurses (curses.c is its only includer). Signals that end or stop
 * the program give the terminal back first: that is ncurses' own.
 */
#ifndef SKEP_CLIENT_CURSES_H
#define SKEP_CLIENT_CURSES_H

#include "client/sheet.h"
#include "lib/base/err.h"

enum curses_key {
	CURSES_NONE = -1,
	CURSES_RESIZED = -2,
	CURSES_ESCAPE = -3,
	CURSES_ENTER = -4,
	CURSES_ERASE = -5,
	CURSES_UP = -6,
	CURSES_DOWN = -7,
	CURSES_PAGE_UP = -8,
	CURSES_PAGE_DOWN = -9,
	CURSES_HOME = -10,
	CURSES_END = -11,
	CURSES_TAB = -12,
	CURSES_BACK_TAB = -13,
	CURSES_OTHER = -14,
};

struct curses;

/* Takes the terminal of standard input and output. NULL with -ENOTTY when its type is not known or
 * cannot move the cursor. */
struct curses *curses_open(bool colors, struct err *err);
void curses_close(struct curses *c); /* gives it back as it was */

void curses_size(const struct curses *c, size_t *ret_lines, size_t *ret_columns);

/* The next key, without waiting: an ASCII character, or one of enum curses_key. */
int curses_key(struct curses *c);

/* Shows the first lines of the sheet, cut to the screen. The cursor stands behind the text of
 * `cursor_line`, or is hidden when there is no such line. */
void curses_show(struct curses *c, const struct sheet *s, size_t cursor_line);

#endif
