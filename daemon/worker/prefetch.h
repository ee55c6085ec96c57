/* SPDX-License-Identifier: MIT */
/*
 * How many deliveries a worker asks for with `prefetch = auto`: about a second's work. Pure: the caller says what
 * happens and what time it is.
 *
 * The measure is what the worker can do, runs ended per second in which something ran, so that an empty queue does
 * not make it look slow. It is smoothed over PREFETCH_MEMORY_MS of such time. A run that does not end lowers it,
 * since time passes and nothing ends.
 *
 * One measure serves all queues of the worker, because a delivery waits for the worker, whatever queue it came
 * from: each queue's consumer gets an equal part of that second.
 */
#ifndef SKEP_WORKER_PREFETCH_H
#define SKEP_WORKER_PREFETCH_H

#include "lib/base/base.h"

#define PREFETCH_MAX 250         /* more gains nothing: RabbitMQ's own advice is 100 to 300 */
#define PREFETCH_MEMORY_MS 1000
#define PREFETCH_GROW 4          /* at most so many times what it was, */
#define PREFETCH_GROW_MS 200     /* at most so often; */
#define PREFETCH_LEAP 16         /* or so many times, */
#define PREFETCH_LEAP_MS 10      /* so often, */
#define PREFETCH_LEAP_RUNS 16    /* where so many runs, and no fewer than the prefetch, have shown meanwhile */
#define PREFETCH_LEAP_PER_MS 2   /* that there are so many in a millisecond: they wait for the broker above all */
#define PREFETCH_SHRINK_MS 1000
#define PREFETCH_BYTES (32 << 20) /* of bodies, by their mean, and of all queues */

struct prefetch {
	bool fixed;
	uint32_t value;  /* of each queue's consumer: the one thing to read */
	uint32_t slots;  /* runs at a time; never less than this is wanted */
	uint32_t queues;
	uint32_t running;
	int64_t seen_us;    /* when `running` was last told */
	int64_t ended_us;   /* when the last run ended, or one began where none was */
	int64_t changed_ms; /* or the first run began; 0: none has */
	uint32_t fresh;     /* runs that ended since then */
	double ended, body_bytes, busy_ms; /* each fades with busy time */
};

/* `value` is fixed, or with 0 adapts. Begins with `slots`, so that a worker of slow jobs never takes more than it can
 * run; one of fast jobs has all it can use after two changes, some tens of milliseconds. */
void prefetch_init(struct prefetch *p, uint32_t value, uint32_t slots, uint32_t queues);

/* So many run now. To be told of each change. */
void prefetch_running(struct prefetch *p, uint32_t running, int64_t now_us);
void prefetch_ended(struct prefetch *p, uint64_t body_bytes, int64_t now_us);

/* A job came whose handler runs so many at once. */
void prefetch_saw_slots(struct prefetch *p, uint32_t slots);

/* A second's work of one queue's consumer, within the bounds. */
uint32_t prefetch_wanted(const struct prefetch *p);

/* Looks whether it is time for another value. True if it has changed: only to at least twice or at most half of what
 * it was, since a change of prefetch is not free (lib/amqp/consumer.h). */
bool prefetch_update(struct prefetch *p, int64_t now_ms);

/* How long runs have gone on without one that ended; 0 when none goes on. */
int64_t prefetch_stuck_ms(const struct prefetch *p, int64_t now_us);

/* Begins again with `slots`, after a pause. */
void prefetch_restart(struct prefetch *p, int64_t now_ms);

#endif
