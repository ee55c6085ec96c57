/* SPDX-License-Identifier: MIT */
/*
 * The two ways that a client may go: to a node (via_node.c) or to a broker (via_broker.c). What they have
 * in common is checked and minted in client.c before either is asked.
 */
#ifndef SKEP_CLIENT_LIBSKEP_VIA_H
#define SKEP_CLIENT_LIBSKEP_VIA_H

#include "include/skep/client.h"
#include "lib/base/base.h"

struct skep_client {
	const struct via_ops *ops;
	int64_t timeout_ms;
};

struct via_ops {
	/* Ends every job whose error.code is SKEP_OK: leaves it so, or fills its error. */
	void (*submit)(struct skep_client *client, struct skep_submission *jobs, size_t n);
	/* As skep_wait(); *ret is empty at first, and `error` is not NULL. */
	enum skep_code (*wait)(struct skep_client *client, const char *id, const char *queue,
	    int64_t timeout_ms, struct skep_result *ret, struct skep_error *error);
	void (*close)(struct skep_client *client);
};

/* Fills `e` and returns `code`. */
enum skep_code via_fail(struct skep_error *e, enum skep_code code, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* The end of a job by the name of its state; 0 if it is not over. */
enum skep_state via_state(struct slice name);

/* When a call that may take so long has to end (CLOCK_MONOTONIC); never, for a negative time. */
int64_t via_deadline(int64_t timeout_ms);

#endif
