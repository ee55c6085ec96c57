/* SPDX-License-Identifier: MIT */
/*
 * Jobs that run are on the board, the others in the database. What the database has as queued or
 * retrying and the board as running is running; and the board may have jobs that the database has
 * not: foreign ones in their first run. Those lead the first page, being the latest.
 */
#include "daemon/gateway/listing.h"

#include <errno.h>
#include <inttypes.h>

#include "daemon/gateway/checks.h"

#define LISTING_MAGIC 0x6c697374u
#define LISTING_DEFAULT 100
#define LISTING_MAX 1000
#define LISTING_SPAN 2000		   /* rows looked at between two looks at the clock */
#define LISTING_STEP_MS 20		   /* and how long others wait at most */
#define LISTING_PAGE_BYTES (16u << 20)	   /* a page ends early at this */
#define LISTING_PAGE_MAX_BYTES (64u << 20) /* and one job more always fits */

struct listing {
	unsigned magic;
	struct gateway *g;
	struct http_request *r;
	struct reader_filter filter;
	int limit, found;
	int64_t before;	   /* 0: not given */
	int64_t least, at; /* what is left to look at: least..at */
	int64_t last;	   /* seq of the last that was listed */
	struct fleet fleet;
	struct buf out;
	struct loop_timer next;
	struct err err;
};

/* --- parameters ------------------------------------------------------------------------------- */

static int read_number(
    const struct target *t, const char *name, int64_t most, int64_t *ret, struct err *err)
{
	struct slice text = target_param(t, name);

	if (!text.p || (checks_number(text, most, ret) == 0 && *ret > 0))
		return 0;
	return err_set(err, -EINVAL, "'%s' must be a number from 1 to %" PRId64, name, most);
}

static int read_name(const struct target *t, const char *name, struct slice *ret, struct err *err)
{
	*ret = target_param(t, name);
	return ret->p ? checks_name(name, *ret, err) : 0;
}

static int read_params(struct listing *l, struct err *err)
{
	const struct target *t = http_target(l->r);
	struct slice state = target_param(t, "state");
	auto_free char *word = slice_dup(state);
	int64_t limit = LISTING_DEFAULT;
	int rc;

	l->filter.has_state = state.p != NULL;
	if (state.p && job_state_parse(word, &l->filter.state) < 0)
		return err_set(err, -EINVAL,
		    "'state' must be one of queued, running, retrying, done, dead, cancelled, "
		    "expired");
	rc = read_name(t, "type", &l->filter.type, err);
	if (rc == 0)
		rc = read_name(t, "queue", &l->filter.queue, err);
	if (rc == 0)
		rc = read_number(t, "limit", LISTING_MAX, &limit, err);
	if (rc == 0)
		rc = read_number(t, "before", INT64_MAX / 4096, &l->before, err);
	l->limit = (int)limit;
	return rc;
}

/* --- the array -------------------------------------------------------------------------------- */

/* Takes the job over. */
static void put(struct listing *l, struct json *job)
{
	buf_adds(&l->out, l->found++ ? ",\n" : "[");
	json_print(job, false, &l->out);
	json_free(job);
}

static bool is_full(const struct listing *l)
{
	return l->found >= l->limit || buf_size(&l->out) >= LISTING_PAGE_BYTES;
}

/* Lists of no state and of state running begin with what the board shows. */
static bool wants_runs(const struct listing *l)
{
	return l->filter.has_state ? l->filter.state == JOB_RUNNING : !l->before;
}

static bool wants_run(const struct listing *l, const struct fleet_run *run)
{
	return (!l->filter.queue.n || slice_eq(run->queue, l->filter.queue)) &&
	       (!l->filter.type.n || slice_eq(run->type, l->filter.type));
}

static bool put_row(const struct job_row *row, void *arg)
{
	OBJ(struct listing, l, arg, LISTING_MAGIC);
	const struct fleet_run *running = fleet_find(&l->fleet, row->queue, row->id);
	struct json *attempts;

	l->last = row->seq;
	if (l->filter.has_state && jobs_state(row, running) != l->filter.state)
		return true;
	attempts = reader_attempts(l->g->reader, row->seq, &l->err);
	if (!attempts)
		return false;
	put(l, jobs_json(row, attempts, running));
	return !is_full(l);
}

