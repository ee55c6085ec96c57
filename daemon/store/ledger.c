/* SPDX-License-Identifier: MIT */
#include "daemon/store/ledger.h"

#include <errno.h>

#include "daemon/store/tally.h"

#define RETRIES_MAX 1000
#define RETRIES_DEFAULT                                                                            \
	8 /* of a type that has no handler here (any more): as options.def has it                  \
	   */

static int read_claims(struct ledger *l, struct err *err)
{
	static const char *const names[] = {"claim_insert", "claim_delete", "claim_list"};
	struct db_stmt *s[ARRAY_SIZE(names)];
	int rc = batch_prepare(&l->batch, names, ARRAY_SIZE(names), s, err);

	if (rc < 0)
		return rc;
	l->claim_insert = s[0];
	l->claim_delete = s[1];
	while (batch_row(&l->batch, s[2])) {
		struct claim_names job = {db_text(s[2], 4), db_text(s[2], 5), db_text(s[2], 6)};
		struct slice run_id = db_blob(s[2], 0);
		struct claim *claim;
		struct id run;

		if (run_id.n != sizeof run.b)
			return err_set(err, -EUCLEAN, "a claim in the database has no run id");
		memcpy(run.b, run_id.p, sizeof run.b);
		claim = claims_open(&l->claims, NULL, run, &job);
		claim->job = db_int(s[2], 1);
		claim->started_wall_ms = db_int(s[2], 2);
		claim->begun = true; /* nobody knows */
		claim->attempt = (uint32_t)db_int(s[2], 7) + 1;
		slice_copy(claim->worker, sizeof claim->worker, db_text(s[2], 3));
		if (db_int(s[2], 8) > 0)
			claims_suspect(&l->claims, claim);
	}
	return 0;
}

int ledger_open(struct ledger *l, const char *path, const struct conf *conf,
    const struct ledger_events *events, void *arg, int64_t now_wall_ms, struct err *err)
{
	int rc;

	*l = (struct ledger){.conf = conf, .events = events, .arg = arg};
	lanes_init(&l->lanes);
	claims_init(&l->claims);
	tally_open(l, now_wall_ms);
	if ((rc = db_open(path, DB_WRITER, &l->db, err)) < 0 ||
	    (rc = batch_open(&l->batch, l->db, err)) < 0 ||
	    (rc = jobs_open(&l->jobs, &l->batch, err)) < 0 ||
	    (rc = bodies_open(&l->bodies, &l->batch, err)) < 0 ||
	    (rc = parcels_open(&l->parcels, &l->batch, &l->bodies, &l->lanes, now_wall_ms, err)) <
		0 ||
	    (rc = wares_open(&l->wares, &l->batch, &l->jobs, err)) < 0 ||
	    (rc = tombs_open(&l->tombs, &l->batch, err)) < 0 ||
	    (rc = pauses_open(&l->pauses, &l->batch, err)) < 0 ||
	    (rc = scalings_open(&l->scalings, &l->batch, err)) < 0 || (rc = read_claims(l, err)) < 0)
		return rc;
	l->tombs.changed = events->tombs;
	l->tombs.arg = arg;
	return 0;
}

void ledger_close(struct ledger *l)
{
	if (l->db)
		batch_commit(&l->batch);
	claims_free(&l->claims);
	series_free(l->series);
	l->series = NULL;
	tombs_close(&l->tombs);
	pauses_close(&l->pauses);
	bodies_close(&l->bodies);
	parcels_close(&l->parcels);
	jobs_close(&l->jobs);
	lanes_free(&l->lanes);
	db_close(l->db);
	l->db = NULL;
}

void ledger_claim_keep(struct ledger *l, struct claim *claim, int64_t seq)
{
	struct db_stmt *s = l->claim_insert;

	if (claim->job == seq)
		return;
	claim->job = seq;
	db_bind_blob(s, 1, slice_of(claim->run.b, sizeof claim->run.b));
	db_bind_int(s, 2, seq);
	db_bind_int(s, 3, claim->started_wall_ms);
	db_bind_text(s, 4, slice_str(claim->worker));
	batch_write(&l->batch, s, 0);
}

void ledger_claim_close(struct ledger *l, struct claim *claim)
{
	if (claim && claim->job) {
		db_bind_blob(l->claim_delete, 1, slice_of(claim->run.b, sizeof claim->run.b));
		batch_write(&l->batch, l->claim_delete, 0);
	}
	claims_close(&l->claims, claim);
}

int64_t ledger_retries(const struct ledger *l, struct slice type, int64_t asked)
{
	const struct conf_handler *h = conf_handler(l->conf, type);

	if (asked == JOB_NOT_GIVEN)
		return h ? h->retries : RETRIES_DEFAULT;
	return asked < 0 ? 0 : asked > RETRIES_MAX ? RETRIES_MAX : asked;
}

struct backoff ledger_backoff(const struct ledger *l, struct slice type)
{
	const struct conf_handler *h = conf_handler(l->conf, type);

	return h ? h->backoff : (struct backoff){.kind = BACKOFF_SIDEKIQ};
}
