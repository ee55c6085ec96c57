/* SPDX-License-Identifier: MIT */
#include "daemon/store/jobs.h"

enum {
	JOB_INSERT,
	JOB_SAVE,
	JOB_TOUCH,
	JOB_FIND,
	JOB_GET,
	JOB_QUEUES,
	JOB_DELETE,
	JOB_WALK,
	JOB_STRIP,
	RUN_INSERT,
	RUN_FIND,
	RUN_DELETE,
	RUNS_DELETE,
	STMT_COUNT
};

static const char *const names_of[STMT_COUNT] = {
    [JOB_INSERT] = "job_insert",
    [JOB_SAVE] = "job_save",
    [JOB_TOUCH] = "job_touch",
    [JOB_FIND] = "job_find",
    [JOB_GET] = "job_get",
    [JOB_QUEUES] = "job_queues",
    [JOB_DELETE] = "job_delete",
    [JOB_WALK] = "job_walk",
    [JOB_STRIP] = "job_strip",
    [RUN_INSERT] = "run_insert",
    [RUN_FIND] = "run_find",
    [RUN_DELETE] = "run_delete",
    [RUNS_DELETE] = "runs_delete",
};

int jobs_open(struct jobs *j, struct batch *batch, struct err *err)
{
	_Static_assert(STMT_COUNT <= ARRAY_SIZE(j->stmts), "too many statements");

	j->batch = batch;
	j->recent = xcalloc(JOBS_RECENT, sizeof *j->recent);
	return batch_prepare(batch, names_of, STMT_COUNT, j->stmts, err);
}

void jobs_close(struct jobs *j)
{
	free(j->recent);
	j->recent = NULL;
}

/* --- what is in memory ------------------------------------------------------------------------ */

static struct job_row *place_of(const struct jobs *j, int64_t seq)
{
	return &j->recent[(uint64_t)seq % JOBS_RECENT];
}

static int64_t or_none(int64_t value)
{
	return value > 0 ? value : 0;
}

/* As it is read back: times that are not there are 0. */
static void remember(const struct jobs *j, const struct job_row *row)
{
	struct job_row *place = place_of(j, row->seq);

	*place = *row;
	place->due_wall_ms = or_none(row->due_wall_ms);
	place->started_wall_ms = or_none(row->started_wall_ms);
	place->ended_wall_ms = or_none(row->ended_wall_ms);
	place->body = or_none(row->body);
}

static void forget(const struct jobs *j, int64_t seq)
{
	struct job_row *place = place_of(j, seq);

	if (place->seq == seq)
		place->seq = 0;
}

/* --- rows ------------------------------------------------------------------------------------- */

static void bind_known(struct db_stmt *s, int i, int64_t value, bool known)
{
	if (known)
		db_bind_int(s, i, value);
	else
		db_bind_null(s, i);
}

/* Absent text is NULL to SQLite, where the column wants a value. */
static struct slice or_empty(struct slice s)
{
	return s.p ? s : slice_of("", 0);
}

/* The parameters that job_insert and job_save share. */
static void bind_row(struct db_stmt *s, const struct job_row *row, const struct job_text *text)
{
	db_bind_int(s, 2, (int64_t)row->state);
	db_bind_int(s, 3, row->attempt);
	db_bind_int(s, 4, row->runs);
	db_bind_int(s, 5, row->losses);
	bind_known(s, 6, row->due_wall_ms, row->due_wall_ms > 0);
	bind_known(s, 7, row->started_wall_ms, row->started_wall_ms > 0);
	bind_known(s, 8, row->ended_wall_ms, row->ended_wall_ms > 0);
	bind_known(s, 9, row->body, row->body > 0);
	db_bind_text(s, 10, text->error.n ? text->error : (struct slice){0});
	db_bind_int(s, 11, text->result_cut);
	db_bind_blob(s, 17, text->result);
}

bool jobs_insert(
    struct jobs *j, const struct job_names *names, struct job_row *row, const struct job_text *text)
{
	struct db_stmt *s = j->stmts[JOB_INSERT];

