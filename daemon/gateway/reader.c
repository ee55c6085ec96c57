/* SPDX-License-Identifier: MIT */
#include "daemon/gateway/reader.h"

#include <errno.h>

#include "lib/db/db.h"

extern const char queries_sql[];

enum query {
	JOB_QUEUES,
	JOB_FIND,
	JOB_RESULT,
	JOB_SPAN,
	JOB_LIST,
	JOB_LIST_STATE,
	RUN_LIST,
	RUN_LOGS,
	SCALING_LIST,
	QUERY_COUNT
};

static const char *const names[QUERY_COUNT] = {
    [JOB_QUEUES] = "job_queues",
    [JOB_FIND] = "job_find",
    [JOB_RESULT] = "job_result",
    [JOB_SPAN] = "job_span",
    [JOB_LIST] = "job_list",
    [JOB_LIST_STATE] = "job_list_state",
    [RUN_LIST] = "run_list",
    [RUN_LOGS] = "run_logs",
    [SCALING_LIST] = "scaling_list",
};

struct reader {
	char *path;
	struct db *db;
	struct db_stmt *query[QUERY_COUNT];
	bool failed; /* opened anew next time */
};

struct reader *reader_new(char *path_take)
{
	struct reader *r = xcalloc(1, sizeof *r);

	r->path = path_take;
	return r;
}

static void reader_close(struct reader *r)
{
	db_close(r->db);
	r->db = NULL;
	r->failed = false;
}

void reader_free(struct reader *r)
{
	if (!r)
		return;
	reader_close(r);
	free(r->path);
	free(r);
}

static int reader_open(struct reader *r, struct err *err)
{
	int rc = db_open(r->path, DB_READER, &r->db, err);

	return rc < 0 ? rc : db_prepare(r->db, queries_sql, names, QUERY_COUNT, r->query, err);
}

int reader_begin(struct reader *r, struct err *err)
{
	int rc = r->db ? 0 : reader_open(r, err);

	if (rc == 0)
		rc = db_exec(r->db, "BEGIN", err);
	if (rc < 0)
		reader_close(r);
	return rc;
}

/* An error of a read may be the end of this connection to the database: the next read makes a new
 * one. */
static int checked(struct reader *r, int rc)
{
	if (rc < 0)
		r->failed = true;
	return rc;
}

void reader_end(struct reader *r)
{
	for (size_t i = 0; i < QUERY_COUNT; i++)
		db_reset(r->query[i]);
	if (db_exec(r->db, "COMMIT", NULL) < 0 || r->failed)
		reader_close(r);
}

/* The columns of every statement that gives jobs. */
static void job_row_read(struct db_stmt *s, struct job_row *row)
{
	int64_t state = db_int(s, 4);

	*row = (struct job_row){
	    .seq = db_int(s, 0),
	    .queue = db_text(s, 1),
	    .id = db_text(s, 2),
	    .type = db_text(s, 3),
	    .state = state >= 0 && state < JOB_STATE_COUNT ? (enum job_state)state : JOB_QUEUED,
	    .attempt = db_int(s, 5),
	    .losses = db_int(s, 6),
	    .priority = db_int(s, 7),
	    .created_wall_ms = db_int(s, 8),
	    .due_wall_ms = db_int(s, 9),
	    .started_wall_ms = db_int(s, 10),
	    .ended_wall_ms = db_int(s, 11),
	    .error = db_text(s, 12),
	    .result_cut = db_int(s, 13) != 0,
	    .result_bytes = db_int(s, 14),
	    .result = db_blob(s, 15),
	    .runs = db_int(s, 16),
	};
}

/* The one queue that knows the id; copied, since the statement is done with when this returns. */
static int find_queue(
    struct reader *r, struct slice id, char ret[static JOB_NAME_BYTES + 1], struct err *err)
{
	struct db_stmt *s = r->query[JOB_QUEUES];
	char list[200] = "";
	size_t n = 0, count = 0;
	int rc;

	db_bind_text(s, 1, id);
	while ((rc = db_step(s, err)) > 0) {
		struct slice queue = db_text(s, 0);

		if (count++ == 0)
			slice_copy(ret, JOB_NAME_BYTES + 1, queue);
		if (n < sizeof list)
			n += (size_t)snprintf(list + n, sizeof list - n, "%s" SLICE_FMT,
			    n ? ", " : "", SLICE_ARG(queue));
	}
	if (rc == 0 && count > 1)
		return err_set(
		    err, -EEXIST, "several queues know this id: add ?queue= with one of %s", list);
	return rc < 0 ? checked(r, rc) : (int)count;
}

int reader_job(struct reader *r, struct slice queue, struct slice id, int64_t max_result,
    struct job_row *ret, struct err *err)
{
	struct db_stmt *s = r->query[JOB_FIND];
	char found[JOB_NAME_BYTES + 1];
	int rc;

