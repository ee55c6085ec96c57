/* links: daemon/store/store.sql.c daemon/store/asks.c daemon/store/batch.c daemon/store/bodies.c daemon/store/claims.c daemon/store/deals.c daemon/store/jobs.c daemon/store/lanes.c daemon/store/ledger.c daemon/store/map.c daemon/store/parcels.c daemon/store/pauses.c daemon/store/scalings.c daemon/store/record.c daemon/store/requests.c daemon/store/sweep.c daemon/store/takes.c daemon/store/tally.c daemon/store/tombs.c daemon/store/verdict.c daemon/store/wares.c */
/* SPDX-License-Identifier: MIT */
/* Outcomes, losses, take-overs and verdicts, on a real database. */
#include "tests/unit/store_books.h"

/* --- outcomes ------------------------------------------------------------------------------- */

static void test_done_at_first_delivery(void **state)
{
	struct books *b = *state;
	uint32_t rows;

	started(b, 1, "a");
	rows = b->l.batch.rows;
	ended(b, 1, "a", OUTCOME_DONE);
	assert_int_equal(
	    b->l.batch.rows - rows, 2); /* a job, a run: nothing else on the fast path */
	assert_int_equal(job_state(b, "a"), JOB_DONE);
	assert_int_equal(job_row(b, "a").attempt, 1);
	assert_int_equal(job_row(b, "a").runs, 1);
	assert_number(b, "SELECT result = CAST('a result' AS BLOB) FROM job", 1);
	assert_number(b, "SELECT created_wall_ms FROM job", START - 50);
	assert_number(b, "SELECT key & 4095 FROM run", 0);
	assert_number(b, "SELECT attempt FROM run", 1);
	assert_number(b,
	    "SELECT count(*) FROM run WHERE signal IS NULL AND exit_code = 0 AND error IS NULL", 1);
	assert_number(b, "SELECT count(*) FROM body", 0);
	assert_int_equal(b->over, 1);
	assert_null(claims_find(&b->l.claims, run_id(1)));
}

static void test_an_outcome_sent_again_changes_nothing(void **state)
{
	static const enum outcome outcomes[] = {
	    OUTCOME_DONE, OUTCOME_RETRY, OUTCOME_DEAD, OUTCOME_RELEASED};
	struct books *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++) {
		char id[8];
		struct job_row before, after;
		int64_t parcel;

		snprintf(id, sizeof id, "%zu", i);
		ended(b, 10 + (unsigned)i, id, outcomes[i]);
		before = job_row(b, id);
		parcel = parcel_id(b, id);
		books_reopen(b);
		b->now += 5000;
		ended(b, 10 + (unsigned)i, id, outcomes[i]);
		after = job_row(b, id);
		assert_int_equal(after.state, before.state);
		assert_int_equal(after.attempt, before.attempt);
		assert_int_equal(after.runs, before.runs);
		assert_int_equal(after.due_wall_ms, before.due_wall_ms);
		assert_int_equal(after.ended_wall_ms, before.ended_wall_ms);
		assert_int_equal(after.body, before.body);
		assert_int_equal(parcel_id(b, id), parcel);
	}
	assert_number(b, "SELECT count(*) FROM run", 4);
}

static void test_retry_waits_and_comes_again(void **state)
{
	struct books *b = *state;

	ended(b, 1, "a", OUTCOME_RETRY);
	assert_int_equal(job_state(b, "a"), JOB_RETRYING);
	assert_int_equal(parcel_state(b, "a"), PARCEL_DELAYED);
	assert_number(b, "SELECT due_wall_ms FROM job", START + 10000);
	assert_number(b, "SELECT due_wall_ms FROM parcel", START + 10000);
	assert_number(b, "SELECT delay_ms FROM parcel", 10000);
	assert_number(b, "SELECT attempt FROM parcel", 2);
	assert_number(b, "SELECT data = CAST('the body' AS BLOB) FROM body", 1);
	assert_int_equal(parcels_promote(&b->l.parcels, b->now + 9999, 10), 0);
	assert_int_equal(parcels_promote(&b->l.parcels, b->now + 10000, 10), 1);
	assert_int_equal(parcel_state(b, "a"), PARCEL_READY);
	assert_true(b->l.parcels.next_due_ms == INT64_MAX);
}

