/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "lib/base/clock.h"
#include "lib/base/id.h"

/* More than fit into one millisecond's counter. */
static void test_ids_grow(void **state)
{
	int64_t before = clock_wall_ms();
	struct id last = id_new();

	(void)state;
	for (int i = 0; i < 100000; i++) {
		struct id next = id_new();

		if (memcmp(last.b, next.b, sizeof last.b) >= 0)
			fail_msg("id %d is not greater", i);
		assert_int_equal(next.b[6] >> 4, 7); /* version */
		assert_int_equal(next.b[8] >> 6, 2); /* variant */
		last = next;
	}
	for (int i = 0; i < 6; i++)
		before -= (int64_t)last.b[i] << (40 - 8 * i);
	assert_true(before > -60000 && before <= 0);
}

static void test_text_and_back(void **state)
{
	struct id id = {{0x01, 0x9a, 0xb1, 0xc2, 0xd3, 0xe4, 0x7f, 0x56, 0x87, 0x88, 0x99, 0xaa,
	    0xbb, 0xcc, 0xdd, 0xee}};
	static const char *const bad[] = {"", "019ab1c2-d3e4-7f56-8788-99aabbccdde",
	    "019ab1c2-d3e4-7f56-8788-99aabbccddeef", "019ab1c2d3e4-7f56-8788-99aabbccddee-",
	    "g19ab1c2-d3e4-7f56-8788-99aabbccddee", "019ab1c2-d3e4-7f56-8788-99aabbccdd@e",
	    "019ab1c2-d3e4-7f56-8788 99aabbccddee"};
	char text[ID_TEXT_BYTES];
	struct id back;

	(void)state;
	assert_string_equal(id_format(text, id), "019ab1c2-d3e4-7f56-8788-99aabbccddee");
	assert_int_equal(id_parse(slice_str(text), &back), 0);
	assert_true(id_eq(id, back) && !id_is_zero(back));
	assert_int_equal(id_parse(slice_str("019AB1C2-D3E4-7F56-8788-99AABBCCDDEE"), &back), 0);
	assert_true(id_eq(id, back));
	assert_true(id_is_zero((struct id){{0}}));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		back = id;
		if (id_parse(slice_str(bad[i]), &back) != -EINVAL)
			fail_msg("'%s' was read", bad[i]);
		assert_true(id_eq(id, back));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ids_grow),
	    cmocka_unit_test(test_text_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
