/* SPDX-License-Identifier: MIT */
/*
 * How many workers a pool should have: pure, no clock, no I/O, no allocation. The caller gathers facts every few
 * seconds, asks scale_decide() for each pool, lets scale_share() divide the machine, and does what comes out. The
 * simulator (skep-sim) asks the same function.
 *
 *   fixed         the minimum
 *   queue_depth   ready / jobs_per_worker, rounded up; fewer only after a cooldown
 *   target_wait   as many as keep the wait of a job below target_wait_ms (the formula: scale_wait.c)
 *
 * Every fact may be missing, old or wrong: what comes out is between minimum and maximum whatever goes in.
 */
#ifndef SKEP_SCALE_SCALE_H
#define SKEP_SCALE_SCALE_H

#include "lib/base/base.h"

#define SCALE_QUEUES_MAX 64     /* of a pool; those above are not looked at */
#define SCALE_WORKERS_MAX 65536 /* bounds every number of workers that is read here */
#define SCALE_EXPLAIN_BYTES 320
#define SCALE_POLL_MS 2000     /* between two decisions of a pool */
#define SCALE_POLL_FAST_MS 250 /* while it has no worker, grows, or more waits than is tolerated */

enum scale_rule { SCALE_FIXED, SCALE_QUEUE_DEPTH, SCALE_TARGET_WAIT };

enum scale_reason {
#define SCALE_REASON(name, word, text) SCALE_REASON_##name,
#include "lib/scale/reasons.def"
#undef SCALE_REASON
	SCALE_REASON_COUNT
};

enum scale_cap {
#define SCALE_CAP(name, word, text) SCALE_CAP_##name,
#include "lib/scale/caps.def"
#undef SCALE_CAP
	SCALE_CAP_COUNT
};

/* What the pool's owner wants. A 0 in a field marked with a default stands for that default. */
struct scale_policy {
	enum scale_rule rule;
	unsigned min, max;    /* workers; a min of 0 is allowed, a max below min counts as min */
	unsigned concurrency; /* jobs that a worker runs at once (1) */

	/* target_wait */
	int64_t target_wait_ms; /* 99 of 100 jobs are to start within it (5000) */
	int64_t hold_ms; /* what is not needed any more is kept so long (30000); longer where workers came back */

	/* queue_depth */
	unsigned jobs_per_worker;      /* ready jobs for which one worker is wanted (10) */
	uint64_t grow_above;           /* grows only while more than these are ready */
	uint64_t shrink_below;         /* shrinks only while fewer than these are ready (jobs_per_worker) */
	int64_t cooldown_ms;           /* from the last change or the last need until it shrinks (60000) */

	/* both */
	int64_t stale_ms;         /* depths that are older hold the target (15000) */
	uint64_t memory_reserve;  /* bytes that are to stay free (64 MiB) */
	double memory_pressure;   /* per cent of PSI memory, some avg10, above which nothing grows (20) */
	double cpu_pressure;      /* the same of cpu (90); 100 and more: never */
};

/* One queue of the pool. Counters only grow; one that falls (a worker was restarted, and its slot of the board
 * cleared) costs one interval. They are taken over all workers of the pool, the draining ones, too. */
struct scale_queue {
	uint64_t ready;     /* messages that no consumer has */
	int64_t ready_at;   /* monotonic ms when that was read; < 0: never */
	uint64_t delivered; /* counter: given to workers of this pool */
	uint64_t returned;  /* counter: of those, given back to the queue unfinished */
	uint64_t finished;  /* counter: runs that ended here */
	uint64_t run_ms;    /* counter: how long these ran, summed */
	unsigned running;   /* runs under way here */
	uint64_t run_age_ms; /* how long these have run so far, summed */
	uint64_t held;      /* deliveries here that wait behind others */
	unsigned foreign;   /* consumers of other nodes and pools; each counts as one worker of ours */
	bool paused;        /* nobody takes from it: neither arrivals nor backlog count */
};

struct scale_facts {
	int64_t now; /* monotonic ms */
	const struct scale_queue *queues; /* in an order that stays the same while `epoch` does */
	size_t nqueues;
	uint32_t epoch; /* changed by the caller when the list of queues changes: counters start anew */

	unsigned starting; /* workers that do not take jobs yet */
	unsigned idle;     /* ready, without a job */
	unsigned busy;     /* ready, with one or more */
	unsigned draining; /* told to leave */
	int64_t start_ms;  /* from fork until a worker takes jobs, warmup included, as observed; < 0: unknown */

	/* The machine; each < 0 if unknown. */
	int64_t memory_available; /* bytes: MemAvailable */
	int64_t cgroup_limit, cgroup_used; /* bytes; the limit < 0 if there is none */
	int64_t worker_rss;       /* bytes of one worker with its handlers */
	double psi_memory, psi_cpu; /* "some avg10", per cent */
};