static void test_backoff_none_is_ready_at_once(void **state)
{
	struct books *b = *state;
	struct msg_outcome m = outcome_of(1, "a", OUTCOME_RETRY);

	m.type = slice_str("now");
	record(b, &m);
	assert_int_equal(parcel_state(b, "a"), PARCEL_READY);
}

static void test_retries_are_exhausted(void **state)
{
	struct books *b = *state;

	for (unsigned i = 1; i <= 3; i++)
		ended(b, i, "a", OUTCOME_RETRY);
	assert_int_equal(job_state(b, "a"), JOB_DEAD);
	assert_int_equal(job_row(b, "a").attempt, 3);
	assert_int_equal(parcel_state(b, "a"), -1);
	assert_number(
	    b, "SELECT error = 'it failed; no retries left after 3 attempts' FROM job", 1);
	assert_number(b, "SELECT count(*) FROM run WHERE outcome = 1 AND key & 4095 < 2", 2);
	assert_number(b, "SELECT outcome FROM run WHERE key & 4095 = 2 AND error = 'it failed'",
	    OUTCOME_DEAD);
	assert_number(
	    b, "SELECT count(*) FROM body", 1); /* its own; those of the parcels are gone */
	assert_int_equal(b->ended_as, JOB_DEAD);
}

static void test_the_jobs_own_retries_win(void **state)
{
	struct books *b = *state;
	struct msg_outcome none = outcome_of(1, "a", OUTCOME_RETRY),
			   many = outcome_of(2, "b", OUTCOME_RETRY);

	none.retries = 0;
	record(b, &none);
	assert_int_equal(job_state(b, "a"), JOB_DEAD);
	assert_number(b, "SELECT error = 'it failed; no retries left after 1 attempt' FROM job", 1);
	many.retries = 999999;
	record(b, &many);
	assert_int_equal(job_state(b, "b"), JOB_RETRYING);
}

static void test_done_after_retry(void **state)
{
	struct books *b = *state;
	int64_t parcel;

	ended(b, 1, "a", OUTCOME_RETRY);
	parcel = parcel_id(b, "a");
	assert_int_equal(asked(b, 2, "a", parcel).attempt, 2);
	ended(b, 2, "a", OUTCOME_DONE);
	assert_int_equal(job_state(b, "a"), JOB_DONE);
	assert_int_equal(job_row(b, "a").attempt, 2);
	assert_int_equal(parcel_state(b, "a"), -1);
	assert_number(b, "SELECT count(*) FROM body", 0);
	assert_number(b, "SELECT count(*) FROM claim", 0);
	assert_number(b, "SELECT count(*) FROM job WHERE error IS NULL AND due_wall_ms IS NULL", 1);
}

static void test_dead_keeps_its_body(void **state)
{
	struct books *b = *state;

	ended(b, 1, "a", OUTCOME_DEAD);
	assert_int_equal(job_state(b, "a"), JOB_DEAD);
	assert_number(b, "SELECT count(*) FROM body WHERE id = (SELECT body FROM job)", 1);
}

static void test_a_job_ends_once(void **state)
{
	struct books *b = *state;

	started(b, 1, "a");
	started(b, 2, "a");
	ended(b, 1, "a", OUTCOME_DONE);
	ended(b, 2, "a", OUTCOME_RETRY);
	assert_int_equal(job_state(b, "a"), JOB_DONE);
	assert_int_equal(job_row(b, "a").attempt, 1);
	assert_int_equal(job_row(b, "a").runs, 2);
	assert_number(b, "SELECT outcome FROM run WHERE key & 4095 = 1", OUTCOME_DUPLICATE);
	assert_number(b, "SELECT result = CAST('a result' AS BLOB) FROM job", 1);
	assert_int_equal(parcel_state(b, "a"), -1);
	assert_int_equal(b->over, 1);
	ended(b, 2, "a", OUTCOME_RETRY); /* and that is idempotent too */
	assert_int_equal(job_row(b, "a").runs, 2);
}

