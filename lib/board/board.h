/* SPDX-License-Identifier: MIT */
/*
 * The board: one memfd, a slot per process, for seeing what goes on without asking anybody. A slot is
 * written by its owner alone, as a whole: it fills the copy that is not shown and then flips the index, so
 * that a writer that dies half way leaves the last whole state. Readers check the index before and after.
 * Nothing that must be true is read from here. Behind the slots stands what the supervisor says of each pool.
 *
 * The supervisor makes the board and hands it out: writable to the roles, read-only to the gateway, not at
 * all to handlers.
 */
#ifndef SKEP_BOARD_BOARD_H
#define SKEP_BOARD_BOARD_H

#include "lib/base/err.h"
#include "lib/base/id.h"

#define BOARD_LAYOUT 5 /* changes with anything below, and in series.h */
#define BOARD_RUNS_MAX 4
#define BOARD_QUEUES_MAX 64 /* queues of the configuration whose depth is shown */

enum board_state { BOARD_FREE, BOARD_STARTING, BOARD_READY, BOARD_STOPPING };

#define BOARD_FLOWS_MAX 16 /* queues of a pool that are counted one by one; the last stands for all others */
#define BOARD_CHANGES_MAX 16

/* A run that goes on. */
struct board_run {
	struct id run;
	char queue[64], type[64]; /* cut */
	char job[256];
	uint32_t attempt;
	int32_t pid;
	int64_t since_wall_ms;
	int32_t progress; /* per cent, -1 unknown */
	char note[60];
};

/* What a worker had from one queue of its pool, by the queue's index there, since its start. */
struct board_flow {
	uint64_t delivered, ended; /* ended: runs, whatever their outcome */
	uint64_t run_us;           /* of these, together */
	uint32_t held, running;    /* now */
};

struct board_depth {
	int64_t at_wall_ms; /* 0: never asked */
	uint32_t ready, consumers;
	uint8_t missing; /* the queue does not exist */
	uint8_t paused;  /* by a person; the store says it */
	uint8_t parked;  /* set aside after an error: see the log */
};

struct board_slot {
	/* identity, written by the supervisor through its own copy at start: see board_assign() */
	uint32_t generation; /* which start of this slot */
	int32_t pid;
	uint8_t role;  /* enum role */
	uint8_t state; /* enum board_state */
	char pool[64], name[80];
	int64_t started_wall_ms;

	/* counters since the start of this process */
	uint64_t delivered, started, done, failed, released, published, confirmed, returned, commits, rows;
	uint8_t connected; /* to the broker (worker, courier) */
	uint8_t blocked;   /* by the broker's connection.blocked */
	uint8_t held;      /* the store: outcomes wait for disk space */
	uint32_t buffered; /* deliveries held and not running */
	uint32_t nruns;
	struct board_run runs[BOARD_RUNS_MAX];
	uint64_t parcels_ready, parcels_delayed; /* the store */
	struct board_depth depths[BOARD_QUEUES_MAX]; /* the courier, or the store, by queue index */
	struct board_flow flows[BOARD_FLOWS_MAX]; /* a worker */
	uint32_t prefetch; /* a worker: of each of its consumers now; 0: paused */
};

/* A change of how many workers a pool has. */
struct board_change {
	int64_t at_wall_ms;
	uint32_t from, to;
	char reason[200];
};

/* What the supervisor wants of a pool, by its index in the configuration. */
struct board_pool {
	uint32_t target, least, most;
	uint8_t rule;  /* enum conf_scale */
	uint8_t asked; /* by a person (skep scale), not the configuration */
	uint8_t watch; /* its queues' depths are wanted twice a second */
	int64_t since_wall_ms; /* it wants so many */
	char reason[200];      /* of the last look */
	uint64_t changes;      /* since the start of the node; the last ones, by number modulo the size: */
	struct board_change change[BOARD_CHANGES_MAX];
};

struct board;

/* Makes a board of so many slots and pools; its memfd is sealed against change of size. */
struct board *board_create(size_t slots, size_t pools, struct err *err);

/* Maps a board that was handed down. `writable` must agree with how the descriptor was opened. */
struct board *board_open(int fd, bool writable, struct err *err);
void board_close(struct board *b); /* unmaps; the descriptor of board_open() is not kept */

int board_fd(const struct board *b);          /* of board_create(): writable */
int board_fd_readonly(const struct board *b, struct err *err); /* a new descriptor */

size_t board_slots(const struct board *b);
size_t board_pools(const struct board *b);

/* The supervisor, before it starts a process in slot i: clears it and sets generation, role, pool, name. */
void board_assign(struct board *b, size_t i, const struct board_slot *identity);
void board_clear(struct board *b, size_t i); /* after its process is gone */

/* The owner: the draft of its own slot. Change it at will, then publish: readers see it whole. */
struct board_slot *board_draft(struct board *b, size_t i);
void board_publish(struct board *b, size_t i);

/* A reader: copies slot i as it was last published. False if the slot is free. */
bool board_read(const struct board *b, size_t i, struct board_slot *ret);

/* A pool: the supervisor shows it, anybody reads it. */
void board_show_pool(struct board *b, size_t i, const struct board_pool *pool);
void board_read_pool(const struct board *b, size_t i, struct board_pool *ret);
void *board_series(const struct board *b); /* the memory behind the slots: series.h */

#endif
