/* links: daemon/store/claims.c daemon/store/map.c */
/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "daemon/store/claims.h"

static struct id run_id(unsigned n)
{
	struct id id = {{0}};

	memcpy(id.b, &n, sizeof n);
	return id;
}

static struct claim *open_claim(
    struct claims *c, struct claim_owner *owner, unsigned run, const char *queue, const char *id)
{
	return claims_open(c, owner, run_id(run),
	    &(struct claim_names){slice_str(queue), slice_str(id), slice_str("t")});
}

static void test_found_by_run_and_job(void **state)
{
	struct claim_owner worker;
	struct claim *a, *b;
	struct claims c;

	(void)state;
	claims_init(&c);
	claims_owner_init(&worker);
	a = open_claim(&c, &worker, 1, "q", "a");
	b = open_claim(&c, &worker, 2, "q", "a");
	open_claim(&c, &worker, 3, "p", "a");
	assert_ptr_equal(claims_find(&c, run_id(1)), a);
	assert_null(claims_find(&c, run_id(9)));
	assert_ptr_equal(claims_of_job(&c, slice_str("q"), slice_str("a"), a), b);
	assert_null(claims_of_job(&c, slice_str("q"), slice_str("b"), NULL));
	assert_int_equal(worker.n, 3);
	claims_close(&c, b);
	assert_null(claims_of_job(&c, slice_str("q"), slice_str("a"), a));
	assert_ptr_equal(claims_of_job(&c, slice_str("q"), slice_str("a"), NULL), a);
	assert_int_equal(worker.n, 2);
	claims_close(&c, NULL);
	claims_free(&c);
}

/* "q" + "ab" and "qa" + "b" are two jobs. */
static void test_names_do_not_run_together(void **state)
{
	struct claims c;

	(void)state;
	claims_init(&c);
	open_claim(&c, NULL, 1, "q", "ab");
	assert_null(claims_of_job(&c, slice_str("qa"), slice_str("b"), NULL));
	claims_free(&c);
}

static void test_owners(void **state)
{
	struct claim_owner worker;
	struct claims c;
	struct claim *a;

	(void)state;
	claims_init(&c);
	claims_owner_init(&worker);
	a = open_claim(&c, NULL, 1, "q", "a");
	assert_int_equal(c.nobody.n, 1);
	claims_own(&c, a, &worker);
	assert_int_equal(c.nobody.n, 0);
	assert_int_equal(worker.n, 1);
	assert_ptr_equal(list_first(&worker.claims, struct claim, link), a);
	claims_free(&c);
	assert_int_equal(worker.n, 0);
}

static void test_by_id_in_any_queue(void **state)
{
	const struct claim *at = NULL;
	struct claims c;
	size_t n = 0;

	(void)state;
	claims_init(&c);
	open_claim(&c, NULL, 1, "q", "a");
	open_claim(&c, NULL, 2, "p", "a");
	open_claim(&c, NULL, 3, "p", "b");
	while ((at = claims_by_id(&c, slice_str("a"), at)))
		n++;
	assert_int_equal(n, 2);
	claims_free(&c);
}

static void test_many(void **state)
{
	struct claims c;

	(void)state;
	claims_init(&c);
	for (unsigned i = 0; i < 5000; i++) {
		char id[16];

		snprintf(id, sizeof id, "%u", i % 100);
		open_claim(&c, NULL, i, "q", id);
	}
	for (unsigned i = 0; i < 5000; i += 2)
		claims_close(&c, claims_find(&c, run_id(i)));
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(claims_find(&c, run_id(i)) != NULL, i % 2);
	assert_int_equal(c.nobody.n, 2500);
	assert_non_null(claims_of_job(&c, slice_str("q"), slice_str("99"), NULL));
	assert_null(claims_of_job(&c, slice_str("q"), slice_str("98"), NULL));
	claims_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_found_by_run_and_job),
	    cmocka_unit_test(test_names_do_not_run_together),
	    cmocka_unit_test(test_owners),
	    cmocka_unit_test(test_by_id_in_any_queue),
	    cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
