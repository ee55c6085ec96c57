/* links: daemon/store/store.sql.c daemon/store/asks.c daemon/store/batch.c daemon/store/bodies.c daemon/store/claims.c daemon/store/deals.c daemon/store/jobs.c daemon/store/lanes.c daemon/store/ledger.c daemon/store/map.c daemon/store/parcels.c daemon/store/pauses.c daemon/store/scalings.c daemon/store/record.c daemon/store/requests.c daemon/store/sweep.c daemon/store/takes.c daemon/store/tally.c daemon/store/tombs.c daemon/store/verdict.c daemon/store/wares.c */
/* SPDX-License-Identifier: MIT */
/* Parcels on their way to the courier and back, and what the sweep leaves. */
#include "tests/unit/store_books.h"

static void submit_many(struct books *b, const char *queue, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char id[32];
		struct msg_submit m = {.queue = slice_str(queue),
		    .type = slice_str("t"),
		    .due_wall_ms = JOB_NOT_GIVEN,
		    .delay_ms = JOB_NOT_GIVEN,
		    .body = slice_str("")};

		snprintf(id, sizeof id, "%s-%u", queue, i);
		m.job = slice_str(id);
		assert_int_equal(requests_submit(&b->l, &m, b->now).status, 201);
	}
}

struct dealt_to {
	unsigned n[3]; /* by queue: a, b, c */
	int64_t last;
};

static int count_parcel(void *arg, const struct parcel_row *parcel, struct slice envelope UNUSED,
    struct slice body UNUSED)
{
	struct dealt_to *d = arg;

	d->n[parcel->destination.p[0] - 'a']++;
	d->last = parcel->id;
	return 0;
}

static void test_round_robin_with_a_window_each(void **state)
{
	struct books *b = *state;
	struct dealt_to d = {0};

	submit_many(b, "a", 300);
	submit_many(b, "b", 20);
	submit_many(b, "c", 100);
	assert_int_equal(deals_run(&b->l, 48, b->now, b->now, count_parcel, &d), 48);
	assert_int_equal(d.n[0], 16);
	assert_int_equal(d.n[1], 16);
	assert_int_equal(d.n[2], 16);
	deals_run(&b->l, 1000, b->now, b->now, count_parcel, &d);
	assert_int_equal(d.n[0], LANE_WINDOW);
	assert_int_equal(d.n[1], 20);
	assert_int_equal(d.n[2], LANE_WINDOW);
	assert_int_equal(deals_run(&b->l, 1000, b->now, b->now, count_parcel, &d), 0);
	/* One is through: there is room for one more in that lane. */
	settle(b, d.last, SETTLE_CONFIRMED);
	assert_int_equal(deals_run(&b->l, 1000, b->now, b->now, count_parcel, &d), 1);
	/* The courier is gone: all of it again. */
	lanes_unlease_all(&b->l.lanes);
	memset(&d, 0, sizeof d);
	assert_int_equal(
	    deals_run(&b->l, 1000, b->now, b->now, count_parcel, &d), LANE_WINDOW * 2 + 20);
}

static int count_one(void *arg, const struct parcel_row *parcel, struct slice envelope, struct slice body)
{
	count_parcel(arg, parcel, envelope, body);
	return 1;
}

static void test_no_more_than_the_courier_has_room_for(void **state)
{
	struct books *b = *state;
	struct dealt_to d = {0};

	submit_many(b, "a", 3);
	submit_many(b, "b", 3);
	assert_int_equal(deals_run(&b->l, 48, b->now, b->now, count_one, &d), 1);
	assert_int_equal(b->l.lanes.leases.n, 1);
	assert_int_equal(deals_run(&b->l, 48, b->now, b->now, count_one, &d), 1);
	assert_int_equal(d.n[0] + d.n[1], 2);
	assert_int_equal(d.n[0], 1); /* by turns all the same */
}