static void test_buried_leaves_no_run(void **state)
{
	struct books *b = *state;
	struct msg_outcome m = outcome_of(1, "a", OUTCOME_DEAD);

	m.flags = OUTCOME_BURIED;
	m.started_wall_ms = JOB_NOT_GIVEN;
	record(b, &m);
	assert_int_equal(job_state(b, "a"), JOB_DEAD);
	assert_int_equal(job_row(b, "a").runs, 0);
	assert_int_equal(job_row(b, "a").attempt, 0);
	assert_int_equal(job_row(b, "a").created_wall_ms, START);
	record(b, &m);
	assert_int_equal(job_row(b, "a").runs, 0);
}

static void test_expired(void **state)
{
	struct books *b = *state;
	struct msg_outcome m = outcome_of(1, "a", OUTCOME_EXPIRED);

	m.flags = OUTCOME_BURIED;
	record(b, &m);
	assert_int_equal(job_state(b, "a"), JOB_EXPIRED);
	assert_number(b, "SELECT count(*) FROM run", 0);
	assert_number(b, "SELECT count(*) FROM body", 1);
}

static void test_released_is_no_attempt(void **state)
{
	struct books *b = *state;

	started(b, 1, "a");
	ended(b, 1, "a", OUTCOME_RELEASED);
	assert_int_equal(job_state(b, "a"), JOB_QUEUED);
	assert_int_equal(job_row(b, "a").attempt, 0);
	assert_int_equal(job_row(b, "a").runs, 1);
	assert_int_equal(parcel_state(b, "a"), -1); /* the broker has it again */
	assert_int_equal(asked(b, 2, "a", 0).attempt, 1);
}

static void test_released_without_a_name_leaves_nothing(void **state)
{
	struct books *b = *state;
	struct msg_outcome m = outcome_of(1, "a", OUTCOME_RELEASED);

	m.flags = OUTCOME_NAMELESS;
	record(b, &m);
	assert_number(b, "SELECT count(*) FROM job", 0);
}

static void test_a_worker_cannot_say_lost(void **state)
{
	struct books *b = *state;
	struct msg_outcome lost_one = outcome_of(1, "a", OUTCOME_LOST),
			   unknown = outcome_of(1, "a", 77);
	struct msg_outcome nameless = outcome_of(1, "", OUTCOME_DONE);

	assert_true(record_outcome(&b->l, &lost_one, slice_str("w"), b->now) < 0);
	assert_true(record_outcome(&b->l, &unknown, slice_str("w"), b->now) < 0);
	assert_true(record_outcome(&b->l, &nameless, slice_str("w"), b->now) < 0);
	assert_number(b, "SELECT count(*) FROM job", 0);
}

static void test_retry_without_its_body_is_dead(void **state)
{
	struct books *b = *state;
	struct msg_outcome m = outcome_of(1, "a", OUTCOME_RETRY);

	m.body = (struct slice){0};
	record(b, &m);
	assert_int_equal(job_state(b, "a"), JOB_DEAD);
	assert_number(b, "SELECT error LIKE '%its body did not come%' FROM job", 1);
}

static void test_reply(void **state)
{
	struct books *b = *state;
	struct msg_outcome done = outcome_of(1, "a", OUTCOME_DONE),
			   dead = outcome_of(2, "b", OUTCOME_DEAD);
	struct slice packed, body;
	struct parcel_row row;
	struct job job;

	done.reply_to = dead.reply_to = slice_str("answers");
	done.correlation = slice_str("c-1");
	record(b, &done);
	record(b, &dead);
	assert_int_equal(b->l.lanes.ready, 2);
	assert_true(parcels_get(&b->l.parcels, dealt(b), &row));
	assert_int_equal(row.kind, PARCEL_REPLY);
	assert_int_equal(row.ended, JOB_DONE);
	assert_true(slice_is(row.destination, "answers"));
	assert_true(bodies_get(&b->l.bodies, row.body, &packed, &body));
	assert_true(slice_is(body, "a result"));
	assert_int_equal(envelope_unpack(&job, packed, NULL), 0);
	assert_true(slice_is(job.id, "a"));
	assert_true(slice_is(job.correlation_id, "c-1"));
	assert_true(slice_is(job.type, "t"));
	bodies_done(&b->l.bodies);
	assert_true(parcels_get(&b->l.parcels, dealt(b), &row));
	assert_int_equal(row.ended, JOB_DEAD);
	assert_true(bodies_get(&b->l.bodies, row.body, &packed, &body));
	assert_true(slice_is(body, "it failed"));
	bodies_done(&b->l.bodies);
}