/* What is known of a queue from earlier calls. */
struct scale_seen {
	uint64_t ready, delivered, returned, finished, busy_ms;
	int64_t at, ready_at;   /* of the last call and of the last fresh depth */
	double flow;            /* deliveries since the last fresh depth, those of other nodes included */
	double rate;            /* arrivals per second, smoothed */
	int64_t came_at;        /* of the last depth that showed arrivals */
	double busy_s, ended;   /* recent run time, and the runs that ended in it */
	double last_busy_s, last_ended; /* the same, of the last few seconds */
	bool known;             /* the counters have been read once */
};

/* A number of workers that follows what is wanted: up at once, down to the most that was wanted during a hold. */
struct scale_level {
	unsigned n;
	int64_t needed_at;    /* when as many as now were wanted last */
	unsigned low;         /* the most that was wanted since then */
	int64_t changed_at;
	int64_t shrunk_at;
	unsigned shrunk_from; /* how many there were before */
	unsigned penalty;     /* how often it had to grow again soon after */
};

/* What a pool remembers between two calls. Starts as zero; belongs to one pool and one caller. */
struct scale_memory {
	bool known; /* there was a call */
	uint32_t epoch;
	int64_t now;           /* of the last call */
	unsigned target;       /* of the last call, as granted */
	int64_t excess_at;     /* since when more waits than is tolerated; 0: it does not */
	struct scale_level lasting; /* what arrivals ask for, or the depth */
	struct scale_level passing; /* that and what waits now */
	struct scale_seen queues[SCALE_QUEUES_MAX];
};

/* The answer, with the figures that explain it. */
struct scale_decision {
	unsigned target; /* min..max */
	unsigned before; /* the workers that are there now, without those that drain */
	enum scale_reason reason;
	enum scale_cap cap;   /* what kept it below `need` */
	double need;          /* workers; of this pool alone, its share beside other nodes */
	double load;          /* the part of it that arrivals ask for: arrival rate x run time */
	double arrival;       /* jobs a second, all queues */
	double service_ms;    /* mean run time; < 0: not known yet */
	uint64_t backlog;     /* jobs that wait: ready and held */
	double wait_ms;       /* expected wait of a job that came now, with the workers of now; < 0: unknown */
	unsigned foreign;     /* consumers of others on these queues, at most */
	int64_t hold_left_ms; /* reason hold or cooldown: until it would shrink */
	int64_t poll_ms;      /* when to ask again: SCALE_POLL_MS or SCALE_POLL_FAST_MS */
};

/* The policy with every default filled in and every bound kept. scale_decide() does that by itself; this is for
 * those who show it. */
struct scale_policy scale_policy_complete(const struct scale_policy *policy);

/* Decides, and remembers. To be called with every poll, also while nothing changes. */
struct scale_decision scale_decide(
    const struct scale_policy *policy, const struct scale_facts *facts, struct scale_memory *memory);

/* One pool's wish in scale_share(). */
struct scale_claim {
	unsigned min;     /* kept whatever the room is */
	unsigned want;    /* its target */
	uint64_t cost;    /* of one worker, in units of the room: 1, or bytes */
	unsigned granted; /* the answer: min <= granted <= want (a want below min counts as min) */
};

/* Divides `room` (workers, or bytes) between pools: each its minimum, and of the rest in proportion to what each
 * wants above it, whole workers, what remains to those that lack the largest part of one. */
void scale_share(struct scale_claim *claims, size_t n, uint64_t room);

/* Bytes for workers of all pools: what is free now beside the reserve, and what the workers have that are there
 * (`held_bytes`). UINT64_MAX: nothing is known, no bound. */
uint64_t scale_room_bytes(const struct scale_policy *policy, const struct scale_facts *facts, uint64_t held_bytes);

/* Notes that the pool gets only `granted` workers of those that scale_decide() asked for. */
void scale_grant(struct scale_decision *decision, struct scale_memory *memory, unsigned granted);

/* One line for people: "jobs would wait longer than the target (31.2/s arrive, 102 ms each, ...)". Returns buf. */
char *scale_explain(
    char buf[static SCALE_EXPLAIN_BYTES], const struct scale_policy *policy, const struct scale_decision *d);

const char *scale_rule_word(enum scale_rule rule); /* fixed, queue_depth, target_wait */
bool scale_rule_parse(struct slice word, enum scale_rule *ret);
const char *scale_reason_word(enum scale_reason reason);
const char *scale_reason_text(enum scale_reason reason);
const char *scale_cap_word(enum scale_cap cap);
const char *scale_cap_text(enum scale_cap cap);

#endif