static void test_priority_then_order(void **state)
{
	struct books *b = *state;
	struct msg_submit m = {.queue = slice_str("q"),
	    .type = slice_str("t"),
	    .due_wall_ms = JOB_NOT_GIVEN,
	    .delay_ms = JOB_NOT_GIVEN};

	m.job = slice_str("first");
	requests_submit(&b->l, &m, b->now);
	m.job = slice_str("second");
	requests_submit(&b->l, &m, b->now);
	m.job = slice_str("urgent");
	m.priority = 9;
	requests_submit(&b->l, &m, b->now);
	assert_int_equal(dealt(b), parcel_id(b, "urgent"));
	assert_int_equal(dealt(b), parcel_id(b, "first"));
	assert_int_equal(dealt(b), parcel_id(b, "second"));
	assert_int_equal(dealt(b), 0);
}

static void test_confirmed(void **state)
{
	struct books *b = *state;

	submit(b, "a");
	settle(b, dealt(b), SETTLE_CONFIRMED);
	assert_int_equal(parcel_state(b, "a"), -1);
	assert_int_equal(job_state(b, "a"), JOB_QUEUED);
	assert_number(b, "SELECT count(*) FROM body", 0);
	assert_int_equal(b->l.lanes.ready, 0);
	settle(b, 1, SETTLE_CONFIRMED); /* once more is no error */
	settle(b, 4711, SETTLE_REFUSED);
}

/* The confirm of attempt 1's message comes when the retry was recorded: it is of another parcel. */
static void test_late_confirm_does_not_clear_the_retry(void **state)
{
	struct books *b = *state;
	int64_t first;

	submit(b, "a");
	first = dealt(b);
	assert_int_equal(asked(b, 1, "a", first).verdict, VERDICT_RUN);
	ended(b, 1, "a", OUTCOME_RETRY);
	settle(b, first, SETTLE_CONFIRMED);
	assert_int_equal(parcel_state(b, "a"), PARCEL_DELAYED);
	assert_number(b, "SELECT count(*) FROM body", 1);
}

static void test_returned_waits_and_is_tried_again(void **state)
{
	struct books *b = *state;
	int64_t waits[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};

	submit(b, "a");
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		settle(b, dealt(b), SETTLE_RETURNED);
		assert_int_equal(parcel_state(b, "a"), PARCEL_UNROUTABLE);
		assert_int_equal(b->l.parcels.next_due_ms, b->now + waits[i]);
		b->now += waits[i];
		assert_int_equal(parcels_promote(&b->l.parcels, b->now, 10), 1);
	}
	settle(b, dealt(b), SETTLE_CONFIRMED);
	assert_int_equal(b->l.parcels.delayed, 0);
}

static void test_a_lane_in_trouble_is_probed_with_one(void **state)
{
	struct books *b = *state;
	struct dealt_to d = {0};

	submit_many(b, "a", 10);
	deals_run(&b->l, 2, b->now, b->now, count_parcel, &d);
	settle(b, d.last, SETTLE_RETURNED);
	settle(b, d.last - 1, SETTLE_RETURNED); /* of the same round: no second doubling */
	assert_int_equal(deals_run(&b->l, 100, b->now + 999, b->now, count_parcel, &d), 0);
	assert_int_equal(lanes_next_ms(&b->l.lanes, b->now + 999), b->now + 1000);
	b->now += 1000;
	assert_int_equal(deals_run(&b->l, 100, b->now, b->now, count_parcel, &d), 1);
	settle(b, d.last, SETTLE_CONFIRMED);
	assert_int_equal(deals_run(&b->l, 100, b->now, b->now, count_parcel, &d), 7);
}

static void test_nacked_is_delayed(void **state)
{
	struct books *b = *state;

	submit(b, "a");
	settle(b, dealt(b), SETTLE_NACKED);
	assert_int_equal(parcel_state(b, "a"), PARCEL_DELAYED);
	assert_number(b, "SELECT tries FROM parcel", 1);
}

