/* SPDX-License-Identifier: MIT */
/*
 * One writer, many readers. The writer's lock is an flock(2) on a file beside the database, taken
 * before SQLite opens anything: the kernel drops it with the process, however that dies, and a
 * predecessor that is still in its last commit is waited for. SQLite's own locks stay what they are
 * for readers.
 *
 * A commit is durable when it returns: WAL with synchronous FULL syncs the log at every commit, which is
 * written in one piece (wal_vfs.h). The
 * log is copied into the database every DB_CHECKPOINT_PAGES pages: more pages make rarer and longer
 * pauses, fewer pages write the same database page more often. Ids without an order (UUIDs) make the difference, since
 * each dirties a page of its own in the index. It begins again from its start only when no reader looks
 * into it at that moment, so under a steady load of large bodies, with somebody always reading, it would grow without
 * end: above DB_LOG_PAGES the writer waits a little for the readers to leave, and where one stays, not again before the
 * log has doubled.
 */
#include "lib/db/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/statvfs.h>

#include "lib/base/clock.h"
#include "lib/db/wal_vfs.h"

#define DB_LOCK_WAIT_MS 10000
#define DB_LOCK_POLL_MS 20
#define DB_BUSY_MS                                                                                 \
	5000 /* SQLite's own locks: while a log is recovered, or somebody looks with sqlite3(1) */

#define DB_LOG_PAGES 8192 /* of 4 KiB */
#define DB_LOG_WAIT_MS 50

extern const char schema_sql[];

struct db {
	sqlite3 *sqlite;
	struct db_stmt *stmts; /* all that were prepared */
	int lock;
	int patience_pages; /* of the log, before readers are waited for */
};

struct db_stmt {
	sqlite3_stmt *sqlite;
	struct db_stmt *next;
};

static int code_of(sqlite3 *sqlite, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	case SQLITE_CANTOPEN:
		return sqlite && sqlite3_system_errno(sqlite) == ENOENT ? -ENOENT : -EIO;
	case SQLITE_IOERR:
		return sqlite && sqlite3_system_errno(sqlite) == ENOSPC ? -ENOSPC : -EIO;
	}
	return -EIO;
}

static int fail(sqlite3 *sqlite, int rc, struct err *err)
{
	return err_set(err, code_of(sqlite, rc), "database: %s (%s)",
	    sqlite ? sqlite3_errmsg(sqlite) : "out of memory", sqlite3_errstr(rc));
}

int db_exec(struct db *db, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : fail(db->sqlite, rc, err);
}

/* --- opening -------------------------------------------------------------------------------- */

