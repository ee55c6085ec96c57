/* links: daemon/worker/delivery.c daemon/worker/shelf.c */
/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/worker/shelf.h"

static char queue_name[] = "q", default_handler[] = "fallback";
static unsigned acked, requeued;

static void on_ack(struct source *s UNUSED, struct source_tag tag UNUSED)
{
	acked++;
}

static void on_requeue(struct source *s UNUSED, struct source_tag tag UNUSED)
{
	requeued++;
}

static const struct source_ops ops = {on_ack, on_requeue};
static struct conf_queue queue = {.section = queue_name, .handler = default_handler};
static struct source source = {.ops = &ops, .queue = &queue};

static struct message message_of(const char *id, const char *body)
{
	return (struct message){.message_id = slice_str(id),
	    .body = slice_str(body),
	    .timestamp_s = -1,
	    .priority = -1};
}

static struct delivery *deliver(const struct message *m)
{
	return delivery_new(&source, (struct source_tag){1, 1}, m, 1000000, 5);
}

static int setup(void **state UNUSED)
{
	acked = requeued = 0;
	source.ask = false;
	queue.dedupe = false;
	return 0;
}

static void test_copies(void **state UNUSED)
{
	char body[] = "body", id[] = "id-1";
	struct message m = message_of(id, body);
	struct delivery *d;

	m.content_type = slice_str("text/plain");
	d = deliver(&m);
	memset(body, 'x', 4);
	memset(id, 'x', 4);
	assert_true(slice_is(d->job.body, "body"));
	assert_true(slice_is(d->job.id, "id-1"));
	assert_true(slice_is(d->job.content_type, "text/plain"));
	assert_null(d->job.reply_to.p);
	assert_true(slice_is(d->job.queue, "q"));
	assert_true(slice_is(d->type, "fallback"));
	assert_int_equal(d->state, DELIVERY_WAITING);
	assert_false(d->nameless);
	assert_null(d->fault);
	assert_false(delivery_must_ask(d));
	delivery_free(d);
}

/* A body that was put together in a buffer of its own stays in it. */
static void test_takes_a_large_body_over(void **state UNUSED)
{
	static uint8_t bytes[1 << 20];
	struct message m = message_of("id-1", NULL);
	const uint8_t *where;
	struct delivery *d;
	struct buf from;

	buf_init(&from, sizeof bytes);
	bytes[77] = 'x';
	buf_add(&from, bytes, sizeof bytes);
	m.body = buf_slice(&from);
	m.body_buf = &from;
	where = m.body.p;
	d = deliver(&m);
	assert_ptr_equal(d->job.body.p, where);
	assert_int_equal(d->job.body.n, sizeof bytes);
	assert_int_equal(d->job.body.p[77], 'x');
	assert_true(slice_is(d->job.id, "id-1"));
	assert_int_equal(buf_size(&from), 0);
	assert_int_equal(buf_add(&from, bytes, sizeof bytes), 0); /* with its bound */
	delivery_drop_body(d);
	assert_null(d->job.body.p);
	delivery_free(d);
	/* A small one is copied with the rest, and the buffer used again. */
	buf_clear(&from);
	buf_adds(&from, "small");
	m.body = buf_slice(&from);
	d = deliver(&m);
	assert_ptr_not_equal(d->job.body.p, m.body.p);
	assert_true(slice_is(d->job.body, "small"));
	assert_int_equal(buf_size(&from), 5);
	delivery_free(d);
	buf_free(&from);
}

static void test_nameless(void **state UNUSED)
{
	struct message m = message_of(NULL, "x");
	struct delivery *a = deliver(&m), *b = deliver(&m);

	assert_true(a->nameless);
	assert_int_equal(a->job.id.n, ID_TEXT_BYTES - 1);
	assert_false(delivery_same_job(a, b));
	delivery_rename(a, slice_str("given"));
	delivery_rename(b, slice_str("given"));
	assert_true(delivery_same_job(a, b));
	assert_false(id_eq(a->run, b->run));
	delivery_free(a);
	delivery_free(b);
}