static void test_refused_is_dead_with_its_body(void **state)
{
	struct books *b = *state;

	submit(b, "a");
	settle(b, dealt(b), SETTLE_REFUSED);
	assert_int_equal(job_state(b, "a"), JOB_DEAD);
	assert_number(b, "SELECT error = 'a reason' FROM job", 1);
	assert_number(b, "SELECT count(*) FROM body WHERE id = (SELECT body FROM job)", 1);
	assert_int_equal(b->over, 1);
}

static void test_unsent_is_ready_again(void **state)
{
	struct books *b = *state;
	int64_t id;

	submit(b, "a");
	id = dealt(b);
	settle(b, id, SETTLE_UNSENT);
	assert_int_equal(dealt(b), 0); /* not at once, or it would go round and round */
	b->now += LANE_PAUSE_MS;
	assert_int_equal(dealt(b), id);
}

static void test_a_reply_that_nobody_takes_is_dropped(void **state)
{
	struct books *b = *state;
	struct msg_outcome m = outcome_of(1, "a", OUTCOME_DONE);

	m.reply_to = slice_str("gone");
	record(b, &m);
	settle(b, dealt(b), SETTLE_RETURNED);
	assert_number(b, "SELECT count(*) FROM parcel", 0);
	assert_number(b, "SELECT count(*) FROM body", 0);
	assert_int_equal(job_state(b, "a"), JOB_DONE);
}

static void test_lanes_of_passing_names_are_forgotten(void **state)
{
	struct books *b = *state;

	for (unsigned i = 0; i < 3000; i++) {
		char name[32], id[32];
		struct msg_outcome m;

		snprintf(name, sizeof name, "reply-%u", i);
		snprintf(id, sizeof id, "%u", i);
		m = outcome_of(i, id, OUTCOME_DONE);
		m.reply_to = slice_str(name);
		record(b, &m);
		if (i % 2 == 0) {
			settle(b, dealt(b), SETTLE_CONFIRMED);
			continue;
		}
		settle(b, dealt(b), SETTLE_NACKED);
		b->now += LANE_BACKOFF_FIRST_MS;
		parcels_promote(&b->l.parcels, b->now, 1);
		settle(b, dealt(b), SETTLE_RETURNED);
	}
	assert_number(b, "SELECT count(*) FROM parcel", 0);
	assert_true(b->l.lanes.by_name.n <= 256);
}

static void test_counts_survive_a_restart(void **state)
{
	struct books *b = *state;

	submit_many(b, "a", 5);
	submit_many(b, "b", 2);
	ended(b, 1, "r", OUTCOME_RETRY);
	books_reopen(b);
	assert_int_equal(b->l.lanes.ready, 7);
	assert_int_equal(b->l.parcels.delayed, 1);
	assert_int_equal(b->l.parcels.next_due_ms, b->now + 10000);
	assert_int_equal(
	    deals_run(&b->l, 100, b->now, b->now, count_parcel, &(struct dealt_to){0}), 7);
}

static void test_the_clock_is_set_back(void **state)
{
	struct books *b = *state;
	struct msg_submit m = {.queue = slice_str("q"),
	    .job = slice_str("at"),
	    .type = slice_str("t"),
	    .due_wall_ms = START + 3600000,
	    .delay_ms = JOB_NOT_GIVEN};

	ended(b, 1, "r", OUTCOME_RETRY);
	requests_submit(&b->l, &m, b->now);
	b->now -= 86400000;
	parcels_clamp(&b->l.parcels, b->now);
	assert_number(b, "SELECT due_wall_ms FROM parcel WHERE delay_ms > 0", b->now + 10000);
	assert_number(b, "SELECT due_wall_ms FROM parcel WHERE delay_ms = 0", START + 3600000);
	assert_int_equal(b->l.parcels.next_due_ms, b->now + 10000);
}

/* --- a node that moves ------------------------------------------------------------------------ */

