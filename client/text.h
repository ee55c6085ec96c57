/* SPDX-License-Identifier: MIT */
/*
 * Text on a terminal: UTF-8 by columns, without control characters, so that a job's own words can
 * neither break a table nor command the terminal; and numbers as people read them.
 */
#ifndef SKEP_CLIENT_TEXT_H
#define SKEP_CLIENT_TEXT_H

#include "lib/base/buf.h"

/* Columns by wcwidth(3) need a UTF-8 locale: takes the user's, or C.UTF-8. Once, at start. */
void text_init(void);

/* Appends `s` for one line: control characters and bytes that are not UTF-8 become U+FFFD, white
 * space one blank. */
void text_add_clean(struct buf *out, struct slice s);

/* Columns of clean text. */
size_t text_columns(struct slice s);

/* How many bytes of clean text fit into `columns`. */
size_t text_fit(struct slice s, size_t columns);

/* Short forms for tables. Return buf. */
#define TEXT_SHORT 32
char *text_bytes(char buf[static TEXT_SHORT], double bytes); /* 999 B, 1.2 K, 34 M */
char *text_ms(char buf[static TEXT_SHORT], double ms);	     /* 12 ms, 1.3 s, 4m10s, 2h05m, 3d4h */
char *text_ago(
    char buf[static TEXT_SHORT], int64_t then_ms, int64_t now_ms); /* "3m ago", "in 10s" */

#endif
