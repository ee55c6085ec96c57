/* SPDX-License-Identifier: MIT */
/*
 * A write to the log is kept back as long as the next one continues it, and the file gets them in
 * the order in which SQLite made them. What may be kept back, and until when:
 *
 * - Other connections look into the log only as far as the header of the wal-index goes, and SQLite
 *   moves that after it has synced the log (sqlite3WalFrames, synchronous FULL): xSync writes first.
 *   The barrier that SQLite sets before it moves the header (walIndexWriteHdr) writes too. There
 *   is nothing left to write then, unless somebody lowered `synchronous`, or a device without
 *   SQLITE_IOCAP_POWERSAFE_OVERWRITE had the last frame repeated across the sync.
 * - The connection itself reads what its transaction spilled from the cache: xRead writes first.
 *   So do xFileSize and xTruncate. A checkpoint and a recovery read the log by xRead as well.
 * - All writes to the log are made under the lock WAL_WRITE_LOCK of the wal-index. What is still
 *   here when SQLite gives it up is of a transaction that was rolled back, and is dropped: later it
 *   could hit the frames of another writer, as sqlite3(1) may be one.
 *
 * A write that fails late is told by the call that made it, with its code, and after that every
 * write, sync and read of what was kept back fails with the same until the write lock is given up.
 * SQLite rolls back at any of these; were it to go on, there still is no commit with a hole before
 * it. The next transaction begins where the last committed one ended, which was synced.
 *
 * In a crash, what was kept back is lost. It was not committed: recovery takes frames up to the last
 * commit mark before which all are whole, by their checksums.
 */
#include "lib/db/wal_vfs.h"

#include <sqlite3.h>

#include "lib/base/base.h"

#define WAL_VFS_NAME "skep-wal"

/* 31 frames with pages of 4 KiB. It must stay below 128 KiB: the unix VFS asks the kernel for
 * (n & 0x1ffff) bytes at once, and a larger write fails with SQLITE_FULL. */
#define GATHER_BYTES (127 * 1024)

#define WAL_WRITE_LOCK 0 /* its place among the locks of the wal-index, part of the file format */

/* A database or a log; the file of the unix VFS lies behind it. */
struct file {
	sqlite3_file base;
	struct file *db, *log; /* each other, while there is a log */

	/* Of a log: bytes [from, from + n) are kept back. When writing them failed, so did all from
	 * `from` on. */
	sqlite3_int64 from;
	size_t n;
	int failed; /* SQLITE_OK, or with what */
	uint8_t *bytes;
};

static sqlite3_vfs *unix_vfs;

static struct file *file_of(sqlite3_file *file)
{
	return (struct file *)file;
}

static sqlite3_file *real(sqlite3_file *file)
{
	return (sqlite3_file *)(file_of(file) + 1);
}

#define REAL(file, method, ...) real(file)->pMethods->method(real(file), ##__VA_ARGS__)

/* --- the log -------------------------------------------------------------------------------- */

static int write_out(struct file *log)
{
	if (log->failed == SQLITE_OK && log->n > 0) {
		log->failed = REAL(&log->base, xWrite, log->bytes, (int)log->n, log->from);
		if (log->failed == SQLITE_OK)
			log->n = 0;
	}
	return log->failed;
}

static void drop(struct file *log)
{
	log->n = 0;
	log->failed = SQLITE_OK;
}

static int wal_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 at)
{
	struct file *log = file_of(file);
	size_t size = (size_t)n;

	if (log->failed != SQLITE_OK)
		return log->failed;
	if (log->n > 0 &&
	    (at != log->from + (sqlite3_int64)log->n || size > GATHER_BYTES - log->n)) {
		int rc = write_out(log);

		if (rc != SQLITE_OK)
			return rc;
	}
	if (size > GATHER_BYTES)
		return REAL(file, xWrite, p, n, at);
	if (log->n == 0)
		log->from = at;
	memcpy(log->bytes + log->n, p, size);
	log->n += size;
	return SQLITE_OK;
}

static int wal_read(sqlite3_file *file, void *p, int n, sqlite3_int64 at)
{
	struct file *log = file_of(file);

	/* What was committed can be read while there is more to come. */
	if (log->n > 0 && at + n > log->from) {
		int rc = write_out(log);

		if (rc != SQLITE_OK)
			return rc;
	}
	return REAL(file, xRead, p, n, at);
}

static int wal_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int rc = write_out(file_of(file));

	return rc == SQLITE_OK ? REAL(file, xTruncate, size) : rc;
}

static int wal_sync(sqlite3_file *file, int flags)
{
	int rc = write_out(file_of(file));

	return rc == SQLITE_OK ? REAL(file, xSync, flags) : rc;
}

static int wal_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	int rc = write_out(file_of(file));

	return rc == SQLITE_OK ? REAL(file, xFileSize, ret) : rc;
}

/* SQLite closes a log before its database. */
static int wal_close(sqlite3_file *file)
{
	struct file *log = file_of(file);

	log->db->log = NULL;
	free(log->bytes);
	return REAL(file, xClose);
}

/* --- the wal-index, whose methods are those of the database --------------------------------- */

static int db_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	struct file *log = file_of(file)->log;

	if (log && offset == WAL_WRITE_LOCK && flags & SQLITE_SHM_UNLOCK)
		drop(log);
	return REAL(file, xShmLock, offset, n, flags);
}