static void test_must_ask(void **state UNUSED)
{
	struct message m = message_of("a", "x");
	struct delivery *d;

	m.redelivered = true;
	d = deliver(&m);
	assert_true(delivery_must_ask(d));
	delivery_free(d);

	m.redelivered = false;
	m.headers[m.nheaders++] = (struct header){
	    .name = slice_str("skep-parcel"), .kind = HEADER_INT, .integer = 7};
	d = deliver(&m);
	assert_true(delivery_must_ask(d));
	delivery_free(d);

	m.headers[0] = (struct header){
	    .name = slice_str("x-delivery-count"), .kind = HEADER_INT, .integer = DELIVERY_MANY};
	d = deliver(&m);
	assert_true(delivery_must_ask(d));
	delivery_free(d);

	m.nheaders = 0;
	d = deliver(&m);
	assert_false(delivery_must_ask(d));
	source.ask = true;
	assert_true(delivery_must_ask(d));
	source.ask = false;
	queue.dedupe = true;
	assert_true(delivery_must_ask(d));
	delivery_free(d);
}

static void test_fault(void **state UNUSED)
{
	struct message m = message_of("a", "x");
	struct delivery *d;

	m.headers[m.nheaders++] = (struct header){
	    .name = slice_str("job-timeout"), .kind = HEADER_STRING, .text = slice_str("soon")};
	d = deliver(&m);
	assert_non_null(d->fault);
	assert_non_null(strstr(d->fault, "job-timeout"));
	assert_true(slice_is(d->job.id, "a"));
	assert_true(slice_is(d->job.body, "x"));
	delivery_free(d);
}

static void test_due(void **state UNUSED)
{
	struct message m = message_of("a", "x");
	struct delivery *d;

	m.headers[m.nheaders++] = (struct header){
	    .name = slice_str("job-delay"), .kind = HEADER_STRING, .text = slice_str("10s")};
	d = deliver(&m);
	assert_int_equal(delivery_due_wall_ms(d), 1010000);
	delivery_free(d);
	m.headers[m.nheaders++] = (struct header){
	    .name = slice_str("skep-parcel"), .kind = HEADER_INT, .integer = 7};
	d = deliver(&m);
	assert_int_equal(delivery_due_wall_ms(d), JOB_NOT_GIVEN);
	delivery_free(d);
}

static void test_life_of_a_first_delivery(void **state UNUSED)
{
	struct message m = message_of("a", "x");
	struct delivery *d = deliver(&m);
	struct shelf s;

	shelf_init(&s);
	assert_true(shelf_is_empty(&s));
	shelf_add(&s, d);
	assert_int_equal(s.n[DELIVERY_WAITING], 1);
	assert_null(shelf_find(&s, d->run));
	assert_false(delivery_is_held(d));
	shelf_running(&s, d);
	assert_int_equal(s.n[DELIVERY_WAITING], 0);
	assert_ptr_equal(shelf_find(&s, d->run), d);
	assert_true(delivery_is_held(d));
	d->ran = true;
	shelf_record(&s, d);
	assert_int_equal(d->owes, OWES_OUTCOME);
	assert_int_equal(s.n[DELIVERY_RECORDING], 1);
	assert_true(delivery_is_held(d));
	shelf_acked(&s, d);
	assert_int_equal(acked, 1);
	assert_true(shelf_is_empty(&s));
	assert_int_equal(s.n[DELIVERY_RECORDING], 0);
}

static void test_taken_while_it_runs(void **state UNUSED)
{
	struct message m = message_of("a", "x");
	struct delivery *d = deliver(&m);
	struct shelf s;

	shelf_init(&s);
	shelf_add(&s, d);
	shelf_running(&s, d);
	shelf_take(&s, d, "old");
	assert_int_equal(d->state, DELIVERY_RUNNING);
	shelf_ack_early(d);
	shelf_record(&s, d);
	shelf_acked(&s, d);
	assert_int_equal(acked, 1);
	assert_true(shelf_is_empty(&s));
}

