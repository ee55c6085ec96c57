/* links: daemon/store/verdict.c */
/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/store/verdict.h"

#define NOW 1000000

struct row {
	const char *what;
	struct verdict_facts facts;
	enum verdict verdict;
	uint32_t attempt;
	bool alone;
	enum outcome outcome;
};

#define LIMITS .max_losses = 3, .retries = 8
#define PLAIN LIMITS, .expires_wall_ms = JOB_NOT_GIVEN

static const struct row rows[] = {
    {"an unknown job", {PLAIN}, VERDICT_RUN, 1, false},
    {"after two attempts", {PLAIN, .attempt = 2, .redelivered = true}, VERDICT_RUN, 3, false},
    {"after a loss", {PLAIN, .attempt = 1, .losses = 1}, VERDICT_RUN, 2, true},
    {"over", {PLAIN, .over = true}, VERDICT_DROP},
    {"over and cancelled", {PLAIN, .over = true, .cancelled = true}, VERDICT_CANCELLED},
    {"a cancel waits, nothing runs", {PLAIN, .cancelled = true}, VERDICT_CANCELLED},
    {"a cancel waits for a run", {PLAIN, .cancelled = true, .runs = true}, VERDICT_TAKE},
    {"over comes before runs", {PLAIN, .over = true, .runs = true}, VERDICT_DROP},
    {"a parcel waits", {PLAIN, .parcel_waits = true, .redelivered = true}, VERDICT_DROP},
    {"a parcel waits comes before runs", {PLAIN, .parcel_waits = true, .runs = true}, VERDICT_DROP},
    {"still runs", {PLAIN, .runs = true, .redelivered = true}, VERDICT_TAKE},
    {"nameless, first", {PLAIN, .nameless = true}, VERDICT_RUN, 1, false},
    {"nameless, redelivered", {PLAIN, .nameless = true, .redelivered = true}, VERDICT_TAKE},
    {"four deliveries", {PLAIN, .deliveries = 4}, VERDICT_RUN, 1, false},
    {"five deliveries", {PLAIN, .deliveries = 5}, VERDICT_TAKE},
    {"five deliveries of a parcel", {PLAIN, .deliveries = 5, .from_parcel = true}, VERDICT_RUN, 1,
	false},
    {"two losses of three", {PLAIN, .losses = 2}, VERDICT_RUN, 1, true},
    {"three losses of three", {PLAIN, .losses = 3}, VERDICT_BURY, .outcome = OUTCOME_DEAD},
    {"taken over before it is buried", {PLAIN, .losses = 3, .deliveries = 5}, VERDICT_TAKE},
    {"expires now", {LIMITS, .expires_wall_ms = NOW}, VERDICT_BURY, .outcome = OUTCOME_EXPIRED},
    {"expired", {LIMITS, .expires_wall_ms = NOW - 1}, VERDICT_BURY, .outcome = OUTCOME_EXPIRED},
    {"expires later", {LIMITS, .expires_wall_ms = NOW + 1}, VERDICT_RUN, 1, false},
    {"the last attempt", {PLAIN, .attempt = 8}, VERDICT_RUN, 9, false},
    {"attempts used up", {PLAIN, .attempt = 9}, VERDICT_BURY, .outcome = OUTCOME_DEAD},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		struct verdict_reading r;

		verdict_read(&row->facts, NOW, &r);
		if (r.verdict != row->verdict || r.attempt != row->attempt ||
		    r.alone != row->alone || r.outcome != row->outcome)
			fail_msg("%s: verdict %d attempt %u alone %d outcome %d", row->what,
			    r.verdict, r.attempt, r.alone, r.outcome);
		if (r.verdict == VERDICT_BURY || r.verdict == VERDICT_TAKE)
			assert_true(r.reason[0] != '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
