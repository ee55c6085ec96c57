/* links: daemon/worker/runner.c daemon/worker/capture.c daemon/worker/environment.c daemon/worker/launch.c daemon/worker/oom.c daemon/worker/scheduling.c daemon/worker/reap.c */
/* SPDX-License-Identifier: MIT */
/* Real programs: each case runs a little script of sh and looks at how its run ended. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "daemon/worker/capture.h"
#include "daemon/worker/reap.h"
#include "daemon/worker/runner.h"
#include "lib/base/clock.h"
#include "lib/base/spawn.h"

#define PATIENCE_MS 30000
#define DEAD_EXIT 9

struct bench {
	struct loop *loop;
	struct conf conf;
	struct conf_handler handler;
	struct reaper *reaper;
	struct environment *environment;
	struct runner *runner;
	struct job job;
	struct run_end end;
	bool ended;
	int32_t percent;
	char note[PROGRESS_NOTE_BYTES];
	unsigned progressed;
	const char *await_note; /* when seen: on_note */
	enum run_stop then_stop;
	int64_t kill_after_ms;
	char directory[64];
};

static void on_progress(void *arg, int32_t percent, const char *note)
{
	struct bench *b = arg;

	b->percent = percent;
	b->progressed++;
	snprintf(b->note, sizeof b->note, "%s", note);
	if (b->await_note && strcmp(note, b->await_note) == 0)
		runner_stop(b->runner, b->then_stop, b->kill_after_ms);
}

static void on_ended(void *arg, struct run_end *end)
{
	struct bench *b = arg;

	b->end = *end;
	b->ended = true;
	loop_stop(b->loop);
}

static void on_impatience(struct loop_timer *t)
{
	loop_stop(t->loop);
}

static int setup(void **state)
{
	static const struct runner_events events = {on_progress, on_ended};
	static const char *inherited[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nowhere", "LC_ALL=C",
	    "SECRET=1", NULL};
	struct bench *b = xcalloc(1, sizeof *b);
	struct err err = {0};

	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	assert_int_equal(reap_begin(&err), 0);
	b->loop = loop_new();
	b->conf.handlers = &b->handler;
	b->conf.nhandlers = 1;
	b->handler.max_result = 1 << 20;
	b->handler.max_logs = 64 << 10;
	b->handler.kill_after = 5000;
	b->handler.dead_exits.bits[DEAD_EXIT / 8] = 1u << (DEAD_EXIT % 8);
	b->environment = environment_new(&b->conf, "node-1", "pool/1", (char **)inherited);
	b->reaper = reaper_new(b->loop);
	b->runner = runner_new(b->loop, b->reaper, b->environment, &events, b);
	b->job = (struct job){.queue = slice_str("q"), .id = slice_str("job-1")};
	snprintf(b->directory, sizeof b->directory, "/tmp/test_runner.XXXXXX");
	assert_non_null(mkdtemp(b->directory));
	*state = b;
	return 0;
}

