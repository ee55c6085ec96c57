/* links: daemon/store/store.sql.c daemon/store/asks.c daemon/store/batch.c daemon/store/bodies.c daemon/store/claims.c daemon/store/deals.c daemon/store/jobs.c daemon/store/lanes.c daemon/store/ledger.c daemon/store/map.c daemon/store/parcels.c daemon/store/pauses.c daemon/store/scalings.c daemon/store/record.c daemon/store/requests.c daemon/store/sweep.c daemon/store/takes.c daemon/store/tally.c daemon/store/tombs.c daemon/store/verdict.c daemon/store/wares.c daemon/store/watches.c */
/* SPDX-License-Identifier: MIT */
/* What people ask for: submit, retry by hand, cancel, watch. */
#include "daemon/store/watches.h"
#include "tests/unit/store_books.h"

static struct request_answer cancel(struct books *b, const char *queue, const char *id)
{
	return requests_abort(
	    &b->l, &(struct msg_abort){.queue = slice_str(queue), .job = slice_str(id)}, b->now);
}

static struct request_answer retry(struct books *b, const char *id)
{
	return requests_retry(
	    &b->l, &(struct msg_retry){.queue = slice_str("q"), .job = slice_str(id)}, b->now);
}

/* --- submit --------------------------------------------------------------------------------- */

static void test_submit(void **state)
{
	struct books *b = *state;
	struct request_answer a = submit(b, "a");

	assert_int_equal(a.status, 201);
	assert_false(a.existing);
	assert_string_equal(a.state, "queued");
	assert_int_equal(parcel_state(b, "a"), PARCEL_READY);
	assert_number(b, "SELECT attempt FROM parcel", 1);
}

static void test_submit_again_is_the_same_job(void **state)
{
	struct books *b = *state;
	struct request_answer a;

	submit(b, "a");
	a = submit(b, "a");
	assert_int_equal(a.status, 200);
	assert_true(a.existing);
	assert_number(b, "SELECT count(*) FROM parcel", 1);
	assert_number(b, "SELECT count(*) FROM body", 1);
	ended(b, 1, "a", OUTCOME_DONE);
	assert_string_equal(submit(b, "a").state, "done");
	assert_int_equal(parcel_state(b, "a"), -1);
}

static void test_submit_for_later(void **state)
{
	struct books *b = *state;
	struct msg_submit m = {.queue = slice_str("q"),
	    .job = slice_str("a"),
	    .type = slice_str("t"),
	    .due_wall_ms = START + 5000,
	    .delay_ms = 5000};

	assert_int_equal(requests_submit(&b->l, &m, b->now).status, 201);
	assert_int_equal(parcel_state(b, "a"), PARCEL_DELAYED);
	assert_int_equal(job_row(b, "a").due_wall_ms, START + 5000);
	assert_number(b, "SELECT delay_ms FROM parcel", 5000);
}

