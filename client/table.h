/* SPDX-License-Identifier: MIT */
/*
 * A table for people: columns as wide as their widest cell. On a screen that is too narrow the last
 * column is cut first, then columns are left out in the order of their `spare` rank, then the
 * widest of those that are not marked `whole` are cut.
 */
#ifndef SKEP_CLIENT_TABLE_H
#define SKEP_CLIENT_TABLE_H

#include <stdio.h>

#include "client/screen.h"
#include "lib/base/buf.h"

struct table_column {
	const char *title;
	bool right; /* numbers */
	bool whole; /* never cut: ids, to be copied */
	int spare;  /* the highest is left out first; 0: never */
};

struct table;

struct table *table_new(const struct table_column *columns, size_t n); /* columns are borrowed */
void table_free(struct table *t);

/* Adds the next cell, row by row. The text is cleaned (text.h) and copied; NULL is an empty cell.
 */
void table_add(struct table *t, const char *text, enum paint paint);
void table_addf(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Gives titles and rows piece by piece, each line behind `indent` blanks and ended by a piece "\n";
 * on a screen of `columns` (0: no limit). */
typedef void table_put(void *arg, enum paint paint, struct slice text);
void table_write(
    const struct table *t, size_t columns, size_t indent, table_put *put, void *arg);

/* Prints titles and rows, each line behind `indent` blanks. */
void table_print(const struct table *t, const struct screen *screen, size_t indent, FILE *out);

#endif
