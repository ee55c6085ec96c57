/* links: daemon/supervisor/restart.c */
/* SPDX-License-Identifier: MIT */
/* A life of a child is a row; the memory is carried from row to row within a case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/supervisor/restart.h"

#define LIVES_MAX 12

struct life {
	int64_t lived_ms;
	bool permanent;
	int64_t wait_ms;
};

static const struct {
	const char *name;
	struct life lives[LIVES_MAX];
	size_t n;
} cases[] = {
    {"the first death is restarted at once", {{10, false, 0}}, 1},
    {"dying at once waits longer each time, up to a limit",
	{{0, false, 0}, {9, false, 500}, {9, false, 1000}, {9, false, 2000}, {9, false, 4000},
	    {9, false, 8000}, {9, false, 16000}, {9, false, 30000}, {9, false, 30000},
	    {4999, false, 30000}},
	10},
    {"a long life clears the record",
	{{1, false, 0}, {1, false, 500}, {1, false, 1000}, {60000, false, 0}, {1, false, 500}}, 5},
    {"a life of some seconds halves it",
	{{1, false, 0}, {1, false, 500}, {1, false, 1000}, {1, false, 2000}, {5000, false, 1000},
	    {1, false, 2000}},
	6},
    {"a child killed every few seconds comes back soon",
	{{6000, false, 0}, {6000, false, 0}, {6000, false, 0}, {6000, false, 0}}, 4},
    {"what cannot be helped waits a minute and is not counted",
	{{1, true, 60000}, {1, true, 60000}, {1, false, 0}, {1, true, 60000}, {1, false, 500}}, 5},
};

static void test_cases(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct restart memory = {0};

		for (size_t j = 0; j < cases[i].n; j++) {
			const struct life *l = &cases[i].lives[j];
			struct restart_facts facts = {l->lived_ms, l->permanent};
			int64_t wait = restart_delay_ms(&memory, &facts);

			if (wait != l->wait_ms)
				fail_msg("%s: death %zu waits %lld ms, not %lld", cases[i].name,
				    j + 1, (long long)wait, (long long)l->wait_ms);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
