/* links: daemon/store/store.sql.c daemon/store/asks.c daemon/store/batch.c daemon/store/bodies.c daemon/store/claims.c daemon/store/deals.c daemon/store/jobs.c daemon/store/lanes.c daemon/store/ledger.c daemon/store/map.c daemon/store/parcels.c daemon/store/pauses.c daemon/store/scalings.c daemon/store/record.c daemon/store/requests.c daemon/store/sweep.c daemon/store/takes.c daemon/store/tally.c daemon/store/tombs.c daemon/store/verdict.c daemon/store/wares.c */
/* SPDX-License-Identifier: MIT */
/* What is counted of the work, on a real database. The configuration knows the queue q and the types t and now. */
#include "tests/unit/store_books.h"

#include "daemon/store/tally.h"

static const struct series_row *row_of(struct books *b, const char *queue, const char *type)
{
	static const struct series_row none;
	const struct series_row *row = series_find(b->l.series, slice_str(queue), slice_str(type));

	return row ? row : &none;
}

static uint64_t entries(const struct series_histogram *h)
{
	uint64_t n = 0;

	for (size_t i = 0; i <= series_job_bounds.n; i++)
		n += h->in[i];
	return n;
}

static bool started_since(struct books *b, unsigned run, const char *id, int64_t ready)
{
	struct msg_claim m = claim_of(run, id, 0);

	m.ready_wall_ms = ready;
	return asks_note(&b->l, &m, &b->worker, slice_str("default/1"), b->now);
}

static void test_a_job_that_is_done(void **state)
{
	struct books *b = *state;
	const struct series_row *row;

	submit(b, "a");
	started(b, 1, "a");
	started(b, 1, "a"); /* said again: it has begun once */
	ended(b, 1, "a", OUTCOME_DONE);
	ended(b, 1, "a", OUTCOME_DONE); /* sent again after a crash: it is recorded once */
	row = row_of(b, "q", "t");
	assert_int_equal(row->submitted, 1);
	assert_int_equal(row->begun, 1);
	assert_int_equal(row->runs[OUTCOME_DONE], 1);
	assert_int_equal(row->jobs[JOB_DONE], 1);
	assert_int_equal(entries(&row->run_ms), 1);
	assert_int_equal(row->run_ms.sum, 50);
}

/* A service may answer before its worker has told the store that the run began: the outcome says so too. */
static void test_a_run_that_is_told_of_when_it_is_over_has_begun(void **state)
{
	struct books *b = *state;
	struct msg_outcome m = outcome_of(1, "a", OUTCOME_DONE);
	const struct series_row *row;

	m.ready_wall_ms = m.started_wall_ms - 300;
	record(b, &m);
	record(b, &m);
	m = outcome_of(2, "fails", OUTCOME_RETRY);
	m.ready_wall_ms = JOB_NOT_GIVEN;
	record(b, &m);
	m = outcome_of(3, "never began", OUTCOME_DEAD);
	m.flags = OUTCOME_BURIED;
	record(b, &m);
	row = row_of(b, "q", "t");
	assert_int_equal(row->begun, 2);
	assert_int_equal(entries(&row->wait_ms), 1);
	assert_int_equal(row->wait_ms.sum, 300);
}

static void test_a_submit_that_is_known_counts_once(void **state)
{
	struct books *b = *state;

	submit(b, "a");
	submit(b, "a");
	assert_int_equal(row_of(b, "q", "t")->submitted, 1);
}

static void test_each_outcome_has_its_count(void **state)
{
	struct books *b = *state;
	const struct series_row *row;

	for (unsigned i = 1; i <= 3; i++) /* retries = 2 */
		ended(b, i, "fails", OUTCOME_RETRY);
	ended(b, 4, "dead", OUTCOME_DEAD);
	ended(b, 5, "cancelled", OUTCOME_CANCELLED);
	ended(b, 6, "expired", OUTCOME_EXPIRED);
	ended(b, 7, "released", OUTCOME_RELEASED);
	ended(b, 8, "twice", OUTCOME_DONE);
	ended(b, 9, "twice", OUTCOME_DONE);
	started(b, 10, "lost");
	lost(b, 10);
	row = row_of(b, "q", "t");
	assert_int_equal(row->runs[OUTCOME_RETRY], 2);
	assert_int_equal(row->runs[OUTCOME_DEAD], 2);
	assert_int_equal(row->runs[OUTCOME_CANCELLED], 1);
	assert_int_equal(row->runs[OUTCOME_EXPIRED], 0); /* nothing ran */
	assert_int_equal(row->runs[OUTCOME_RELEASED], 1);
	assert_int_equal(row->runs[OUTCOME_DONE], 1);
	assert_int_equal(row->runs[OUTCOME_DUPLICATE], 1);
	assert_int_equal(row->runs[OUTCOME_LOST], 1);
	assert_int_equal(row->jobs[JOB_DEAD], 2);
	assert_int_equal(row->jobs[JOB_CANCELLED], 1);
	assert_int_equal(row->jobs[JOB_EXPIRED], 1);
	assert_int_equal(row->jobs[JOB_DONE], 1);
	assert_int_equal(entries(&row->run_ms), 2 + 2 + 1 + 1);
}

static void test_a_wait_is_counted_where_it_is_known(void **state)
{
	struct books *b = *state;
	const struct series_row *row = row_of(b, "q", "t");

	started_since(b, 1, "known", b->now - 1500);
	started_since(b, 2, "unknown", JOB_NOT_GIVEN);
	started_since(b, 3, "other clock", b->now + 1);
	started_since(b, 4, "at once", b->now);
	row = row_of(b, "q", "t");
	assert_int_equal(row->begun, 4);
	assert_int_equal(entries(&row->wait_ms), 2);
	assert_int_equal(row->wait_ms.sum, 1500);
}

