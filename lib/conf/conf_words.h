/* SPDX-License-Identifier: MIT */
/*
 * Splitting a value into words. A list has its words between spaces and commas; one that holds
 * either stands in double quotes. A command line is quoted as in a POSIX shell: '...' , "..." with
 * \" and \\, backslash; there are no variables, globs or operators.
 */
#ifndef SKEP_CONF_CONF_WORDS_H
#define SKEP_CONF_CONF_WORDS_H

#include "lib/conf/conf.h"

int conf_words_list(const char *text, struct conf_words *ret, struct err *err);
int conf_words_shell(const char *text, struct conf_words *ret, struct err *err);

/* The reverse. -EINVAL for a word that cannot be written, -ENOBUFS. */
int conf_words_list_format(const struct conf_words *w, struct buf *out);
int conf_words_shell_format(const struct conf_words *w, struct buf *out);

void conf_words_add(struct conf_words *w, struct slice word);
void conf_words_free(struct conf_words *w);

#endif
