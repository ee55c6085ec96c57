/* links: daemon/store/store.sql.c daemon/store/asks.c daemon/store/batch.c daemon/store/bodies.c daemon/store/claims.c daemon/store/deals.c daemon/store/jobs.c daemon/store/lanes.c daemon/store/ledger.c daemon/store/map.c daemon/store/parcels.c daemon/store/pauses.c daemon/store/scalings.c daemon/store/record.c daemon/store/requests.c daemon/store/serve.c daemon/store/sweep.c daemon/store/takes.c daemon/store/tally.c daemon/store/tombs.c daemon/store/verdict.c daemon/store/wares.c */
/* SPDX-License-Identifier: MIT */
/* The embedded queue, on a real database: what is dealt, what becomes of it, and what is paused. */
#include "tests/unit/store_books.h"

#include <errno.h>

#include "daemon/store/serve.h"

#define DEALS_MAX 32

/* A worker that writes down what it is dealt. */
struct hand {
	unsigned n, room; /* it says that it is full when it has so many; 0: it never does */
	int rc;		  /* of a worker that cannot be sent anything */
	struct {
		struct id run;
		char job[16], type[16], queue[16], body[16];
		uint32_t attempt;
		bool alone;
		int64_t parcel;
	} deals[DEALS_MAX];
};

static int on_send(void *arg, const struct msg_deal *deal)
{
	struct hand *h = arg;
	struct job job;

	if (h->rc < 0)
		return h->rc;
	assert_true(h->n < DEALS_MAX);
	assert_int_equal(envelope_unpack(&job, deal->envelope, NULL), 0);
	h->deals[h->n].run = deal->run;
	h->deals[h->n].attempt = deal->attempt;
	h->deals[h->n].alone = deal->alone;
	h->deals[h->n].parcel = (int64_t)deal->parcel;
	slice_copy(h->deals[h->n].job, sizeof h->deals[0].job, job.id);
	slice_copy(h->deals[h->n].type, sizeof h->deals[0].type, job.type);
	slice_copy(h->deals[h->n].queue, sizeof h->deals[0].queue, deal->queue);
	slice_copy(h->deals[h->n].body, sizeof h->deals[0].body, deal->body);
	return ++h->n == h->room;
}

static uint32_t serve_into(struct books *b, struct hand *h, uint32_t most)
{
	struct serve_to to = {&b->worker, slice_str("default/1"), on_send, h};

	return serve_queue(&b->l, &to, slice_str("q"), most, b->now, b->now);
}

static struct hand serve(struct books *b, uint32_t most)
{
	struct hand h = {0};
	uint32_t n = serve_into(b, &h, most);

	assert_int_equal(n, h.n);
	return h;
}

/* One is dealt, and it is that one: its run. */
static struct id serve_one(struct books *b, const char *id)
{
	struct hand h = serve(b, 1);

	assert_int_equal(h.n, 1);
	assert_string_equal(h.deals[0].job, id);
	return h.deals[0].run;
}

static void expect_none(struct books *b)
{
	assert_int_equal(serve(b, 16).n, 0);
}

static void begin(struct books *b, struct id run, const char *id)
{
	struct msg_claim m = claim_of(0, id, 0);

	m.run = run;
	assert_false(asks_note(&b->l, &m, &b->worker, slice_str("default/1"), b->now));
}

static void end(struct books *b, struct id run, const char *id, enum outcome outcome)
{
	struct msg_outcome m = outcome_of(0, id, outcome);

	m.run = run;
	record(b, &m);
}

static void lose(struct books *b, struct id run)
{
	record_gone(&b->l, claims_find(&b->l.claims, run), false, b->now);
}

/* As lost as a job can be without its worker's help. */
static void suspect(struct books *b, const char *id, int64_t losses)
{
	struct job_row row = job_row(b, id);

	row.losses = losses;
	jobs_save(&b->l.jobs, &row, &(struct job_text){0});
}

