/* SPDX-License-Identifier: MIT */
/*
 * Reads JSON where it lies: no tree, no copy. Strings are unescaped in place and end with a NUL in
 * the place of their closing quote, so the text is spoiled. For lines of a known shape that come by
 * the thousand; json.h is for everything else. As there, a string never holds a NUL byte.
 *
 *     scan_init(&s, text, n);
 *     for (scan_enter(&s); scan_member(&s, &name);)
 *             if (!slice_is(name, "id") || !scan_text(&s, &id))
 *                     scan_skip(&s);
 *     if (scan_failed(&s)) ...
 */
#ifndef SKEP_BASE_SCAN_H
#define SKEP_BASE_SCAN_H

#include "lib/base/base.h"

struct scan {
	char *p, *end; /* the next byte; behind the last */
	bool first;    /* of the members of the object that was entered last */
	bool failed;
};

void scan_init(struct scan *s, char *text, size_t n);

/* Each reads the value that comes next; false, with nothing read, when it is of another kind. */
bool scan_enter(struct scan *s); /* an object: its members come next */
bool scan_text(struct scan *s, struct slice *ret);
bool scan_int(struct scan *s, int64_t *ret);
void scan_skip(struct scan *s); /* whatever it is */

/* The name of the next member of the object; false at the object's end. */
bool scan_member(struct scan *s, struct slice *ret_name);

/* The text is not JSON, or (at_end) there is more of it than one value. */
bool scan_failed(const struct scan *s);
bool scan_at_end(struct scan *s);

#endif