/* --- losses --------------------------------------------------------------------------------- */

static void test_loss_of_a_first_delivery(void **state)
{
	struct books *b = *state;
	struct verdict_reading r;

	started(b, 1, "a");
	lost(b, 1);
	assert_int_equal(job_state(b, "a"), JOB_QUEUED);
	assert_int_equal(job_row(b, "a").losses, 1);
	assert_int_equal(job_row(b, "a").attempt, 0);
	assert_number(b, "SELECT outcome FROM run", OUTCOME_LOST);
	assert_int_equal(parcel_state(b, "a"), -1);
	r = asked(b, 2, "a", 0);
	assert_int_equal(r.verdict, VERDICT_RUN);
	assert_true(r.alone);
	assert_int_equal(r.attempt, 1);
}

static void test_loss_without_a_name(void **state)
{
	struct books *b = *state;
	struct msg_claim m = claim_of(1, "minted", CLAIM_NAMELESS);

	asks_note(&b->l, &m, &b->worker, slice_str("default/1"), b->now);
	lost(b, 1);
	assert_number(b, "SELECT count(*) FROM job", 0);
}

static void test_three_losses_and_it_is_buried(void **state)
{
	struct books *b = *state;
	struct msg_outcome m = outcome_of(9, "a", OUTCOME_DEAD);
	struct verdict_reading r;

	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(asked(b, i, "a", 0).verdict, VERDICT_RUN);
		started(b, i, "a");
		lost(b, i);
	}
	assert_int_equal(job_state(b, "a"), JOB_QUEUED); /* its body is in the broker */
	r = asked(b, 9, "a", 0);
	assert_int_equal(r.verdict, VERDICT_BURY);
	assert_int_equal(r.outcome, OUTCOME_DEAD);
	m.flags = OUTCOME_BURIED;
	m.error = slice_str(r.reason);
	record(b, &m);
	assert_int_equal(job_state(b, "a"), JOB_DEAD);
	assert_number(b, "SELECT count(*) FROM run WHERE outcome = 5", 3);
	assert_number(b, "SELECT error LIKE 'its worker died 3 times%' FROM job", 1);
}

static void test_three_losses_of_a_taken_job(void **state)
{
	struct books *b = *state;

	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(
		    asked(b, i, "a", i > 1 ? parcel_id(b, "a") : 0).verdict, VERDICT_RUN);
		started(b, i, "a");
		take(b, i, "a", true);
		assert_int_equal(parcel_state(b, "a"), PARCEL_HELD);
		lost(b, i);
		if (i < 3)
			assert_int_equal(parcel_state(b, "a"), PARCEL_READY);
	}
	assert_int_equal(job_state(b, "a"), JOB_DEAD);
	assert_int_equal(parcel_state(b, "a"), -1);
	assert_number(b, "SELECT count(*) FROM body WHERE id = (SELECT body FROM job)", 1);
}

static void test_a_durable_claim_outlives_the_store(void **state)
{
	struct books *b = *state;
	struct claim *claim;

	asked(b, 1, "a", 0);
	started(b, 2, "volatile");
	books_reopen(b);
	claim = claims_find(&b->l.claims, run_id(1));
	assert_non_null(claim);
	assert_null(claim->owner);
	assert_true(slice_is(claim->id, "a"));
	assert_string_equal(claim->worker, "default/1");
	assert_null(claims_find(&b->l.claims, run_id(2)));
	lost(b, 1);
	assert_int_equal(job_row(b, "a").losses, 1);
	books_reopen(b);
	assert_null(claims_find(&b->l.claims, run_id(1)));
}

static void test_told_to_go_is_released_not_lost(void **state)
{
	struct books *b = *state;

	asked(b, 1, "a", 0);
	started(b, 1, "a");
	record_gone(&b->l, claims_find(&b->l.claims, run_id(1)), true, b->now);
	assert_int_equal(job_row(b, "a").losses, 0);
	assert_number(b, "SELECT outcome FROM run", OUTCOME_RELEASED);
}