static void submit_as(struct books *b, const char *id, uint8_t priority, int64_t expires_wall_ms)
{
	struct msg_submit m = {.queue = slice_str("q"),
	    .job = slice_str(id),
	    .type = slice_str("t"),
	    .due_wall_ms = JOB_NOT_GIVEN,
	    .delay_ms = JOB_NOT_GIVEN,
	    .priority = priority,
	    .body = slice_str(id)};
	struct job job = job_blank();
	struct buf envelope;

	buf_init(&envelope, 4096);
	job.id = slice_str(id);
	job.type = slice_str("t");
	job.expires_wall_ms = expires_wall_ms;
	assert_int_equal(envelope_pack(&job, &envelope), 0);
	m.envelope = buf_slice(&envelope);
	assert_int_equal(requests_submit(&b->l, &m, b->now).status, 201);
	buf_free(&envelope);
}

/* What another process would read now: what is committed. */
static int64_t durable(struct books *b, const char *query)
{
	auto_free char *sql = xasprintf("-- name: x\n%s;", query);
	const char *name = "x";
	struct db_stmt *s;
	int64_t value;
	struct db *db;

	assert_int_equal(db_open(b->path, DB_READER, &db, NULL), 0);
	assert_int_equal(db_prepare(db, sql, &name, 1, &s, NULL), 0);
	assert_int_equal(db_step(s, NULL), 1);
	value = db_int(s, 0);
	db_reset(s);
	db_close(db);
	return value;
}

/* --- what is dealt -------------------------------------------------------------------------- */

static void test_a_job_is_dealt_with_all_that_it_needs(void **state)
{
	struct books *b = *state;
	const struct claim *claim;
	struct hand h;

	submit_as(b, "a", 0, JOB_NOT_GIVEN);
	h = serve(b, 16);
	assert_int_equal(h.n, 1);
	assert_string_equal(h.deals[0].job, "a");
	assert_string_equal(h.deals[0].type, "t");
	assert_string_equal(h.deals[0].queue, "q");
	assert_string_equal(h.deals[0].body, "a");
	assert_int_equal(h.deals[0].attempt, 1);
	assert_false(h.deals[0].alone);
	assert_int_equal(h.deals[0].parcel, parcel_id(b, "a"));
	assert_int_equal(parcel_state(b, "a"), PARCEL_HELD);
	assert_int_equal(lanes_count(&b->l.lanes, slice_str("q")), 0);
	claim = claims_find(&b->l.claims, h.deals[0].run);
	assert_non_null(claim);
	assert_ptr_equal(claim->owner, &b->worker);
	assert_int_equal(claim->job, job_row(b, "a").seq);
	assert_false(claim->begun);
	assert_string_equal(claim->worker, "default/1");
	assert_int_equal(b->worker.n, 1);
	expect_none(b);
}

/* Neither the claim without the hold, nor the hold without the claim. */
static void test_the_claim_and_the_hold_are_committed_together(void **state)
{
	struct books *b = *state;

	submit(b, "a");
	batch_commit(&b->l.batch);
	serve_one(b, "a");
	assert_int_equal(durable(b, "SELECT count(*) FROM claim"), 0);
	assert_int_equal(durable(b, "SELECT state FROM parcel"), PARCEL_READY);
	batch_commit(&b->l.batch);
	assert_int_equal(durable(b, "SELECT count(*) FROM claim WHERE job = (SELECT seq FROM job)"), 1);
	assert_int_equal(durable(b, "SELECT state FROM parcel"), PARCEL_HELD);
}

static void test_priority_then_age(void **state)
{
	struct books *b = *state;

	submit_as(b, "old", 0, JOB_NOT_GIVEN);
	submit_as(b, "first", 5, JOB_NOT_GIVEN);
	submit_as(b, "second", 5, JOB_NOT_GIVEN);
	submit_as(b, "young", 0, JOB_NOT_GIVEN);
	serve_one(b, "first");
	serve_one(b, "second");
	serve_one(b, "old");
	serve_one(b, "young");
	expect_none(b);
}

static void test_not_more_than_is_asked_for(void **state)
{
	struct books *b = *state;

	for (unsigned i = 0; i < 20; i++)
		submit_as(b, (char[]){(char)('a' + i), 0}, 0, JOB_NOT_GIVEN);
	assert_int_equal(serve(b, 3).n, 3);
	assert_int_equal(lanes_count(&b->l.lanes, slice_str("q")), 17);
	assert_int_equal(serve(b, 1000).n, 16); /* then it is the turn of another */
	assert_int_equal(serve(b, 1000).n, 1);
	assert_int_equal(b->worker.n, 20);
}