	bind_row(s, row, text);
	db_bind_text(s, 12, or_empty(names->queue));
	db_bind_text(s, 13, or_empty(names->id));
	db_bind_text(s, 14, or_empty(names->type));
	db_bind_int(s, 15, row->priority);
	db_bind_int(s, 16, row->created_wall_ms);
	if (batch_write(j->batch, s, text->result.n) == 0)
		return false;
	row->seq = db_last_id(j->batch->db);
	remember(j, row);
	return true;
}

void jobs_save(struct jobs *j, const struct job_row *row, const struct job_text *text)
{
	struct db_stmt *s = j->stmts[JOB_SAVE];

	db_bind_int(s, 1, row->seq);
	bind_row(s, row, text);
	batch_write(j->batch, s, text->result.n);
	remember(j, row);
}

void jobs_touch(struct jobs *j, const struct job_row *row)
{
	struct db_stmt *s = j->stmts[JOB_TOUCH];

	db_bind_int(s, 1, row->seq);
	db_bind_int(s, 2, row->runs);
	bind_known(s, 3, row->due_wall_ms, row->due_wall_ms > 0);
	batch_write(j->batch, s, 0);
	forget(j, row->seq); /* the rest of the caller's row was not written */
}

static void read_row(struct db_stmt *s, int column, struct job_row *ret)
{
	*ret = (struct job_row){.seq = db_int(s, column),
	    .state = (enum job_state)db_int(s, column + 1),
	    .attempt = db_int(s, column + 2),
	    .runs = db_int(s, column + 3),
	    .losses = db_int(s, column + 4),
	    .priority = db_int(s, column + 5),
	    .created_wall_ms = db_int(s, column + 6),
	    .due_wall_ms = db_int(s, column + 7),
	    .started_wall_ms = db_int(s, column + 8),
	    .ended_wall_ms = db_int(s, column + 9),
	    .body = db_int(s, column + 10)};
}

void jobs_read(struct jobs *j, struct db_stmt *s, int column, struct job_row *ret)
{
	read_row(s, column, ret);
	remember(j, ret);
}

bool jobs_find(struct jobs *j, struct slice queue, struct slice id, struct job_row *ret)
{
	struct db_stmt *s = j->stmts[JOB_FIND];

	db_bind_text(s, 1, or_empty(id));
	db_bind_text(s, 2, or_empty(queue));
	if (!batch_row(j->batch, s))
		return false;
	jobs_read(j, s, 0, ret);
	db_reset(s);
	return true;
}

static struct slice copy(uint8_t **at, const uint8_t *end, struct slice s)
{
	size_t room = (size_t)(end - *at), n = s.n < room ? s.n : room;
	struct slice copied = slice_of(*at, n);

	if (n)
		memcpy(*at, s.p, n);
	*at += n;
	return copied;
}

void jobs_read_names(struct db_stmt *s, int column, struct job_names *ret,
    uint8_t text[static JOBS_TEXT_BYTES])
{
	uint8_t *at = text, *end = text + JOBS_TEXT_BYTES;

	ret->queue = copy(&at, end, db_text(s, column));
	ret->id = copy(&at, end, db_text(s, column + 1));
	ret->type = copy(&at, end, db_text(s, column + 2));
}

bool jobs_get(struct jobs *j, int64_t seq, struct job_row *ret, struct job_names *ret_names,
    uint8_t text[static JOBS_TEXT_BYTES])
{
	struct db_stmt *s = j->stmts[JOB_GET];

	db_bind_int(s, 1, seq);
	if (!batch_row(j->batch, s))
		return false;
	jobs_read(j, s, 0, ret);
	jobs_read_names(s, JOBS_COLUMNS, ret_names, text);
	db_reset(s);
	return true;
}

bool jobs_row(struct jobs *j, int64_t seq, struct job_row *ret)
{
	struct db_stmt *s = j->stmts[JOB_GET];

	if (seq > 0 && place_of(j, seq)->seq == seq) {
		*ret = *place_of(j, seq);
		return true;
	}
	db_bind_int(s, 1, seq);
	if (!batch_row(j->batch, s))
		return false;
	jobs_read(j, s, 0, ret);
	db_reset(s);
	return true;
}