/* The runs of the board: all of them (state=running), or those that the database does not know. */
static int put_runs(struct listing *l, bool all)
{
	struct job_row row;
	struct json *attempts;

	for (size_t i = 0; i < l->fleet.n && !is_full(l); i++) {
		const struct fleet_run *run = &l->fleet.runs[i];
		struct slice id =
		    slice_of(run->run.job, strnlen(run->run.job, sizeof run->run.job));
		int rc;

		if (!wants_run(l, run))
			continue;
		rc = reader_job(
		    l->g->reader, run->queue, id, JOBS_LISTED_RESULT_MAX_BYTES, &row, &l->err);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			put(l, jobs_json_of_run(run));
		} else if (all && !job_state_over(row.state)) {
			attempts = reader_attempts(l->g->reader, row.seq, &l->err);
			if (!attempts)
				return l->err.code;
			put(l, jobs_json(&row, attempts, run));
		}
	}
	return 0;
}

/* --- steps ------------------------------------------------------------------------------------ */

static void listing_end(struct listing *l)
{
	char number[24];

	loop_timer_stop(&l->next);
	fleet_free(&l->fleet);
	if (l->err.code < 0) {
		gateway_reader_failed(l->r, &l->err);
	} else {
		if (is_full(l) && l->at >= l->least) {
			snprintf(number, sizeof number, "%" PRId64, l->last ? l->last : l->at + 1);
			http_add_header(l->r, "Skep-Next", number);
		}
		buf_adds(&l->out, l->found ? "]\n" : "[]\n");
		http_reply(l->r, 200, "application/json", &l->out);
	}
	buf_free(&l->out);
	l->magic = 0;
	free(l);
}

/* One span of rows. Negative on error. */
static int look_at_span(struct listing *l)
{
	int64_t from = l->at - LISTING_SPAN + 1 > l->least ? l->at - LISTING_SPAN + 1 : l->least;
	int n =
	    reader_list(l->g->reader, &l->filter, from, l->at, LISTING_SPAN, put_row, l, &l->err);

	l->at = is_full(l) ? l->last - 1 : from - 1;
	return n < 0 ? n : l->err.code;
}

static void step(struct listing *l)
{
	int64_t until = loop_now_ms(l->g->p->loop) + LISTING_STEP_MS;
	int rc = reader_begin(l->g->reader, &l->err);

	if (rc == 0) {
		while (rc == 0 && l->at >= l->least && !is_full(l) &&
		       loop_now_ms(l->g->p->loop) < until)
			rc = look_at_span(l);
		reader_end(l->g->reader);
	}
	if (rc < 0 || l->at < l->least || is_full(l))
		listing_end(l);
	else
		loop_timer_set(&l->next, 0);
}

static void on_next(struct loop_timer *t)
{
	OBJ(struct listing, l, t->arg, LISTING_MAGIC);

	step(l);
}

/* What comes before the rows. 1: the rows are wanted too. */
static int first_step(struct listing *l)
{
	bool running = l->filter.has_state && l->filter.state == JOB_RUNNING;
	int rc = reader_begin(l->g->reader, &l->err);

	if (rc < 0)
		return rc;
	if (wants_runs(l))
		rc = put_runs(l, running);
	if (rc == 0)
		rc = reader_span(l->g->reader, &l->least, &l->at, &l->err);
	reader_end(l->g->reader);
	if (l->before && l->before - 1 < l->at)
		l->at = l->before - 1;
	if (running || l->at <= 0)
		l->at = l->least - 1; /* no rows are wanted, or there are none */
	return rc < 0 ? rc : l->at >= l->least && !is_full(l);
}

/* There is no database yet. */
static void only_runs(struct listing *l)
{
	l->err = (struct err){0};
	for (size_t i = 0; wants_runs(l) && i < l->fleet.n && !is_full(l); i++) {
		if (wants_run(l, &l->fleet.runs[i]))
			put(l, jobs_json_of_run(&l->fleet.runs[i]));
	}
}

void listing_begin(struct gateway *g, struct http_request *r)
{
	struct listing *l = xcalloc(1, sizeof *l);
	struct err err = {0};
	int rc;

	l->magic = LISTING_MAGIC;
	l->g = g;
	l->r = r;
	buf_init(&l->out, LISTING_PAGE_MAX_BYTES);
	loop_timer_init(&l->next, g->p->loop, on_next, l);
	if (read_params(l, &err) < 0) {
		free(l);
		http_error(r, 400, "%s", err.text);
		return;
	}
	fleet_look(&l->fleet, g->p);
	rc = first_step(l);
	if (rc == -ENOENT)
		only_runs(l);
	if (rc > 0)
		step(l);
	else
		listing_end(l);
}