static void test_a_worker_that_is_full_is_sent_no_more(void **state)
{
	struct books *b = *state;
	struct hand h = {.room = 2};

	submit(b, "a");
	submit(b, "b");
	submit(b, "c");
	assert_int_equal(serve_into(b, &h, 16), 2);
	assert_int_equal(h.n, 2);
	assert_int_equal(parcel_state(b, "b"), PARCEL_HELD);
	assert_int_equal(parcel_state(b, "c"), PARCEL_READY);
	assert_int_equal(b->worker.n, 2);
}

static void test_what_cannot_be_sent_stays_ready_and_its_queue_pauses(void **state)
{
	struct books *b = *state;
	struct hand h = {.rc = -EMFILE};

	submit(b, "a");
	submit(b, "b");
	assert_int_equal(serve_into(b, &h, 16), 0);
	assert_int_equal(parcel_state(b, "a"), PARCEL_READY);
	assert_int_equal(parcel_state(b, "b"), PARCEL_READY);
	assert_int_equal(b->worker.n, 0);
	assert_number(b, "SELECT count(*) FROM claim", 0);
	assert_int_equal(lanes_count(&b->l.lanes, slice_str("q")), 2);
	assert_int_equal(lanes_ready(&b->l.lanes, slice_str("q"), b->now), 0);
	assert_int_equal(lanes_next_ms(&b->l.lanes, b->now), b->now + LANE_PAUSE_MS);
	b->now += LANE_PAUSE_MS;
	assert_int_equal(lanes_ready(&b->l.lanes, slice_str("q"), b->now), 2);
	serve_one(b, "a");
	assert_int_equal(job_row(b, "a").losses, 0);
	assert_int_equal(job_row(b, "a").runs, 0);
}

/* --- how it ends ---------------------------------------------------------------------------- */

static void test_done_removes_the_parcel_in_the_same_transaction(void **state)
{
	struct books *b = *state;
	struct id run;

	submit(b, "a");
	run = serve_one(b, "a");
	batch_commit(&b->l.batch);
	begin(b, run, "a");
	end(b, run, "a", OUTCOME_DONE);
	assert_int_equal(durable(b, "SELECT state FROM job"), JOB_QUEUED);
	assert_int_equal(durable(b, "SELECT count(*) FROM parcel"), 1);
	batch_commit(&b->l.batch);
	assert_int_equal(durable(b, "SELECT state FROM job"), JOB_DONE);
	assert_int_equal(durable(b, "SELECT count(*) FROM parcel"), 0);
	assert_int_equal(durable(b, "SELECT count(*) FROM body"), 0);
	assert_int_equal(durable(b, "SELECT count(*) FROM claim"), 0);
	assert_int_equal(durable(b, "SELECT count(*) FROM run"), 1);
	assert_int_equal(b->worker.n, 0);
	assert_int_equal(b->ended_as, JOB_DONE);
	expect_none(b);
}

static void test_retry_is_dealt_when_it_is_due(void **state)
{
	struct books *b = *state;
	struct hand h;
	struct id run;

	submit(b, "a");
	run = serve_one(b, "a");
	begin(b, run, "a");
	end(b, run, "a", OUTCOME_RETRY);
	assert_int_equal(parcel_state(b, "a"), PARCEL_DELAYED);
	expect_none(b);
	b->now += 10000;
	assert_int_equal(parcels_promote(&b->l.parcels, b->now, 10), 1);
	h = serve(b, 1);
	assert_int_equal(h.n, 1);
	assert_int_equal(h.deals[0].attempt, 2);
	assert_false(id_eq(h.deals[0].run, run));
	assert_string_equal(h.deals[0].body, "the body");
}

static void test_released_is_back_in_its_place(void **state)
{
	struct books *b = *state;
	struct id run;

	submit(b, "a");
	submit(b, "b");
	run = serve_one(b, "a");
	end(b, run, "a", OUTCOME_RELEASED);
	assert_int_equal(parcel_state(b, "a"), PARCEL_READY);
	assert_int_equal(job_row(b, "a").losses, 0);
	serve_one(b, "a");
}

