/* SPDX-License-Identifier: MIT */
/*
 * The types of options: how each is read from text, bounded, and written back. The rows of
 * options.def become `struct conf_option`, the sections `struct conf_kind`.
 */
#ifndef SKEP_CONF_CONF_TYPES_H
#define SKEP_CONF_CONF_TYPES_H

#include "lib/conf/conf.h"

enum conf_type {
	CONF_TEXT,
	CONF_PATH,
	CONF_WORDS,
	CONF_URLS,
	CONF_COMMAND,
	CONF_ENV,
	CONF_INT,
	CONF_AUTO,
	CONF_RANGE,
	CONF_DURATION,
	CONF_SIZE,
	CONF_BOOL,
	CONF_LEVEL,
	CONF_TOPOLOGY,
	CONF_QUEUE_TYPE,
	CONF_SCALE,
	CONF_BACKOFF,
	CONF_EXITS,
	CONF_TYPE_COUNT
};

struct conf_option {
	const char *name;
	enum conf_type type;
	size_t offset;
	const char *fallback; /* the default, as text */
	int64_t least, most;  /* both 0: unbounded */
	const char *doc;
};

/* Reads `text` into the field; what was there before is freed. -EINVAL with what is wrong (without
 * the name of the option), and the field as it was. */
int conf_type_parse(const struct conf_option *o, void *field, const char *text, struct err *err);

/* Appends the value as a file has it; without `secrets` passwords become ***. -EINVAL if no file
 * can have it (a line break, a comment sign), -ENOBUFS. */
int conf_type_format(const struct conf_option *o, const void *field, bool secrets, struct buf *out);

void conf_type_free(const struct conf_option *o, void *field);

#endif