size_t jobs_queues(struct jobs *j, struct slice id, size_t most,
    void (*each)(void *arg, struct slice queue), void *arg)
{
	struct db_stmt *s = j->stmts[JOB_QUEUES];
	size_t n = 0;

	db_bind_text(s, 1, or_empty(id));
	db_bind_int(s, 2, (int64_t)most);
	for (; batch_row(j->batch, s); n++)
		each(arg, db_text(s, 0));
	return n;
}

void jobs_delete(struct jobs *j, int64_t seq)
{
	db_bind_int(j->stmts[RUNS_DELETE], 1, seq);
	batch_write(j->batch, j->stmts[RUNS_DELETE], 0);
	db_bind_int(j->stmts[JOB_DELETE], 1, seq);
	batch_write(j->batch, j->stmts[JOB_DELETE], 0);
	forget(j, seq);
}

void jobs_add_run(struct jobs *j, struct job_row *row, const struct run_row *run)
{
	struct db_stmt *s = j->stmts[RUN_INSERT];

	if (row->runs == JOBS_RUNS_MAX)
		row->runs--;
	db_bind_int(s, 1, row->seq * JOBS_RUNS_MAX + row->runs++);
	db_bind_blob(s, 2, slice_of(run->id.b, sizeof run->id.b));
	db_bind_int(s, 3, run->attempt);
	db_bind_int(s, 4, (int64_t)run->outcome);
	bind_known(s, 5, run->exit_code, run->exit_code >= 0);
	bind_known(s, 6, run->signal, run->signal > 0);
	db_bind_int(s, 7, run->started_wall_ms);
	db_bind_int(s, 8, run->wall_ms);
	db_bind_int(s, 9, run->cpu_ms);
	db_bind_int(s, 10, run->max_rss_kb);
	db_bind_text(s, 11, or_empty(run->worker));
	db_bind_text(s, 12, run->error.n ? run->error : (struct slice){0});
	db_bind_int(s, 13, run->logs_cut);
	db_bind_blob(s, 14, run->logs);
	batch_write(j->batch, s, run->logs.n);
}

bool jobs_find_run(
    struct jobs *j, const struct job_row *row, struct id run, int64_t *ret_n, enum outcome *ret)
{
	struct db_stmt *s = j->stmts[RUN_FIND];

	if (row->runs == 0)
		return false;
	db_bind_int(s, 1, row->seq);
	db_bind_blob(s, 2, slice_of(run.b, sizeof run.b));
	if (!batch_row(j->batch, s))
		return false;
	*ret_n = db_int(s, 0);
	*ret = (enum outcome)db_int(s, 1);
	db_reset(s);
	return true;
}

void jobs_drop_run(struct jobs *j, struct job_row *row, int64_t n)
{
	struct db_stmt *s = j->stmts[RUN_DELETE];

	db_bind_int(s, 1, row->seq * JOBS_RUNS_MAX + n);
	batch_write(j->batch, s, 0);
	if (n == row->runs - 1)
		row->runs--;
}

size_t jobs_walk(struct jobs *j, int64_t seq, size_t most, struct job_row *ret)
{
	struct db_stmt *s = j->stmts[JOB_WALK];
	size_t n = 0;

	db_bind_int(s, 1, seq);
	db_bind_int(s, 2, (int64_t)most);
	while (batch_row(j->batch, s))
		read_row(s, 0, &ret[n++]);
	return n;
}

void jobs_strip(struct jobs *j, const struct job_row *row)
{
	db_bind_int(j->stmts[RUNS_DELETE], 1, row->seq);
	batch_write(j->batch, j->stmts[RUNS_DELETE], 0);
	db_bind_int(j->stmts[JOB_STRIP], 1, row->seq);
	batch_write(j->batch, j->stmts[JOB_STRIP], 0);
	forget(j, row->seq);
}