static void test_cleared_and_not_begun_is_no_loss(void **state)
{
	struct books *b = *state;

	asked(b, 1, "a", 0);
	lost(b, 1);
	assert_int_equal(job_row(b, "a").losses, 0);
	assert_int_equal(job_state(b, "a"), JOB_QUEUED);
	assert_number(b, "SELECT count(*) FROM run", 0);
	assert_number(b, "SELECT count(*) FROM claim", 0);
	assert_false(asked(b, 2, "a", 0).alone);
}

/* The verdict was committed and the store died before it was sent: the run asks again under the
 * same id. */
static void test_a_loss_is_taken_back_when_the_run_asks(void **state)
{
	struct books *b = *state;
	struct verdict_reading r;

	asked(b, 1, "a", 0);
	books_reopen(b);
	lost(b, 1);
	r = asked(b, 1, "a", 0);
	assert_int_equal(r.verdict, VERDICT_RUN);
	assert_false(r.alone);
	assert_int_equal(job_row(b, "a").losses, 0);
	assert_number(b, "SELECT count(*) FROM run", 0);
	ended(b, 1, "a", OUTCOME_DONE);
	assert_number(b, "SELECT outcome FROM run", OUTCOME_DONE);
}

static void test_a_loss_is_taken_back_when_the_outcome_comes(void **state)
{
	struct books *b = *state;

	asked(b, 1, "a", 0);
	lost(b, 1);
	ended(b, 1, "a", OUTCOME_DONE);
	assert_int_equal(job_state(b, "a"), JOB_DONE);
	assert_int_equal(job_row(b, "a").runs, 1);
	assert_int_equal(job_row(b, "a").losses, 0);
}

/* Two copies of a job: one is retried, the worker of the other dies. The parcel is the only copy
 * that is left. */
static void test_a_loss_leaves_the_retry_of_another_run(void **state)
{
	struct books *b = *state;

	started(b, 1, "a");
	started(b, 2, "a");
	take(b, 2, "a", true);
	ended(b, 1, "a", OUTCOME_RETRY);
	lost(b, 2);
	assert_int_equal(parcel_state(b, "a"), PARCEL_DELAYED);
	assert_int_equal(job_state(b, "a"), JOB_RETRYING);
}

/* Whoever runs beside a job that kills the node is lost with it, once. */
static void test_suspects_start_one_after_the_other(void **state)
{
	struct books *b = *state;

	asked(b, 1, "killer", 0);
	asked(b, 2, "bystander", 0);
	books_reopen(b); /* whether they had begun nobody can tell */
	lost(b, 1);
	lost(b, 2);
	assert_int_equal(asked(b, 3, "killer", 0).verdict, VERDICT_RUN);
	started(b, 3, "killer");
	assert_int_equal(asked(b, 4, "bystander", 0).verdict, VERDICT_NONE);
	assert_int_equal(
	    asked(b, 3, "killer", 0).verdict, VERDICT_RUN); /* it does not wait for itself */
	assert_null(claims_find(&b->l.claims, run_id(4)));
	assert_int_equal(asked(b, 5, "innocent", 0).verdict, VERDICT_RUN);
	lost(b, 3);
	assert_int_equal(asked(b, 4, "bystander", 0).verdict, VERDICT_RUN);
	assert_int_equal(asked(b, 6, "killer", 0).verdict, VERDICT_NONE);
	b->now += ASKS_SUSPECT_MS; /* it has run for long enough to be trusted */
	assert_int_equal(asked(b, 6, "killer", 0).verdict, VERDICT_RUN);
	books_reopen(b);
	assert_int_equal(b->l.claims.suspects, 2);
}

/* --- take-overs ----------------------------------------------------------------------------- */

static void test_take_makes_a_parcel(void **state)
{
	struct books *b = *state;
	int64_t first;

	take(b, 1, "a", false);
	assert_int_equal(parcel_state(b, "a"), PARCEL_READY);
	assert_int_equal(job_state(b, "a"), JOB_QUEUED);
	first = parcel_id(b, "a");
	take(b, 1, "a", false); /* TAKEN was lost on the way */
	assert_true(parcel_id(b, "a") > first);
	assert_number(b, "SELECT count(*) FROM parcel", 1);
	assert_number(b, "SELECT count(*) FROM body", 1);
	assert_int_equal(b->l.lanes.ready, 1);
}

