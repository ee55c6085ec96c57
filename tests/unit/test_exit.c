/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/job/exit.h"

#define EXITED(code) ((code) << 8)
#define KILLED(sig) (sig)
#define CORE 0x80

static const uint8_t dead_exits[32] = {[3 / 8] = 1u << 3, [255 / 8] = 1u << (255 % 8)};

static const struct {
	struct exit_facts facts;
	enum outcome outcome;
	int code, signal;
	const char *error;
} cases[] = {
    {{.wait_status = EXITED(0)}, OUTCOME_DONE, 0, 0, ""},
    {{.wait_status = EXITED(1)}, OUTCOME_RETRY, 1, 0, "exited with 1"},
    {{.wait_status = EXITED(2)}, OUTCOME_RETRY, 2, 0, "exited with 2"},
    {{.wait_status = EXITED(3)}, OUTCOME_DEAD, 3, 0, "exited with 3, which is one of dead_exits"},
    {{.wait_status = EXITED(255)}, OUTCOME_DEAD, 255, 0, "exited with 255, which is one of dead_exits"},
    {{.wait_status = EXITED(75)}, OUTCOME_RETRY, 75, 0, "asked for another attempt (exit 75)"},
    {{.wait_status = EXITED(126)}, OUTCOME_RETRY, 126, 0,
	"the handler is broken: a command in it cannot be executed (exit 126)"},
    {{.wait_status = EXITED(127)}, OUTCOME_RETRY, 127, 0,
	"the handler is broken: a command in it was not found (exit 127)"},
    {{.wait_status = KILLED(SIGKILL)}, OUTCOME_RETRY, -1, SIGKILL, "killed by signal 9 (SIGKILL)"},
    {{.wait_status = KILLED(SIGSEGV) | CORE}, OUTCOME_RETRY, -1, SIGSEGV,
	"killed by signal 11 (SIGSEGV), core dumped"},
    {{.wait_status = KILLED(40)}, OUTCOME_RETRY, -1, 40, "killed by signal 40"},
    {{.wait_status = KILLED(SIGKILL), .oom = true}, OUTCOME_RETRY, -1, SIGKILL,
	"killed by the kernel: out of memory"},
    {{.wait_status = KILLED(SIGTERM), .timed_out = true, .timeout_ms = 90000}, OUTCOME_RETRY, -1,
	SIGTERM, "timed out after 90s"},
    {{.wait_status = EXITED(0), .timed_out = true, .timeout_ms = 250}, OUTCOME_RETRY, 0, 0,
	"timed out after 250ms"},
    {{.wait_status = KILLED(SIGTERM), .cancelled = true}, OUTCOME_CANCELLED, -1, SIGTERM,
	"cancelled while it ran"},
    {{.wait_status = EXITED(0), .cancelled = true}, OUTCOME_CANCELLED, 0, 0, "cancelled while it ran"},
    {{.wait_status = EXITED(3), .released = true}, OUTCOME_RELEASED, 3, 0,
	"stopped by a shutdown and handed back"},
};

static void test_readings(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct exit_facts facts = cases[i].facts;
		struct exit_reading r;

		facts.dead_exits = dead_exits;
		exit_read(&facts, &r);
		assert_int_equal(r.outcome, cases[i].outcome);
		assert_int_equal(r.exit_code, cases[i].code);
		assert_int_equal(r.signal, cases[i].signal);
		assert_string_equal(r.error, cases[i].error);
	}
}

static void test_without_dead_exits(void **state UNUSED)
{
	struct exit_facts facts = {.wait_status = EXITED(3)};
	struct exit_reading r;

	exit_read(&facts, &r);
	assert_int_equal(r.outcome, OUTCOME_RETRY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_readings),
	    cmocka_unit_test(test_without_dead_exits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
