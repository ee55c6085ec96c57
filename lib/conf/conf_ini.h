/* SPDX-License-Identifier: MIT */
/*
 * The lines of an INI file, over inih (conf_ini.c is its only includer): sections, entries, entries
 * that go on in the next, indented line; comments begin with # or ; at the start of a line, or with
 * " ;" after a value.
 */
#ifndef SKEP_CONF_CONF_INI_H
#define SKEP_CONF_CONF_INI_H

#include "lib/base/err.h"

struct conf_ini_ops {
	/* [text], trimmed. */
	int (*section)(void *arg, const char *text, int line, struct err *err);
	/* name = value. `continues`: a further line of the entry before. */
	int (*entry)(void *arg, const char *name, const char *value, bool continues, int line,
	    struct err *err);
};

/* Reads the whole text. 0, or the first error; the text's faults begin with FILE:LINE. */
int conf_ini_read(struct slice text, const char *file, const struct conf_ini_ops *ops, void *arg,
    struct err *err);

#endif
