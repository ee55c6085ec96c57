/* links: daemon/store/store.sql.c daemon/store/asks.c daemon/store/batch.c daemon/store/bodies.c daemon/store/claims.c daemon/store/deals.c daemon/store/jobs.c daemon/store/lanes.c daemon/store/ledger.c daemon/store/map.c daemon/store/parcels.c daemon/store/pauses.c daemon/store/scalings.c daemon/store/record.c daemon/store/requests.c daemon/store/sweep.c daemon/store/takes.c daemon/store/tally.c daemon/store/tombs.c daemon/store/verdict.c daemon/store/wares.c */
/* SPDX-License-Identifier: MIT */
/* What is kept in memory of the tables is what is in them, whatever was done: a walk of random changes over jobs that share
 * a place in memory, two by two. */
#include "tests/unit/store_books.h"

#define PAIRS 20
#define STEPS 2000

static unsigned seed;

static unsigned dice(unsigned sides)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % sides;
}

static const char *name(char buf[static 32], int64_t n)
{
	snprintf(buf, 32, "job-%lld", (long long)n);
	return buf;
}

/* Rows 1 to JOBS_RECENT + PAIRS: the first PAIRS and the last share places. */
static void insert_all(struct books *b)
{
	char text[32];

	for (int64_t n = 1; n <= JOBS_RECENT + PAIRS; n++) {
		struct job_names names = {slice_str("q"), slice_str(name(text, n)), slice_str("t")};
		struct job_row row = {.state = JOB_QUEUED, .created_wall_ms = START, .priority = n % 7};

		assert_true(jobs_insert(&b->l.jobs, &names, &row, &(struct job_text){0}));
		assert_int_equal(row.seq, n);
	}
}

static int64_t one_of_a_pair(void)
{
	return 1 + dice(PAIRS) + (dice(2) ? JOBS_RECENT : 0);
}

static void compare(struct books *b, int64_t seq)
{
	struct job_row r = {0};
	bool there = jobs_row(&b->l.jobs, seq, &r);
	auto_free char *same = xasprintf("SELECT count(*) FROM job WHERE seq = %lld AND (%d = 0 OR (state = %d"
					 " AND attempt = %lld AND runs = %lld AND losses = %lld AND priority = %lld"
					 " AND created_wall_ms = %lld AND coalesce(due_wall_ms, 0) = %lld"
					 " AND coalesce(started_wall_ms, 0) = %lld AND coalesce(ended_wall_ms, 0) = %lld"
					 " AND coalesce(body, 0) = %lld))",
	    (long long)seq, there, (int)r.state, (long long)r.attempt, (long long)r.runs, (long long)r.losses,
	    (long long)r.priority, (long long)r.created_wall_ms, (long long)r.due_wall_ms,
	    (long long)r.started_wall_ms, (long long)r.ended_wall_ms, (long long)r.body);

	assert_number(b, same, there);
}

static void change(struct books *b, struct job_row *row)
{
	struct jobs *jobs = &b->l.jobs;

	row->attempt = dice(9);
	row->runs = dice(9);
	row->losses = dice(3);
	row->due_wall_ms = dice(2) ? JOB_NOT_GIVEN : START + dice(1000);
	row->started_wall_ms = dice(2) ? 0 : START;
	row->body = dice(3);
	switch (dice(12)) {
	case 0:
		jobs_delete(jobs, row->seq);
		return;
	case 1:
	case 2:
		jobs_strip(jobs, row);
		return;
	case 3:
	case 4:
	case 5:
		jobs_touch(jobs, row);
		return;
	default:
		row->state = dice(2) ? JOB_DEAD : JOB_QUEUED;
		jobs_save(jobs, row, &(struct job_text){0});
	}
}

static void test_rows_of_jobs(void **state)
{
	struct books *b = *state;
	struct job_row row;

	insert_all(b);
	seed = 4711;
	for (int i = 0; i < STEPS; i++) {
		int64_t seq = one_of_a_pair();

		if (dice(3) && jobs_row(&b->l.jobs, seq, &row))
			change(b, &row);
		compare(b, one_of_a_pair());
	}
}

static void add_parcel(struct books *b, int64_t job, enum parcel_state state)
{
	struct parcel_row parcel = {.job = job,
	    .kind = PARCEL_JOB,
	    .state = state,
	    .destination = slice_str("q"),
	    .due_wall_ms = START,
	    .body = bodies_add(&b->l.bodies, slice_str("x"), slice_str("t"), (struct slice){0}, slice_str("body"))};

	parcels_add(&b->l.parcels, &parcel, START);
}

static int64_t parcel_column(struct books *b, const char *what, int64_t job)
{
	auto_free char *query = xasprintf("SELECT %s FROM parcel WHERE job = %lld", what, (long long)job);

	return number(b, query);
}

/* A job's parcel is removed by the job's number, with or without its body, from whatever state. */
static void test_parcels_of_jobs(void **state)
{
	struct books *b = *state;
	struct parcel_row row;

	seed = 815;
	for (int i = 0; i < STEPS; i++) {
		int64_t job = one_of_a_pair(), body = parcel_column(b, "body", job);
		bool there = parcels_of_job(&b->l.parcels, job, &row), keep = dice(2);

		assert_int_equal(there, body > 0);
		if (!there) {
			add_parcel(b, job, dice(2) ? PARCEL_HELD : PARCEL_READY);
		} else if (dice(2)) {
			parcels_set_state(&b->l.parcels, &row, dice(2) ? PARCEL_HELD : PARCEL_READY, START, 0);
		} else {
			assert_int_equal(parcels_remove_of_job(&b->l.parcels, job, keep), keep ? body : 0);
			assert_int_equal(parcel_column(b, "count(*)", job), 0);
			assert_int_equal(parcels_remove_of_job(&b->l.parcels, job, keep), 0);
		}
		assert_int_equal(b->l.parcels.held, number(b, "SELECT count(*) FROM parcel WHERE state = 2"));
		assert_int_equal(b->l.lanes.ready, number(b, "SELECT count(*) FROM parcel WHERE state = 0"));
	}
	assert_number(b, "SELECT count(*) FROM parcel WHERE body NOT IN (SELECT id FROM body)", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {BOOKS_TEST(test_rows_of_jobs), BOOKS_TEST(test_parcels_of_jobs)};

	_Static_assert(JOBS_RECENT == PARCELS_RECENT, "pairs share a place in both");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
