/* SPDX-License-Identifier: MIT */
/*
 * The writer's VFS, through the database that uses it. SQLite's calls of pwrite(2) come through
 * here, to be counted and made to fail. DB_READER uses the plain VFS and sees what is in the files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lib/db/db.h"

#define NO_FAULT (-1)

struct place {
	char dir[48], path[64], wal[80], copy[80];
	struct db *db;
};

static ino_t counted;
static int writes, faulty_write = NO_FAULT; /* the latter: ENOSPC from this one on, counted from 0 */

__attribute__((visibility("default"))) ssize_t pwrite64(
    int fd, const void *p, size_t n, off64_t at)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_ino == counted) {
		int number = writes++;

		if (faulty_write != NO_FAULT && number >= faulty_write) {
			errno = ENOSPC;
			return -1;
		}
	}
	return syscall(SYS_pwrite64, fd, p, n, at);
}

static void count_from_here(void)
{
	writes = 0;
	faulty_write = NO_FAULT;
}

static void run(struct db *db, const char *text)
{
	struct err err = {0};

	if (db_exec(db, text, &err) < 0)
		fail_msg("%s", err.text);
}

static struct db *open_db(const char *path, enum db_mode mode)
{
	struct err err = {0};
	struct db *db = NULL;

	if (db_open(path, mode, &db, &err) < 0)
		fail_msg("%s", err.text);
	return db;
}

static int setup(void **state)
{
	struct place *p = xcalloc(1, sizeof *p);
	struct stat st;

	snprintf(p->dir, sizeof p->dir, "/tmp/test_wal_vfs.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof p->path, "%s/a.db", p->dir);
	snprintf(p->wal, sizeof p->wal, "%s-wal", p->path);
	snprintf(p->copy, sizeof p->copy, "%s/copy.db", p->dir);
	p->db = open_db(p->path, DB_WRITER);
	run(p->db, "CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)");
	assert_int_equal(stat(p->wal, &st), 0);
	counted = st.st_ino;
	count_from_here();
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
	struct place *p = *state;

	counted = 0;
	db_close(p->db);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(suffixes); i++) {
		char name[100];

		snprintf(name, sizeof name, "%s%s", i % 2 ? p->path : p->copy, suffixes[i / 2]);
		unlink(name);
	}
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
	return 0;
}

/* Rows from..to, about one page each. */
static int try_rows(struct db *db, int from, int to)
{
	auto_free char *text =
	    xasprintf("WITH RECURSIVE n (i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
		      "INSERT INTO t SELECT i, randomblob(3500) FROM n",
		from, to);

	return db_exec(db, text, NULL);
}

static void rows(struct db *db, int from, int to)
{
	assert_int_equal(try_rows(db, from, to), 0);
}

/* Rows 1..want and no others, in a database that is whole. */
static void check_holds(struct db *db, int want)
{
	static const char text[] = "-- name: count\nSELECT count(*), max(id) FROM t;\n"
				   "-- name: check\nPRAGMA integrity_check;\n";
	static const char *const names[] = {"count", "check"};
	struct db_stmt *s[2];

	assert_int_equal(db_prepare(db, text, names, 2, s, NULL), 0);
	assert_int_equal(db_step(s[0], NULL), 1);
	assert_int_equal(db_int(s[0], 0), want);
	assert_int_equal(db_int(s[0], 1), want);
	db_reset(s[0]);
	assert_int_equal(db_step(s[1], NULL), 1);
	assert_true(slice_is(db_text(s[1], 0), "ok"));
	db_reset(s[1]);
}

static void copy_file(const char *from, const char *to)
{
	auto_fd int in = open(from, O_RDONLY | O_CLOEXEC);
	auto_fd int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = sendfile(out, in, NULL, 1 << 20)) > 0)
		continue;
	assert_int_equal(n, 0);
}

/* Another connection sees `want` rows, and so does who finds the files after a crash at this
 * moment. */
static void check_files_hold(struct place *p, int want)
{
	auto_free char *wal = xasprintf("%s-wal", p->copy);
	struct db *db = open_db(p->path, DB_READER);

	check_holds(db, want);
	db_close(db);
	copy_file(p->path, p->copy);
	copy_file(p->wal, wal);
	db = open_db(p->copy, DB_WRITER);
	check_holds(db, want);
	db_close(db);
}

static void test_commit_is_one_write(void **state)
{
	struct place *p = *state;

	rows(p->db, 1, 12);
	assert_int_equal(writes, 1);
	check_files_hold(p, 12);
}

/* More than is gathered at once, less than spills. */
static void test_large_commit_is_a_few_writes(void **state)
{
	struct place *p = *state;

	rows(p->db, 1, 300);
	assert_in_range(writes, 300 / 31, 300 / 31 + 3);
	check_files_hold(p, 300);
}

/* Nobody asks for this; but then the barrier before the index is what makes others see it all. */
static void test_commit_without_sync(void **state)
{
	struct place *p = *state;

	run(p->db, "PRAGMA synchronous = NORMAL");
	rows(p->db, 1, 12);
	check_files_hold(p, 12);
}