static void submit_for(struct books *b, const char *id, int64_t due_wall_ms)
{
	struct msg_submit m = {.queue = slice_str("q"),
	    .job = slice_str(id),
	    .type = slice_str("t"),
	    .due_wall_ms = due_wall_ms,
	    .delay_ms = JOB_NOT_GIVEN};

	assert_int_equal(requests_submit(&b->l, &m, b->now).status, 201);
}

static int64_t due_when_sent(struct books *b, const char *id)
{
	struct parcel_row row;

	assert_true(parcels_get(&b->l.parcels, parcel_id(b, id), &row));
	return parcels_due(&b->l.parcels, &row);
}

static void test_what_is_of_later_goes_out_early(void **state)
{
	struct books *b = *state;

	submit_for(b, "last", START + 9000);
	submit_for(b, "late", START + 5000);
	submit_for(b, "now", JOB_NOT_GIVEN);
	ended(b, 1, "retry", OUTCOME_RETRY);
	assert_int_equal(b->l.lanes.ready, 1);
	parcels_hasten(&b->l.parcels);
	assert_int_equal(b->l.lanes.ready, 4);
	assert_int_equal(due_when_sent(b, "now"), JOB_NOT_GIVEN);
	assert_int_equal(due_when_sent(b, "late"), START + 5000);
	assert_int_equal(due_when_sent(b, "retry"), START + 10000);
	assert_int_equal(dealt(b), parcel_id(b, "now"));
	assert_int_equal(dealt(b), parcel_id(b, "late"));
	settle(b, parcel_id(b, "late"), SETTLE_CONFIRMED);
	assert_int_equal(parcel_state(b, "late"), -1);
	assert_int_equal(b->l.lanes.ready, 3);
	assert_int_equal(dealt(b), parcel_id(b, "last"));
	assert_int_equal(dealt(b), parcel_id(b, "retry"));
	assert_int_equal(dealt(b), 0);
	/* Whoever opens it next finds what is left as it was. */
	books_reopen(b);
	assert_int_equal(b->l.lanes.ready, 1);
	assert_int_equal(b->l.parcels.delayed, 2);
	assert_int_equal(parcel_state(b, "last"), PARCEL_DELAYED);
	assert_int_equal(due_when_sent(b, "last"), JOB_NOT_GIVEN);
}

static void test_what_cannot_be_moved_stays_as_it_is(void **state)
{
	static const enum settle_how hows[] = {SETTLE_RETURNED, SETTLE_NACKED, SETTLE_UNSENT};
	struct books *b = *state;

	submit_for(b, "late", START + 5000);
	parcels_hasten(&b->l.parcels);
	for (size_t i = 0; i < ARRAY_SIZE(hows); i++) {
		assert_int_equal(dealt(b), parcel_id(b, "late"));
		settle(b, parcel_id(b, "late"), hows[i]);
		assert_int_equal(dealt(b), 0); /* not at once */
		assert_int_equal(job_state(b, "late"), JOB_QUEUED);
		assert_int_equal(parcel_state(b, "late"), PARCEL_DELAYED);
		assert_number(b, "SELECT due_wall_ms FROM parcel", START + 5000);
		assert_int_equal(due_when_sent(b, "late"), START + 5000);
		assert_int_equal(b->l.lanes.ready, 1);
		b->now += LANE_BACKOFF_LAST_MS;
	}
}

static void test_what_the_broker_refuses_keeps_nobody_from_moving(void **state)
{
	struct books *b = *state;

	submit_for(b, "large", JOB_NOT_GIVEN);
	submit_for(b, "other", JOB_NOT_GIVEN);
	parcels_hasten(&b->l.parcels);
	assert_int_equal(dealt(b), parcel_id(b, "large"));
	settle(b, parcel_id(b, "large"), SETTLE_REFUSED);
	assert_int_equal(job_state(b, "large"), JOB_QUEUED);
	assert_int_equal(parcel_state(b, "large"), PARCEL_READY);
	assert_int_equal(dealt(b), parcel_id(b, "other"));
	settle(b, parcel_id(b, "other"), SETTLE_CONFIRMED);
	b->now += LANE_BACKOFF_LAST_MS;
	assert_int_equal(dealt(b), 0);
	assert_int_equal(b->l.lanes.ready, 1);
}

