/* SPDX-License-Identifier: MIT */
/* The books of a store on a real database in a temporary directory, for the tests of the modules
 * that write in them. */
#ifndef SKEP_TESTS_STORE_BOOKS_H
#define SKEP_TESTS_STORE_BOOKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "daemon/store/asks.h"
#include "daemon/store/deals.h"
#include "daemon/store/record.h"
#include "daemon/store/requests.h"
#include "daemon/store/sweep.h"
#include "daemon/store/takes.h"
#include "lib/base/log.h"

#define START 1700000000000 /* the wall clock when a test begins */

struct books {
	char dir[48], path[64];
	struct conf *conf;
	struct ledger l;
	struct claim_owner worker;
	int64_t now;
	/* what the ledger has told */
	unsigned over, cancels;
	enum job_state ended_as;
	struct id cancelled;
	int asks; /* queues that have tombstones */
};

static void books_over(void *arg, const struct job_names *job UNUSED, enum job_state state)
{
	struct books *b = arg;

	b->over++;
	b->ended_as = state;
}

static void books_cancel(void *arg, const struct claim *claim)
{
	struct books *b = arg;

	b->cancels++;
	b->cancelled = claim->run;
}

static void books_tombs(void *arg, struct slice queue UNUSED, bool any)
{
	struct books *b = arg;

	b->asks += any ? 1 : -1;
}

static void books_open(struct books *b)
{
	static const struct ledger_events events = {
	    .over = books_over, .cancel = books_cancel, .tombs = books_tombs};
	struct err err = {0};

	claims_owner_init(&b->worker);
	if (ledger_open(&b->l, b->path, b->conf, &events, b, b->now, &err) < 0)
		fail_msg("%s", err.text);
}

/* As after a crash of the store; all that was committed is there. */
static inline void books_reopen(struct books *b)
{
	ledger_close(&b->l);
	books_open(b);
}

static int books_setup(void **state)
{
	static const char text[] =
	    "[broker]\nurl = amqp://127.0.0.1/\n"
	    "[pool default]\nqueues = q with\n"
	    "[queue with]\nhandler = now\n"
	    "[handler t]\ncommand = /bin/true\nretries = 2\nbackoff = fixed 10s\n"
	    "[handler now]\ncommand = /bin/true\nretries = 2\nbackoff = none\n";
	struct books *b = xcalloc(1, sizeof *b);
	struct err err = {0};

	log_open("test", LOG_ERROR);
	snprintf(b->dir, sizeof b->dir, "/tmp/test_store.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof b->path, "%s/skep.db", b->dir);
	b->conf = conf_parse(slice_str(text), "/test.conf", &err);
	if (!b->conf)
		fail_msg("%s", err.text);
	b->now = START;
	books_open(b);
	*state = b;
	return 0;
}

static int books_teardown(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
	struct books *b = *state;

	ledger_close(&b->l);
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		char name[80];

		snprintf(name, sizeof name, "%s%s", b->path, suffixes[i]);
		unlink(name);
	}
	rmdir(b->dir);
	conf_free(b->conf);
	free(b);
	return 0;
}

#define BOOKS_TEST(f) cmocka_unit_test_setup_teardown(f, books_setup, books_teardown)

static inline struct id run_id(unsigned n)
{
	struct id id = {{0x52}};

	memcpy(id.b + 1, &n, sizeof n);
	return id;
}

/* One number out of the database. */
static inline int64_t number(struct books *b, const char *query)
{
	auto_free char *sql = xasprintf("-- name: x\n%s;", query);
	const char *name = "x";
	struct db_stmt *s;
	struct err err = {0};

	if (db_prepare(b->l.db, sql, &name, 1, &s, &err) < 0)
		fail_msg("%s", err.text);
	return batch_number(&b->l.batch, s, -1);
}

#define assert_number(b, query, value) assert_int_equal(number(b, query), value)

static inline struct job_row job_row(struct books *b, const char *id)
{
	struct job_row row = {0};

	if (!jobs_find(&b->l.jobs, slice_str("q"), slice_str(id), &row))
		fail_msg("no job %s", id);
	return row;
}

static inline enum job_state job_state(struct books *b, const char *id)
{
	return job_row(b, id).state;
}

/* The state of the job's one parcel; -1: it has none. */
static inline int parcel_state(struct books *b, const char *id)
{
	struct parcel_row row;

	return parcels_of_job(&b->l.parcels, job_row(b, id).seq, &row) ? (int)row.state : -1;
}

static inline int64_t parcel_id(struct books *b, const char *id)
{
	struct parcel_row row;

	return parcels_of_job(&b->l.parcels, job_row(b, id).seq, &row) ? row.id : 0;
}

