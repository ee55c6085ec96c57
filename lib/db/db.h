/* SPDX-License-Identifier: MIT */
/*
 * SQLite, under the conventions of skep: WAL, synchronous FULL for the one writer, read-only
 * connections for others, statements that are named in .sql files and prepared once. Only lib/db/
 * includes sqlite3.h.
 *
 * A .sql file holds statements, each under a line `-- name: job_insert`. Parameters are numbered
 * ?1, ?2...
 */
#ifndef SKEP_DB_DB_H
#define SKEP_DB_DB_H

#include "lib/base/err.h"

struct db;
struct db_stmt;

enum db_mode { DB_WRITER, DB_READER };

#define DB_CHECKPOINT_PAGES 3000 /* of the log, 4 KiB each, after which the writer copies it into the database */

/* Error codes beside -EIO: -ENOSPC (disk or database full), -EBUSY, -EUCLEAN (not a database,
 * corrupt). */

/* Opens or (writer) makes the database. A writer holds an exclusive lock on PATH.lock for its life,
 * waiting up to 10 s for a predecessor that is still dying (-EBUSY), and brings the schema up to
 * date; a database of a newer schema is refused by both (-EINVAL). A reader of a missing database
 * gets -ENOENT. */
int db_open(const char *path, enum db_mode mode, struct db **ret, struct err *err);
void db_close(struct db *db);

/* Finds and prepares the statements `names` in the text of a .sql file, in that order, into ret[n].
 * They belong to db. A name that is not there is a BUG. */
int db_prepare(struct db *db, const char *sql, const char *const *names, size_t n,
    struct db_stmt **ret, struct err *err);

/* Binding: parameters count from 1. Text and blobs are borrowed until the statement is reset. A
 * slice with p == NULL binds NULL. */
void db_bind_int(struct db_stmt *s, int i, int64_t value);
void db_bind_text(struct db_stmt *s, int i, struct slice text);
void db_bind_blob(struct db_stmt *s, int i, struct slice blob);
void db_bind_null(struct db_stmt *s, int i);

/* 1: a row; 0: done (and reset); negative: error (and reset). */
int db_step(struct db_stmt *s, struct err *err);

/* Steps to the end and resets. 0, or negative. */
int db_run(struct db_stmt *s, struct err *err);

/* Columns of the row, from 0; text and blobs are borrowed until the next step or reset. NULL reads
 * as 0 and as a slice with p == NULL. */
int64_t db_int(struct db_stmt *s, int column);
struct slice db_text(struct db_stmt *s, int column);
struct slice db_blob(struct db_stmt *s, int column);
bool db_is_null(struct db_stmt *s, int column);

void db_reset(struct db_stmt *s); /* drops the bindings too */

int64_t db_last_id(const struct db *db); /* rowid of the last insert */
int64_t db_changes(const struct db *db); /* rows of the last statement */

int db_exec(struct db *db, const char *sql, struct err *err);

/* Free bytes for unprivileged use on the disk of `path`. */
int64_t db_disk_free(const char *path);

#endif
