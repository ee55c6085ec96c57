/* SPDX-License-Identifier: MIT */
/*
 * The deliveries that a worker holds, and every step that one of them can take. `waiting` is what
 * nobody was told of, `asked` what the store was asked for and has or has not cleared, both in
 * order of arrival. `active` is what a handler or the store has, until the store has answered. A
 * step that the store must hear of is noted in `owes` and sent by report_owed().
 */
#ifndef SKEP_WORKER_SHELF_H
#define SKEP_WORKER_SHELF_H

#include "daemon/worker/delivery.h"

struct shelf {
	struct list waiting, asked, active;
	uint64_t arrived; /* so many ever */
	uint32_t n[DELIVERY_STATE_COUNT]; /* how many are in each state */
	bool changed; /* since somebody last looked and cleared it */
};

void shelf_init(struct shelf *s);
void shelf_free(struct shelf *s); /* frees all deliveries, tells nobody */
bool shelf_is_empty(const struct shelf *s);

void shelf_add(struct shelf *s, struct delivery *d); /* takes it; an urgent one goes first */
void shelf_add_cleared(struct shelf *s, struct delivery *d); /* takes it: its verdict is RUN */
struct delivery *shelf_find(struct shelf *s, struct id run); /* among those asked for and active */

void shelf_ask(struct shelf *s, struct delivery *d);
void shelf_cleared(struct shelf *s, struct delivery *d);
void shelf_ahead(struct shelf *s, struct delivery *d);
void shelf_back(struct shelf *s, struct delivery *d); /* from ahead to where it was */
void shelf_running(struct shelf *s, struct delivery *d);
void shelf_take(struct shelf *s, struct delivery *d, const char *reason); /* also while it runs */
void shelf_record(struct shelf *s, struct delivery *d);                   /* d->end is filled in */

/* Ends a delivery whose handler was not started. */
void shelf_bury(struct shelf *s, struct delivery *d, enum outcome outcome, const char *why);
/* Its type has no handler here: recorded as dead, and why. */
void shelf_bury_unhandled(struct shelf *s, struct delivery *d);

/* It goes to the store as it is; what cannot be read is recorded as dead. */
void shelf_carry(struct shelf *s, struct delivery *d);

/* How many are here and neither run nor have run. */
uint32_t shelf_buffered(const struct shelf *s);

/* Hands back a delivery that the store has cleared: its claim is open and must be closed. */
void shelf_release(struct shelf *s, struct delivery *d);

/* The last step; the source is told, unless it has been. The delivery is freed. */
void shelf_acked(struct shelf *s, struct delivery *d);
void shelf_requeued(struct shelf *s, struct delivery *d);

/* Tells the source alone: the run goes on. */
void shelf_ack_early(struct delivery *d);

/* Since when the first that has not begun does wait, monotonic; INT64_MAX: none does. */
int64_t shelf_waits_since_ms(const struct shelf *s);

/* Forgets what waits from `source`, which has it again by itself. */
void shelf_forget_waiting(struct shelf *s, const struct source *source);

/* Gives back what waits, or is cleared, from `source` (NULL: from all). Returns how many. */
uint32_t shelf_hand_back(struct shelf *s, const struct source *source);

/* job=... type=..., as every log line about a job begins. */
#define SHELF_JOB_FMT "job=" SLICE_FMT " type=" SLICE_FMT
#define SHELF_JOB_ARG(d) SLICE_ARG((d)->job.id), SLICE_ARG((d)->type)

#endif
