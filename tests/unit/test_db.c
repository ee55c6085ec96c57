/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/db/db.h"

struct place {
	char dir[40], path[60];
};

static int setup(void **state)
{
	struct place *p = xcalloc(1, sizeof *p);

	snprintf(p->dir, sizeof p->dir, "/tmp/test_db.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof p->path, "%s/skep.db", p->dir);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
	struct place *p = *state;

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		char name[80];

		snprintf(name, sizeof name, "%s%s", p->path, suffixes[i]);
		unlink(name);
	}
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
	return 0;
}

static struct db *open_db(const struct place *p, enum db_mode mode)
{
	struct err err = {0};
	struct db *db = NULL;

	if (db_open(p->path, mode, &db, &err) < 0)
		fail_msg("%s", err.text);
	return db;
}

static const char sql[] = "-- name: body_put\n"
			  "INSERT INTO body (envelope, data) VALUES (?1, ?2);\n"
			  "-- name: body\n"
			  "SELECT envelope, data, NULL FROM body WHERE id = ?1;\n"
			  "-- name: version\n"
			  "PRAGMA user_version;\n";

static struct db_stmt *prepare(struct db *db, const char *name)
{
	struct db_stmt *s;
	struct err err = {0};

	if (db_prepare(db, sql, &name, 1, &s, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

static void test_round_trip(void **state)
{
	struct db *db = open_db(*state, DB_WRITER);
	struct db_stmt *put = prepare(db, "body_put"), *get = prepare(db, "body");

	db_bind_blob(put, 1, slice_of("a\0b", 3));
	db_bind_blob(put, 2, slice_of("", 0));
	assert_int_equal(db_run(put, NULL), 0);
	assert_int_equal(db_changes(db), 1);
	db_bind_int(get, 1, db_last_id(db));
	assert_int_equal(db_step(get, NULL), 1);
	assert_true(slice_eq(db_blob(get, 0), slice_of("a\0b", 3)));
	assert_non_null(db_blob(get, 1).p); /* empty is not absent */
	assert_int_equal(db_blob(get, 1).n, 0);
	assert_true(db_is_null(get, 2));
	assert_null(db_blob(get, 2).p);
	assert_int_equal(db_int(get, 2), 0);
	assert_int_equal(db_step(get, NULL), 0);
	/* The bindings went with the reset. */
	assert_int_equal(db_step(get, NULL), 0);
	db_close(db);
}

static void test_constraint_is_an_error(void **state)
{
	struct db *db = open_db(*state, DB_WRITER);
	struct db_stmt *put = prepare(db, "body_put");
	struct err err = {0};

	db_bind_blob(put, 1, (struct slice){0});
	assert_int_equal(db_run(put, &err), -EIO);
	assert_non_null(strstr(err.text, "NOT NULL"));
	db_close(db);
}

/* The second is forked before the first opens anything, or it would have a part in the first one's
 * lock. */
static void test_second_writer_waits_for_the_first(void **state)
{
	struct place *p = *state;
	struct db *db = NULL;
	int go[2], ready[2], status;
	char byte = 0;
	pid_t child;

	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		if (read(go[0], &byte, 1) != 1 || write(ready[1], "x", 1) != 1)
			_exit(3);
		_exit(db_open(p->path, DB_WRITER, &db, NULL) == 0 ? 0 : 4);
	}
	db = open_db(p, DB_WRITER);
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(waitpid(child, &status, WNOHANG), 0);
	db_close(db);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	for (int i = 0; i < 2; i++) {
		close(go[i]);
		close(ready[i]);
	}
}

static void test_writer_dies_and_the_lock_goes(void **state)
{
	struct place *p = *state;
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct db *db = NULL;

		_exit(db_open(p->path, DB_WRITER, &db, NULL) == 0 ? 0 : 4);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	db_close(open_db(p, DB_WRITER));
}

static void test_reader_of_nothing(void **state)
{
	struct place *p = *state;
	struct err err = {0};
	struct db *db = NULL;

	assert_int_equal(db_open(p->path, DB_READER, &db, &err), -ENOENT);
	assert_null(db);
	assert_int_equal(access(p->path, F_OK), -1); /* and it made none */
}

static void test_reader_sees_what_is_committed(void **state)
{
	struct db *writer = open_db(*state, DB_WRITER), *reader = open_db(*state, DB_READER);
	struct db_stmt *put = prepare(writer, "body_put"), *get = prepare(reader, "body");

	assert_int_equal(db_exec(writer, "BEGIN IMMEDIATE", NULL), 0);
	db_bind_blob(put, 1, slice_str("e"));
	db_bind_blob(put, 2, slice_str("d"));
	assert_int_equal(db_run(put, NULL), 0);
	db_bind_int(get, 1, 1);
	assert_int_equal(db_step(get, NULL), 0);
	assert_int_equal(db_exec(writer, "COMMIT", NULL), 0);
	db_bind_int(get, 1, 1);
	assert_int_equal(db_step(get, NULL), 1);
	db_reset(get);
	assert_true(db_exec(reader, "DELETE FROM body", NULL) < 0);
	db_close(reader);
	db_close(writer);
	/* After the writer's orderly end there is no log any more, and it can be read all the same.
	 */
	reader = open_db(*state, DB_READER);
	get = prepare(reader, "body");
	db_bind_int(get, 1, 1);
	assert_int_equal(db_step(get, NULL), 1);
	db_reset(get);
	db_close(reader);
}

static void test_schema_is_kept_and_newer_is_refused(void **state)
{
	struct place *p = *state;
	struct db *db = open_db(p, DB_WRITER);
	struct err err = {0};

	db_close(db);
	db = open_db(p, DB_WRITER); /* nothing to do the second time */
	assert_int_equal(db_exec(db, "PRAGMA user_version = 99", NULL), 0);
	db_close(db);
	assert_int_equal(db_open(p->path, DB_WRITER, &db, &err), -EINVAL);
	assert_non_null(strstr(err.text, "newer version"));
	assert_int_equal(db_open(p->path, DB_READER, &db, &err), -EINVAL);
}

static void test_garbage_is_not_a_database(void **state)
{
	struct place *p = *state;
	struct err err = {0};
	struct db *db = NULL;
	char junk[8192];
	FILE *f = fopen(p->path, "w");

	memset(junk, 'x', sizeof junk);
	assert_int_equal(fwrite(junk, sizeof junk, 1, f), 1);
	fclose(f);
	assert_int_equal(db_open(p->path, DB_WRITER, &db, &err), -EUCLEAN);
	assert_non_null(strstr(err.text, p->path));
}

static void test_durable_settings(void **state)
{
	static const char pragmas[] =
	    "-- name: journal\nPRAGMA journal_mode;\n-- name: sync\nPRAGMA synchronous;\n";
	static const char *const names[] = {"journal", "sync"};
	struct db *db = open_db(*state, DB_WRITER);
	struct db_stmt *s[2];

	assert_int_equal(db_prepare(db, pragmas, names, 2, s, NULL), 0);
	assert_int_equal(db_step(s[0], NULL), 1);
	assert_true(slice_is(db_text(s[0], 0), "wal"));
	db_reset(s[0]);
	assert_int_equal(db_step(s[1], NULL), 1);
	assert_int_equal(db_int(s[1], 0), 2); /* FULL */
	db_reset(s[1]);
	db_close(db);
}

static void test_nobody_else_may_read_it(void **state)
{
	struct place *p = *state;
	struct db *db = open_db(p, DB_WRITER);
	char wal[80];
	struct stat st;

	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(wal, sizeof wal, "%s-wal", p->path);
	assert_int_equal(stat(wal, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	db_close(db);
}

static void test_disk_free(void **state)
{
	struct place *p = *state;

	assert_true(db_disk_free(p->dir) > 0);
	assert_true(db_disk_free("/nowhere/at/all") == INT64_MAX);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_round_trip),
	    TEST(test_constraint_is_an_error),
	    TEST(test_second_writer_waits_for_the_first),
	    TEST(test_writer_dies_and_the_lock_goes),
	    TEST(test_reader_of_nothing),
	    TEST(test_reader_sees_what_is_committed),
	    TEST(test_schema_is_kept_and_newer_is_refused),
	    TEST(test_garbage_is_not_a_database),
	    TEST(test_durable_settings),
	    TEST(test_nobody_else_may_read_it),
	    TEST(test_disk_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
