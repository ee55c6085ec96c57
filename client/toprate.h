/* SPDX-License-Identifier: MIT */
/*
 * Rates from counters that are looked at now and then: over the last TOPRATE_WINDOW_MS, or between
 * the last two looks where these are further apart. A counter that went back belongs to another
 * store: its rate begins anew.
 */
#ifndef SKEP_CLIENT_TOPRATE_H
#define SKEP_CLIENT_TOPRATE_H

#include "lib/base/base.h"

#define TOPRATE_WINDOW_MS 5000
#define TOPRATE_SAMPLES 32

struct toprate {
	struct toprate_sample {
		int64_t at_ms, done, failed;
	} samples[TOPRATE_SAMPLES];
	size_t n;
};

void toprate_add(struct toprate *r, int64_t at_ms, int64_t done, int64_t failed);

/* A second. False while there is nothing to compare. */
bool toprate_of(const struct toprate *r, double *ret_done, double *ret_failed);

/* Rates by name. */
struct toprate_book {
	struct toprate_entry {
		char *name;
		struct toprate rate;
	} * entries;
	size_t n;
};

/* That name's rate, made if need be; until the next one is made. */
struct toprate *toprate_named(struct toprate_book *book, const char *name);
void toprate_forget(struct toprate_book *book);

#endif
