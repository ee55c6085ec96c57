/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "lib/base/buf.h"

static void test_the_bound_holds(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(buf_adds(&b, "0123456789"), 0);
	assert_int_equal(buf_add(&b, "x", 1), -ENOBUFS);
	assert_int_equal(buf_add_growing(&b, "x", SIZE_MAX), -ENOBUFS);
	assert_null(buf_reserve(&b, SIZE_MAX - 5));
	assert_int_equal(buf_addf(&b, "%d", 5), -ENOBUFS);
	assert_true(slice_is(buf_slice(&b), "0123456789"));
	assert_int_equal(buf_add(&b, NULL, 0), 0);
	buf_consume(&b, 4);
	assert_int_equal(buf_adds(&b, "abcd"), 0);
	assert_true(slice_is(buf_slice(&b), "456789abcd"));
	assert_int_equal(buf_add(&b, "x", 1), -ENOBUFS);
	buf_truncate(&b, 2);
	assert_true(slice_is(buf_slice(&b), "45"));
	assert_int_equal(buf_addf(&b, "%s-%d", "x", 12), 0);
	assert_true(slice_is(buf_slice(&b), "45x-12"));
	buf_clear(&b);
	assert_int_equal(buf_size(&b), 0);
	buf_free(&b);
	assert_int_equal(b.max, 10);
	assert_int_equal(buf_adds(&b, "again"), 0);
	buf_free(&b);
}

static void test_numbers(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(buf_addi(&b, 0), 0);
	assert_int_equal(buf_addi(&b, INT64_MIN), 0);
	assert_int_equal(buf_addi(&b, INT64_MAX), 0);
	assert_true(slice_is(buf_slice(&b), "0-92233720368547758089223372036854775807"));
	buf_free(&b);
}

/* In at the end, out at the front, against a plain count: the contents, and memory that does not
 * grow. */
static void test_a_queue_of_bytes(void **state)
{
	unsigned in = 0, out = 0, random = 1;
	struct buf b;

	(void)state;
	buf_init(&b, 5000);
	for (int i = 0; i < 20000; i++) {
		size_t n;

		random = random * 1103515245 + 12345;
		n = random >> 16 & 1023;
		for (size_t j = 0; j < n && buf_size(&b) < 5000; j++) {
			uint8_t byte = (uint8_t)(in++ * 7);

			assert_int_equal(buf_add(&b, &byte, 1), 0);
		}
		n = random >> 8 & 1023;
		n = n < buf_size(&b) ? n : buf_size(&b);
		for (size_t j = 0; j < n; j++)
			assert_int_equal(buf_head(&b)[j], (uint8_t)(out++ * 7));
		buf_consume(&b, n);
	}
	assert_int_equal(buf_size(&b), in - out);
	assert_true(b.cap <= 16384);
	buf_free(&b);
}

static void test_memory_is_given_back(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	assert_non_null(buf_reserve(&b, 100000));
	buf_added(&b, 100000);
	buf_trim(&b, 4096);
	assert_true(b.cap >= 100000); /* it is in use */
	buf_consume(&b, 100000);
	buf_trim(&b, 1 << 20);
	assert_true(b.cap >= 100000);
	buf_trim(&b, 4096);
	assert_int_equal(b.cap, 0);
	assert_null(b.data);
	assert_int_equal(b.max, 1 << 20);
	assert_null(buf_slice(&b).p);
	buf_free(&b);
}

static void test_slices(void **state)
{
	auto_free char *copy = slice_dup(slice_of("abcdef", 3)),
		       *empty = slice_dup(slice_of(NULL, 0));
	char small[4];

	(void)state;
	assert_string_equal(copy, "abc");
	assert_string_equal(empty, "");
	assert_string_equal(slice_copy(small, sizeof small, slice_str("abcdef")), "abc");
	assert_string_equal(slice_copy(small, sizeof small, slice_of(NULL, 0)), "");
	assert_true(slice_eq(slice_of(NULL, 0), slice_str("")));
	assert_false(slice_eq(slice_str("a"), slice_str("ab")));
	assert_true(slice_is(slice_str(NULL), ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_the_bound_holds),
	    cmocka_unit_test(test_a_queue_of_bytes),
	    cmocka_unit_test(test_memory_is_given_back),
	    cmocka_unit_test(test_slices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
