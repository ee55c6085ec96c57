/* SPDX-License-Identifier: MIT */
/*
 * How the kernel shares out the CPU to a worker (sched(7)).
 *
 * Under SCHED_BATCH a process has the same share of the CPU as under SCHED_OTHER, but when it wakes it does not
 * preempt what is running there. A worker that is woken by each packet otherwise interrupts the broker that is just
 * about to send more: then everybody works in small pieces. Where a CPU is idle nothing waits longer.
 */
#ifndef SKEP_WORKER_SCHEDULING_H
#define SKEP_WORKER_SCHEDULING_H

#include "lib/base/base.h"

/* This process is SCHED_BATCH from now on, if skepd was started as SCHED_OTHER: whoever gave it another policy wants
 * that one. Once, before any handler. */
void scheduling_begin(void);

/* It is: a handler must be set back to SCHED_OTHER, since it is to run as skepd was started. */
bool scheduling_is_batch(void);

#endif
