/* SPDX-License-Identifier: MIT */
/* The plan is read once per process, so each case is a child. A release build has no fault points
 * at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "lib/base/base.h"
#include "lib/base/fault.h"

#ifdef SKEP_FAULTS

/* How a child ends that passes the point so many times; it exits 3 if it survives. */
static int status_of(const char *plan, const char *dir, int passages)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct rlimit no_core = {0, 0};

		setrlimit(RLIMIT_CORE, &no_core);
		close(STDERR_FILENO);
		if (plan)
			setenv("SKEP_FAULT", plan, 1);
		else
			unsetenv("SKEP_FAULT");
		if (dir)
			setenv("SKEP_FAULT_DIR", dir, 1);
		for (int i = 0; i < passages; i++)
			FAULT(worker_before_ack);
		FAULT(store_settle);
		_exit(3);
	}
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	if (WIFSTOPPED(status)) {
		kill(pid, SIGCONT);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		return -SIGSTOP;
	}
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_plans(void **state)
{
	static const struct {
		const char *plan;
		int passages, end;
	} cases[] = {
	    {NULL, 5, 3},
	    {"", 5, 3},
	    {"worker.before_ack:kill", 0, 3},
	    {"worker.before_ack:kill", 1, -SIGKILL},
	    {"worker.before_ack:kill@3", 2, 3},
	    {"worker.before_ack:kill@3", 3, -SIGKILL},
	    {"worker.before_ack:stop", 1, -SIGSTOP},
	    {"worker.after_ack:kill", 5, 3},
	    {"worker.after_ack:kill,store.settle:kill", 0, -SIGKILL},
	    {"worker.no_such_point:kill", 1, -SIGABRT},
	    {"worker.before_ack", 1, -SIGABRT},
	    {"worker.before_ack:explode", 1, -SIGABRT},
	    {"worker.before_ack:kill@0", 1, -SIGABRT},
	    {"worker.before_ack:kill@x", 1, -SIGABRT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int end = status_of(cases[i].plan, NULL, cases[i].passages);

		if (end != cases[i].end)
			fail_msg("case %zu ended with %d", i, end);
	}
}

static void test_one_of_all_processes(void **state)
{
	char dir[] = "/tmp/skep-test-fault-XXXXXX";
	auto_free char *mark = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	mark = xasprintf("%s/worker.before_ack", dir);
	assert_int_equal(status_of("worker.before_ack:kill", dir, 1), -SIGKILL);
	assert_int_equal(access(mark, F_OK), 0);
	assert_int_equal(status_of("worker.before_ack:kill", dir, 5), 3);
	assert_int_equal(unlink(mark), 0);
	assert_int_equal(rmdir(dir), 0);
}

#else

static void test_a_release_has_none(void **state)
{
	(void)state;
	setenv("SKEP_FAULT", "worker.before_ack:kill", 1);
	FAULT(worker_before_ack);
	unsetenv("SKEP_FAULT");
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef SKEP_FAULTS
	    cmocka_unit_test(test_plans),
	    cmocka_unit_test(test_one_of_all_processes),
#else
	    cmocka_unit_test(test_a_release_has_none),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