static void test_submit_without_names(void **state)
{
	struct books *b = *state;
	char longest[JOB_ID_BYTES + 2];

	memset(longest, 'x', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(submit(b, "").status, 400);
	assert_int_equal(submit(b, longest).status, 400);
	assert_number(b, "SELECT count(*) FROM job", 0);
}

/* --- retry ---------------------------------------------------------------------------------- */

static void test_retry_of_a_dead_job(void **state)
{
	struct books *b = *state;

	asked(b, 1, "a", 0);
	started(b, 1, "a");
	lost(b, 1);
	ended(b, 2, "a", OUTCOME_DEAD);
	assert_int_equal(retry(b, "a").status, 200);
	assert_int_equal(job_state(b, "a"), JOB_QUEUED);
	assert_int_equal(job_row(b, "a").attempt, 0);
	assert_int_equal(job_row(b, "a").losses, 0);
	assert_int_equal(job_row(b, "a").runs, 2); /* the story goes on */
	assert_int_equal(job_row(b, "a").body, 0);
	assert_int_equal(parcel_state(b, "a"), PARCEL_READY);
	assert_number(b, "SELECT count(*) FROM body", 1);
	assert_number(
	    b, "SELECT count(*) FROM job WHERE error IS NULL AND ended_wall_ms IS NULL", 1);
	assert_int_equal(asked(b, 3, "a", parcel_id(b, "a")).attempt, 1);
	ended(b, 3, "a", OUTCOME_DONE);
	assert_int_equal(job_state(b, "a"), JOB_DONE);
	assert_int_equal(job_row(b, "a").runs, 3);
}

static void test_retry_is_for_those_that_failed(void **state)
{
	struct books *b = *state;

	assert_int_equal(retry(b, "a").status, 404);
	ended(b, 1, "done", OUTCOME_DONE);
	assert_int_equal(retry(b, "done").status, 409);
	submit(b, "queued");
	assert_int_equal(retry(b, "queued").status, 409);
	assert_int_equal(parcel_state(b, "done"), -1);
}

static void test_a_retry_that_comes_again_is_the_same(void **state)
{
	struct books *b = *state;
	struct msg_retry m = {.queue = slice_str("q"), .job = slice_str("a"), .again = true};

	submit(b, "a");
	ended(b, 1, "a", OUTCOME_DEAD);
	assert_int_equal(requests_retry(&b->l, &m, b->now).status, 200); /* the first one had not come */
	assert_int_equal(requests_retry(&b->l, &m, b->now).status, 200);
	assert_number(b, "SELECT count(*) FROM parcel", 1);
	assert_int_equal(retry(b, "a").status, 409);
	ended(b, 2, "a", OUTCOME_DONE);
	assert_int_equal(requests_retry(&b->l, &m, b->now).status, 409);
}

static void test_retry_without_a_body(void **state)
{
	struct books *b = *state;
	struct request_answer a;

	cancel(b, "q", "a"); /* in the broker, if it exists at all */
	a = retry(b, "a");
	assert_int_equal(a.status, 409);
	assert_non_null(strstr(a.text, "body is not kept"));
	assert_string_equal(a.state, "cancelled");
}

static void test_retry_of_an_expired_job_does_not_expire_again(void **state)
{
	struct books *b = *state;
	struct msg_outcome m = outcome_of(1, "a", OUTCOME_EXPIRED);
	struct job job = job_blank();
	struct slice packed, data;
	struct parcel_row row;
	struct buf out;

	buf_init(&out, 4096);
	job.id = slice_str("a");
	job.correlation_id = slice_str("c");
	job.expires_wall_ms = START - 1;
	assert_int_equal(envelope_pack(&job, &out), 0);
	m.envelope = buf_slice(&out);
	record(b, &m);
	assert_int_equal(retry(b, "a").status, 200);
	assert_true(parcels_of_job(&b->l.parcels, job_row(b, "a").seq, &row));
	assert_true(bodies_get(&b->l.bodies, row.body, &packed, &data));
	assert_int_equal(envelope_unpack(&job, packed, NULL), 0);
	assert_int_equal(job.expires_wall_ms, JOB_NOT_GIVEN);
	assert_true(slice_is(job.correlation_id, "c"));
	assert_true(slice_is(data, "the body"));
	bodies_done(&b->l.bodies);
	assert_number(b, "SELECT count(*) FROM body", 1);
	buf_free(&out);
}

/* --- cancel --------------------------------------------------------------------------------- */

static void test_cancel_what_waits_here(void **state)
{
	struct books *b = *state;
	struct request_answer a;

	submit(b, "ready");
	ended(b, 1, "retrying", OUTCOME_RETRY);
	a = cancel(b, "", "ready");
	assert_int_equal(a.status, 200);
	assert_string_equal(a.state, "cancelled");
	assert_int_equal(cancel(b, "q", "retrying").status, 200);
	assert_int_equal(parcel_state(b, "ready"), -1);
	assert_int_equal(parcel_state(b, "retrying"), -1);
	assert_int_equal(b->asks, 0); /* no message of it is in the broker */
	assert_int_equal(b->l.parcels.delayed, 0);
	assert_int_equal(retry(b, "ready").status, 200); /* its body was kept */
}

static void test_a_cancel_that_comes_again_is_the_same(void **state)
{
	struct books *b = *state;
	struct msg_abort m = {.queue = slice_str("q"), .job = slice_str("a"), .again = true};

	submit(b, "a");
	assert_int_equal(requests_abort(&b->l, &m, b->now).status, 200); /* the first one had not come */
	assert_int_equal(requests_abort(&b->l, &m, b->now).status, 200);
	assert_int_equal(cancel(b, "q", "a").status, 409);
	submit(b, "b");
	ended(b, 1, "b", OUTCOME_DONE);
	m.job = slice_str("b");
	assert_int_equal(requests_abort(&b->l, &m, b->now).status, 409);
}

static void test_cancel_what_the_courier_has(void **state)
{
	struct books *b = *state;
	int64_t parcel;

	submit(b, "a");
	parcel = dealt(b);
	assert_int_equal(cancel(b, "q", "a").status, 200);
	settle(b, parcel, SETTLE_CONFIRMED); /* it got there before */
	assert_int_equal(asked(b, 1, "a", parcel).verdict, VERDICT_CANCELLED);
	assert_int_equal(job_state(b, "a"), JOB_CANCELLED);
}

static void test_cancel_what_is_in_the_broker(void **state)
{
	struct books *b = *state;

	submit(b, "a");
	settle(b, dealt(b), SETTLE_CONFIRMED);
	assert_int_equal(cancel(b, "q", "a").status, 200);
	assert_int_equal(b->asks, 1);
	books_reopen(b);
	assert_true(tombs_any(&b->l.tombs, slice_str("q")));
	assert_int_equal(asked(b, 1, "a", 1).verdict, VERDICT_CANCELLED);
	assert_int_equal(b->asks, 0);
	assert_int_equal(asked(b, 1, "a", 1).verdict, VERDICT_CANCELLED); /* the ack was lost */
	assert_int_equal(cancel(b, "q", "a").status, 409);
}

static void test_cancel_what_nobody_has_seen(void **state)
{
	struct books *b = *state;
	struct msg_claim m = claim_of(1, "foreign", CLAIM_ASKS);

	assert_int_equal(cancel(b, "", "foreign").status, 404);
	assert_int_equal(cancel(b, "q", "foreign").status, 200);
	assert_int_equal(b->asks, 1);
	assert_int_equal(decide(b, &m).verdict, VERDICT_CANCELLED);
	assert_int_equal(b->asks, 0);
}

/* It had started before the worker heard that it must ask. */
static void test_cancel_overtaken_by_a_start(void **state)
{
	struct books *b = *state;

	cancel(b, "q", "foreign");
	assert_true(started(b, 1, "foreign"));
	assert_false(started(b, 2, "another"));
	ended(b, 1, "foreign", OUTCOME_CANCELLED);
	assert_int_equal(job_state(b, "foreign"), JOB_CANCELLED);
	assert_int_equal(b->asks, 0);
}

static void test_cancel_what_runs(void **state)
{
	struct books *b = *state;
	struct request_answer a;

	started(b, 1, "a"); /* the store has no row of it */
	a = cancel(b, "", "a");
	assert_int_equal(a.status, 202);
	assert_string_equal(a.state, "running");
	assert_int_equal(b->cancels, 1);
	assert_true(id_eq(b->cancelled, run_id(1)));
	ended(b, 1, "a", OUTCOME_CANCELLED);
	assert_int_equal(job_state(b, "a"), JOB_CANCELLED);
	assert_number(b, "SELECT outcome FROM run", OUTCOME_CANCELLED);
	assert_int_equal(b->asks, 0);
	assert_int_equal(retry(b, "a").status, 200);
}

/* However the run ends, it is not run again. */
static void test_a_cancel_outlives_its_run(void **state)
{
	struct books *b = *state;

	started(b, 1, "fails");
	started(b, 2, "dies");
	started(b, 3, "released");
	started(b, 4, "done");
	cancel(b, "q", "fails");
	cancel(b, "q", "dies");
	cancel(b, "q", "released");
	cancel(b, "q", "done");
	ended(b, 1, "fails", OUTCOME_RETRY);
	lost(b, 2);
	ended(b, 3, "released", OUTCOME_RELEASED);
	ended(b, 4, "done", OUTCOME_DONE);
	assert_int_equal(job_state(b, "fails"), JOB_CANCELLED);
	assert_int_equal(job_state(b, "dies"), JOB_CANCELLED);
	assert_int_equal(job_state(b, "released"), JOB_CANCELLED);
	assert_int_equal(job_state(b, "done"), JOB_DONE); /* it was faster */
	assert_int_equal(asked(b, 5, "dies", 0).verdict, VERDICT_CANCELLED);
	assert_int_equal(b->asks, 0);
}

static void test_one_id_in_several_queues(void **state)
{
	struct books *b = *state;
	struct msg_submit m = {
	    .queue = slice_str("other"), .job = slice_str("a"), .type = slice_str("t")};
	struct request_answer a;

	submit(b, "a");
	requests_submit(&b->l, &m, b->now);
	a = cancel(b, "", "a");
	assert_int_equal(a.status, 409);
	assert_non_null(strstr(a.text, "other, q"));
	assert_int_equal(cancel(b, "other", "a").status, 200);
	assert_int_equal(job_state(b, "a"), JOB_QUEUED);
}

static void test_tombstones_do_not_wait_for_ever(void **state)
{
	struct books *b = *state;

	cancel(b, "q", "never came");
	assert_int_equal(tombs_expire(&b->l.tombs, b->now + 6 * 86400000ll, 10), 0);
	assert_int_equal(tombs_expire(&b->l.tombs, b->now + 8 * 86400000ll, 10), 1);
	assert_int_equal(b->asks, 0);
}

/* --- watch ---------------------------------------------------------------------------------- */

static void test_watch(void **state)
{
	struct books *b = *state;
	struct msg_watch m = {.job = slice_str("a"), .queue = slice_str("")};
	uint8_t text[JOB_NAME_BYTES];
	struct slice queue;

	assert_int_equal(requests_watch(&b->l, &m, text, &queue).status, 404);
	started(b, 1, "a"); /* a foreign job on its first run */
	assert_int_equal(requests_watch(&b->l, &m, text, &queue).status, 202);
	assert_true(slice_is(queue, "q"));
	ended(b, 1, "a", OUTCOME_DONE);
	assert_int_equal(requests_watch(&b->l, &m, text, &queue).status, 200);
}

static void tell(void *arg, void *owner, uint64_t request)
{
	uint64_t *told = arg;

	assert_non_null(owner);
	*told += request;
}

static void test_watches(void **state)
{
	int gateway, other;
	uint64_t told = 0;
	struct watches w;

	(void)state;
	watches_init(&w);
	watches_add(&w, &gateway, 1, slice_str("q"), slice_str("a"));
	watches_add(&w, &gateway, 2, slice_str("q"), slice_str("a"));
	watches_add(&w, &gateway, 4, slice_str("q"), slice_str("b"));
	watches_add(&w, &other, 8, slice_str("q"), slice_str("a"));
	watches_drop(&w, &other);
	watches_fire(&w, slice_str("q"), slice_str("a"), tell, &told);
	assert_int_equal(told, 3);
	watches_fire(&w, slice_str("q"), slice_str("a"), tell, &told);
	assert_int_equal(told, 3);
	for (unsigned i = 0; i < WATCHES_MAX + 10; i++)
		watches_add(&w, &gateway, 16, slice_str("q"), slice_str("c"));
	assert_int_equal(w.by_job.n, WATCHES_MAX);
	watches_fire(
	    &w, slice_str("q"), slice_str("b"), tell, &told); /* the oldest are forgotten */
	assert_int_equal(told, 3);
	watches_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOOKS_TEST(test_submit),
	    BOOKS_TEST(test_submit_again_is_the_same_job),
	    BOOKS_TEST(test_submit_for_later),
	    BOOKS_TEST(test_submit_without_names),
	    BOOKS_TEST(test_retry_of_a_dead_job),
	    BOOKS_TEST(test_retry_is_for_those_that_failed),
	    BOOKS_TEST(test_a_retry_that_comes_again_is_the_same),
	    BOOKS_TEST(test_retry_without_a_body),
	    BOOKS_TEST(test_retry_of_an_expired_job_does_not_expire_again),
	    BOOKS_TEST(test_cancel_what_waits_here),
	    BOOKS_TEST(test_a_cancel_that_comes_again_is_the_same),
	    BOOKS_TEST(test_cancel_what_the_courier_has),
	    BOOKS_TEST(test_cancel_what_is_in_the_broker),
	    BOOKS_TEST(test_cancel_what_nobody_has_seen),
	    BOOKS_TEST(test_cancel_overtaken_by_a_start),
	    BOOKS_TEST(test_cancel_what_runs),
	    BOOKS_TEST(test_a_cancel_outlives_its_run),
	    BOOKS_TEST(test_one_id_in_several_queues),
	    BOOKS_TEST(test_tombstones_do_not_wait_for_ever),
	    BOOKS_TEST(test_watch),
	    cmocka_unit_test(test_watches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