static void test_bury_and_release(void **state UNUSED)
{
	struct message m = message_of("a", "x");
	struct delivery *a = deliver(&m), *b = deliver(&m);
	struct shelf s;

	shelf_init(&s);
	shelf_add(&s, a);
	shelf_add(&s, b);
	shelf_bury(&s, a, OUTCOME_EXPIRED, "late");
	assert_false(delivery_is_held(a));
	assert_true(a->buried);
	assert_string_equal(a->end.error, "late");
	shelf_ask(&s, b);
	assert_int_equal(s.n[DELIVERY_ASKING], 1);
	shelf_cleared(&s, b);
	assert_int_equal(s.n[DELIVERY_ASKING], 0);
	b->verdict = VERDICT_RUN;
	assert_true(delivery_is_held(b));
	shelf_release(&s, b);
	shelf_requeued(&s, b);
	assert_int_equal(requeued, 1);
	shelf_free(&s);
	assert_true(shelf_is_empty(&s));
}

static void test_urgent_goes_first(void **state UNUSED)
{
	struct message m = message_of("a", "x");
	struct delivery *a = deliver(&m), *b = deliver(&m);
	struct shelf s;

	shelf_init(&s);
	b->urgent = true;
	shelf_add(&s, a);
	shelf_add(&s, b);
	assert_ptr_equal(list_first(&s.waiting, struct delivery, link), b);
	assert_int_equal(shelf_hand_back(&s, NULL), 2);
	assert_int_equal(requeued, 2);
	assert_true(shelf_is_empty(&s));
	shelf_add(&s, deliver(&m));
	shelf_forget_waiting(&s, &source);
	assert_int_equal(requeued, 2);
	assert_int_equal(acked, 0);
	assert_true(shelf_is_empty(&s));
}

/* --- jobs of the embedded queue --------------------------------------------------------------- */

static struct id run_id(uint8_t n)
{
	return (struct id){{0x52, n}};
}

/* As the store deals it; what it borrows from is overwritten at once. */
static struct delivery *dealt_at(struct source *from, uint8_t run, int64_t now_ms)
{
	char body[] = "body";
	struct job job = job_blank();
	struct delivery *d;
	struct buf envelope;
	struct slice packed;

	buf_init(&envelope, 4096);
	job.id = slice_str("id-1");
	job.reply_to = slice_str("answers");
	job.retries = 5;
	assert_int_equal(envelope_pack(&job, &envelope), 0);
	packed = buf_slice(&envelope);
	d = delivery_dealt(from,
	    &(struct msg_deal){.run = run_id(run),
		.queue = slice_str("q"),
		.attempt = 4,
		.alone = 1,
		.parcel = 7,
		.envelope = packed,
		.body = slice_str(body)},
	    now_ms, NULL);
	memset(body, 'x', 4);
	memset(buf_head(&envelope), 'x', packed.n);
	buf_free(&envelope);
	assert_non_null(d);
	return d;
}

static void test_dealt(void **state UNUSED)
{
	struct source silent = {.queue = &queue}; /* nothing is settled with it */
	struct delivery *d = dealt_at(&silent, 1, 5);
	struct shelf s;

	assert_true(id_eq(d->run, run_id(1)));
	assert_true(slice_is(d->job.id, "id-1"));
	assert_true(slice_is(d->job.queue, "q"));
	assert_true(slice_is(d->job.reply_to, "answers"));
	assert_true(slice_is(d->job.body, "body"));
	assert_int_equal(d->job.retries, 5);
	assert_int_equal(d->job.parcel, 7);
	assert_true(slice_is(d->type, "fallback"));
	assert_int_equal(d->attempt, 4);
	assert_true(d->alone);
	assert_false(d->nameless);
	assert_false(d->begun);
	assert_int_equal(d->verdict, VERDICT_RUN);
	assert_int_equal(delivery_due_wall_ms(d), JOB_NOT_GIVEN);
	shelf_init(&s);
	shelf_add_cleared(&s, d);
	assert_int_equal(d->state, DELIVERY_CLEARED);
	assert_int_equal(s.n[DELIVERY_CLEARED], 1);
	assert_int_equal(s.n[DELIVERY_WAITING], 0);
	assert_int_equal(d->owes, 0);
	assert_true(delivery_is_held(d));
	assert_ptr_equal(shelf_find(&s, run_id(1)), d);
	shelf_running(&s, d);
	assert_true(d->begun);
	shelf_record(&s, d);
	shelf_acked(&s, d);
	assert_true(shelf_is_empty(&s));
	d = dealt_at(&silent, 2, 5);
	shelf_add_cleared(&s, d);
	shelf_release(&s, d);
	assert_int_equal(d->end.outcome, OUTCOME_RELEASED);
	assert_int_equal(d->owes, OWES_OUTCOME);
	shelf_requeued(&s, d);
	assert_true(shelf_is_empty(&s));
}