static void test_the_loss_of_a_run_that_began_counts(void **state)
{
	struct books *b = *state;
	struct hand h;
	struct id run;

	submit(b, "a");
	submit(b, "b");
	run = serve_one(b, "a");
	begin(b, run, "a");
	lose(b, run);
	assert_int_equal(parcel_state(b, "a"), PARCEL_READY);
	assert_int_equal(job_row(b, "a").losses, 1);
	assert_number(b, "SELECT outcome FROM run", OUTCOME_LOST);
	assert_number(b, "SELECT count(*) FROM claim", 0);
	h = serve(b, 1);
	assert_string_equal(h.deals[0].job, "a"); /* before b, as it was */
	assert_true(h.deals[0].alone);
	assert_int_equal(h.deals[0].attempt, 1);
}

static void test_the_loss_of_a_run_that_never_began_does_not(void **state)
{
	struct books *b = *state;
	struct hand h;

	submit(b, "a");
	submit(b, "b");
	lose(b, serve_one(b, "a"));
	assert_int_equal(parcel_state(b, "a"), PARCEL_READY);
	assert_int_equal(job_row(b, "a").losses, 0);
	assert_number(b, "SELECT count(*) FROM run", 0);
	assert_number(b, "SELECT count(*) FROM claim", 0);
	h = serve(b, 1);
	assert_string_equal(h.deals[0].job, "a");
	assert_false(h.deals[0].alone);
}

/* Whether it had begun nobody can tell any more. */
static void test_what_was_dealt_outlives_the_store(void **state)
{
	struct books *b = *state;
	struct claim *claim;
	struct id run;

	submit(b, "a");
	run = serve_one(b, "a");
	books_reopen(b);
	claim = claims_find(&b->l.claims, run);
	assert_non_null(claim);
	assert_null(claim->owner);
	assert_string_equal(claim->worker, "default/1");
	assert_int_equal(parcel_state(b, "a"), PARCEL_HELD);
	expect_none(b);
	lose(b, run);
	assert_int_equal(job_row(b, "a").losses, 1);
	assert_int_equal(parcel_state(b, "a"), PARCEL_READY);
	serve_one(b, "a");
}

static void test_its_outcome_reaches_the_next_store(void **state)
{
	struct books *b = *state;
	struct id run;

	submit(b, "a");
	run = serve_one(b, "a");
	books_reopen(b);
	end(b, run, "a", OUTCOME_DONE);
	assert_int_equal(job_state(b, "a"), JOB_DONE);
	assert_int_equal(job_row(b, "a").runs, 1);
	assert_int_equal(parcel_state(b, "a"), -1);
	assert_number(b, "SELECT count(*) FROM claim", 0);
}

static void test_cancelled_after_it_was_dealt(void **state)
{
	struct books *b = *state;
	struct msg_abort m = {.queue = slice_str("q"), .job = slice_str("a")};
	struct id run;

	submit(b, "a");
	run = serve_one(b, "a");
	assert_int_equal(requests_abort(&b->l, &m, b->now).status, 202);
	assert_int_equal(b->cancels, 1);
	assert_true(id_eq(b->cancelled, run));
	lose(b, run); /* its worker never heard of it: it is not put back */
	assert_int_equal(job_state(b, "a"), JOB_CANCELLED);
	assert_int_equal(parcel_state(b, "a"), -1);
	expect_none(b);
}

/* --- what is not dealt ---------------------------------------------------------------------- */

/* One that cannot be run does not stand before those behind it, even where one alone is wanted. */
static void expect_buried(struct books *b, const char *id, enum job_state state, const char *why)
{
	auto_free char *query = xasprintf("SELECT count(*) FROM job WHERE error LIKE '%s'", why);

	submit(b, "behind");
	serve_one(b, "behind");
	assert_int_equal(job_state(b, id), state);
	assert_int_equal(parcel_state(b, id), -1);
	assert_int_equal(b->over, 1);
	assert_int_equal(b->ended_as, state);
	assert_number(b, query, 1);
	assert_number(b, "SELECT count(*) FROM claim", 1);
	assert_number(b, "SELECT count(*) FROM run", 0);
	assert_int_equal(b->worker.n, 1);
	expect_none(b);
}

static void test_expired(void **state)
{
	struct books *b = *state;

	submit_as(b, "a", 0, b->now + 1000);
	b->now += 1000;
	expect_buried(b, "a", JOB_EXPIRED, "expired before it started");
}

static void test_not_expired_yet(void **state)
{
	struct books *b = *state;

	submit_as(b, "a", 0, b->now + 1000);
	b->now += 999;
	serve_one(b, "a");
}

