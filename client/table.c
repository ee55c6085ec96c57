/* SPDX-License-Identifier: MIT */
#include "client/table.h"

#include <stdarg.h>

#include "client/text.h"

#define GAP 2		    /* blanks between columns */
#define COLUMN_LEAST 4	    /* no column is cut below this */
#define LAST_LEAST 20	    /* nor the last one, while there is a column to leave out */
#define CELL_BYTES_MAX 4096 /* of a cell's text; the rest would not fit on any screen */
#define COLUMNS_MAX 16
#define ELLIPSIS "…"

struct cell {
	char *text;
	size_t bytes, columns;
	enum paint paint;
};

struct table {
	const struct table_column *columns;
	size_t ncolumns;
	struct cell *cells; /* ncells = rows * ncolumns when complete */
	size_t ncells, cap;
};

struct table *table_new(const struct table_column *columns, size_t n)
{
	struct table *t = xcalloc(1, sizeof *t);

	if (n > COLUMNS_MAX)
		BUG("a table of %zu columns", n);
	t->columns = columns;
	t->ncolumns = n;
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->ncells; i++)
		free(t->cells[i].text);
	free(t->cells);
	free(t);
}

void table_add(struct table *t, const char *text, enum paint paint)
{
	struct slice s = slice_str(text ? text : "");
	struct buf clean;

	buf_init(&clean, 3 * CELL_BYTES_MAX + 1);
	s.n = s.n < CELL_BYTES_MAX ? s.n : CELL_BYTES_MAX;
	text_add_clean(&clean, s);
	if (t->ncells == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 64;
		t->cells = xrealloc(t->cells, t->cap * sizeof *t->cells);
	}
	s = buf_slice(&clean);
	t->cells[t->ncells++] = (struct cell){slice_dup(s), s.n, text_columns(s), paint};
	buf_free(&clean);
}

void table_addf(struct table *t, const char *fmt, ...)
{
	char text[CELL_BYTES_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	table_add(t, text, PAINT_NONE);
}

/* Columns of the screen that the widths take; one of 0 is left out, with the gap behind it. */
static size_t total(const struct table *t, const size_t *widths, size_t indent)
{
	size_t sum = indent;

	for (size_t i = 0; i < t->ncolumns; i++)
		sum += widths[i] ? widths[i] + (i + 1 < t->ncolumns ? GAP : 0) : 0;
	return sum;
}

static void leave_out(const struct table *t, size_t *widths, size_t indent, size_t screen)
{
	size_t last = widths[t->ncolumns - 1], spare = last > LAST_LEAST ? last - LAST_LEAST : 0;

	while (total(t, widths, indent) > screen + spare) {
		size_t first = t->ncolumns;

		for (size_t i = 0; i < t->ncolumns; i++) {
			if (widths[i] && t->columns[i].spare > 0 &&
			    (first == t->ncolumns || t->columns[i].spare > t->columns[first].spare))
				first = i;
		}
		if (first == t->ncolumns)
			return;
		widths[first] = 0;
	}
}

/* Takes `excess` columns away from the widths, from the last one before the others. */
static void cut(const struct table *t, size_t *widths, size_t excess)
{
	size_t last = t->ncolumns - 1;
	size_t spare = widths[last] > COLUMN_LEAST && !t->columns[last].whole
			   ? widths[last] - COLUMN_LEAST
			   : 0;
	size_t less = excess < spare ? excess : spare;

	widths[last] -= less;
	for (excess -= less; excess; excess--) {
		size_t widest = t->ncolumns;

		for (size_t i = 0; i < t->ncolumns; i++) {
			if (!t->columns[i].whole && widths[i] > COLUMN_LEAST &&
			    (widest == t->ncolumns || widths[i] > widths[widest]))
				widest = i;
		}
		if (widest == t->ncolumns)
			return;
		widths[widest]--;
	}
}

static void measure(const struct table *t, size_t screen, size_t indent, size_t *widths)
{
	for (size_t i = 0; i < t->ncolumns; i++)
		widths[i] = text_columns(slice_str(t->columns[i].title));
	for (size_t i = 0; i < t->ncells; i++) {
		size_t *width = &widths[i % t->ncolumns];

		*width = t->cells[i].columns > *width ? t->cells[i].columns : *width;
	}
	if (!screen)
		return;
	leave_out(t, widths, indent, screen);
	if (total(t, widths, indent) > screen)
		cut(t, widths, total(t, widths, indent) - screen);
}

/* Where the pieces go. */
struct sink {
	table_put *put;
	void *arg;
};

static void put_blanks(const struct sink *to, size_t n)
{
	static const char blanks[] = "                ";

	while (n) {
		size_t some = n < sizeof blanks - 1 ? n : sizeof blanks - 1;

		to->put(to->arg, PAINT_NONE, slice_of(blanks, some));
		n -= some;
	}
}

static void put_cell(const struct table *t, size_t column, const struct cell *c, size_t width,
    const struct sink *to)
{
	bool last = column + 1 == t->ncolumns, over = c->columns > width;
	size_t bytes =
	    over ? text_fit(slice_of(c->text, c->bytes), width ? width - 1 : 0) : c->bytes;
	size_t used = over ? text_columns(slice_of(c->text, bytes)) + 1 : c->columns;
	size_t pad = used < width ? width - used : 0;
	auto_free char *text = NULL;

	if (!width)
		return;
	if (t->columns[column].right)
		put_blanks(to, pad);
	text = xasprintf("%.*s%s", (int)bytes, c->text, over ? ELLIPSIS : "");
	to->put(to->arg, c->paint, slice_str(text));
	if (!last)
		put_blanks(to, (t->columns[column].right ? 0 : pad) + GAP);
}

void table_write(const struct table *t, size_t columns, size_t indent, table_put *put, void *arg)
{
	struct sink to = {put, arg};
	size_t widths[COLUMNS_MAX];

	measure(t, columns, indent, widths);
	put_blanks(&to, indent);
	for (size_t i = 0; i < t->ncolumns; i++) {
		char *title = (char *)(uintptr_t)t->columns[i].title;
		struct cell head = {
		    title, strlen(title), text_columns(slice_str(title)), PAINT_HEAD};

		put_cell(t, i, &head, widths[i], &to);
	}
	put(arg, PAINT_NONE, slice_str("\n"));
	for (size_t i = 0; i < t->ncells; i++) {
		if (i % t->ncolumns == 0)
			put_blanks(&to, indent);
		put_cell(t, i % t->ncolumns, &t->cells[i], widths[i % t->ncolumns], &to);
		if (i % t->ncolumns == t->ncolumns - 1)
			put(arg, PAINT_NONE, slice_str("\n"));
	}
}

struct printer {
	const struct screen *screen;
	FILE *out;
};

static void print_piece(void *arg, enum paint paint, struct slice text)
{
	const struct printer *p = arg;

	if (paint != PAINT_NONE)
		fputs(screen_paint(p->screen, paint), p->out);
	fwrite(text.p, 1, text.n, p->out);
	if (paint != PAINT_NONE)
		fputs(screen_paint(p->screen, PAINT_NONE), p->out);
}

void table_print(const struct table *t, const struct screen *screen, size_t indent, FILE *out)
{
	struct printer printer = {screen, out};

	table_write(t, screen->columns, indent, print_piece, &printer);
}
