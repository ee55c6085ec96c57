/* SPDX-License-Identifier: MIT */
/* What people see of a run: the worker's slot on the board, and the log. */
#ifndef SKEP_WORKER_SHOW_H
#define SKEP_WORKER_SHOW_H

#include "daemon/worker/handlers.h"
#include "daemon/worker/intake.h"
#include "daemon/worker/shelf.h"
#include "lib/board/board.h"

/* All that run, as far as the slot has room. */
void show_runs(struct board_slot *slot, const struct shelf *shelf, const struct handlers *handlers);

/* A delivery has come from that source. */
void show_delivered(struct board_slot *slot, const struct source *source);

/* What each source has here now. */
void show_flows(struct board_slot *slot, const struct intake *in);

void show_ended(struct board_slot *slot, const struct delivery *d); /* d->end is filled in */

#endif
