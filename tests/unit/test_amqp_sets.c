/* SPDX-License-Identifier: MIT */
/* The two sets that must be exact: what a consumer has not settled, what a publisher has no confirm for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/amqp/confirms.h"
#include "lib/amqp/tags.h"
#include "lib/base/buf.h"

/* --- tags ----------------------------------------------------------------------------------------- */

static void note_ack(void *arg, uint64_t tag, bool multiple)
{
	buf_addf(arg, "%s%llu ", multiple ? "<=" : "", (unsigned long long)tag);
}

/* What is sent for the acks that were marked. */
static void expect_fold(struct tags *t, const char *expected)
{
	struct buf text;

	buf_init(&text, 4096);
	tags_fold(t, note_ack, &text);
	buf_add(&text, "", 1);
	assert_string_equal((char *)buf_head(&text), expected);
	buf_free(&text);
}

/* A script: "+n" n deliveries come, "aN" ack, "dN" settled otherwise, "f" then what must be sent. */
static const struct {
	const char *what;
	const char *steps[12];
} folds[] = {
    {"one", {"+1", "a1", "f1 "}},
    {"a run from the oldest", {"+5", "a1", "a2", "a3", "f<=3 ", "a4", "a5", "f<=5 "}},
    {"out of order", {"+3", "a3", "a1", "a2", "f<=3 "}},
    {"a gap", {"+4", "a1", "a2", "a4", "f<=2 4 ", "a3", "f3 "}},
    {"the oldest stays", {"+4", "a2", "a3", "a4", "f2 3 4 ", "a1", "f1 "}},
    {"a hole settled otherwise", {"+4", "d2", "a1", "a3", "f<=3 ", "a4", "f4 "}},
    {"the oldest settled otherwise", {"+3", "d1", "a2", "a3", "f<=3 "}},
    {"twice is once", {"+2", "a1", "a1", "d1", "f1 ", "a1", "f", "a2", "f2 "}},
    {"unknown", {"+1", "a2", "a0", "f", "a1", "f1 "}},
    {"nothing", {"f", "+2", "f"}},
};

static void run_step(struct tags *t, const char *step)
{
	uint64_t n = strtoull(step + 1, NULL, 10);

	if (step[0] == '+') {
		for (uint64_t i = 0; i < n; i++)
			assert_int_equal(tags_add(t, t->last + 1), 0);
	} else if (step[0] == 'a') {
		tags_ack(t, n);
	} else if (step[0] == 'd') {
		tags_drop(t, n);
	} else {
		expect_fold(t, step + 1);
	}
}

static void acks_are_folded(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(folds); i++) {
		struct tags t;

		print_message("%s\n", folds[i].what);
		tags_init(&t);
		tags_allow(&t, 8);
		for (const char *const *step = folds[i].steps; *step; step++)
			run_step(&t, *step);
		tags_free(&t);
	}
}

static void tags_are_bounded_and_rise(void **state)
{
	struct tags t;

	(void)state;
	tags_init(&t);
	tags_allow(&t, 2);
	assert_int_equal(tags_add(&t, 0), -EPROTO);
	assert_int_equal(tags_add(&t, 7), 0);
	assert_int_equal(tags_add(&t, 7), -EPROTO);
	assert_int_equal(tags_add(&t, 6), -EPROTO);
	assert_int_equal(tags_add(&t, 9), 0);
	assert_int_equal(tags_add(&t, 10), -ENOBUFS);
	assert_true(tags_has(&t, 9));
	assert_true(tags_ack(&t, 9));
	assert_false(tags_has(&t, 9));
	assert_false(tags_ack(&t, 9));
	assert_false(tags_drop(&t, 9));
	assert_int_equal(tags_unsettled(&t), 1);
	/* Acked and not yet sent: the broker still counts it. */
	assert_int_equal(tags_add(&t, 10), -ENOBUFS);
	expect_fold(&t, "9 ");
	assert_int_equal(tags_add(&t, 10), 0);
	/* What is there does not count against what is allowed anew. */
	tags_allow(&t, 3);
	for (uint64_t tag = 11; tag <= 13; tag++)
		assert_int_equal(tags_add(&t, tag), 0);
	assert_int_equal(tags_add(&t, 14), -ENOBUFS);
	assert_true(tags_has(&t, 7) && tags_has(&t, 10) && tags_has(&t, 13));
	tags_reset(&t);
	assert_int_equal(tags_unsettled(&t), 0);
	assert_int_equal(tags_add(&t, 1), -ENOBUFS);
	tags_allow(&t, 1);
	assert_int_equal(tags_add(&t, 1), 0);
	tags_free(&t);
}

/* Whatever the order, every tag is sent for exactly once, and `multiple` never takes one too many. */
struct witness {
	bool open[2001], acked[2001];
	uint64_t sent;
};

