/* SPDX-License-Identifier: MIT */
#include "daemon/store/batch.h"

#include "lib/base/fault.h"
#include "lib/base/log.h"

extern const char store_sql[];

int batch_prepare(
    struct batch *b, const char *const *names, size_t n, struct db_stmt **ret, struct err *err)
{
	return db_prepare(b->db, store_sql, names, n, ret, err);
}

int batch_open(struct batch *b, struct db *db, struct err *err)
{
	static const char *const names[] = {"begin", "commit"};
	struct db_stmt *s[ARRAY_SIZE(names)];
	int rc;

	*b = (struct batch){.db = db};
	rc = batch_prepare(b, names, ARRAY_SIZE(names), s, err);
	if (rc < 0)
		return rc;
	b->begin = s[0];
	b->commit = s[1];
	return 0;
}

static _Noreturn void give_up(const struct err *err)
{
	log_fatal(EXIT_TEMPORARY, "%s", err->text);
}

static void begin(struct batch *b)
{
	struct err err;

	if (b->open)
		return;
	if (db_run(b->begin, &err) < 0)
		give_up(&err);
	b->open = true;
}

int64_t batch_write(struct batch *b, struct db_stmt *s, uint64_t bytes)
{
	struct err err;
	int64_t changes;

	begin(b);
	if (db_run(s, &err) < 0)
		give_up(&err);
	changes = db_changes(b->db);
	b->rows += (uint32_t)changes;
	b->bytes += bytes;
	return changes;
}

bool batch_row(struct batch *b, struct db_stmt *s)
{
	struct err err;
	int rc;

	begin(b);
	rc = db_step(s, &err);
	if (rc < 0)
		give_up(&err);
	return rc > 0;
}

int64_t batch_number(struct batch *b, struct db_stmt *s, int64_t none)
{
	int64_t value = none;

	if (batch_row(b, s)) {
		value = db_is_null(s, 0) ? none : db_int(s, 0);
		db_reset(s);
	}
	return value;
}

bool batch_is_full(const struct batch *b)
{
	return b->rows >= BATCH_ROWS_MAX || b->bytes >= BATCH_BYTES_MAX;
}

/*~ 9. The commit, in the loop's first hook: everything that arrived in this turn becomes durable
 * at once, and only then does the peers' hook write RECORDED. Next: back in the worker,
 * answers.c. */
bool batch_commit(struct batch *b)
{
	bool wrote = b->rows > 0;
	struct err err;

	if (!b->open)
		return false;
	if (wrote)
		FAULT(store_before_commit);
	if (db_run(b->commit, &err) < 0)
		give_up(&err);
	if (wrote) {
		FAULT(store_after_commit);
		b->commits++;
		b->all_rows += b->rows;
	}
	b->open = false;
	b->rows = 0;
	b->bytes = 0;
	return wrote;
}