/* It was cleared for its run first, and began later: the wait ends when it begins. */
static void test_a_wait_ends_with_the_begin(void **state)
{
	struct books *b = *state;
	struct msg_claim m = claim_of(1, "a", CLAIM_ASKS);

	m.ready_wall_ms = b->now;
	assert_int_equal(decide(b, &m).verdict, VERDICT_RUN);
	assert_int_equal(entries(&row_of(b, "q", "t")->wait_ms), 0);
	b->now += 700;
	started(b, 1, "a"); /* this frame need not know */
	assert_int_equal(row_of(b, "q", "t")->wait_ms.sum, 700);
}

static void test_what_is_not_configured_is_other(void **state)
{
	struct books *b = *state;

	for (unsigned i = 0; i < 1000; i++) {
		char name[16];
		struct msg_outcome m;

		snprintf(name, sizeof name, "n-%u", i);
		m = outcome_of(100 + i, name, OUTCOME_DONE);
		m.type = slice_str(name);
		m.queue = slice_str(i % 2 ? name : "q");
		record(b, &m);
	}
	assert_int_equal(row_of(b, "q", SERIES_OTHER)->jobs[JOB_DONE], 500);
	assert_int_equal(row_of(b, SERIES_OTHER, SERIES_OTHER)->jobs[JOB_DONE], 500);
	ended(b, 1, "a", OUTCOME_DONE);
	assert_int_equal(row_of(b, "q", "t")->jobs[JOB_DONE], 1);
}

static void test_a_job_without_a_type_counts_for_its_queues_handler(void **state)
{
	struct books *b = *state;
	struct msg_submit m = {.queue = slice_str("with"), .job = slice_str("a"),
	    .due_wall_ms = JOB_NOT_GIVEN, .delay_ms = JOB_NOT_GIVEN, .body = slice_str("x")};

	requests_submit(&b->l, &m, b->now);
	assert_int_equal(row_of(b, "with", "now")->submitted, 1);
	m.queue = slice_str("q"); /* has none */
	requests_submit(&b->l, &m, b->now);
	assert_int_equal(row_of(b, "q", SERIES_OTHER)->submitted, 1);
}

static void test_a_store_that_starts_counts_from_0(void **state)
{
	struct books *b = *state;

	submit(b, "a");
	books_reopen(b);
	assert_int_equal(row_of(b, "q", "t")->submitted, 0);
	assert_int_equal(b->l.parcels.held, 0);
}

static void test_held_parcels_are_counted(void **state)
{
	struct books *b = *state;

	started(b, 1, "a");
	take(b, 1, "a", true);
	assert_int_equal(parcel_state(b, "a"), PARCEL_HELD);
	assert_int_equal(b->l.parcels.held, 1);
	books_reopen(b);
	assert_int_equal(b->l.parcels.held, 1);
	ended(b, 1, "a", OUTCOME_DONE);
	assert_int_equal(b->l.parcels.held, 0);
}

/* --- since when a parcel is ready ------------------------------------------------------------- */

static int64_t ready_since(struct books *b, const char *id)
{
	struct parcel_row row;

	assert_true(parcels_of_job(&b->l.parcels, job_row(b, id).seq, &row));
	return parcels_ready_since(&row);
}

static void test_a_parcel_is_ready_since_its_submit_or_since_it_was_due(void **state)
{
	struct books *b = *state;
	struct msg_submit m = {.queue = slice_str("q"), .job = slice_str("later"), .type = slice_str("t"),
	    .due_wall_ms = START + 5000, .delay_ms = 5000, .body = slice_str("x")};

	submit(b, "a");
	requests_submit(&b->l, &m, b->now);
	b->now += 60000;
	parcels_promote(&b->l.parcels, b->now, 10);
	assert_int_equal(parcel_state(b, "later"), PARCEL_READY);
	assert_int_equal(ready_since(b, "a"), START);
	assert_int_equal(ready_since(b, "later"), START + 5000);
}

static void test_of_a_parcel_that_was_not_taken_at_first_it_is_not_known(void **state)
{
	struct books *b = *state;

	submit(b, "a");
	settle(b, dealt(b), SETTLE_NACKED);
	b->now += 60000;
	parcels_promote(&b->l.parcels, b->now, 10);
	assert_int_equal(parcel_state(b, "a"), PARCEL_READY);
	assert_int_equal(ready_since(b, "a"), JOB_NOT_GIVEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOOKS_TEST(test_a_job_that_is_done),
	    BOOKS_TEST(test_a_run_that_is_told_of_when_it_is_over_has_begun),
	    BOOKS_TEST(test_a_submit_that_is_known_counts_once),
	    BOOKS_TEST(test_each_outcome_has_its_count),
	    BOOKS_TEST(test_a_wait_is_counted_where_it_is_known),
	    BOOKS_TEST(test_a_wait_ends_with_the_begin),
	    BOOKS_TEST(test_what_is_not_configured_is_other),
	    BOOKS_TEST(test_a_job_without_a_type_counts_for_its_queues_handler),
	    BOOKS_TEST(test_a_store_that_starts_counts_from_0),
	    BOOKS_TEST(test_held_parcels_are_counted),
	    BOOKS_TEST(test_a_parcel_is_ready_since_its_submit_or_since_it_was_due),
	    BOOKS_TEST(test_of_a_parcel_that_was_not_taken_at_first_it_is_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