	if (!queue.n) {
		rc = find_queue(r, id, found, err);
		if (rc <= 0)
			return rc;
		queue = slice_str(found);
	}
	db_reset(s);
	db_bind_text(s, 1, id);
	db_bind_text(s, 2, queue);
	db_bind_int(s, 3, max_result);
	rc = db_step(s, err);
	if (rc > 0)
		job_row_read(s, ret);
	return checked(r, rc);
}

int reader_result(struct reader *r, int64_t seq, struct slice *ret, struct err *err)
{
	struct db_stmt *s = r->query[JOB_RESULT];
	int rc;

	db_reset(s);
	db_bind_int(s, 1, seq);
	rc = db_step(s, err);
	*ret = rc > 0 ? db_blob(s, 0) : (struct slice){NULL, 0};
	return checked(r, rc < 0 ? rc : 0);
}

static void run_row_read(struct db_stmt *s, struct run_row *row)
{
	int64_t outcome = db_int(s, 2);

	*row = (struct run_row){
	    .n = db_int(s, 0) + 1,
	    .attempt = db_int(s, 1),
	    .outcome =
		outcome >= 0 && outcome < OUTCOME_COUNT ? (enum outcome)outcome : OUTCOME_LOST,
	    .has_exit_code = !db_is_null(s, 3),
	    .exit_code = db_int(s, 3),
	    .has_signal = !db_is_null(s, 4),
	    .signal = db_int(s, 4),
	    .started_wall_ms = db_int(s, 5),
	    .wall_ms = db_int(s, 6),
	    .cpu_ms = db_int(s, 7),
	    .max_rss_kb = db_int(s, 8),
	    .worker = db_text(s, 9),
	    .error = db_text(s, 10),
	};
}

struct json *reader_attempts(struct reader *r, int64_t seq, struct err *err)
{
	struct db_stmt *s = r->query[RUN_LIST];
	struct json *all = json_array();
	struct run_row row;
	int rc;

	db_reset(s);
	db_bind_int(s, 1, seq);
	while ((rc = db_step(s, err)) > 0) {
		run_row_read(s, &row);
		json_push(all, jobs_attempt_json(&row));
	}
	if (checked(r, rc) == 0)
		return all;
	json_free(all);
	return NULL;
}

int reader_logs(struct reader *r, int64_t seq, int64_t attempt, struct slice *ret, struct err *err)
{
	struct db_stmt *s = r->query[RUN_LOGS];
	int rc;

	db_reset(s);
	db_bind_int(s, 1, seq);
	if (attempt > 0)
		db_bind_int(s, 2, attempt);
	rc = db_step(s, err);
	if (rc > 0)
		*ret = db_blob(s, 0);
	return checked(r, rc);
}

struct json *reader_changes(struct reader *r, struct slice pool, int64_t limit, struct err *err)
{
	struct db_stmt *s = r->query[SCALING_LIST];
	struct json *all = json_array();
	int rc;

	db_reset(s);
	db_bind_text(s, 1, pool);
	db_bind_int(s, 2, limit);
	while ((rc = db_step(s, err)) > 0) {
		struct json *j = json_object();

		json_add_time(j, "at", db_int(s, 0));
		json_add_int(j, "from", db_int(s, 1));
		json_add_int(j, "to", db_int(s, 2));
		json_add_str(j, "reason", db_text(s, 3));
		json_push(all, j);
	}
	if (checked(r, rc) == 0)
		return all;
	json_free(all);
	return NULL;
}

int reader_span(struct reader *r, int64_t *ret_least, int64_t *ret_most, struct err *err)
{
	struct db_stmt *s = r->query[JOB_SPAN];
	int rc;

	db_reset(s);
	rc = db_step(s, err);
	if (rc <= 0)
		return checked(r, rc);
	*ret_least = db_int(s, 0);
	*ret_most = db_int(s, 1);
	return 0;
}

/* Jobs that are done are left out of the index on state, so they are found by walking. */
static bool has_index(const struct reader_filter *f)
{
	return f->has_state && f->state != JOB_DONE;
}

int reader_list(struct reader *r, const struct reader_filter *f, int64_t least, int64_t most,
    int limit, reader_row_fn *fn, void *arg, struct err *err)
{
	struct db_stmt *s = r->query[has_index(f) ? JOB_LIST_STATE : JOB_LIST];
	struct job_row row;
	int rc, n = 0;

	db_reset(s);
	db_bind_int(s, 1, least);
	db_bind_int(s, 2, most);
	db_bind_int(s, 3, JOBS_LISTED_RESULT_MAX_BYTES);
	if (f->type.n)
		db_bind_text(s, 4, f->type);
	if (f->queue.n)
		db_bind_text(s, 5, f->queue);
	if (f->has_state)
		db_bind_int(s, 6, f->state);
	db_bind_int(s, 7, limit);
	while ((rc = db_step(s, err)) > 0) {
		job_row_read(s, &row);
		n++;
		if (!fn(&row, arg))
			break;
	}
	db_reset(s);
	return rc < 0 ? checked(r, rc) : n;
}
