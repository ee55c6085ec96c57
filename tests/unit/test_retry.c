/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "lib/job/retry.h"

#define TEN_YEARS_MS (INT64_C(3653) * 24 * 3600 * 1000)

static void test_policies_are_read_and_written(void **state)
{
	static const struct {
		const char *text, *again;
	} good[] = {
	    {"sidekiq", "sidekiq"},
	    {" none ", "none"},
	    {"fixed 10s", "fixed 10s"},
	    {"fixed  90", "fixed 90s"},
	    {"exponential 1s..1h", "exponential 1s..1h"},
	    {"exponential 250ms..250ms", "exponential 250ms..250ms"},
	    {"fixed 0s", "fixed 0s"},
	};
	static const char *const bad[] = {"", "sidekiq 3", "none x", "fixed", "fixed soon",
	    "fixed 1s 2s", "exponential", "exponential 1s", "exponential 1s..", "exponential ..1s",
	    "exponential 2s..1s", "exponential 0s..1s", "exponential 1s...2s", "Sidekiq",
	    "exponential 1s..1h x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct backoff b;
		char text[64];

		assert_int_equal(backoff_parse(slice_str(good[i].text), &b, NULL), 0);
		assert_string_equal(backoff_format(text, &b), good[i].again);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct backoff b = {.kind = BACKOFF_FIXED, .first_ms = 77};
		struct err err;

		if (backoff_parse(slice_str(bad[i]), &b, &err) != -EINVAL)
			fail_msg("'%s' was read", bad[i]);
		assert_int_equal(b.first_ms, 77);
		assert_non_null(strstr(err.text, "exponential 1s..1h"));
	}
}

static void test_waits(void **state)
{
	static const struct {
		struct backoff b;
		unsigned attempt;
		uint32_t random;
		int64_t ms;
	} cases[] = {
	    {{BACKOFF_NONE, 0, 0}, 1, UINT32_MAX, 0},
	    {{BACKOFF_FIXED, 10000, 0}, 1, UINT32_MAX, 10000},
	    {{BACKOFF_FIXED, 10000, 0}, 1000, 0, 10000},
	    /* Sidekiq: n^4 + 15 + rand(10 * (n + 1)), n from 0 */
	    {{BACKOFF_SIDEKIQ, 0, 0}, 1, 0, 15000},
	    {{BACKOFF_SIDEKIQ, 0, 0}, 1, UINT32_MAX, 24000},
	    {{BACKOFF_SIDEKIQ, 0, 0}, 2, 0, 16000},
	    {{BACKOFF_SIDEKIQ, 0, 0}, 2, UINT32_MAX, 35000},
	    {{BACKOFF_SIDEKIQ, 0, 0}, 4, 0, 96000},
	    {{BACKOFF_SIDEKIQ, 0, 0}, 25, 0, (331776 + 15) * INT64_C(1000)},
	    {{BACKOFF_SIDEKIQ, 0, 0}, UINT32_MAX, UINT32_MAX, TEN_YEARS_MS},
	    {{BACKOFF_EXPONENTIAL, 1000, 3600000}, 1, 0, 1000},
	    {{BACKOFF_EXPONENTIAL, 1000, 3600000}, 2, 0, 2000},
	    {{BACKOFF_EXPONENTIAL, 1000, 3600000}, 11, 0, 1024000},
	    {{BACKOFF_EXPONENTIAL, 1000, 3600000}, 13, 0, 3600000},
	    {{BACKOFF_EXPONENTIAL, 1000, 3600000}, UINT32_MAX, 0, 3600000},
	    {{BACKOFF_EXPONENTIAL, 1000, 3600000}, 1, UINT32_MAX, 501},
	    {{BACKOFF_EXPONENTIAL, 1, TEN_YEARS_MS}, 1000, 0, TEN_YEARS_MS},
	    {{BACKOFF_EXPONENTIAL, 1000, 3600000}, 0, 0, 1000},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t ms = backoff_delay_ms(&cases[i].b, cases[i].attempt, cases[i].random);

		if (ms != cases[i].ms)
			fail_msg("case %zu: %lld", i, (long long)ms);
	}
}

static void test_attempts_after_the_first(void **state)
{
	(void)state;
	assert_int_equal(retry_decide(1, 0), RETRY_EXHAUSTED);
	assert_int_equal(retry_decide(1, 1), RETRY_AGAIN);
	assert_int_equal(retry_decide(2, 1), RETRY_EXHAUSTED);
	assert_int_equal(retry_decide(8, 8), RETRY_AGAIN);
	assert_int_equal(retry_decide(9, 8), RETRY_EXHAUSTED);
	assert_int_equal(retry_decide(UINT32_MAX, 1000), RETRY_EXHAUSTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_policies_are_read_and_written),
	    cmocka_unit_test(test_waits),
	    cmocka_unit_test(test_attempts_after_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
