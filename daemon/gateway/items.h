/* SPDX-License-Identifier: MIT */
/*
 * Many jobs in one request, a JSON array or one object a line: cut into the texts of the single
 * objects before anything is parsed. So a truncated request is refused as a whole, and no tree is
 * ever larger than one job's. The scan also bounds what the JSON parser would choke on: depth,
 * number of values, and \u0000, at which it would cut a string without a word. Pure.
 */
#ifndef SKEP_GATEWAY_ITEMS_H
#define SKEP_GATEWAY_ITEMS_H

#include "lib/base/err.h"

#define ITEMS_MAX 100000	/* jobs in one request */
#define ITEMS_DEPTH_MAX 200	/* nesting in one job */
#define ITEMS_VALUES_MAX 500000 /* values in one job: about 40 MiB as a tree */

enum items_form {
	ITEMS_ONE,   /* a single object */
	ITEMS_ARRAY, /* a JSON array */
	ITEMS_LINES, /* one object a line */
};

struct items {
	enum items_form form;
	struct slice text;
	size_t at;
	size_t line; /* of the last item, from 1 (ITEMS_LINES); its place in the array from 1 */
};

/* Cuts `text`; with `lines` false the form is ONE or ARRAY by its first character. Checks the whole
 * of an array or object for balance. -EINVAL with the offset, -E2BIG above ITEMS_MAX. */
int items_open(struct items *ret, bool lines, struct slice text, struct err *err);

/* 1: the next item, borrowed; 0: there are no more; -EINVAL: this line is beyond the bounds
 * (ITEMS_LINES only; go on with the next). */
int items_next(struct items *it, struct slice *ret, struct err *err);

#endif
