/* SPDX-License-Identifier: MIT */
/*
 * Group commit. The first statement of a loop turn begins a transaction, batch_commit() at its end
 * makes everything durable at once. Nothing is ever rolled back: a statement or a commit that fails
 * ends the process (EXIT_TEMPORARY) before anybody was answered, and all of it is sent again. So
 * callers need no error paths, and what the modules keep in memory cannot differ from the database.
 */
#ifndef SKEP_STORE_BATCH_H
#define SKEP_STORE_BATCH_H

#include "lib/db/db.h"

/* A transaction is bounded, so that its peers are answered in time and its pages stay in the cache.
 */
#define BATCH_ROWS_MAX 4096
#define BATCH_BYTES_MAX (8u << 20)

struct batch {
	struct db *db;
	struct db_stmt *begin, *commit;
	bool open;
	uint32_t rows;		    /* written in this transaction */
	uint64_t bytes;		    /* of bodies, results and logs among them */
	uint64_t commits, all_rows; /* since the start */
};

int batch_open(struct batch *b, struct db *db, struct err *err);

/* Executes a statement that writes, whose bindings hold `bytes` of large values; resets it. Returns
 * how many rows it changed. */
int64_t batch_write(struct batch *b, struct db_stmt *s, uint64_t bytes);

/* Steps a query: false at its end (and it is reset). One that is left earlier must be reset by the
 * caller. */
bool batch_row(struct batch *b, struct db_stmt *s);

/* Makes a query of one row at most, and resets it, when the caller needs nothing but one number. */
int64_t batch_number(struct batch *b, struct db_stmt *s, int64_t none);

bool batch_is_full(const struct batch *b);

/* True if anything was written: it is durable now. */
bool batch_commit(struct batch *b);

/* Prepares statements of store.sql. */
int batch_prepare(
    struct batch *b, const char *const *names, size_t n, struct db_stmt **ret, struct err *err);

#endif
