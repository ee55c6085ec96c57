/* SPDX-License-Identifier: MIT */
/*
 * What a worker holds beside what it runs, kept right while it works: prefetch.h says how much to ask for, and this
 * asks for it. And what has waited for more than a second behind a run that does not end is handed back when another
 * worker of the pool is idle. Only with `prefetch = auto`.
 *
 *     first the consumers are paused, so that the broker cannot give it right back; once that is confirmed, what still
 *     waits is requeued; when a run has ended, the worker asks again, for few
 *
 * That somebody is idle is read from the board, which may be out of date by then: at worst a delivery is counted that
 * helped nobody. So it is done for those alone that nobody was told of, and not before a second has passed.
 */
#ifndef SKEP_WORKER_BALANCE_H
#define SKEP_WORKER_BALANCE_H

#include "daemon/process.h"
#include "daemon/worker/intake.h"
#include "daemon/worker/dispatch.h"
#include "daemon/worker/prefetch.h"

struct balance;

/* All borrowed for life; it lives as long as the process. */
struct balance *balance_new(struct process *p, struct prefetch *prefetch, struct dispatch *dispatch,
    struct intake *intake);

void balance_look(struct balance *b); /* what is held or runs has changed */

#endif