static void test_take_of_a_delay(void **state)
{
	struct books *b = *state;
	struct msg_take m = {.run = run_id(1),
	    .queue = slice_str("q"),
	    .job = slice_str("a"),
	    .type = slice_str("t"),
	    .due_wall_ms = START + 60000,
	    .reason = slice_str("")};

	takes_record(&b->l, &m, &b->worker, slice_str("w"), false, b->now);
	assert_int_equal(parcel_state(b, "a"), PARCEL_DELAYED);
	assert_int_equal(job_row(b, "a").due_wall_ms, START + 60000);
	assert_int_equal(b->l.parcels.next_due_ms, START + 60000);
	assert_int_equal(b->l.parcels.delayed, 1);
}

static void test_take_of_a_running_job_then_its_outcome(void **state)
{
	struct books *b = *state;

	started(b, 1, "a");
	take(b, 1, "a", true);
	assert_int_equal(parcel_state(b, "a"), PARCEL_HELD);
	assert_number(b, "SELECT count(*) FROM claim", 1);
	assert_int_equal(dealt(b), 0);
	ended(b, 1, "a", OUTCOME_DONE);
	assert_int_equal(parcel_state(b, "a"), -1);
	assert_number(b, "SELECT count(*) FROM claim", 0);
	assert_number(b, "SELECT count(*) FROM body", 0);
}

static void test_taken_and_released(void **state)
{
	struct books *b = *state;

	started(b, 1, "a");
	take(b, 1, "a", true);
	ended(b, 1, "a", OUTCOME_RELEASED);
	assert_int_equal(parcel_state(b, "a"), PARCEL_READY); /* nobody else has a copy */
	assert_int_equal(job_state(b, "a"), JOB_QUEUED);
}

static void test_redelivered_while_it_runs(void **state)
{
	struct books *b = *state;

	started(b, 1, "a");
	assert_int_equal(asked(b, 2, "a", 0).verdict, VERDICT_TAKE);
	take(b, 2, "a", false);
	assert_int_equal(parcel_state(b, "a"), PARCEL_HELD); /* or it would come round at once */
	ended(b, 1, "a", OUTCOME_DONE);
	assert_int_equal(parcel_state(b, "a"), -1);
	take(b, 2, "a", false); /* sent again: nothing is owed any more */
	assert_int_equal(parcel_state(b, "a"), -1);
	assert_int_equal(job_state(b, "a"), JOB_DONE);
}

static void test_redelivered_while_it_runs_and_the_run_is_lost(void **state)
{
	struct books *b = *state;

	started(b, 1, "a");
	take(b, 2, "a", false);
	lost(b, 1);
	assert_int_equal(parcel_state(b, "a"), PARCEL_READY);
	assert_int_equal(job_row(b, "a").losses, 1);
}

static void test_nameless_gets_a_name(void **state)
{
	struct books *b = *state;
	struct msg_claim m = claim_of(1, "minted", CLAIM_ASKS | CLAIM_NAMELESS | CLAIM_REDELIVERED);
	struct slice packed, body;
	struct parcel_row row;
	struct job job;

	assert_int_equal(decide(b, &m).verdict, VERDICT_TAKE);
	take(b, 1, "minted", false);
	assert_true(parcels_of_job(&b->l.parcels, job_row(b, "minted").seq, &row));
	assert_true(bodies_get(&b->l.bodies, row.body, &packed, &body));
	assert_int_equal(envelope_unpack(&job, packed, NULL), 0);
	assert_true(slice_is(job.id, "minted"));
	bodies_done(&b->l.bodies);
}

/* --- verdicts ------------------------------------------------------------------------------- */

static void test_over_is_dropped(void **state)
{
	struct books *b = *state;

	ended(b, 1, "a", OUTCOME_DONE);
	assert_int_equal(asked(b, 2, "a", 0).verdict, VERDICT_DROP);
	assert_null(claims_find(&b->l.claims, run_id(2)));
}

static void test_a_parcel_waits(void **state)
{
	struct books *b = *state;
	int64_t parcel;

	ended(b, 1, "a", OUTCOME_RETRY);
	parcel = parcel_id(b, "a");
	assert_int_equal(asked(b, 2, "a", 0).verdict, VERDICT_DROP);
	assert_int_equal(asked(b, 3, "a", parcel - 1).verdict, VERDICT_DROP);
	/* Published, and its confirm not seen yet: this is the parcel's own message. */
	assert_int_equal(asked(b, 4, "a", parcel).verdict, VERDICT_RUN);
}

