/* links: daemon/supervisor/footprint.c */
/* SPDX-License-Identifier: MIT */
/* What the kernel says of memory, from a made-up /proc and /sys, and of this very process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/supervisor/footprint.h"

static char root[] = "/tmp/skep-footprint-XXXXXX";

/* Writes a file below the made-up root, with the folders above it. */
static void put(const char *path, const char *text)
{
	auto_free char *full = xasprintf("%s%s", root, path);
	FILE *f;

	for (char *p = full + strlen(root) + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
		*p = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int make_root(void **state UNUSED)
{
	assert_non_null(mkdtemp(root));
	footprint_root(root);
	return 0;
}

static int remove_root(void **state UNUSED)
{
	auto_free char *command = xasprintf("%s", root);
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-r", command, (char *)NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return 0;
}

static void test_nothing_can_be_read(void **state UNUSED)
{
	assert_int_equal(footprint_available(), -1);
	assert_int_equal(footprint_limit(), -1);
	assert_true(footprint_memory_pressure() < 0);
	assert_true(footprint_cpu_pressure() < 0);
}

static void test_the_machine_alone(void **state UNUSED)
{
	put("/proc/meminfo", "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:    600 kB\n");
	assert_int_equal(footprint_available(), 600 << 10);
	assert_int_equal(footprint_limit(), 1000 << 10);
}

static void test_the_tightest_group_counts(void **state UNUSED)
{
	put("/proc/meminfo", "MemTotal:  1000 kB\nMemAvailable:    600 kB\n");
	put("/proc/self/cgroup", "0::/a/b\n");
	put("/sys/fs/cgroup/a/b/memory.max", "max\n");
	put("/sys/fs/cgroup/a/memory.max", "409600\n");
	put("/sys/fs/cgroup/a/memory.current", "307200\n");
	assert_int_equal(footprint_available(), 102400);
	assert_int_equal(footprint_limit(), 409600);
	put("/sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 51200\n");
	assert_int_equal(footprint_available(), 153600);
	put("/sys/fs/cgroup/a/memory.current", "999999\n");
	put("/sys/fs/cgroup/a/memory.stat", "anon 1\n");
	assert_int_equal(footprint_available(), 0);
}

static void test_pressure_of_the_group_before_that_of_the_machine(void **state UNUSED)
{
	put("/proc/self/cgroup", "0::/p\n");
	put("/proc/pressure/memory", "some avg10=12.50 avg60=0.00 avg300=0.00 total=1\n");
	assert_true(footprint_memory_pressure() == 12.5);
	put("/sys/fs/cgroup/p/memory.pressure", "some avg10=3.25 avg60=0.00\n");
	assert_true(footprint_memory_pressure() == 3.25);
}

static void test_a_tree_is_more_than_its_root(void **state UNUSED)
{
	int pair[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (pid == 0) {
		close(pair[1]);
		_exit(read(pair[0], &c, 1) == 0 ? 0 : 1);
	}
	assert_true(footprint_rss(getpid()) > 100000);
	assert_true(footprint_tree(getpid()) > footprint_rss(getpid()));
	close(pair[1]);
	close(pair[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(footprint_rss(pid), -1);
	assert_int_equal(footprint_tree(pid), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_can_be_read),
	    cmocka_unit_test(test_the_machine_alone),
	    cmocka_unit_test(test_the_tightest_group_counts),
	    cmocka_unit_test(test_pressure_of_the_group_before_that_of_the_machine),
	    cmocka_unit_test(test_a_tree_is_more_than_its_root),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
