/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a delivery that asks before it starts: pure. The table of verdicts is in
 * docs/ARCHITECTURE.md
 * ("Claims"); here is its order, which is what decides when several rows fit.
 */
#ifndef SKEP_STORE_VERDICT_H
#define SKEP_STORE_VERDICT_H

#include "lib/ipc/codec.h"
#include "lib/job/job.h"

#define VERDICT_MANY_DELIVERIES                                                                    \
	5 /* x-delivery-count from which the broker is not left to count further */

struct verdict_facts {
	bool over;	   /* the job has ended here */
	bool cancelled;	   /* it was cancelled, or its cancel waits (a tombstone) */
	bool parcel_waits; /* a parcel of it other than the message's own: ready, delayed or
			      unroutable */
	bool runs;	   /* another run of it is open */
	bool nameless, redelivered, from_parcel;
	uint32_t deliveries;
	int64_t losses, max_losses;
	int64_t attempt;	 /* attempts that counted so far */
	int64_t retries;	 /* attempts that may follow the first */
	int64_t expires_wall_ms; /* JOB_NOT_GIVEN */
};

struct verdict_reading {
	enum verdict verdict;
	uint32_t attempt;     /* RUN: which one it is */
	bool alone;	      /* RUN: nothing is pipelined behind it */
	enum outcome outcome; /* BURY: as what */
	char reason[120];     /* BURY and TAKE: why */
};

void verdict_read(
    const struct verdict_facts *facts, int64_t now_wall_ms, struct verdict_reading *ret);

#endif
