/* SPDX-License-Identifier: MIT */
#include "client/sheet.h"

#include <stdarg.h>

#include "client/text.h"

#define TEXT_BYTES_MAX 4096 /* of a piece; no screen is wider */

void sheet_free(struct sheet *s)
{
	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = 0; k < s->lines[i].n; k++)
			free(s->lines[i].pieces[k].text);
		free(s->lines[i].pieces);
	}
	free(s->lines);
	*s = (struct sheet){0};
}

static struct sheet_line *open_line(struct sheet *s)
{
	if (!s->open) {
		s->lines = xrealloc(s->lines, (s->n + 1) * sizeof *s->lines);
		s->lines[s->n++] = (struct sheet_line){0};
		s->open = true;
	}
	return &s->lines[s->n - 1];
}

void sheet_end(struct sheet *s)
{
	open_line(s);
	s->open = false;
}

void sheet_put(struct sheet *s, enum paint paint, struct slice text)
{
	struct sheet_line *line;

	if (slice_is(text, "\n")) {
		sheet_end(s);
		return;
	}
	line = open_line(s);
	if (!text.n)
		return;
	line->pieces = xrealloc(line->pieces, (line->n + 1) * sizeof *line->pieces);
	line->pieces[line->n++] = (struct sheet_piece){paint, slice_dup(text)};
}

void sheet_add(struct sheet *s, enum paint paint, const char *text)
{
	struct buf clean;

	buf_init(&clean, 3 * TEXT_BYTES_MAX);
	text_add_clean(&clean, slice_of(text, strnlen(text, TEXT_BYTES_MAX)));
	sheet_put(s, paint, buf_slice(&clean));
	buf_free(&clean);
}

void sheet_addf(struct sheet *s, enum paint paint, const char *fmt, ...)
{
	char text[TEXT_BYTES_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	sheet_add(s, paint, text);
}

void sheet_mark(struct sheet *s, size_t line, enum sheet_mark mark)
{
	if (line < s->n)
		s->lines[line].mark = mark;
}