static void test_used_up(void **state)
{
	struct books *b = *state;
	struct job_row row;

	submit(b, "a");
	row = job_row(b, "a");
	row.attempt = 3;
	jobs_save(&b->l.jobs, &row, &(struct job_text){0});
	expect_buried(b, "a", JOB_DEAD, "all of its 3 attempts were made before");
}

static void test_lost_too_often(void **state)
{
	struct books *b = *state;

	submit(b, "a");
	suspect(b, "a", b->l.conf->store.max_losses);
	expect_buried(b, "a", JOB_DEAD, "its worker died % times under it");
}

static void test_cancelled_while_it_waits(void **state)
{
	struct books *b = *state;

	submit(b, "a");
	tombs_add(&b->l.tombs, job_row(b, "a").seq, slice_str("q"), b->now + 60000);
	expect_buried(b, "a", JOB_CANCELLED, "cancelled on request");
}

static void test_body_is_missing(void **state)
{
	struct slice none = {0};
	struct books *b = *state;
	struct parcel_row parcel;

	submit(b, "a");
	/* The number of the last body would be given again. */
	bodies_add(&b->l.bodies, none, none, none, none);
	assert_true(parcels_of_job(&b->l.parcels, job_row(b, "a").seq, &parcel));
	bodies_drop(&b->l.bodies, parcel.body);
	expect_buried(b, "a", JOB_DEAD, "its body is missing from the database");
}

static void test_over_already(void **state)
{
	struct books *b = *state;
	struct job_row row;

	submit(b, "a");
	row = job_row(b, "a");
	row.state = JOB_DONE;
	jobs_save(&b->l.jobs, &row, &(struct job_text){0});
	expect_none(b);
	assert_int_equal(parcel_state(b, "a"), -1);
	assert_number(b, "SELECT count(*) FROM body", 0);
	assert_int_equal(job_state(b, "a"), JOB_DONE);
	assert_int_equal(b->over, 0);
}

/* A run of the same job goes on, of a message that came before the node's jobs were its own. */
static void test_an_older_run_goes_on(void **state)
{
	struct books *b = *state;

	started(b, 1, "a");
	submit(b, "a");
	expect_none(b);
	assert_int_equal(parcel_state(b, "a"), PARCEL_HELD);
	assert_int_equal(lanes_count(&b->l.lanes, slice_str("q")), 0);
	ended(b, 1, "a", OUTCOME_RELEASED);
	serve_one(b, "a");
}

/* --- suspects ------------------------------------------------------------------------------- */

static void test_a_second_suspect_is_passed_over(void **state)
{
	struct books *b = *state;
	struct hand h;

	submit(b, "killer");
	submit(b, "bystander");
	submit(b, "innocent");
	suspect(b, "killer", 1);
	suspect(b, "bystander", 1);
	h = serve(b, 1);
	assert_string_equal(h.deals[0].job, "killer");
	assert_true(h.deals[0].alone);
	assert_int_equal(b->l.claims.suspects, 1);
	h = serve(b, 1);
	assert_string_equal(h.deals[0].job, "innocent");
	assert_false(h.deals[0].alone);
	expect_none(b);
	assert_int_equal(parcel_state(b, "bystander"), PARCEL_READY);
	assert_number(b, "SELECT count(*) FROM claim", 2);
}

static void test_the_second_suspect_follows_the_first(void **state)
{
	struct books *b = *state;
	struct id run;

	submit(b, "killer");
	submit(b, "bystander");
	suspect(b, "killer", 1);
	suspect(b, "bystander", 1);
	run = serve_one(b, "killer");
	expect_none(b);
	end(b, run, "killer", OUTCOME_DONE);
	serve_one(b, "bystander");
}

static void test_the_second_suspect_does_not_wait_for_ever(void **state)
{
	struct books *b = *state;

	submit(b, "killer");
	submit(b, "bystander");
	suspect(b, "killer", 1);
	suspect(b, "bystander", 1);
	serve_one(b, "killer");
	b->now += ASKS_SUSPECT_MS - 1;
	expect_none(b);
	b->now++;
	serve_one(b, "bystander");
}

/* --- lanes and pauses ----------------------------------------------------------------------- */

