/* SPDX-License-Identifier: MIT */
/* What people see of a run: the worker's slot on the board, and the log. */
#ifndef SKEP_WORKER_SHOW_H
#define SKEP_WORKER_SHOW_H

#include <sys/types.h>

#include "daemon/worker/delivery.h"
#include "lib/board/board.h"

void show_started(struct board_slot *slot, const struct delivery *d, pid_t pid);
void show_progress(struct board_slot *slot, int32_t percent, const char *note);
void show_ended(struct board_slot *slot, const struct delivery *d); /* d->end is filled in */

#endif