static void test_dealt_and_unreadable(void **state UNUSED)
{
	struct msg_deal m = {.envelope = slice_str("no envelope"), .body = slice_str("x")};
	struct err err = {0};

	assert_null(delivery_dealt(&source, &m, 5, &err));
	assert_true(err.code < 0);
}

static void test_hands_back_one_source(void **state UNUSED)
{
	struct message m = message_of("a", "x");
	struct source other = {.ops = &ops, .queue = &queue}, silent = {.queue = &queue};
	struct delivery *waits = deliver(&m), *asks = deliver(&m), *cleared = deliver(&m),
			*theirs = dealt_at(&silent, 1, 5), *runs = deliver(&m);
	struct shelf s;

	shelf_init(&s);
	shelf_add(&s, waits);
	shelf_add(&s, asks);
	shelf_ask(&s, asks);
	shelf_add(&s, cleared);
	shelf_ask(&s, cleared);
	shelf_cleared(&s, cleared);
	shelf_add_cleared(&s, theirs);
	shelf_add(&s, runs);
	shelf_running(&s, runs);
	assert_int_equal(shelf_hand_back(&s, &other), 0);
	assert_int_equal(shelf_hand_back(&s, &source), 2);
	assert_int_equal(requeued, 1);
	assert_int_equal(cleared->state, DELIVERY_RECORDING);
	assert_int_equal(cleared->end.outcome, OUTCOME_RELEASED);
	assert_int_equal(asks->state, DELIVERY_ASKING);
	assert_int_equal(runs->state, DELIVERY_RUNNING);
	assert_int_equal(theirs->state, DELIVERY_CLEARED);
	assert_int_equal(shelf_hand_back(&s, NULL), 1);
	assert_int_equal(theirs->state, DELIVERY_RECORDING);
	assert_int_equal(requeued, 1);
	shelf_free(&s);
}

static void test_waits_since(void **state UNUSED)
{
	struct message m = message_of("a", "x");
	struct delivery *first, *second;
	struct shelf s;

	shelf_init(&s);
	assert_int_equal(shelf_waits_since_ms(&s), INT64_MAX);
	first = dealt_at(&source, 1, 10);
	shelf_add_cleared(&s, first);
	assert_int_equal(shelf_waits_since_ms(&s), 10);
	shelf_add(&s, deliver(&m)); /* at 5 by its clock, and behind it all the same */
	assert_int_equal(shelf_waits_since_ms(&s), 10);
	shelf_running(&s, first);
	assert_int_equal(shelf_waits_since_ms(&s), 5);
	second = dealt_at(&source, 2, 20);
	shelf_add_cleared(&s, second);
	assert_int_equal(shelf_waits_since_ms(&s), 5);
	shelf_running(&s, second);
	shelf_hand_back(&s, NULL);
	assert_int_equal(shelf_waits_since_ms(&s), INT64_MAX);
	shelf_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_copies, setup),
	    cmocka_unit_test_setup(test_takes_a_large_body_over, setup),
	    cmocka_unit_test_setup(test_nameless, setup),
	    cmocka_unit_test_setup(test_must_ask, setup),
	    cmocka_unit_test_setup(test_fault, setup),
	    cmocka_unit_test_setup(test_due, setup),
	    cmocka_unit_test_setup(test_life_of_a_first_delivery, setup),
	    cmocka_unit_test_setup(test_taken_while_it_runs, setup),
	    cmocka_unit_test_setup(test_bury_and_release, setup),
	    cmocka_unit_test_setup(test_urgent_goes_first, setup),
	    cmocka_unit_test_setup(test_dealt, setup),
	    cmocka_unit_test_setup(test_dealt_and_unreadable, setup),
	    cmocka_unit_test_setup(test_hands_back_one_source, setup),
	    cmocka_unit_test_setup(test_waits_since, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
