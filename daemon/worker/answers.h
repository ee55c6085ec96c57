/* SPDX-License-Identifier: MIT */
/*
 * What the store answers to what it was told of a delivery: VERDICT, TAKEN, RECORDED. Only here is
 * a source told that a delivery is dealt with (invariant 1).
 */
#ifndef SKEP_WORKER_ANSWERS_H
#define SKEP_WORKER_ANSWERS_H

#include "daemon/worker/shelf.h"

/* An answer to a run that is not known here, or not waited for any more, is passed over. -EPROTO
 * if the frame is no answer. `stopping`: what is cleared now is handed back. */
int answers_frame(struct shelf *s, struct frame *f, bool stopping);

#endif
