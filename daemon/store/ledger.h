/* SPDX-License-Identifier: MIT */
/*
 * The books of a node, opened together: the tables and what is kept in memory beside them. What the
 * entries mean is decided by those who write in them: asks.h (claims), record.h (outcomes, losses),
 * takes.h, requests.h (submit, retry, cancel, pause), deals.h (parcels to the courier), serve.h (to
 * workers), sweep.h.
 */
#ifndef SKEP_STORE_LEDGER_H
#define SKEP_STORE_LEDGER_H

#include "daemon/store/claims.h"
#include "daemon/store/jobs.h"
#include "daemon/store/parcels.h"
#include "daemon/store/pauses.h"
#include "daemon/store/scalings.h"
#include "daemon/store/tombs.h"
#include "daemon/store/wares.h"
#include "lib/board/series.h"
#include "lib/conf/conf.h"

/* What happens in the books and somebody outside must hear of. None of them may be NULL. */
struct ledger_events {
	/* a job has ended */
	void (*over)(void *arg, const struct job_names *job, enum job_state state);
	/* a run is to end */
	void (*cancel)(void *arg, const struct claim *claim);
	/* a queue was paused, or resumed */
	void (*paused)(void *arg, struct slice queue, bool paused);
	/* see tombs.h */
	void (*tombs)(void *arg, struct slice queue, bool any);
};

struct ledger {
	struct db *db;
	struct batch batch;
	struct jobs jobs;
	struct bodies bodies;
	struct lanes lanes;
	struct parcels parcels;
	struct wares wares;
	struct claims claims;
	int64_t suspect_wall_ms; /* when the last suspect was started (asks.h) */
	struct tombs tombs;
	struct pauses pauses;
	struct scalings scalings;
	struct series *series; /* counts, for the board: tally.h */
	struct db_stmt *claim_insert, *claim_delete;
	const struct conf *conf;
	const struct ledger_events *events;
	void *arg;
};

/* Opens the database (making it if need be) and reads what is kept in memory: durable claims are
 * open, with no owner. conf and events are borrowed for life. */
int ledger_open(struct ledger *l, const char *path, const struct conf *conf,
    const struct ledger_events *events, void *arg, int64_t now_wall_ms, struct err *err);

/* Commits and closes. Also for one that ledger_open() has left half open. */
void ledger_close(struct ledger *l);

/* Writes a claim into its table too, under the row of its job. */
void ledger_claim_keep(struct ledger *l, struct claim *claim, int64_t seq);

/* Closes a claim, in both places. NULL is fine. */
void ledger_claim_close(struct ledger *l, struct claim *claim);

/* How many attempts may follow the first: what the job asks for (JOB_NOT_GIVEN: its handler's), and
 * the wait. */
int64_t ledger_retries(const struct ledger *l, struct slice type, int64_t asked);
struct backoff ledger_backoff(const struct ledger *l, struct slice type);

#endif