static void witness_ack(void *arg, uint64_t tag, bool multiple)
{
	struct witness *w = arg;

	for (uint64_t i = multiple ? 1 : tag; i <= tag; i++) {
		if (!w->open[i])
			continue;
		assert_true(w->acked[i]);
		w->open[i] = false;
		w->sent++;
	}
}

static void folding_is_exact_in_any_order(void **state)
{
	static struct witness w;
	uint64_t random = 42, next = 1, marked = 0;
	struct tags t;

	(void)state;
	tags_init(&t);
	tags_allow(&t, 50);
	while (w.sent < 2000) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		while (next <= 2000 && tags_add(&t, next) == 0)
			w.open[next++] = true;
		for (unsigned i = 0; i < random >> 60; i++) {
			uint64_t tag = t.e[(random >> (i + 8)) % t.n].tag;

			if (tags_ack(&t, tag)) {
				w.acked[tag] = true;
				marked++;
			}
		}
		tags_fold(&t, witness_ack, &w);
		assert_int_equal(w.sent, marked);
		if (t.n == 0 && next > 2000)
			break;
	}
	assert_int_equal(w.sent, 2000);
	tags_free(&t);
}

/* --- confirms ------------------------------------------------------------------------------------- */

static void expect_taken(struct confirms *c, uint64_t seq, bool multiple, const char *expected)
{
	struct confirm one;
	struct buf text;

	buf_init(&text, 4096);
	while (confirms_take(c, seq, multiple, &one))
		buf_addf(&text, "%llu%s ", (unsigned long long)one.key, one.returned ? "r" : "");
	buf_add(&text, "", 1);
	assert_string_equal((char *)buf_head(&text), expected);
	buf_free(&text);
}

static void confirms_come_in_any_order(void **state)
{
	struct confirms c;

	(void)state;
	confirms_init(&c, 10);
	for (uint64_t key = 101; key <= 107; key++)
		confirms_push(&c, key, (int64_t)key);
	assert_int_equal(confirms_room(&c), 3);
	assert_int_equal(confirms_oldest_ms(&c), 101);
	/* As RabbitMQ was seen to send them: 2, 4, 6, then 5 with `multiple`. */
	expect_taken(&c, 2, false, "102 ");
	expect_taken(&c, 4, false, "104 ");
	expect_taken(&c, 6, false, "106 ");
	expect_taken(&c, 5, true, "101 103 105 ");
	assert_int_equal(confirms_oldest_ms(&c), 107);
	expect_taken(&c, 6, false, "");
	expect_taken(&c, 5, true, "");
	expect_taken(&c, 8, false, "");
	expect_taken(&c, UINT64_MAX, true, "107 ");
	assert_int_equal(c.open, 0);
	assert_int_equal(confirms_oldest_ms(&c), INT64_MAX);
	confirms_free(&c);
}

static void returns_are_remembered(void **state)
{
	struct confirms c;

	(void)state;
	confirms_init(&c, 4);
	for (uint64_t key = 1; key <= 3; key++)
		confirms_push(&c, key * 10, 0);
	confirms_returned(&c, 20);
	confirms_returned(&c, 99);
	assert_true(confirms_has(&c, 20));
	assert_false(confirms_has(&c, 99));
	expect_taken(&c, 3, true, "10 20r 30 ");
	assert_false(confirms_has(&c, 20));
	/* The place in the ring is clean when it is used again. */
	for (uint64_t key = 1; key <= 400; key++) {
		struct confirm one;

		confirms_push(&c, key, 0);
		assert_true(confirms_take(&c, c.next - 1, false, &one));
		assert_int_equal(one.key, key);
		assert_false(one.returned);
	}
	confirms_free(&c);
}

static void one_late_confirm_does_not_stop_the_others(void **state)
{
	struct confirms c;
	struct confirm one;
	unsigned sent = 0;

	(void)state;
	confirms_init(&c, 8);
	confirms_push(&c, 1, 0);
	while (confirms_room(&c) > 0) {
		confirms_push(&c, 2 + sent, 0);
		assert_true(confirms_take(&c, 2 + sent, false, &one));
		assert_int_equal(one.key, 2 + sent);
		sent++;
	}
	/* Bounded all the same: by the ring. */
	assert_int_equal(sent, c.cap - 1);
	assert_int_equal(c.open, 1);
	assert_true(confirms_take_any(&c, &one));
	assert_int_equal(one.key, 1);
	assert_int_equal(confirms_room(&c), 8);
	confirms_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(acks_are_folded),
	    cmocka_unit_test(tags_are_bounded_and_rise),
	    cmocka_unit_test(folding_is_exact_in_any_order),
	    cmocka_unit_test(confirms_come_in_any_order),
	    cmocka_unit_test(returns_are_remembered),
	    cmocka_unit_test(one_late_confirm_does_not_stop_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