static void forget_end(struct bench *b)
{
	buf_free(&b->end.result);
	buf_free(&b->end.logs);
	b->ended = false;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	const char *argv[] = {"rm", "-rf", b->directory, NULL}, *envp[] = {NULL};
	struct spawn rm = {.path = "/bin/rm", .argv = (char **)argv, .envp = (char **)envp};
	pid_t pid;

	forget_end(b);
	runner_free(b->runner);
	reaper_free(b->reaper);
	environment_free(b->environment);
	loop_free(b->loop);
	assert_int_equal(spawn_process(&rm, &pid, NULL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	free(b);
	return 0;
}

static struct run_spec spec_of(struct bench *b)
{
	return (struct run_spec){.job = &b->job, .type = slice_str("t"), .handler = &b->handler,
	    .run = {{1, 2, 3}}, .attempt = 4, .timeout_ms = b->handler.timeout};
}

static int start(struct bench *b, const char *const *argv)
{
	struct run_spec spec = spec_of(b);
	struct run_end end;
	int rc;

	forget_end(b);
	b->handler.command.v = (char **)argv;
	b->handler.command.n = 1;
	rc = runner_start(b->runner, &spec, &end);
	if (rc < 0)
		b->end = end;
	return rc;
}

static void await(struct bench *b)
{
	struct loop_timer impatience;

	loop_timer_init(&impatience, b->loop, on_impatience, NULL);
	loop_timer_set(&impatience, PATIENCE_MS);
	loop_run(b->loop);
	loop_timer_stop(&impatience);
	assert_true(b->ended);
}

static void run_script(struct bench *b, const char *script)
{
	assert_int_equal(start(b, (const char *[]){"/bin/sh", "-c", script, "sh", b->directory, NULL}), 0);
	await(b);
}

/* No child of ours is left, whoever its first parent was. */
static void assert_nothing_left(void)
{
	errno = 0;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void assert_text(struct buf *b, const char *text)
{
	assert_int_equal(buf_size(b), strlen(text));
	assert_memory_equal(buf_head(b), text, strlen(text));
}

static void test_done(void **state)
{
	struct bench *b = *state;

	b->job.body = slice_str("hello");
	run_script(b, "tr a-z A-Z; echo why >&2");
	assert_int_equal(b->end.outcome, OUTCOME_DONE);
	assert_int_equal(b->end.exit_code, 0);
	assert_string_equal(b->end.error, "");
	assert_text(&b->end.result, "HELLO");
	assert_text(&b->end.logs, "why\n");
	assert_false(b->end.result_cut || b->end.logs_cut);
	assert_true(b->end.max_rss_kb > 0);
	assert_true(b->end.started_wall_ms > 0);
	assert_true(runner_is_idle(b->runner));
}

/* The kernel should rather take a handler than its worker, whose own score is as before. */
static void test_the_score_of_a_handler(void **state)
{
	struct bench *b = *state;
	char before[16] = "", after[16] = "";
	auto_fd int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);

	assert_true(pread(fd, before, sizeof before - 1, 0) > 0);
	for (int i = 0; i < 2; i++) {
		run_script(b, "cat /proc/$$/oom_score_adj");
		assert_text(&b->end.result, "200\n");
	}
	assert_true(pread(fd, after, sizeof after - 1, 0) > 0);
	assert_string_equal(after, before);
}

static void test_exit_codes(void **state)
{
	struct bench *b = *state;

	run_script(b, "exit 3");
	assert_int_equal(b->end.outcome, OUTCOME_RETRY);
	assert_int_equal(b->end.exit_code, 3);
	run_script(b, "exit 75");
	assert_int_equal(b->end.outcome, OUTCOME_RETRY);
	assert_int_equal(b->end.exit_code, 75);
	run_script(b, "exit 9");
	assert_int_equal(b->end.outcome, OUTCOME_DEAD);
	run_script(b, "no-such-command-anywhere");
	assert_int_equal(b->end.exit_code, 127);
}

static void test_signals(void **state)
{
	struct bench *b = *state;

	run_script(b, "kill -KILL $$");
	assert_int_equal(b->end.outcome, OUTCOME_RETRY);
	assert_int_equal(b->end.exit_code, -1);
	assert_int_equal(b->end.signal, SIGKILL);
	assert_string_equal(b->end.error, "killed by signal 9 (SIGKILL)");
	run_script(b, "kill -USR1 $$");
	assert_int_equal(b->end.signal, SIGUSR1);
}

/* What skep's processes ignore is not ignored in a handler. */
static void test_signals_are_reset(void **state)
{
	struct bench *b = *state;

	run_script(b, "kill -INT $$; exit 0");
	assert_int_equal(b->end.signal, SIGINT);
	run_script(b, "kill -PIPE $$; exit 0");
	assert_int_equal(b->end.signal, SIGPIPE);
}

static void test_environment(void **state)
{
	struct bench *b = *state;
	const char *env[] = {"LC_ALL=C.UTF-8", "MINE=a b", "SKEP_JOB_ID=forged", NULL};

	b->handler.env = (struct conf_words){.v = (char **)env, .n = 3};
	b->job.traceparent = slice_str("00-ab-cd-01");
	b->job.has_priority = true;
	b->job.priority = 7;
	b->handler.timeout = 60000;
	run_script(b, "env | grep -v ^PWD= | grep -v ^_= | LC_ALL=C sort");
	assert_text(&b->end.result, "HOME=/nowhere\nLC_ALL=C.UTF-8\nMINE=a b\n"
				    "PATH=/usr/local/bin:/usr/bin:/bin\nSKEP_ATTEMPT=4\nSKEP_JOB_ID=job-1\n"
				    "SKEP_JOB_TYPE=t\nSKEP_NODE=node-1\nSKEP_PRIORITY=7\nSKEP_QUEUE=q\n"
				    "SKEP_RUN_ID=01020300-0000-0000-0000-000000000000\n"
				    "SKEP_TIMEOUT_MS=60000\nSKEP_WORKER=pool/1\nTRACEPARENT=00-ab-cd-01\n");
}

static void test_descriptors(void **state)
{
	struct bench *b = *state;

	/* No pipe and not the last word: the shell would hold one, or be ls itself. */
	run_script(b, "ls /proc/$$/fd; :");
	assert_text(&b->end.result, "0\n1\n2\n3\n");
}

static void test_directory(void **state)
{
	struct bench *b = *state;
	const char *argv[] = {"./handler.sh", NULL};
	auto_free char *path = xasprintf("%s/handler.sh", b->directory);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs("#!/bin/sh\npwd\n", f);
	fclose(f);
	b->handler.directory = b->directory;
	assert_int_equal(start(b, argv), -EACCES);
	assert_int_equal(b->end.exit_code, 126);
	assert_non_null(strstr(b->end.error, "./handler.sh"));
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(start(b, argv), 0);
	await(b);
	assert_int_equal(b->end.outcome, OUTCOME_DONE);
	assert_memory_equal(buf_head(&b->end.result), b->directory, strlen(b->directory));
}

static void test_missing_program(void **state)
{
	struct bench *b = *state;
	char nowhere[] = "/no/such/directory";

	assert_int_equal(start(b, (const char *[]){"/no/such/program", NULL}), -ENOENT);
	assert_int_equal(b->end.outcome, OUTCOME_RETRY);
	assert_int_equal(b->end.exit_code, 127);
	assert_non_null(strstr(b->end.error, "/no/such/program"));
	assert_int_equal(start(b, (const char *[]){"no-such-program-in-path", NULL}), -ENOENT);
	assert_int_equal(b->end.exit_code, 127);
	assert_non_null(strstr(b->end.error, "no-such-program-in-path"));
	b->handler.directory = nowhere;
	assert_int_equal(start(b, (const char *[]){"/bin/true", NULL}), -ENOENT);
	assert_non_null(strstr(b->end.error, "directory"));
	assert_true(runner_is_idle(b->runner));
}

static void test_not_a_program(void **state)
{
	struct bench *b = *state;
	auto_free char *path = xasprintf("%s/text", b->directory);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs("no shebang\n", f);
	fclose(f);
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(start(b, (const char *[]){path, NULL}), -ENOEXEC);
	assert_int_equal(b->end.exit_code, 126);
}

static void test_result_is_bounded(void **state)
{
	struct bench *b = *state;

	b->handler.max_result = 1000;
	run_script(b, "yes 0123456789 | head -c 3000000");
	assert_int_equal(b->end.outcome, OUTCOME_DONE);
	assert_int_equal(buf_size(&b->end.result), 1000);
	assert_memory_equal(buf_head(&b->end.result), "0123456789\n0123456789\n", 22);
	assert_true(b->end.result_cut);
	b->handler.max_result = 0;
	run_script(b, "echo x");
	assert_int_equal(buf_size(&b->end.result), 0);
	assert_true(b->end.result_cut);
}

static void test_logs_keep_the_end(void **state)
{
	struct bench *b = *state;

	b->handler.max_logs = 1000;
	run_script(b, "yes 0123456789 | head -c 3000000 >&2; echo 'the end' >&2");
	assert_int_equal(buf_size(&b->end.logs), 1000);
	assert_memory_equal(buf_head(&b->end.logs) + 992, "the end\n", 8);
	assert_true(b->end.logs_cut);
	run_script(b, "printf '%0500d' 1 >&2; printf '%0500d' 2 >&2");
	assert_int_equal(buf_size(&b->end.logs), 1000);
	assert_false(b->end.logs_cut);
}

static void test_large_result(void **state)
{
	struct bench *b = *state;

	b->handler.max_result = 16 << 20;
	run_script(b, "head -c 8388608 /dev/zero");
	assert_int_equal(buf_size(&b->end.result), 8 << 20);
	assert_false(b->end.result_cut);
}

static void test_large_body_is_read(void **state)
{
	struct bench *b = *state;
	auto_free uint8_t *body = xcalloc(8 << 20, 1);

	b->job.body = slice_of(body, 8 << 20);
	run_script(b, "wc -c");
	assert_int_equal(strtol((char *)buf_head(&b->end.result), NULL, 10), 8 << 20);
}

static void test_large_body_is_not_read(void **state)
{
	struct bench *b = *state;
	auto_free uint8_t *body = xcalloc(8 << 20, 1);

	b->job.body = slice_of(body, 8 << 20);
	run_script(b, "echo ok");
	assert_int_equal(b->end.outcome, OUTCOME_DONE);
	assert_text(&b->end.result, "ok\n");
	run_script(b, "exec 0<&-; echo closed; echo 50 >&3; ls / > /dev/null");
	assert_int_equal(b->end.outcome, OUTCOME_DONE);
}

static void test_closes_output_early(void **state)
{
	struct bench *b = *state;

	run_script(b, "echo first; exec 1>&-; exec 2>&-; exec 3>&-; ls / > /dev/null; exit 4");
	assert_int_equal(b->end.exit_code, 4);
	assert_text(&b->end.result, "first\n");
}

static void test_timeout(void **state)
{
	struct bench *b = *state;

	b->handler.timeout = 150;
	run_script(b, "exec sleep 1000");
	assert_int_equal(b->end.outcome, OUTCOME_RETRY);
	assert_int_equal(b->end.signal, SIGTERM);
	assert_string_equal(b->end.error, "timed out after 150ms");
	assert_true(b->end.wall_ms >= 150);
}

static void test_timeout_can_be_caught(void **state)
{
	struct bench *b = *state;

	b->handler.timeout = 150;
	run_script(b, "trap 'echo caught; exit 0' TERM; sleep 1000 & wait");
	assert_int_equal(b->end.outcome, OUTCOME_RETRY);
	assert_int_equal(b->end.exit_code, 0);
	assert_text(&b->end.result, "caught\n");
}

static void test_timeout_ignored(void **state)
{
	struct bench *b = *state;

	b->handler.timeout = 100;
	b->handler.kill_after = 100;
	run_script(b, "trap '' TERM; while :; do sleep 1000; done");
	assert_int_equal(b->end.outcome, OUTCOME_RETRY);
	assert_int_equal(b->end.signal, SIGKILL);
	assert_string_equal(b->end.error, "timed out after 100ms");
	assert_nothing_left();
}

static void test_stopped_on_request(void **state)
{
	struct bench *b = *state;

	b->await_note = "on";
	b->then_stop = RUN_STOP_CANCEL;
	b->kill_after_ms = 5000;
	run_script(b, "echo 1 on >&3; sleep 1000");
	assert_int_equal(b->end.outcome, OUTCOME_CANCELLED);
	b->then_stop = RUN_STOP_RELEASE;
	b->kill_after_ms = 0;
	run_script(b, "trap '' TERM; echo 1 on >&3; sleep 1000");
	assert_int_equal(b->end.outcome, OUTCOME_RELEASED);
	assert_int_equal(b->end.signal, SIGKILL);
}

static void test_progress(void **state)
{
	struct bench *b = *state;

	run_script(b, "echo nonsense >&3; echo 200 >&3; echo 10 >&3; echo '55.5% half way' >&3; printf 99 >&3");
	assert_int_equal(b->percent, 55);
	assert_string_equal(b->note, "half way");
	assert_true(b->progressed >= 1);
}

/* A daemonized grandchild tells its number through a file, so that the test can look for it
 * afterwards. */
static pid_t pid_in_file(struct bench *b)
{
	auto_free char *path = xasprintf("%s/pid", b->directory);
	char text[32] = "";
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_non_null(fgets(text, sizeof text, f));
	fclose(f);
	return (pid_t)strtol(text, NULL, 10);
}

static void test_grandchildren_are_killed(void **state)
{
	struct bench *b = *state;

	run_script(b, "(setsid sh -c 'trap \"\" TERM HUP; echo $$ > $0/pid.new; mv $0/pid.new $0/pid;"
		      " while :; do sleep 1000; done' $1 &) ; while ! test -e $1/pid; do :; done; echo out");
	assert_int_equal(b->end.outcome, OUTCOME_DONE);
	assert_text(&b->end.result, "out\n");
	assert_int_equal(kill(pid_in_file(b), 0), -1);
	assert_nothing_left();
}

static void test_pipes_held_open(void **state)
{
	struct bench *b = *state;
	int64_t begun = clock_mono_ms();

	run_script(b, "sleep 1000 & echo out");
	assert_int_equal(b->end.outcome, OUTCOME_DONE);
	assert_text(&b->end.result, "out\n");
	assert_true(clock_mono_ms() - begun < 10000);
	assert_nothing_left();
}

static void test_grandchild_floods_the_pipe(void **state)
{
	struct bench *b = *state;

	b->handler.max_result = 4 << 20;
	run_script(b, "yes & echo out");
	assert_int_equal(b->end.outcome, OUTCOME_DONE);
	assert_nothing_left();
}

static void test_orphans_that_end_are_collected(void **state)
{
	struct bench *b = *state;

	run_script(b, "i=0; while test $i -lt 50; do (true &); i=$((i+1)); done; echo $i");
	assert_text(&b->end.result, "50\n");
	assert_nothing_left();
}

static void test_usage(void **state)
{
	struct bench *b = *state;

	run_script(b, "i=0; while test $i -lt 200000; do i=$((i+1)); done");
	assert_true(b->end.cpu_ms > 10);
	assert_true(b->end.wall_ms >= 10);
}

/* What this process once had in memory is not the handler's. */
static void test_memory_is_the_handlers(void **state)
{
	struct bench *b = *state;
	const size_t size = 256u << 20;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	memset(p, 1, size);
	assert_int_equal(munmap(p, size), 0);
	run_script(b, "exit 0");
	assert_true(b->end.max_rss_kb > 0);
	assert_true(b->end.max_rss_kb < (int64_t)(size >> 10));
}

static void test_freed_while_running(void **state)
{
	struct bench *b = *state;

	assert_int_equal(start(b, (const char *[]){"/bin/sh", "-c", "sleep 1000", NULL}), 0);
	assert_true(runner_pid(b->runner) > 0);
	runner_free(b->runner);
	b->runner = NULL;
	while (!reaper_kill_strays(b->reaper))
		continue;
}

static void test_capture_tail(void **state UNUSED)
{
	struct capture c;

	capture_init(&c, 4, true);
	capture_add(&c, "abc", 3);
	capture_add(&c, "def", 3);
	capture_add(&c, "ghi", 3);
	capture_finish(&c);
	assert_text(&c.bytes, "fghi");
	assert_true(c.cut);
	capture_free(&c);
	capture_init(&c, 4, true);
	capture_add(&c, "abcdefghijkl", 12);
	capture_finish(&c);
	assert_text(&c.bytes, "ijkl");
	capture_free(&c);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_done),
	    CASE(test_the_score_of_a_handler),
	    CASE(test_exit_codes),
	    CASE(test_signals),
	    CASE(test_signals_are_reset),
	    CASE(test_environment),
	    CASE(test_descriptors),
	    CASE(test_directory),
	    CASE(test_missing_program),
	    CASE(test_not_a_program),
	    CASE(test_result_is_bounded),
	    CASE(test_logs_keep_the_end),
	    CASE(test_large_result),
	    CASE(test_large_body_is_read),
	    CASE(test_large_body_is_not_read),
	    CASE(test_closes_output_early),
	    CASE(test_timeout),
	    CASE(test_timeout_can_be_caught),
	    CASE(test_timeout_ignored),
	    CASE(test_stopped_on_request),
	    CASE(test_progress),
	    CASE(test_grandchildren_are_killed),
	    CASE(test_pipes_held_open),
	    CASE(test_grandchild_floods_the_pipe),
	    CASE(test_orphans_that_end_are_collected),
	    CASE(test_usage),
	    CASE(test_memory_is_the_handlers),
	    CASE(test_freed_while_running),
	    cmocka_unit_test(test_capture_tail),
	};

	/* What this program was itself started with is not what is looked for. */
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
