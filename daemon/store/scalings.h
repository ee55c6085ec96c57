/* SPDX-License-Identifier: MIT */
/* How many workers each pool had, and why: every change that the supervisor reports, the last ones. */
#ifndef SKEP_STORE_SCALINGS_H
#define SKEP_STORE_SCALINGS_H

#include "daemon/store/batch.h"
#include "lib/ipc/codec.h"

#define SCALINGS_KEPT 10000

struct scalings {
	struct batch *batch;
	struct db_stmt *insert, *trim;
};

int scalings_open(struct scalings *s, struct batch *batch, struct err *err);

void scalings_add(struct scalings *s, const struct msg_scaled *m);

#endif