static void test_asking_again_gives_the_same(void **state)
{
	struct books *b = *state;

	assert_int_equal(asked(b, 1, "a", 0).attempt, 1);
	assert_int_equal(asked(b, 1, "a", 0).attempt, 1);
	assert_int_equal(asked(b, 1, "a", 0).verdict, VERDICT_RUN);
	assert_number(b, "SELECT count(*) FROM claim", 1);
	assert_int_equal(b->worker.n, 1);
}

static void test_expired_is_buried(void **state)
{
	struct books *b = *state;
	struct msg_claim m = claim_of(1, "a", CLAIM_ASKS);

	m.expires_wall_ms = START - 1;
	assert_int_equal(decide(b, &m).outcome, OUTCOME_EXPIRED);
	assert_number(b, "SELECT count(*) FROM job", 0);
}

static void test_dedupe_of_two_first_deliveries(void **state)
{
	struct books *b = *state;
	struct msg_claim first = claim_of(1, "a", CLAIM_ASKS),
			 second = claim_of(2, "a", CLAIM_ASKS);

	assert_int_equal(decide(b, &first).verdict, VERDICT_RUN);
	assert_int_equal(decide(b, &second).verdict, VERDICT_TAKE);
	take(b, 2, "a", false);
	ended(b, 1, "a", OUTCOME_DONE);
	assert_number(b, "SELECT count(*) FROM parcel", 0);
	assert_int_equal(decide(b, &second).verdict, VERDICT_DROP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOOKS_TEST(test_done_at_first_delivery),
	    BOOKS_TEST(test_an_outcome_sent_again_changes_nothing),
	    BOOKS_TEST(test_retry_waits_and_comes_again),
	    BOOKS_TEST(test_backoff_none_is_ready_at_once),
	    BOOKS_TEST(test_retries_are_exhausted),
	    BOOKS_TEST(test_the_jobs_own_retries_win),
	    BOOKS_TEST(test_done_after_retry),
	    BOOKS_TEST(test_dead_keeps_its_body),
	    BOOKS_TEST(test_a_job_ends_once),
	    BOOKS_TEST(test_buried_leaves_no_run),
	    BOOKS_TEST(test_expired),
	    BOOKS_TEST(test_released_is_no_attempt),
	    BOOKS_TEST(test_released_without_a_name_leaves_nothing),
	    BOOKS_TEST(test_a_worker_cannot_say_lost),
	    BOOKS_TEST(test_retry_without_its_body_is_dead),
	    BOOKS_TEST(test_reply),
	    BOOKS_TEST(test_loss_of_a_first_delivery),
	    BOOKS_TEST(test_loss_without_a_name),
	    BOOKS_TEST(test_three_losses_and_it_is_buried),
	    BOOKS_TEST(test_three_losses_of_a_taken_job),
	    BOOKS_TEST(test_a_durable_claim_outlives_the_store),
	    BOOKS_TEST(test_told_to_go_is_released_not_lost),
	    BOOKS_TEST(test_cleared_and_not_begun_is_no_loss),
	    BOOKS_TEST(test_a_loss_is_taken_back_when_the_run_asks),
	    BOOKS_TEST(test_a_loss_is_taken_back_when_the_outcome_comes),
	    BOOKS_TEST(test_a_loss_leaves_the_retry_of_another_run),
	    BOOKS_TEST(test_suspects_start_one_after_the_other),
	    BOOKS_TEST(test_take_makes_a_parcel),
	    BOOKS_TEST(test_take_of_a_delay),
	    BOOKS_TEST(test_take_of_a_running_job_then_its_outcome),
	    BOOKS_TEST(test_taken_and_released),
	    BOOKS_TEST(test_redelivered_while_it_runs),
	    BOOKS_TEST(test_redelivered_while_it_runs_and_the_run_is_lost),
	    BOOKS_TEST(test_nameless_gets_a_name),
	    BOOKS_TEST(test_over_is_dropped),
	    BOOKS_TEST(test_a_parcel_waits),
	    BOOKS_TEST(test_asking_again_gives_the_same),
	    BOOKS_TEST(test_expired_is_buried),
	    BOOKS_TEST(test_dedupe_of_two_first_deliveries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
