/* SPDX-License-Identifier: MIT */
/*
 * Identifiers that skep mints are UUID version 7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, then a
 * counter and random bits. They sort by time, which keeps the database's keys in append order.
 */
#ifndef SKEP_BASE_ID_H
#define SKEP_BASE_ID_H

#include "lib/base/base.h"

#define ID_BYTES 16
#define ID_TEXT_BYTES 37 /* 36 characters and the NUL */

struct id {
	uint8_t b[ID_BYTES];
};

/* Later calls of one thread give greater ids. */
struct id id_new(void);

char *id_format(char buf[static ID_TEXT_BYTES], struct id id);
int id_parse(struct slice text, struct id *ret_id); /* 0 or -EINVAL */

static inline bool id_eq(struct id a, struct id b)
{
	return memcmp(a.b, b.b, ID_BYTES) == 0;
}

static inline bool id_is_zero(struct id a)
{
	return id_eq(a, (struct id){{0}});
}

#endif
