/* SPDX-License-Identifier: MIT */
/*
 * rows DATABASE submit|run JOBS BATCH
 *
 * A bare loop over SQLite that makes the row changes of skep's embedded queue, in transactions of BATCH jobs each, on
 * one thread, with nobody to talk to: what the store could reach at most. DATABASE is a copy of a node's, so that
 * tables, indexes and what is in them are the same. `submit`: job, body and parcel of each job (3 rows). `run`: the
 * next ready parcels are found and read, held and claimed (2 rows), and those of the transaction before are settled:
 * the job's new state, the run, and the end of claim, parcel and body (5 rows). Prints the row changes and the
 * nanoseconds that they took.
 */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/banned.h"
#include "lib/db/db.h"

#define BATCH_MAX 100000
#define BODY_BYTES 100
#define ENVELOPE_BYTES 60

enum { JOB, BODY, PARCEL, NEXT, READ, HOLD, CLAIM, SAVE, RUN, UNCLAIM, SETTLE, FREE, BEGIN, COMMIT, STATEMENTS };

static const char *const texts[STATEMENTS] = {
    [JOB] = "INSERT INTO job (queue, id, type, state, created_wall_ms) VALUES ('work', ?1, 'noop', 0, ?2)",
    [BODY] = "INSERT INTO body (envelope, data) VALUES (?1, ?2)",
    [PARCEL] = "INSERT INTO parcel (job, kind, state, destination, attempt, due_wall_ms, body)"
	       " VALUES (?1, 0, 0, 'work', 1, ?2, ?3)",
    [NEXT] = "SELECT id, job, body FROM parcel WHERE state = 0 AND destination = 'work' ORDER BY priority DESC, id"
	     " LIMIT ?1",
    [READ] = "SELECT envelope, data FROM body WHERE id = ?1",
    [HOLD] = "UPDATE parcel SET state = 2 WHERE id = ?1",
    [CLAIM] = "INSERT INTO claim (run, job, claimed_wall_ms, worker) VALUES (?1, ?2, ?3, 'work/1')",
    [SAVE] = "UPDATE job SET state = 3, attempt = 1, runs = 1, started_wall_ms = ?2, ended_wall_ms = ?2 WHERE seq = ?1",
    [RUN] = "INSERT INTO run (key, id, attempt, outcome, exit_code, started_wall_ms, wall_ms, cpu_ms, max_rss_kb,"
	    " worker) VALUES (?1, ?2, 1, 0, 0, ?3, 0, 0, 0, 'work/1')",
    [UNCLAIM] = "DELETE FROM claim WHERE run = ?1",
    [SETTLE] = "DELETE FROM parcel WHERE id = ?1",
    [FREE] = "DELETE FROM body WHERE id = ?1",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
};

struct taken {
	int64_t parcel, job, body;
	unsigned char run[16];
};

static sqlite3 *db;
static sqlite3_stmt *statements[STATEMENTS];
static uint64_t minted;
static int64_t wall_ms;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "rows: %s: %s\n", what, sqlite3_errmsg(db));
	exit(1);
}

static int64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* As lib/db opens it for the store: no mutexes, no count of memory, the same pragmas, checkpoints as rare. */
static void open_database(const char *path)
{
	sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (sqlite3_open(path, &db) != SQLITE_OK)
		die(path);
	if (sqlite3_exec(db,
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -2000;"
		"PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF",
		NULL, NULL, NULL) != SQLITE_OK)
		die("pragmas");
	sqlite3_wal_autocheckpoint(db, DB_CHECKPOINT_PAGES);
	for (int i = 0; i < STATEMENTS; i++) {
		if (sqlite3_prepare_v3(db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &statements[i], NULL) != SQLITE_OK)
			die(texts[i]);
	}
}

static sqlite3_stmt *with(int which, int64_t first)
{
	sqlite3_bind_int64(statements[which], 1, first);
	return statements[which];
}

/* Steps a statement that gives no rows. */
static void did(int which)
{
	if (sqlite3_step(statements[which]) != SQLITE_DONE)
		die(texts[which]);
	sqlite3_reset(statements[which]);
}

