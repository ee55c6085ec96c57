/* SPDX-License-Identifier: MIT */
/* Envelopes and bodies, in a table of their own: parcels and jobs that are over point into it, each
 * row has one owner. */
#ifndef SKEP_STORE_BODIES_H
#define SKEP_STORE_BODIES_H

#include "daemon/store/batch.h"
#include "lib/base/buf.h"
#include "lib/job/envelope.h"

struct bodies {
	struct batch *batch;
	struct db_stmt *insert, *get, *drop;
	struct buf packed; /* scratch of the envelopes made here */
};

int bodies_open(struct bodies *b, struct batch *batch, struct err *err);
void bodies_close(struct bodies *b);

/* Keeps an envelope and a body (p == NULL: empty) for the job `id`: a packed envelope without that
 * id (the message had none, it was minted since) gets it, and none at all becomes one that says id
 * and type. Returns the body's id. */
int64_t bodies_add(
    struct bodies *b, struct slice id, struct slice type, struct slice envelope, struct slice data);

/* Packs and keeps an envelope of ours. */
int64_t bodies_add_job(struct bodies *b, const struct job *envelope, struct slice data);

/* Borrowed until bodies_done(). False: no such body (a fault of the database). */
bool bodies_get(struct bodies *b, int64_t body, struct slice *ret_envelope, struct slice *ret_data);
void bodies_done(struct bodies *b);

void bodies_drop(struct bodies *b, int64_t body); /* 0 is fine */

#endif