/* What a worker sends for a run of queue "q", type "t". Fill in the rest. */
static inline struct msg_outcome outcome_of(unsigned run, const char *id, enum outcome outcome)
{
	struct msg_outcome m = {.run = run_id(run),
	    .queue = slice_str("q"),
	    .job = slice_str(id),
	    .type = slice_str("t"),
	    .outcome = (uint8_t)outcome,
	    .exit_code = outcome == OUTCOME_DONE ? 0 : 1,
	    .started_wall_ms = START - 50,
	    .wall_ms = 50,
	    .cpu_ms = 7,
	    .max_rss_kb = 1000,
	    .error = slice_str(outcome == OUTCOME_DONE ? "" : "it failed"),
	    .reply_to = slice_str(""),
	    .correlation = slice_str(""),
	    .retries = JOB_NOT_GIVEN,
	    .logs = slice_str("a log")};

	if (outcome == OUTCOME_DONE)
		m.result = slice_str("a result");
	else
		m.body = slice_str("the body");
	return m;
}

static inline void record(struct books *b, const struct msg_outcome *m)
{
	assert_int_equal(record_outcome(&b->l, m, slice_str("default/1"), b->now), 0);
}

static inline void ended(struct books *b, unsigned run, const char *id, enum outcome outcome)
{
	struct msg_outcome m = outcome_of(run, id, outcome);

	record(b, &m);
}

static inline struct msg_claim claim_of(unsigned run, const char *id, uint8_t flags)
{
	return (struct msg_claim){.run = run_id(run),
	    .queue = slice_str("q"),
	    .job = slice_str(id),
	    .type = slice_str("t"),
	    .flags = flags,
	    .expires_wall_ms = JOB_NOT_GIVEN,
	    .retries = JOB_NOT_GIVEN};
}

/* A first delivery starts. True: it is to be cancelled. */
static inline bool started(struct books *b, unsigned run, const char *id)
{
	struct msg_claim m = claim_of(run, id, 0);

	return asks_note(&b->l, &m, &b->worker, slice_str("default/1"), b->now);
}

static inline struct verdict_reading decide(struct books *b, const struct msg_claim *m)
{
	struct verdict_reading r;

	asks_decide(&b->l, m, NULL, &b->worker, slice_str("default/1"), b->now, &r);
	return r;
}

/* A redelivered message asks, or one from `parcel`. */
static inline struct verdict_reading asked(
    struct books *b, unsigned run, const char *id, int64_t parcel)
{
	struct msg_claim m = claim_of(run, id, CLAIM_ASKS | (parcel ? 0 : CLAIM_REDELIVERED));

	m.parcel = (uint64_t)parcel;
	return decide(b, &m);
}

static inline void take(struct books *b, unsigned run, const char *id, bool running)
{
	struct msg_take m = {.run = run_id(run),
	    .queue = slice_str("q"),
	    .job = slice_str(id),
	    .type = slice_str("t"),
	    .due_wall_ms = JOB_NOT_GIVEN,
	    .running = running,
	    .reason = slice_str("a test"),
	    .body = slice_str("the body")};

	assert_int_equal(takes_record(&b->l, &m, &b->worker, slice_str("default/1"), false, b->now), 0);
}

static inline void lost(struct books *b, unsigned run)
{
	record_gone(&b->l, claims_find(&b->l.claims, run_id(run)), false, b->now);
}

static inline struct request_answer submit(struct books *b, const char *id)
{
	struct msg_submit m = {.queue = slice_str("q"),
	    .job = slice_str(id),
	    .type = slice_str("t"),
	    .due_wall_ms = JOB_NOT_GIVEN,
	    .delay_ms = JOB_NOT_GIVEN,
	    .body = slice_str("the body")};

	return requests_submit(&b->l, &m, b->now);
}

static inline void settle(struct books *b, int64_t parcel, enum settle_how how)
{
	struct msg_settle m = {
	    .parcel = (uint64_t)parcel, .how = (uint8_t)how, .reason = slice_str("a reason")};

	assert_int_equal(deals_settle(&b->l, &m, b->now, b->now), 0);
}

static int books_take_parcel(void *arg, const struct parcel_row *parcel,
    struct slice envelope UNUSED, struct slice body UNUSED)
{
	int64_t *last = arg;

	*last = parcel->id;
	return 0;
}

/* The courier is dealt one parcel: its id, 0 if there was none. The test's clock serves as both
 * clocks. */
static inline int64_t dealt(struct books *b)
{
	int64_t id = 0;

	deals_run(&b->l, 1, b->now, b->now, books_take_parcel, &id);
	return id;
}

#endif