static void spill(struct place *p)
{
	run(p->db, "PRAGMA cache_size = 10");
	rows(p->db, 1, 5);
	count_from_here();
	run(p->db, "BEGIN");
	rows(p->db, 6, 200);
	assert_true(writes > 1); /* it does spill */
	/* Pages that are in the log are read, and written there a second time. */
	check_holds(p->db, 200);
	run(p->db, "UPDATE t SET data = randomblob(3400) WHERE id % 3 = 0");
}

static void test_spilled_commit(void **state)
{
	struct place *p = *state;

	spill(p);
	run(p->db, "COMMIT");
	check_files_hold(p, 200);
}

static void test_spilled_rollback(void **state)
{
	struct place *p = *state;

	spill(p);
	run(p->db, "ROLLBACK");
	check_files_hold(p, 5);
	rows(p->db, 6, 9);
	check_files_hold(p, 9);
}

static void test_spilled_savepoint(void **state)
{
	struct place *p = *state;

	spill(p);
	run(p->db, "SAVEPOINT a");
	rows(p->db, 201, 400);
	run(p->db, "ROLLBACK TO a");
	rows(p->db, 201, 210);
	run(p->db, "COMMIT");
	check_files_hold(p, 210);
}

/* What was kept back of a transaction that came to nothing must not reach the log when another
 * process may have written there: a few pages are spilled, too few to be written. */
static void test_nothing_is_kept_past_a_rollback(void **state)
{
	struct place *p = *state;
	struct stat before, after;

	run(p->db, "PRAGMA cache_size = 10");
	rows(p->db, 1, 5);
	run(p->db, "BEGIN");
	count_from_here();
	rows(p->db, 6, 25);
	assert_int_equal(writes, 0);
	run(p->db, "ROLLBACK");
	assert_int_equal(stat(p->wal, &before), 0);
	run(p->db, "PRAGMA wal_checkpoint(PASSIVE)");
	check_files_hold(p, 5);
	assert_int_equal(stat(p->wal, &after), 0);
	assert_int_equal(writes, 0);
	assert_int_equal(before.st_size, after.st_size);
}

/* Whichever write of a commit is the one that fails. */
static void test_full_disk(void **state)
{
	struct place *p = *state;

	rows(p->db, 1, 5);
	for (int at = 0; at < 3; at++) {
		count_from_here();
		faulty_write = at;
		assert_int_equal(try_rows(p->db, 6, 90), -ENOSPC);
		assert_true(writes > at);
		check_files_hold(p, 5);
	}
	count_from_here();
	rows(p->db, 6, 90);
	check_files_hold(p, 90);
}

/* The same while a transaction spills: what it does after that cannot be committed. */
static void test_full_disk_under_a_spill(void **state)
{
	struct place *p = *state;

	run(p->db, "PRAGMA cache_size = 10");
	rows(p->db, 1, 5);
	for (int at = 0; at < 4; at++) {
		count_from_here();
		run(p->db, "BEGIN");
		rows(p->db, 6, 7);
		faulty_write = at;
		assert_true(try_rows(p->db, 8, 300) < 0);
		faulty_write = NO_FAULT;
		db_exec(p->db, "COMMIT", NULL); /* SQLite may have rolled back by itself */
		db_exec(p->db, "ROLLBACK", NULL);
		check_files_hold(p, 5);
	}
	rows(p->db, 6, 90);
	check_files_hold(p, 90);
}

/* The kernel takes a part of the write. */
static void test_part_of_a_write(void **state)
{
	struct place *p = *state;
	struct rlimit old, limit;
	struct stat st;
	void (*was)(int) = signal(SIGXFSZ, SIG_IGN);

	rows(p->db, 1, 5);
	assert_int_equal(stat(p->wal, &st), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = (rlim_t)st.st_size + 30000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(try_rows(p->db, 6, 20), -EIO);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, was);
	check_files_hold(p, 5);
	rows(p->db, 6, 20);
	check_files_hold(p, 20);
}

static void test_checkpoint(void **state)
{
	struct place *p = *state;
	int n = 0;

	/* Far enough for a checkpoint, and round again from the start of the log. */
	for (; n < 12 * DB_CHECKPOINT_PAGES / 5; n += 40)
		rows(p->db, n + 1, n + 40);
	check_files_hold(p, n);
	run(p->db, "PRAGMA wal_checkpoint(TRUNCATE)");
	check_files_hold(p, n);
	rows(p->db, n + 1, n + 3);
	check_files_hold(p, n + 3);
	db_close(p->db);
	assert_int_equal(access(p->wal, F_OK), -1);
	p->db = open_db(p->path, DB_WRITER);
	check_holds(p->db, n + 3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_commit_is_one_write),
	    TEST(test_large_commit_is_a_few_writes),
	    TEST(test_commit_without_sync),
	    TEST(test_spilled_commit),
	    TEST(test_spilled_rollback),
	    TEST(test_spilled_savepoint),
	    TEST(test_nothing_is_kept_past_a_rollback),
	    TEST(test_full_disk),
	    TEST(test_full_disk_under_a_spill),
	    TEST(test_part_of_a_write),
	    TEST(test_checkpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
