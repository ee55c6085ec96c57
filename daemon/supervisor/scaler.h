/* SPDX-License-Identifier: MIT */
/*
 * How many workers each pool has: gathers what the board, the kernel and the crews tell, asks the policy
 * (lib/scale/scale.h), resizes the crews (crew.h), and shows on the board what it wants and why. Every change
 * is logged, kept in a ring on the board, and told to the store.
 */
#ifndef SKEP_DAEMON_SUPERVISOR_SCALER_H
#define SKEP_DAEMON_SUPERVISOR_SCALER_H

#include "lib/base/loop.h"
#include "lib/ipc/codec.h"

struct supervisor;
struct pool_scale;

struct scaler {
	unsigned magic;
	struct supervisor *s;
	struct loop_timer timer;
	struct pool_scale *pools; /* by their index in the configuration */
};

/* Starts each pool's least number of workers, and begins to look. The crews are there. */
void scaler_start(struct scaler *x, struct supervisor *s);
void scaler_stop(struct scaler *x);
void scaler_free(struct scaler *x);

/* `skep scale`: another range for a pool, or the configuration's again. -EPROTO for what the gateway
 * would not send. */
int scaler_ask(struct scaler *x, const struct msg_scale *m);

#endif
