/* SPDX-License-Identifier: MIT */
/*
 * What the scaling policy is told of a pool, gathered from the board, the pool's crew and the kernel. A worker's
 * counters begin anew with each of its starts; those of the pool, kept here, only grow.
 */
#ifndef SKEP_DAEMON_SUPERVISOR_FACTS_H
#define SKEP_DAEMON_SUPERVISOR_FACTS_H

#include "lib/board/board.h"
#include "lib/conf/conf.h"
#include "lib/scale/scale.h"

struct supervisor;
struct crew;

/* What one child of the crew had counted when it was looked at last. */
struct facts_seen {
	uint32_t generation;
	struct board_flow flows[BOARD_FLOWS_MAX];
};

struct facts {
	struct scale_facts of; /* for the policy; of.now is the caller's */
	struct scale_queue *queues;
	uint64_t *run_us; /* by queue: of it only whole milliseconds are told */
	size_t nqueues;
	unsigned slots; /* jobs that a worker runs at once */
	struct facts_seen *seen; /* by the child's place in its crew */
	unsigned workers;        /* with a process */
	uint32_t own;            /* consumers of our own, the most of late */
	int64_t own_ms;          /* since when it is that */
};

void facts_init(struct facts *f, const struct conf *conf, const struct crew *crew);
void facts_free(struct facts *f);

void facts_gather(struct facts *f, const struct supervisor *s, const struct crew *crew);

/* Memory of all its workers. */
uint64_t facts_held_bytes(const struct facts *f);

#endif
