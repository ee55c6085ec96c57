/* SPDX-License-Identifier: MIT */
/*
 * newterm() and not initscr(), which would end the program on a terminal that it does not know.
 * Every text on a sheet is clean; addnstr() gets what text_fit() says that fits, so that no line
 * runs over into the next one.
 */
#include "client/curses.h"

#include <errno.h>
#include <ncurses.h>

#include "client/text.h"

#define ESCAPE_KEY 27
#define ESCAPE_DELAY_MS                                                                            \
	50 /* a lone Escape is one after this; sequences come in one packet, also over ssh */
#define DELETE_KEY 127
#define BACKSPACE_KEY 8

struct curses {
	SCREEN *screen;
	bool colors;
};

static const short colors[] = {
    [PAINT_GOOD] = COLOR_GREEN,
    [PAINT_BAD] = COLOR_RED,
    [PAINT_BUSY] = COLOR_CYAN,
    [PAINT_WAIT] = COLOR_YELLOW,
};

struct curses *curses_open(bool want_colors, struct err *err)
{
	const char *term = getenv("TERM");
	struct curses *c;
	SCREEN *screen;

	use_tioctl(TRUE); /* LINES and COLUMNS of the environment would hide a change of size */
	screen = newterm(NULL, stdout, stdin);
	if (screen && !tigetstr("cup")) {
		endwin();
		delscreen(screen);
		screen = NULL;
	}
	if (!screen) {
		err_set(err, -ENOTTY, "a terminal of type '%s' cannot show it",
		    term && *term ? term : "(none)");
		return NULL;
	}
	c = xcalloc(1, sizeof *c);
	c->screen = screen;
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(ESCAPE_DELAY_MS);
	if (want_colors && has_colors() && start_color() == OK && use_default_colors() == OK) {
		for (short i = 0; i < (short)ARRAY_SIZE(colors); i++) {
			if (colors[i])
				init_pair(i, colors[i], -1);
		}
		c->colors = true;
	}
	return c;
}

void curses_close(struct curses *c)
{
	if (!c)
		return;
	endwin();
	delscreen(c->screen);
	free(c);
}

void curses_size(const struct curses *c UNUSED, size_t *ret_lines, size_t *ret_columns)
{
	*ret_lines = LINES > 0 ? (size_t)LINES : 0;
	*ret_columns = COLS > 0 ? (size_t)COLS : 0;
}

int curses_key(struct curses *c UNUSED)
{
	static const struct {
		int key, ours;
	} keys[] = {
	    {ERR, CURSES_NONE},
	    {KEY_RESIZE, CURSES_RESIZED},
	    {ESCAPE_KEY, CURSES_ESCAPE},
	    {'\r', CURSES_ENTER},
	    {'\n', CURSES_ENTER},
	    {KEY_ENTER, CURSES_ENTER},
	    {KEY_BACKSPACE, CURSES_ERASE},
	    {DELETE_KEY, CURSES_ERASE},
	    {BACKSPACE_KEY, CURSES_ERASE},
	    {KEY_UP, CURSES_UP},
	    {KEY_DOWN, CURSES_DOWN},
	    {KEY_PPAGE, CURSES_PAGE_UP},
	    {KEY_NPAGE, CURSES_PAGE_DOWN},
	    {KEY_HOME, CURSES_HOME},
	    {KEY_END, CURSES_END},
	    {'\t', CURSES_TAB},
	    {KEY_BTAB, CURSES_BACK_TAB},
	};
	int key = getch();

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].key == key)
			return keys[i].ours;
	}
	return key >= ' ' && key < DELETE_KEY ? key : CURSES_OTHER;
}

static attr_t attributes_of(const struct curses *c, enum paint paint)
{
	if (paint == PAINT_HEAD)
		return A_BOLD;
	if (paint == PAINT_DIM)
		return A_DIM;
	if (paint == PAINT_BAD && !c->colors)
		return A_BOLD;
	return A_NORMAL;
}

static void show_line(const struct curses *c, int y, const struct sheet_line *line)
{
	size_t left = COLS > 0 ? (size_t)COLS : 0;

	move(y, 0);
	for (size_t i = 0; i < line->n && left; i++) {
		const struct sheet_piece *p = &line->pieces[i];
		struct slice text = slice_str(p->text);
		size_t bytes = text_fit(text, left);
		bool colored = c->colors && p->paint < (int)ARRAY_SIZE(colors) && colors[p->paint];

		attr_set(attributes_of(c, p->paint), colored ? (short)p->paint : 0, NULL);
		addnstr(p->text, (int)bytes);
		left -= text_columns(slice_of(text.p, bytes));
		if (bytes < text.n)
			break;
	}
	attr_set(A_NORMAL, 0, NULL);
	if (line->mark != SHEET_PLAIN)
		mvaddstr(y, 0, ">");
	if (line->mark == SHEET_PICKED)
		mvchgat(y, 0, -1, A_REVERSE, 0, NULL);
}

static size_t line_columns(const struct sheet_line *line)
{
	size_t columns = 0;

	for (size_t i = 0; i < line->n; i++)
		columns += text_columns(slice_str(line->pieces[i].text));
	return columns;
}

void curses_show(struct curses *c, const struct sheet *s, size_t cursor_line)
{
	size_t lines = LINES > 0 ? (size_t)LINES : 0;

	erase();
	for (size_t i = 0; i < s->n && i < lines; i++)
		show_line(c, (int)i, &s->lines[i]);
	if (cursor_line < s->n && cursor_line < lines && COLS > 0) {
		size_t at = line_columns(&s->lines[cursor_line]);

		curs_set(1);
		move((int)cursor_line, at < (size_t)COLS ? (int)at : COLS - 1);
	} else {
		curs_set(0);
	}
	refresh();
}