static void test_what_comes_back_leaves_what_is_there(void **state)
{
	struct books *b = *state;
	struct msg_take m = {.run = run_id(9),
	    .queue = slice_str("q"),
	    .job = slice_str("a"),
	    .type = slice_str("t"),
	    .due_wall_ms = JOB_NOT_GIVEN,
	    .body = slice_str("the message that was tried")};
	int64_t retry;

	ended(b, 1, "a", OUTCOME_RETRY);
	retry = parcel_id(b, "a");
	assert_int_equal(takes_record(&b->l, &m, &b->worker, slice_str("worker"), true, b->now), 0);
	assert_int_equal(parcel_id(b, "a"), retry);
	assert_int_equal(parcel_state(b, "a"), PARCEL_DELAYED);
	m.job = slice_str("b");
	m.due_wall_ms = START + 7000;
	assert_int_equal(takes_record(&b->l, &m, &b->worker, slice_str("worker"), true, b->now), 0);
	assert_int_equal(takes_record(&b->l, &m, &b->worker, slice_str("worker"), true, b->now), 0);
	assert_number(b, "SELECT due_wall_ms FROM parcel WHERE id <> (SELECT min(id) FROM parcel)", START + 7000);
	assert_number(b, "SELECT count(*) FROM parcel", 2);
	assert_number(b, "SELECT count(*) FROM body", 2);
}

static void test_queries_use_their_indexes(void **state)
{
	static const char *const plans[] = {
	    "SELECT id FROM parcel WHERE state = 0 AND destination = 'q'"
	    " ORDER BY priority DESC, id LIMIT 9",
	    "SELECT id FROM parcel WHERE state IN (1, 3) AND due_wall_ms <= 5"
	    " ORDER BY due_wall_ms LIMIT 9",
	    "SELECT min(due_wall_ms) FROM parcel WHERE state IN (1, 3)",
	    "SELECT id FROM parcel WHERE job = 7 LIMIT 1",
	    "SELECT destination, count(*) FROM parcel WHERE state = 0 GROUP BY destination",
	    "SELECT id FROM parcel WHERE state IN (1, 3) AND destination = 'q'"
	    " ORDER BY due_wall_ms, id LIMIT 9",
	};
	struct books *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(plans); i++) {
		auto_free char *sql = xasprintf("-- name: x\nEXPLAIN QUERY PLAN %s;", plans[i]);
		const char *name = "x";
		struct db_stmt *s;

		assert_int_equal(db_prepare(b->l.db, sql, &name, 1, &s, NULL), 0);
		while (batch_row(&b->l.batch, s)) {
			char step[200];

			slice_copy(step, sizeof step, db_text(s, 3));
			if (!strstr(step, "INDEX"))
				fail_msg("%s: %s", plans[i], step);
		}
	}
}

/* --- sweep ---------------------------------------------------------------------------------- */

#define DAY 86400000ll

static void sweep_all(struct books *b)
{
	struct sweep s = {0};

	while (sweep_turn(&s, &b->l, b->now) < 60000)
		continue;
}

static void test_sweep(void **state)
{
	struct books *b = *state;

	ended(b, 1, "done", OUTCOME_DONE);
	ended(b, 2, "dead", OUTCOME_DEAD);
	submit(b, "waits");
	b->now += 6 * DAY;
	sweep_all(b);
	assert_number(b, "SELECT count(*) FROM job", 3);
	b->now += 2 * DAY; /* keep_done and dedupe_keep are 7 days */
	sweep_all(b);
	assert_number(b, "SELECT count(*) FROM job", 2);
	assert_number(b, "SELECT count(*) FROM run", 1);
	b->now += 180 * DAY;
	sweep_all(b);
	assert_int_equal(job_state(b, "waits"), JOB_QUEUED);
	assert_number(b, "SELECT count(*) FROM job", 1);
	assert_number(b, "SELECT count(*) FROM run", 0);
	assert_number(b, "SELECT count(*) FROM body", 1);
}