static void db_shm_barrier(sqlite3_file *file)
{
	struct file *log = file_of(file)->log;

	/* Nobody can be told, and the header would cover what is not there. What was committed is safe. */
	if (log && log->failed == SQLITE_OK && write_out(log) != SQLITE_OK)
		BUG("cannot write the log of the database before its index: %s",
		    sqlite3_errstr(log->failed));
	REAL(file, xShmBarrier);
}

static int db_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **ret)
{
	return REAL(file, xShmMap, region, size, extend, ret);
}

static int db_shm_unmap(sqlite3_file *file, int remove)
{
	return REAL(file, xShmUnmap, remove);
}

/* --- what is the same ----------------------------------------------------------------------- */

static int same_close(sqlite3_file *file)
{
	return REAL(file, xClose);
}

static int same_read(sqlite3_file *file, void *p, int n, sqlite3_int64 at)
{
	return REAL(file, xRead, p, n, at);
}

static int same_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 at)
{
	return REAL(file, xWrite, p, n, at);
}

static int same_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return REAL(file, xTruncate, size);
}

static int same_sync(sqlite3_file *file, int flags)
{
	return REAL(file, xSync, flags);
}

static int same_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	return REAL(file, xFileSize, ret);
}

static int same_lock(sqlite3_file *file, int level)
{
	return REAL(file, xLock, level);
}

static int same_unlock(sqlite3_file *file, int level)
{
	return REAL(file, xUnlock, level);
}

static int same_check_reserved_lock(sqlite3_file *file, int *ret)
{
	return REAL(file, xCheckReservedLock, ret);
}

static int same_file_control(sqlite3_file *file, int op, void *arg)
{
	return REAL(file, xFileControl, op, arg);
}

static int same_sector_size(sqlite3_file *file)
{
	return REAL(file, xSectorSize);
}

static int same_device_characteristics(sqlite3_file *file)
{
	return REAL(file, xDeviceCharacteristics);
}

static int same_fetch(sqlite3_file *file, sqlite3_int64 at, int n, void **ret)
{
	return REAL(file, xFetch, at, n, ret);
}

static int same_unfetch(sqlite3_file *file, sqlite3_int64 at, void *p)
{
	return REAL(file, xUnfetch, at, p);
}

static const sqlite3_io_methods db_methods = {
    .iVersion = 3,
    .xClose = same_close,
    .xRead = same_read,
    .xWrite = same_write,
    .xTruncate = same_truncate,
    .xSync = same_sync,
    .xFileSize = same_size,
    .xLock = same_lock,
    .xUnlock = same_unlock,
    .xCheckReservedLock = same_check_reserved_lock,
    .xFileControl = same_file_control,
    .xSectorSize = same_sector_size,
    .xDeviceCharacteristics = same_device_characteristics,
    .xShmMap = db_shm_map,
    .xShmLock = db_shm_lock,
    .xShmBarrier = db_shm_barrier,
    .xShmUnmap = db_shm_unmap,
    .xFetch = same_fetch,
    .xUnfetch = same_unfetch,
};

/* Version 1: a log has no wal-index of its own, and is never mapped. */
static const sqlite3_io_methods wal_methods = {
    .iVersion = 1,
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = wal_sync,
    .xFileSize = wal_size,
    .xLock = same_lock,
    .xUnlock = same_unlock,
    .xCheckReservedLock = same_check_reserved_lock,
    .xFileControl = same_file_control,
    .xSectorSize = same_sector_size,
    .xDeviceCharacteristics = same_device_characteristics,
};

/* --- the VFS -------------------------------------------------------------------------------- */

static void pair(struct file *log, const char *name)
{
	sqlite3_file *db = sqlite3_database_file_object(name);

	if (!db || db->pMethods != &db_methods)
		BUG("a log of a database that is none of ours: '%s'", name);
	log->db = file_of(db);
	log->db->log = log;
	log->bytes = xmalloc(GATHER_BYTES);
}

static int open_file(
    sqlite3_vfs *vfs UNUSED, sqlite3_filename name, sqlite3_file *file, int flags, int *ret_flags)
{
	bool is_log = flags & SQLITE_OPEN_WAL;
	int rc;

	/* Journals and temporary files are those of the unix VFS. */
	if (!is_log && !(flags & SQLITE_OPEN_MAIN_DB))
		return unix_vfs->xOpen(unix_vfs, name, file, flags, ret_flags);
	memset(file, 0, sizeof(struct file));
	rc = unix_vfs->xOpen(unix_vfs, name, real(file), flags, ret_flags);
	if (rc != SQLITE_OK)
		return rc;
	if (!is_log && real(file)->pMethods->iVersion < db_methods.iVersion)
		BUG("the unix VFS is of version %d", real(file)->pMethods->iVersion);
	if (is_log)
		pair(file_of(file), name);
	file->pMethods = is_log ? &wal_methods : &db_methods;
	return SQLITE_OK;
}

const char *wal_vfs_name(void)
{
	static sqlite3_vfs vfs;

	if (unix_vfs)
		return vfs.zName;
	unix_vfs = sqlite3_vfs_find("unix");
	if (!unix_vfs)
		BUG("SQLite without its unix VFS");
	vfs = *unix_vfs; /* what belongs to no file is the same */
	vfs.pNext = NULL;
	vfs.zName = WAL_VFS_NAME;
	vfs.szOsFile += (int)sizeof(struct file);
	vfs.xOpen = open_file;
	if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
		BUG("cannot register the VFS '%s'", vfs.zName);
	return vfs.zName;
}
