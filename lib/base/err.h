/* SPDX-License-Identifier: MIT */
/*
 * Errors that are somebody else's fault travel upwards in a `struct err`: filled once, where the
 * fault is seen, and read once, where it is reported. Functions return 0 or a negative code (an
 * errno value, negated) and leave their `ret_` outputs alone on failure. lib/ never logs.
 */
#ifndef SKEP_BASE_ERR_H
#define SKEP_BASE_ERR_H

#include "lib/base/base.h"

#define ERR_TEXT_BYTES 400

struct err {
	int code; /* negative errno; 0 when nothing went wrong */
	char text[ERR_TEXT_BYTES];
};

/* Fills `e` (which may be NULL) and returns `code`, so that `return err_set(...)` reads well. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The same with the text of `errnum` (positive) appended: "cannot open 'x': Permission denied". */
int err_sys(struct err *e, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts words in front of an error that came from below. Returns its code. */
int err_prefix(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
