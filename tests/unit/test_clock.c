/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "lib/base/clock.h"

static void test_times_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t wall_ms;
	} good[] = {
	    {"1970-01-01T00:00:00Z", 0},
	    {"2027-01-15T08:00:00Z", 1800000000000},
	    {"2027-01-15 08:00:00", 1800000000000},
	    {"2027-01-15t08:00:00z", 1800000000000},
	    {"2027-01-15T08:00Z", 1800000000000},
	    {"2027-01-15T08:00:00.412Z", 1800000000412},
	    {"2027-01-15T08:00:00,4Z", 1800000000400},
	    {"2027-01-15T08:00:00.4129999Z", 1800000000412},
	    {"2027-01-15T09:30:00+01:30", 1800000000000},
	    {"2027-01-15T03:00:00-0500", 1800000000000},
	    {"2027-01-15T10:00:00+02", 1800000000000},
	    {"2024-02-29T00:00:00Z", 1709164800000},
	    {"2016-12-31T23:59:60Z", 1483228800000},
	    {"9999-12-31T23:59:59.999Z", 253402300799999},
	};
	static const char *const bad[] = {"", "now", "2027", "2027-01-15", "2027-13-01T00:00:00Z",
	    "2027-00-01T00:00:00Z", "2027-01-32T00:00:00Z", "2027-02-29T00:00:00Z",
	    "2100-02-29T00:00:00Z", "2027-04-31T00:00:00Z", "2027-01-15T24:00:00Z",
	    "2027-01-15T08:60:00Z", "2027-01-15T08:00:61Z", "2027-01-15T08:00:00Zx",
	    "2027-01-15T08:00:00+25:00", "2027-01-15T08:00:00+01:60", "1969-12-31T23:59:59Z",
	    "1970-01-01T00:00:00+01:00", "20270115T080000Z", "2027-1-15T08:00:00Z",
	    "2027-01-15T08:00:00 Z", "2027-01-15T08:00:00.412000000000000000000000Z",
	    "-027-01-15T08:00:00Z"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		int64_t ms = -7;

		if (clock_parse(slice_str(good[i].text), &ms) < 0 || ms != good[i].wall_ms)
			fail_msg("'%s': %lld", good[i].text, (long long)ms);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int64_t ms = -7;

		if (clock_parse(slice_str(bad[i]), &ms) != -EINVAL || ms != -7)
			fail_msg("'%s' was read as %lld", bad[i], (long long)ms);
	}
	assert_int_equal(clock_parse(slice_of("2027-01-15T08:00:00Z", 19), &(int64_t){0}), 0);
}

static void test_times_are_written(void **state)
{
	static const struct {
		int64_t wall_ms;
		const char *text;
	} cases[] = {
	    {0, "1970-01-01T00:00:00.000Z"},
	    {1800000000412, "2027-01-15T08:00:00.412Z"},
	    {-1, "1970-01-01T00:00:00.000Z"},
	    {INT64_MIN, "1970-01-01T00:00:00.000Z"},
	    {INT64_MAX, "9999-12-31T23:59:59.999Z"},
	};
	char text[CLOCK_RFC3339_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(clock_rfc3339(text, cases[i].wall_ms), cases[i].text);
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
		const char *again;
	} good[] = {
	    {"0", 0, "0s"},
	    {"0ms", 0, "0s"},
	    {"250ms", 250, "250ms"},
	    {"10s", 10000, "10s"},
	    {"10", 10000, "10s"},
	    {"1.5", 1500, "1500ms"},
	    {"0.5h", 1800000, "30m"},
	    {"90s", 90000, "90s"},
	    {"60s", 60000, "1m"},
	    {"5m", 300000, "5m"},
	    {"24h", 86400000, "1d"},
	    {"7d", 604800000, "7d"},
	    {"0.0004", 0, "0s"},
	    {"3653d", INT64_C(3653) * 86400000, "3653d"},
	};
	static const char *const bad[] = {"", "s", "-1s", "+1s", " 1s", "1 s", "1S", "1w", "1e3",
	    "0x10", "1.5.5s", "1ss", "inf", "nan", ".5s", "1s\n",
	    "1111111111111111111111111111111111111111"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		int64_t ms = -7;
		char text[24];

		if (clock_parse_duration(slice_str(good[i].text), &ms) < 0 || ms != good[i].ms)
			fail_msg("'%s': %lld", good[i].text, (long long)ms);
		assert_string_equal(clock_format_duration(text, ms), good[i].again);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int64_t ms = -7;

		if (clock_parse_duration(slice_str(bad[i]), &ms) != -EINVAL || ms != -7)
			fail_msg("'%s' was read as %lld", bad[i], (long long)ms);
	}
	assert_int_equal(clock_parse_duration(slice_str("3654d"), &(int64_t){0}), -ERANGE);
	assert_int_equal(
	    clock_parse_duration(slice_str("99999999999999999999999d"), &(int64_t){0}), -ERANGE);
}

static void test_clocks_go_forward(void **state)
{
	int64_t us = clock_mono_us(), ms = clock_mono_ms(), wall = clock_wall_ms();

	(void)state;
	assert_true(clock_mono_us() >= us && clock_mono_ms() >= ms);
	assert_true(wall > INT64_C(1700000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_times_are_read),
	    cmocka_unit_test(test_times_are_written),
	    cmocka_unit_test(test_durations),
	    cmocka_unit_test(test_clocks_go_forward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
