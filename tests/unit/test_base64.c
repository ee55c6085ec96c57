/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/base64.h"

/* The vectors of RFC 4648, section 10. */
static const struct {
	const char *bytes, *text;
} vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

static void test_vectors(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		auto_free char *text = base64_encode(slice_str(vectors[i].bytes));
		size_t n = 99;
		auto_free uint8_t *bytes = base64_decode(slice_str(vectors[i].text), &n);

		assert_string_equal(text, vectors[i].text);
		assert_non_null(bytes);
		assert_true(slice_is(slice_of(bytes, n), vectors[i].bytes));
	}
}

static void test_every_byte_survives(void **state UNUSED)
{
	uint8_t all[257];

	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (uint8_t)(i * 7);
	for (size_t n = 0; n <= sizeof all; n++) {
		auto_free char *text = base64_encode(slice_of(all, n));
		size_t back_n = 0;
		auto_free uint8_t *back = base64_decode(slice_str(text), &back_n);

		assert_true(back && slice_eq(slice_of(back, back_n), slice_of(all, n)));
	}
}

static void test_refuses(void **state UNUSED)
{
	static const char *const bad[] = {"Z", "Zg", "Zg=", "Z===", "====", "Zm9v\nZm9v",
	    "Zg==Zg==", "Zh==", "Zm9=", "Zm 9", "Zm=v", "Zm9-"};
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_null(base64_decode(slice_str(bad[i]), &n));
	assert_null(base64_decode(slice_of("Zm9\0", 4), &n));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_every_byte_survives),
	    cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
