/* SPDX-License-Identifier: MIT */
/*
 * What the files say, each entry with its file and line: kept, so that errors and --dump-config can
 * point at it.
 */
#ifndef SKEP_CONF_CONF_SETTINGS_H
#define SKEP_CONF_CONF_SETTINGS_H

#include "lib/conf/conf_table.h"

struct conf_setting {
	const struct conf_kind *kind;
	char *section; /* NULL for kinds without names */
	const struct conf_option *option;
	char *text;
	char *file;
	int line;
};

struct conf_origin {
	struct conf_setting *v;
	size_t n;
};

/* Adds the entries of one file, makes the sections that it names; later entries replace earlier
 * ones. */
int conf_settings_read(struct conf *c, struct slice text, const char *file, struct err *err);

/* Parses every entry into its field. */
int conf_settings_apply(struct conf *c, struct err *err);

/* NULL if the option has its default. */
const struct conf_setting *conf_settings_find(
    const struct conf *c, const char *kind, const char *section, const char *option);

/* -EINVAL with "FILE:LINE: [section] option: text", as far as these are known. */
int conf_settings_fail(const struct conf *c, const char *kind, const char *section,
    const char *option, struct err *err, const char *fmt, ...) PRINTF_LIKE(6, 7);

void conf_settings_free(struct conf_origin *o);

#endif
