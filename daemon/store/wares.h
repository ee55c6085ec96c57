/* SPDX-License-Identifier: MIT */
/* A parcel with its job and its body, read by one query: what it takes to deal one from the embedded queue. */
#ifndef SKEP_STORE_WARES_H
#define SKEP_STORE_WARES_H

#include "daemon/store/jobs.h"
#include "daemon/store/parcels.h"

struct wares {
	struct batch *batch;
	struct jobs *jobs;
	struct db_stmt *get;
};

struct ware {
	struct parcel_row parcel;
	bool has_job;
	struct job_row job;
	struct job_names names; /* in `text` */
	uint8_t text[JOBS_TEXT_BYTES];
	struct slice envelope, body; /* the database's, until wares_done(); envelope.p == NULL: there is no body */
};

int wares_open(struct wares *w, struct batch *batch, struct jobs *jobs, struct err *err);

/* False: no such parcel. */
bool wares_get(struct wares *w, int64_t parcel, struct ware *ret);
void wares_done(struct wares *w);

#endif
