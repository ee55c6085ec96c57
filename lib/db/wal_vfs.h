/* SPDX-License-Identifier: MIT */
/*
 * A VFS of SQLite for the connection that writes: the unix one, except that what goes to the
 * write-ahead log of a database is gathered and written in few large pieces. SQLite by itself writes
 * each page of a commit with two calls.
 *
 * It relies on `PRAGMA synchronous = FULL` and on the default locking mode. A file of it belongs to
 * one connection, in one thread; other connections may use the unix VFS on the same database.
 */
#ifndef SKEP_DB_WAL_VFS_H
#define SKEP_DB_WAL_VFS_H

/* Its name, for sqlite3_open_v2(). The first call registers it, not as the default. */
const char *wal_vfs_name(void);

#endif
