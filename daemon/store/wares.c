/* SPDX-License-Identifier: MIT */
#include "daemon/store/wares.h"

enum { JOB = PARCELS_COLUMNS, NAMES = JOB + JOBS_COLUMNS, BODY = NAMES + 3 };

int wares_open(struct wares *w, struct batch *batch, struct jobs *jobs, struct err *err)
{
	static const char *const names[] = {"ware_get"};

	*w = (struct wares){.batch = batch, .jobs = jobs};
	return batch_prepare(batch, names, ARRAY_SIZE(names), &w->get, err);
}

bool wares_get(struct wares *w, int64_t parcel, struct ware *ret)
{
	db_reset(w->get); /* one that was left open */
	db_bind_int(w->get, 1, parcel);
	if (!batch_row(w->batch, w->get))
		return false;
	parcels_read(w->get, 0, &ret->parcel);
	ret->has_job = !db_is_null(w->get, JOB);
	if (ret->has_job) {
		jobs_read(w->jobs, w->get, JOB, &ret->job);
		jobs_read_names(w->get, NAMES, &ret->names, ret->text);
	}
	ret->envelope = db_blob(w->get, BODY);
	ret->body = db_blob(w->get, BODY + 1);
	return true;
}

void wares_done(struct wares *w)
{
	db_reset(w->get);
}
