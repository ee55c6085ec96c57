/* SPDX-License-Identifier: MIT */
/*
 * Where deliveries come from, as those who work on them see it: one queue, and the two ways to give
 * a delivery back. consume.h has the sources that are queues of a broker,
 * dealt.h those of the embedded queue.
 */
#ifndef SKEP_WORKER_SOURCE_H
#define SKEP_WORKER_SOURCE_H

#include "lib/conf/conf.h"

/* Names a delivery to its source. One of an earlier session is void: its source has it again by
 * itself, and whatever is said of it is dropped. */
struct source_tag {
	uint32_t session;
	uint64_t delivery;
};

struct source;

struct source_ops {
	void (*ack)(struct source *s, struct source_tag tag);     /* it is dealt with for good */
	void (*requeue)(struct source *s, struct source_tag tag); /* somebody else may have it */
};

struct source {
	const struct source_ops *ops;   /* NULL: all that it delivers is settled from the start */
	const struct conf_queue *queue; /* borrowed for life */
	size_t index; /* of that queue in the pool */
	uint32_t held, running; /* deliveries that wait here, and runs that go on: the shelf counts */
	bool paused; /* nothing of it is started */
	bool ask; /* every delivery waits for the store's verdict */
};

#endif