static void submit_one(void)
{
	static const char data[BODY_BYTES] = "x", envelope[ENVELOPE_BYTES] = "e";
	char id[40];
	int64_t job, body;

	snprintf(id, sizeof id, "01ffffff-%04x-7000-8000-%012" PRIx64, (unsigned)(minted >> 16 & 0xffff), minted);
	minted++;
	sqlite3_bind_text(statements[JOB], 1, id, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(statements[JOB], 2, wall_ms);
	did(JOB);
	job = sqlite3_last_insert_rowid(db);
	sqlite3_bind_blob(statements[BODY], 1, envelope, sizeof envelope, SQLITE_STATIC);
	sqlite3_bind_blob(statements[BODY], 2, data, sizeof data, SQLITE_STATIC);
	did(BODY);
	body = sqlite3_last_insert_rowid(db);
	sqlite3_bind_int64(with(PARCEL, job), 2, wall_ms);
	sqlite3_bind_int64(statements[PARCEL], 3, body);
	did(PARCEL);
}

static void take_one(struct taken *t)
{
	if (sqlite3_step(with(READ, t->body)) != SQLITE_ROW)
		die("a parcel without a body");
	sqlite3_column_blob(statements[READ], 1);
	sqlite3_reset(statements[READ]);
	with(HOLD, t->parcel);
	did(HOLD);
	memcpy(t->run, &(uint64_t[]){__builtin_bswap64((uint64_t)wall_ms), __builtin_bswap64(minted++)}, sizeof t->run);
	sqlite3_bind_blob(statements[CLAIM], 1, t->run, sizeof t->run, SQLITE_STATIC);
	sqlite3_bind_int64(statements[CLAIM], 2, t->job);
	sqlite3_bind_int64(statements[CLAIM], 3, wall_ms);
	did(CLAIM);
}

static size_t take(struct taken *list, size_t most)
{
	size_t n = 0;

	with(NEXT, (int64_t)most);
	while (n < most && sqlite3_step(statements[NEXT]) == SQLITE_ROW) {
		list[n].parcel = sqlite3_column_int64(statements[NEXT], 0);
		list[n].job = sqlite3_column_int64(statements[NEXT], 1);
		list[n++].body = sqlite3_column_int64(statements[NEXT], 2);
	}
	sqlite3_reset(statements[NEXT]);
	for (size_t i = 0; i < n; i++)
		take_one(&list[i]);
	return n;
}

static void settle_one(const struct taken *t)
{
	sqlite3_bind_int64(with(SAVE, t->job), 2, wall_ms);
	did(SAVE);
	sqlite3_bind_blob(with(RUN, t->job * 4096), 2, t->run, sizeof t->run, SQLITE_STATIC);
	sqlite3_bind_int64(statements[RUN], 3, wall_ms);
	did(RUN);
	sqlite3_bind_blob(statements[UNCLAIM], 1, t->run, sizeof t->run, SQLITE_STATIC);
	did(UNCLAIM);
	with(SETTLE, t->parcel);
	did(SETTLE);
	with(FREE, t->body);
	did(FREE);
}

static void submit(size_t jobs, size_t batch)
{
	while (jobs > 0) {
		size_t n = jobs < batch ? jobs : batch;

		did(BEGIN);
		for (size_t i = 0; i < n; i++)
			submit_one();
		did(COMMIT);
		jobs -= n;
	}
}

static void run(size_t jobs, size_t batch)
{
	static struct taken lists[2][BATCH_MAX];
	size_t held = 0, which = 0;

	while (jobs > 0 || held > 0) {
		size_t n;

		did(BEGIN);
		n = take(lists[which], jobs < batch ? jobs : batch);
		if (n == 0 && jobs > 0)
			die("no parcels are left");
		for (size_t i = 0; i < held; i++)
			settle_one(&lists[!which][i]);
		did(COMMIT);
		jobs -= n;
		held = n;
		which = !which;
	}
}

int main(int argc, char **argv)
{
	size_t jobs = argc == 5 ? strtoul(argv[3], NULL, 10) : 0, batch = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
	int64_t began;
	int before;

	if (jobs < 1 || batch < 1 || batch > BATCH_MAX) {
		fprintf(stderr, "usage: rows DATABASE submit|run JOBS BATCH\n");
		return 2;
	}
	open_database(argv[1]);
	wall_ms = now_ns(CLOCK_REALTIME) / 1000000;
	minted = (uint64_t)now_ns(CLOCK_MONOTONIC);
	before = sqlite3_total_changes(db);
	began = now_ns(CLOCK_MONOTONIC);
	if (strcmp(argv[2], "submit") == 0)
		submit(jobs, batch);
	else
		run(jobs, batch);
	printf("%d %" PRId64 "\n", sqlite3_total_changes(db) - before, now_ns(CLOCK_MONOTONIC) - began);
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(statements[i]);
	return sqlite3_close(db) != SQLITE_OK;
}
