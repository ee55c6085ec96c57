/* SPDX-License-Identifier: MIT */
/* Wakes the store when the first delayed parcel is due, and whenever the wall clock is set. */
#ifndef SKEP_STORE_DUE_H
#define SKEP_STORE_DUE_H

#include "daemon/store/ledger.h"
#include "lib/base/loop.h"

struct due {
	unsigned magic;
	struct ledger *ledger;
	struct loop_timer timer;
	struct loop_io
	    step; /* a timer of the kernel's that ends when the clock is set; fd -1: none */
	int fd;
	int64_t armed_ms; /* the wall-clock time that the timer stands for */
};

void due_start(struct due *d, struct loop *loop, struct ledger *ledger);
void due_stop(struct due *d);

/* At the end of a turn: sets the timer if the first due time has changed. */
void due_turn(struct due *d);

#endif