static void test_ids_outlive_results(void **state)
{
	struct books *b = *state;

	b->conf->store.keep_done = 1 * DAY;
	ended(b, 1, "a", OUTCOME_DONE);
	b->now += 2 * DAY;
	sweep_all(b);
	assert_number(b, "SELECT count(*) FROM job WHERE result IS NULL", 1);
	assert_number(b, "SELECT count(*) FROM run", 0);
	assert_int_equal(asked(b, 2, "a", 0).verdict, VERDICT_DROP);
	assert_int_equal(job_state(b, "a"), JOB_DONE);
	b->now += 6 * DAY;
	sweep_all(b);
	assert_number(b, "SELECT count(*) FROM job", 0);
}

static void test_sweep_walks_in_small_batches(void **state)
{
	struct books *b = *state;
	struct sweep s = {0};
	unsigned turns = 0;

	for (unsigned i = 0; i < 1000; i++) {
		char id[16];

		snprintf(id, sizeof id, "%u", i);
		ended(b, i, id, i % 2 ? OUTCOME_DONE : OUTCOME_DEAD);
	}
	b->now += 8 * DAY;
	while (sweep_turn(&s, &b->l, b->now) < 60000)
		turns++;
	assert_int_equal(turns, 1000 / SWEEP_ROWS);
	assert_number(b, "SELECT count(*) FROM job", 500);
}

/* The clock was a year ahead once: what was recorded then does not stop the sweep. */
static void test_sweep_passes_rows_of_the_future(void **state)
{
	struct books *b = *state;
	struct msg_outcome m = outcome_of(1, "future", OUTCOME_DONE);

	b->now += 365 * DAY;
	m.started_wall_ms = b->now;
	record(b, &m);
	b->now -= 365 * DAY;
	ended(b, 2, "now", OUTCOME_DONE);
	b->now += 8 * DAY;
	sweep_all(b);
	assert_number(b, "SELECT count(*) FROM job", 1);
	assert_int_equal(job_state(b, "future"), JOB_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOOKS_TEST(test_round_robin_with_a_window_each),
	    BOOKS_TEST(test_no_more_than_the_courier_has_room_for),
	    BOOKS_TEST(test_priority_then_order),
	    BOOKS_TEST(test_confirmed),
	    BOOKS_TEST(test_late_confirm_does_not_clear_the_retry),
	    BOOKS_TEST(test_returned_waits_and_is_tried_again),
	    BOOKS_TEST(test_a_lane_in_trouble_is_probed_with_one),
	    BOOKS_TEST(test_nacked_is_delayed),
	    BOOKS_TEST(test_refused_is_dead_with_its_body),
	    BOOKS_TEST(test_unsent_is_ready_again),
	    BOOKS_TEST(test_a_reply_that_nobody_takes_is_dropped),
	    BOOKS_TEST(test_lanes_of_passing_names_are_forgotten),
	    BOOKS_TEST(test_counts_survive_a_restart),
	    BOOKS_TEST(test_the_clock_is_set_back),
	    BOOKS_TEST(test_what_is_of_later_goes_out_early),
	    BOOKS_TEST(test_what_cannot_be_moved_stays_as_it_is),
	    BOOKS_TEST(test_what_the_broker_refuses_keeps_nobody_from_moving),
	    BOOKS_TEST(test_what_comes_back_leaves_what_is_there),
	    BOOKS_TEST(test_queries_use_their_indexes),
	    BOOKS_TEST(test_sweep),
	    BOOKS_TEST(test_ids_outlive_results),
	    BOOKS_TEST(test_sweep_walks_in_small_batches),
	    BOOKS_TEST(test_sweep_passes_rows_of_the_future),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