static void test_lanes_count_what_is_ready(void **state)
{
	struct slice a = slice_str("a"), b = slice_str("b");
	struct lanes l;

	(void)state;
	lanes_init(&l);
	assert_int_equal(lanes_count(&l, a), 0);
	assert_int_equal(lanes_ready(&l, a, 0), 0);
	lanes_add(&l, a, 3);
	lanes_add(&l, b, 1);
	lanes_remove(&l, a, 7);
	assert_int_equal(lanes_count(&l, a), 2);
	assert_int_equal(lanes_ready(&l, a, 0), 2);
	lanes_pause(&l, a, 1000);
	assert_int_equal(lanes_count(&l, a), 2);
	assert_int_equal(lanes_ready(&l, a, 1000 + LANE_PAUSE_MS - 1), 0);
	assert_int_equal(lanes_ready(&l, a, 1000 + LANE_PAUSE_MS), 2);
	assert_int_equal(lanes_ready(&l, b, 1000), 1);
	lanes_free(&l);
}

static bool set_paused(struct books *b, const char *queue, bool paused)
{
	return pauses_set(&b->l.pauses, slice_str(queue), paused);
}

static bool is_paused(struct books *b, const char *queue)
{
	return pauses_has(&b->l.pauses, slice_str(queue));
}

static void test_pauses_outlive_the_store(void **state)
{
	struct books *b = *state;

	assert_false(is_paused(b, "q"));
	assert_true(set_paused(b, "q", true));
	assert_true(set_paused(b, "r", true));
	assert_true(set_paused(b, "s", true));
	assert_true(set_paused(b, "q", false));
	books_reopen(b);
	assert_false(is_paused(b, "q"));
	assert_true(is_paused(b, "r"));
	assert_true(is_paused(b, "s"));
	assert_true(set_paused(b, "s", false));
	assert_true(set_paused(b, "r", false));
	books_reopen(b);
	assert_false(is_paused(b, "r"));
	assert_false(is_paused(b, "s"));
	assert_number(b, "SELECT count(*) FROM pause", 0);
}

static void test_paused_twice_is_paused_once(void **state)
{
	struct books *b = *state;

	assert_false(set_paused(b, "q", false));
	assert_true(set_paused(b, "q", true));
	assert_false(set_paused(b, "q", true));
	assert_false(is_paused(b, "qq"));
	assert_false(is_paused(b, ""));
	assert_number(b, "SELECT count(*) FROM pause", 1);
	assert_true(set_paused(b, "q", false));
	assert_false(set_paused(b, "q", false));
	assert_false(is_paused(b, "q"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOOKS_TEST(test_a_job_is_dealt_with_all_that_it_needs),
	    BOOKS_TEST(test_the_claim_and_the_hold_are_committed_together),
	    BOOKS_TEST(test_priority_then_age),
	    BOOKS_TEST(test_not_more_than_is_asked_for),
	    BOOKS_TEST(test_a_worker_that_is_full_is_sent_no_more),
	    BOOKS_TEST(test_what_cannot_be_sent_stays_ready_and_its_queue_pauses),
	    BOOKS_TEST(test_done_removes_the_parcel_in_the_same_transaction),
	    BOOKS_TEST(test_retry_is_dealt_when_it_is_due),
	    BOOKS_TEST(test_released_is_back_in_its_place),
	    BOOKS_TEST(test_the_loss_of_a_run_that_began_counts),
	    BOOKS_TEST(test_the_loss_of_a_run_that_never_began_does_not),
	    BOOKS_TEST(test_what_was_dealt_outlives_the_store),
	    BOOKS_TEST(test_its_outcome_reaches_the_next_store),
	    BOOKS_TEST(test_cancelled_after_it_was_dealt),
	    BOOKS_TEST(test_expired),
	    BOOKS_TEST(test_not_expired_yet),
	    BOOKS_TEST(test_used_up),
	    BOOKS_TEST(test_lost_too_often),
	    BOOKS_TEST(test_cancelled_while_it_waits),
	    BOOKS_TEST(test_body_is_missing),
	    BOOKS_TEST(test_over_already),
	    BOOKS_TEST(test_an_older_run_goes_on),
	    BOOKS_TEST(test_a_second_suspect_is_passed_over),
	    BOOKS_TEST(test_the_second_suspect_follows_the_first),
	    BOOKS_TEST(test_the_second_suspect_does_not_wait_for_ever),
	    cmocka_unit_test(test_lanes_count_what_is_ready),
	    BOOKS_TEST(test_pauses_outlive_the_store),
	    BOOKS_TEST(test_paused_twice_is_paused_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
