/* SPDX-License-Identifier: MIT */
/*
 * The target of an HTTP request, split and decoded: the segments of its path and the parameters of
 * its query. Splitting comes before decoding, so that a job's id may hold a slash (as %2F). Pure.
 */
#ifndef SKEP_GATEWAY_TARGET_H
#define SKEP_GATEWAY_TARGET_H

#include "lib/base/err.h"

#define TARGET_SEGMENTS_MAX 8
#define TARGET_PARAMS_MAX 24

struct target_param {
	struct slice name, value;
};

struct target {
	char *text; /* what the slices point into */
	struct slice segments[TARGET_SEGMENTS_MAX];
	size_t nsegments;
	struct target_param params[TARGET_PARAMS_MAX];
	size_t nparams;
};

/* Reads `/a/b?c=d&e=f`. -EINVAL with the reason: no leading slash, a bad %-escape, too many parts,
 * a parameter given twice. Also then target_free() is due. */
int target_parse(struct target *ret, const char *uri, struct err *err);
void target_free(struct target *t);

/* The value of a parameter; p == NULL when it is absent. */
struct slice target_param(const struct target *t, const char *name);

#endif