static int take_lock(struct db *db, const char *path, struct err *err)
{
	auto_free char *name = xasprintf("%s.lock", path);
	const struct timespec pause = {0, DB_LOCK_POLL_MS * 1000000L};
	int64_t until = clock_mono_ms() + DB_LOCK_WAIT_MS;

	db->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (db->lock < 0)
		return err_sys(err, errno, "cannot open '%s'", name);
	while (flock(db->lock, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(err, errno, "cannot lock '%s'", name);
		if (clock_mono_ms() >= until)
			return err_set(err, -EBUSY,
			    "'%s' is held by another process: is a second skepd "
			    "running on this state_dir?",
			    name);
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* No process of skep uses SQLite from more than one thread, and none asks how much memory it has: mutexes around
 * each allocation and each call were a quarter of what the store's rows cost. Holds for the process. */
static void be_one_thread(void)
{
	static bool done;

	if (!done && (sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) != SQLITE_OK ||
			 sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK))
		BUG("SQLite was in use before its first database was opened here");
	done = true;
}

/* Jobs may hold anything: nobody else is to read them. SQLite gives its other files the mode of
 * this one. */
static int make_private(const char *path, struct err *err)
{
	auto_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? err_sys(err, errno, "cannot open it") : 0;
}

static int user_version(struct db *db, int *ret, struct err *err)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(db->sqlite, "PRAGMA user_version", -1, &s, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return rc == SQLITE_ROW ? 0 : fail(db->sqlite, rc, err);
}

/* The text after the line `-- migration: N`, up to the next such line; NULL if there is none. */
static char *migration(int number)
{
	static const char mark[] = "\n-- migration: ";
	auto_free char *head = xasprintf("%s%d\n", mark, number);
	const char *from = strstr(schema_sql, head), *to;

	if (!from)
		return NULL;
	from += strlen(head);
	to = strstr(from, mark);
	return slice_dup(slice_of(from, to ? (size_t)(to - from) : strlen(from)));
}

static int newest_version(void)
{
	int n = 0;

	for (;;) {
		auto_free char *next = migration(n + 1);

		if (!next)
			return n;
		n++;
	}
}

static int check_version(struct db *db, int *ret, struct err *err)
{
	int version = 0, newest = newest_version(), rc = user_version(db, &version, err);

	if (rc < 0)
		return rc;
	if (version > newest)
		return err_set(err, -EINVAL,
		    "the database is of schema %d, this skep knows %d: it was "
		    "used with a newer version",
		    version, newest);
	*ret = version;
	return 0;
}

static int migrate(struct db *db, struct err *err)
{
	int version = 0, rc = check_version(db, &version, err);

	for (; rc == 0; version++) {
		auto_free char *text = migration(version + 1);
		auto_free char *all = NULL;

		if (!text)
			return 0;
		all = xasprintf(
		    "BEGIN IMMEDIATE;\n%s\nPRAGMA user_version = %d;\nCOMMIT;", text, version + 1);
		rc = db_exec(db, all, err);
	}
	return err_prefix(err, "cannot bring the database to schema %d: ", version);
}

/* After each commit. What a checkpoint cannot do now, the next one does. */
static int on_log(void *arg, sqlite3 *sqlite, const char *name, int pages)
{
	struct db *db = arg;
	int rc;

	if (pages < DB_CHECKPOINT_PAGES)
		return SQLITE_OK;
	if (pages < db->patience_pages) {
		sqlite3_wal_checkpoint_v2(sqlite, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		return SQLITE_OK;
	}
	sqlite3_busy_timeout(sqlite, DB_LOG_WAIT_MS);
	rc = sqlite3_wal_checkpoint_v2(sqlite, name, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
	sqlite3_busy_timeout(sqlite, DB_BUSY_MS);
	db->patience_pages = rc == SQLITE_OK ? DB_LOG_PAGES : pages > INT_MAX / 2 ? INT_MAX : 2 * pages;
	return SQLITE_OK;
}

static int open_writer(struct db *db, struct err *err)
{
	static const char pragmas[] =
	    "PRAGMA journal_mode = WAL;"
	    "PRAGMA synchronous = FULL;"
	    "PRAGMA journal_size_limit = 16777216;" /* a log grown by large bodies shrinks again */
	    "PRAGMA cache_size = -2000;"
	    "PRAGMA temp_store = MEMORY;"
	    "PRAGMA foreign_keys = OFF;";
	int rc = db_exec(db, pragmas, err);

	db->patience_pages = DB_LOG_PAGES;
	sqlite3_wal_hook(db->sqlite, on_log, db);
	return rc < 0 ? rc : migrate(db, err);
}

static int open_reader(struct db *db, struct err *err)
{
	int version, rc;

	rc = db_exec(db,
	    "PRAGMA query_only = ON; PRAGMA cache_size = -500; PRAGMA temp_store = MEMORY;", err);
	if (rc < 0)
		return rc;
	rc = check_version(db, &version, err);
	if (rc == 0 && version == 0)
		return err_set(err, -ENOENT, "the database has no tables yet");
	return rc;
}

int db_open(const char *path, enum db_mode mode, struct db **ret, struct err *err)
{
	struct db *db = xcalloc(1, sizeof *db);
	int flags = mode == DB_WRITER ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
	int rc;

	be_one_thread();
	db->lock = -1;
	rc = mode == DB_WRITER ? take_lock(db, path, err) : 0;
	if (rc == 0 && mode == DB_WRITER)
		rc = make_private(path, err);
	if (rc == 0) {
		rc = sqlite3_open_v2(
		    path, &db->sqlite, flags, mode == DB_WRITER ? wal_vfs_name() : NULL);
		rc = rc == SQLITE_OK ? sqlite3_busy_timeout(db->sqlite, DB_BUSY_MS)
				     : fail(db->sqlite, rc, err);
	}
	if (rc == 0)
		rc = mode == DB_WRITER ? open_writer(db, err) : open_reader(db, err);
	if (rc < 0) {
		err_prefix(err, "cannot open '%s': ", path);
		db_close(db);
		return rc;
	}
	*ret = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	while (db->stmts) {
		struct db_stmt *s = db->stmts;

		db->stmts = s->next;
		sqlite3_finalize(s->sqlite);
		free(s);
	}
	if (sqlite3_close(db->sqlite) != SQLITE_OK)
		BUG("closing a database with statements in use");
	if (db->lock >= 0)
		close(db->lock);
	free(db);
}

/* --- statements ----------------------------------------------------------------------------- */

/* The statement under the line `-- name: NAME`. */
static struct slice find_named(const char *sql, const char *name)
{
	static const char mark[] = "-- name: ";
	size_t length = strlen(name);

	for (const char *at = strstr(sql, mark); at; at = strstr(at, mark)) {
		const char *from, *to;

		at += sizeof mark - 1;
		if (strncmp(at, name, length) != 0 || at[length] != '\n')
			continue;
		from = at + length + 1;
		to = strstr(from, mark);
		return slice_of(from, to ? (size_t)(to - from) : strlen(from));
	}
	BUG("no statement '%s'", name);
}

int db_prepare(struct db *db, const char *sql, const char *const *names, size_t n,
    struct db_stmt **ret, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct slice text = find_named(sql, names[i]);
		struct db_stmt *s = xcalloc(1, sizeof *s);
		int rc = sqlite3_prepare_v3(db->sqlite, (const char *)text.p, (int)text.n,
		    SQLITE_PREPARE_PERSISTENT, &s->sqlite, NULL);

		s->next = db->stmts;
		db->stmts = s;
		if (rc != SQLITE_OK) {
			fail(db->sqlite, rc, err);
			return err_prefix(err, "statement '%s': ", names[i]);
		}
		ret[i] = s;
	}
	return 0;
}

static void bound(struct db_stmt *s, int i, int rc)
{
	if (rc != SQLITE_OK)
		BUG("parameter %d of '%s': %s", i, sqlite3_sql(s->sqlite), sqlite3_errstr(rc));
}

void db_bind_int(struct db_stmt *s, int i, int64_t value)
{
	bound(s, i, sqlite3_bind_int64(s->sqlite, i, value));
}

void db_bind_text(struct db_stmt *s, int i, struct slice text)
{
	bound(s, i,
	    sqlite3_bind_text64(
		s->sqlite, i, (const char *)text.p, text.n, SQLITE_STATIC, SQLITE_UTF8));
}

void db_bind_blob(struct db_stmt *s, int i, struct slice blob)
{
	bound(s, i, sqlite3_bind_blob64(s->sqlite, i, blob.p, blob.n, SQLITE_STATIC));
}

void db_bind_null(struct db_stmt *s, int i)
{
	bound(s, i, sqlite3_bind_null(s->sqlite, i));
}

int db_step(struct db_stmt *s, struct err *err)
{
	int rc = sqlite3_step(s->sqlite);

	if (rc == SQLITE_ROW)
		return 1;
	rc = rc == SQLITE_DONE ? 0 : fail(sqlite3_db_handle(s->sqlite), rc, err);
	db_reset(s);
	return rc;
}

int db_run(struct db_stmt *s, struct err *err)
{
	int rc;

	while ((rc = db_step(s, err)) > 0)
		continue;
	return rc;
}

int64_t db_int(struct db_stmt *s, int column)
{
	return sqlite3_column_int64(s->sqlite, column);
}

/* A value of no bytes has no pointer in SQLite; here it is told apart from NULL. */
static struct slice slice_or_empty(const void *p, struct db_stmt *s, int column)
{
	if (p)
		return slice_of(p, (size_t)sqlite3_column_bytes(s->sqlite, column));
	return slice_of(db_is_null(s, column) ? NULL : "", 0);
}

struct slice db_text(struct db_stmt *s, int column)
{
	return slice_or_empty(sqlite3_column_text(s->sqlite, column), s, column);
}

struct slice db_blob(struct db_stmt *s, int column)
{
	return slice_or_empty(sqlite3_column_blob(s->sqlite, column), s, column);
}

bool db_is_null(struct db_stmt *s, int column)
{
	return sqlite3_column_type(s->sqlite, column) == SQLITE_NULL;
}

void db_reset(struct db_stmt *s)
{
	sqlite3_reset(s->sqlite);
	sqlite3_clear_bindings(s->sqlite);
}

int64_t db_last_id(const struct db *db)
{
	return sqlite3_last_insert_rowid(db->sqlite);
}

int64_t db_changes(const struct db *db)
{
	return sqlite3_changes64(db->sqlite);
}

int64_t db_disk_free(const char *path)
{
	struct statvfs st;

	/* A disk that cannot be asked is not known to be full. */
	if (statvfs(path, &st) < 0)
		return INT64_MAX;
	return (int64_t)st.f_bavail * (int64_t)st.f_frsize;
}
