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

static void measure(
    const struct table *t, const struct screen *screen, size_t indent, size_t *widths)
{
	for (size_t i = 0; i < t->ncolumns; i++)
		widths[i] = text_columns(slice_str(t->columns[i].title));
	for (size_t i = 0; i < t->ncells; i++) {
		size_t *width = &widths[i % t->ncolumns];

		*width = t->cells[i].columns > *width ? t->cells[i].columns : *width;
	}
	if (!screen->columns)
		return;
	leave_out(t, widths, indent, screen->columns);
	if (total(t, widths, indent) > screen->columns)
		cut(t, widths, total(t, widths, indent) - screen->columns);
}

static void print_cell(const struct table *t, size_t column, const struct cell *c, size_t width,
    const struct screen *screen, FILE *out)
{
	bool last = column + 1 == t->ncolumns, over = c->columns > width;
	size_t bytes =
	    over ? text_fit(slice_of(c->text, c->bytes), width ? width - 1 : 0) : c->bytes;
	size_t used = over ? text_columns(slice_of(c->text, bytes)) + 1 : c->columns;
	int pad = used < width ? (int)(width - used) : 0;

	if (!width)
		return;
	if (t->columns[column].right)
		fprintf(out, "%*s", pad, "");
	if (c->paint != PAINT_NONE)
		fputs(screen_paint(screen, c->paint), out);
	fprintf(out, "%.*s%s", (int)bytes, c->text, over ? ELLIPSIS : "");
	if (c->paint != PAINT_NONE)
		fputs(screen_paint(screen, PAINT_NONE), out);
	if (!last)
		fprintf(out, "%*s", (t->columns[column].right ? 0 : pad) + GAP, "");
}

void table_print(const struct table *t, const struct screen *screen, size_t indent, FILE *out)
{
	size_t widths[COLUMNS_MAX];

	measure(t, screen, indent, widths);
	fprintf(out, "%*s", (int)indent, "");
	for (size_t i = 0; i < t->ncolumns; i++) {
		char *title = (char *)(uintptr_t)t->columns[i].title;
		struct cell head = {
		    title, strlen(title), text_columns(slice_str(title)), PAINT_HEAD};

		print_cell(t, i, &head, widths[i], screen, out);
	}
	fputc('\n', out);
	for (size_t i = 0; i < t->ncells; i++) {
		if (i % t->ncolumns == 0)
			fprintf(out, "%*s", (int)indent, "");
		print_cell(t, i % t->ncolumns, &t->cells[i], widths[i % t->ncolumns], screen, out);
		if (i % t->ncolumns == t->ncolumns - 1)
			fputc('\n', out);
	}
}
