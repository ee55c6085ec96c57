/* SPDX-License-Identifier: MIT */
/* The parts of scale.c: what is learned of the queues, and the rule target_wait. */
#ifndef SKEP_SCALE_SCALE_WAIT_H
#define SKEP_SCALE_SCALE_WAIT_H

#include "lib/scale/scale.h"

/* All queues of a pool together. */
struct scale_sum {
	double load;       /* workers' worth of arrivals: rate x run time */
	double work;       /* seconds of run time that wait */
	double arrival;    /* per second */
	double service_ms; /* < 0: unknown */
	uint64_t backlog, running;
	unsigned foreign;
	bool coming;         /* jobs came between the last two depths */
	bool stale, unknown; /* some depth is old; none was ever read */
};

/* Reads the counters and depths into the memory. Once per decision. */
void scale_learn(const struct scale_facts *facts, struct scale_memory *memory);

struct scale_sum scale_sum(
    const struct scale_policy *p, const struct scale_facts *facts, const struct scale_memory *memory);

/* Workers that are needed now, by target_wait. What is above 0 is at least one. */
struct scale_need {
	double arrivals;          /* for what arrives all the time */
	double all;               /* for that and for what waits now */
	enum scale_reason reason; /* for wanting more than there are */
};

struct scale_need scale_wait_need(const struct scale_policy *p, const struct scale_facts *facts,
    const struct scale_sum *sum, struct scale_memory *memory, unsigned before);

#endif
