/* SPDX-License-Identifier: MIT */
/*
 * The real skepd over fake roles. This program is both: started under the name of a role it is one
 * that does no work, and writes what happens to it into a FIFO, a line each; the tests read that
 * and never wait for a time. Files in the test's directory tell the fakes how to behave: `die-NAME`
 * (exit with the code in it at the start), `cling-NAME` (leave only when hurried), `leave-NAME`
 * (start a process that outlives its worker).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "daemon/process.h"
#include "lib/base/clock.h"
#include "lib/base/spawn.h"

#define LIMIT_MS 20000
#define LINES_MAX 200

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* --- the fake roles --------------------------------------------------------------------------- */

static void tell(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void tell(const char *fmt, ...)
{
	auto_free char *path = xasprintf("%s/events", getenv("SKEP_TEST_DIR"));
	auto_fd int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line - 1, fmt, ap);
	va_end(ap);
	line[n++] = '\n';
	if (fd >= 0 && write(fd, line, (size_t)n) != n) /* the test may be gone */
		abort();
}

/* The number in the file `what-NAME`, -1 without one. A pool's "default/1" is "default.1" there. */
static int wish(const char *what, const char *name)
{
	auto_free char *path = xasprintf("%s/%s-%s", getenv("SKEP_TEST_DIR"), what, name);
	char text[16] = "";
	int fd;

	for (char *p = path + strlen(getenv("SKEP_TEST_DIR")) + 1; *p; p++)
		*p = *p == '/' ? '.' : *p;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof text - 1) < 0)
		abort();
	close(fd);
	return (int)strtol(text, NULL, 10);
}

static int fake_start(struct process *p, struct err *err UNUSED)
{
	int code = wish("die", p->name);
	pid_t pid;

	tell("start %s %d", p->name, (int)getpid());
	if (code >= 0)
		_exit(code);
	if (wish("leave", p->name) >= 0) {
		pid = fork();
		if (pid == 0) {
			setsid();
			for (;;)
				pause();
		}
		tell("left %s %d", p->name, (int)pid);
	}
	process_ready(p, "fake");
	return 0;
}

static void fake_stop(struct process *p, bool hurry, int64_t within_ms)
{
	tell("stop %s hurry=%d within=%lld", p->name, hurry, (long long)within_ms);
	if (hurry || wish("cling", p->name) < 0)
		process_exit(p, EXIT_DRAINED);
}

static int fake_control(struct process *p UNUSED, struct frame *f)
{
	struct msg_peer peer;
	struct msg_peers_end end;
	struct msg_buried buried;

	if (msg_peer_decode(f, &peer) == 0)
		tell("peer " SLICE_FMT " %u", SLICE_ARG(peer.name), peer.pid);
	else if (msg_peers_end_decode(f, &end) == 0)
		tell("peers_end %u", end.count);
	else if (msg_buried_decode(f, &buried) == 0)
		tell("buried %u asked=%d", buried.pid, buried.asked);
	else
		return -EPROTO;
	return 0;
}

static int be_fake(const char *program, int argc, char **argv)
{
	for (unsigned id = 0; id < ROLE_COUNT; id++) {
		struct role role = {
		    .id = id, .start = fake_start, .stop = fake_stop, .control = fake_control};

		if (strcmp(role_program(id), program) == 0)
			return process_main(&role, argc, argv);
	}
	return 2;
}

/* --- a node ----------------------------------------------------------------------------------- */

struct node {
	char dir[64];
	pid_t pid; /* of skepd */
	int events;
	int notify; /* we are its service manager, too */
	char text[8192];
	size_t used;
	char lines[LINES_MAX][128]; /* read so far */
	size_t nlines;
};

static void write_file(const struct node *n, const char *name, const char *text)
{
	auto_free char *path = xasprintf("%s/%s", n->dir, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void remove_file(const struct node *n, const char *name)
{
	auto_free char *path = xasprintf("%s/%s", n->dir, name);

	assert_int_equal(unlink(path), 0);
}

static void copy_program(const char *from, const char *to)
{
	char bytes[65536];
	auto_fd int in = open(from, O_RDONLY | O_CLOEXEC),
		    out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	ssize_t got;

	assert_true(in >= 0 && out >= 0);
	while ((got = read(in, bytes, sizeof bytes)) > 0)
		assert_int_equal(write(out, bytes, (size_t)got), got);
}

/* skepd looks for the roles beside itself, so a copy of it gets the fakes. */
static void install_programs(const struct node *n)
{
	char self[512];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	auto_free char *skepd = NULL, *copy = xasprintf("%s/skepd", n->dir);

	assert_true(len > 0);
	self[len] = '\0';
	skepd = xasprintf("%.*s/../bin/skepd", (int)(strrchr(self, '/') - self), self);
	copy_program(skepd, copy);
	for (unsigned id = 0; id < ROLE_COUNT; id++) {
		auto_free char *path = xasprintf("%s/%s", n->dir, role_program(id));

		if (id != ROLE_SUPERVISOR)
			assert_int_equal(symlink(self, path), 0);
	}
}

static pid_t run_skepd(const struct node *n, const char *log)
{
	auto_free char *skepd = xasprintf("%s/skepd", n->dir),
		       *conf = xasprintf("%s/skep.conf", n->dir);
	auto_free char *env = xasprintf("SKEP_TEST_DIR=%s", n->dir),
		       *path = xasprintf("%s/%s", n->dir, log);
	auto_free char *notify = xasprintf("NOTIFY_SOCKET=%s/notify", n->dir);
	char *argv[] = {skepd, (char[]){"-c"}, conf, NULL}, *envp[] = {env, notify, NULL};
	auto_fd int err = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	struct spawn_fd fds[] = {{err, 2}};
	struct spawn s = {.path = skepd,
	    .argv = argv,
	    .envp = envp,
	    .fds = fds,
	    .nfds = 1,
	    .death_signal = SIGKILL};
	pid_t pid;

	assert_int_equal(spawn_process(&s, &pid, NULL), 0);
	return pid;
}

static int open_notify(const struct node *n)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof sun.sun_path, "%s/notify", n->dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof sun), 0);
	return fd;
}

static void node_make(struct node *n)
{
	auto_free char *events = NULL, *conf = NULL;

	*n = (struct node){.dir = "/tmp/test_supervisor.XXXXXX"};
	assert_non_null(mkdtemp(n->dir));
	events = xasprintf("%s/events", n->dir);
	assert_int_equal(mkfifo(events, 0600), 0);
	n->events = open(events, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	assert_true(n->events >= 0);
	n->notify = open_notify(n);
	install_programs(n);
	conf = xasprintf(
	    "[daemon]\nstate_dir = %s/state\nruntime_dir = %s/run\nstop_timeout = 15s\n"
	    "log_level = debug\n[broker]\nurl = amqp://127.0.0.1/\n[pool default]\nworkers = 2\n[handler x]\ncommand = true\n",
	    n->dir, n->dir);
	write_file(n, "skep.conf", conf);
}

static void node_start(struct node *n)
{
	n->pid = run_skepd(n, "log");
}

static void node_remove(struct node *n)
{
	char *argv[] = {(char[]){"rm"}, (char[]){"-rf"}, n->dir, NULL};
	pid_t pid;

	assert_int_equal(
	    spawn_process(
		&(struct spawn){.path = "/bin/rm", .argv = argv, .envp = environ}, &pid, NULL),
	    0);
	waitpid(pid, NULL, 0);
	close(n->events);
	close(n->notify);
}

/* Takes one line out of n->text, false if there is no whole one. */
static bool take_line(struct node *n)
{
	char *end = memchr(n->text, '\n', n->used);
	size_t len = end ? (size_t)(end - n->text) : 0;

	if (!end)
		return false;
	assert_true(n->nlines < LINES_MAX);
	snprintf(n->lines[n->nlines++], sizeof n->lines[0], "%.*s", (int)len, n->text);
	n->used -= len + 1;
	memmove(n->text, end + 1, n->used);
	return true;
}

static void show_failure(const struct node *n, const char *wanted)
{
	auto_free char *command = xasprintf("%s/log", n->dir);
	FILE *f = fopen(command, "re");
	int c;

	for (size_t i = 0; i < n->nlines; i++)
		fprintf(stderr, "event: %s\n", n->lines[i]);
	while (f && (c = fgetc(f)) != EOF)
		fputc(c, stderr);
	if (f)
		fclose(f);
	fail_msg("'%s' did not happen", wanted);
}

/* Reads on until a line begins with `prefix`, at or after line `from`. Returns its index. */
static size_t wait_line(struct node *n, size_t from, const char *prefix)
{
	int64_t deadline = clock_mono_ms() + LIMIT_MS;

	for (;;) {
		struct pollfd p = {n->events, POLLIN, 0};
		ssize_t got;

		for (; from < n->nlines; from++) {
			if (strncmp(n->lines[from], prefix, strlen(prefix)) == 0)
				return from;
		}
		if (take_line(n))
			continue;
		if (clock_mono_ms() > deadline)
			show_failure(n, prefix);
		poll(&p, 1, 100);
		got = read(n->events, n->text + n->used, sizeof n->text - n->used);
		n->used += got > 0 ? (size_t)got : 0;
	}
}

/* The last word of a line. */
static pid_t pid_in(const struct node *n, size_t line)
{
	return (pid_t)strtol(strrchr(n->lines[line], ' ') + 1, NULL, 10);
}

static pid_t wait_started(struct node *n, size_t from, const char *name)
{
	char prefix[80];

	snprintf(prefix, sizeof prefix, "start %s ", name);
	return pid_in(n, wait_line(n, from, prefix));
}

static int wait_exit(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_gone(pid_t pid)
{
	struct pollfd p = {(int)syscall(SYS_pidfd_open, pid, 0), POLLIN, 0};

	if (p.fd < 0)
		return;
	assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
	close(p.fd);
}

static bool log_has(const struct node *n, const char *log, const char *text)
{
	auto_free char *path = xasprintf("%s/%s", n->dir, log);
	char line[2048];
	bool found = false;
	FILE *f = fopen(path, "re");

	assert_non_null(f);
	while (!found && fgets(line, sizeof line, f))
		found = strstr(line, text) != NULL;
	fclose(f);
	return found;
}

/* Until skepd has told its service manager `wanted`. */
static void wait_notify(struct node *n, const char *wanted)
{
	struct pollfd p = {n->notify, POLLIN, 0};
	char text[256] = "";

	while (!strstr(text, wanted)) {
		ssize_t got;

		if (poll(&p, 1, LIMIT_MS) != 1)
			show_failure(n, wanted);
		got = recv(n->notify, text, sizeof text - 1, 0);
		assert_true(got >= 0);
		text[got] = '\0';
	}
}

static void node_wait_up(struct node *n)
{
	wait_notify(n, "READY=1");
}

static void node_stop(struct node *n)
{
	kill(n->pid, SIGTERM);
	assert_int_equal(wait_exit(n->pid), 0);
	node_remove(n);
}

/* --- the promises ----------------------------------------------------------------------------- */

static void test_stops_in_order(void **state UNUSED)
{
	struct node n;
	size_t workers, courier, gateway, store;

	node_make(&n);
	node_start(&n);
	node_wait_up(&n);
	wait_notify(&n, "STATUS=2 of 2 workers ready, 3 of 3 other processes; 0 restarts");
	kill(n.pid, SIGTERM);
	wait_notify(&n, "STOPPING=1");
	workers = wait_line(&n, 0, "stop default/1 hurry=0 within=15000");
	workers = wait_line(&n, 0, "stop default/2") > workers ? wait_line(&n, 0, "stop default/2")
							       : workers;
	courier = wait_line(&n, 0, "stop courier hurry=0");
	gateway = wait_line(&n, 0, "stop gateway hurry=0");
	store = wait_line(&n, 0, "stop store hurry=0");
	assert_true(workers < courier && courier < gateway && gateway < store);
	assert_int_equal(wait_exit(n.pid), 0);
	wait_line(&n, 0, "buried ");
	assert_true(log_has(&n, "log", "ready: store, courier, gateway and 2 workers"));
	node_remove(&n);
}

static void test_second_signal_hurries(void **state UNUSED)
{
	struct node n;

	node_make(&n);
	write_file(&n, "cling-default.1", "");
	write_file(&n, "cling-store", "");
	node_start(&n);
	node_wait_up(&n);
	kill(n.pid, SIGINT);
	wait_line(&n, 0, "stop default/1 hurry=0");
	kill(n.pid, SIGTERM);
	wait_line(&n, 0, "stop default/1 hurry=1");
	wait_line(&n, 0, "stop store hurry=1");
	assert_int_equal(wait_exit(n.pid), 0);
	node_remove(&n);
}

static void test_store_knows_of_each_worker(void **state UNUSED)
{
	struct node n;
	char line[80];
	size_t from;
	pid_t first, second;

	node_make(&n);
	node_start(&n);
	node_wait_up(&n);
	first = wait_started(&n, 0, "default/1");
	snprintf(line, sizeof line, "peer default/1 %d", (int)first);
	wait_line(&n, wait_line(&n, 0, "peers_end 0"), line);
	from = n.nlines;
	kill(first, SIGKILL);
	snprintf(line, sizeof line, "buried %d asked=0", (int)first);
	from = wait_line(&n, from, line);
	second =
	    wait_started(&n, 0, "default/1") == first ? wait_started(&n, from, "default/1") : first;
	assert_int_not_equal(second, first);
	snprintf(line, sizeof line, "peer default/1 %d", (int)second);
	wait_line(&n, 0, line);
	assert_true(log_has(&n, "log", "was killed by SIGKILL"));
	node_stop(&n);
}

/* The second death of the store at once gives it a pause, in which a worker dies too. */
static void test_new_store_is_told_of_the_dead(void **state UNUSED)
{
	struct node n;
	char line[80];
	size_t from, end;
	pid_t store, worker;

	node_make(&n);
	node_start(&n);
	node_wait_up(&n);
	kill(wait_started(&n, 0, "store"), SIGKILL);
	from = wait_line(&n, 1, "peers_end 4") + 1;
	store = wait_started(&n, wait_line(&n, 0, "start store") + 1, "store");
	worker = wait_started(&n, 0, "default/2");
	kill(store, SIGKILL);
	assert_gone(store);
	kill(worker, SIGKILL);
	end = wait_line(&n, from, "peers_end ");
	snprintf(line, sizeof line, "peer default/2 %d", (int)worker);
	assert_true(wait_line(&n, from, line) < end);
	snprintf(line, sizeof line, "buried %d asked=0", (int)worker);
	assert_true(wait_line(&n, from, line) > end);
	node_stop(&n);
}

static void test_nothing_outlives_a_worker(void **state UNUSED)
{
	struct node n;
	char line[80];
	pid_t worker, left;

	node_make(&n);
	write_file(&n, "leave-default.1", "");
	node_start(&n);
	worker = wait_started(&n, 0, "default/1");
	left = pid_in(&n, wait_line(&n, 0, "left default/1"));
	kill(worker, SIGKILL);
	snprintf(line, sizeof line, "buried %d asked=0", (int)worker);
	wait_line(&n, 0, line);
	assert_int_equal(kill(left, 0), -1);
	node_stop(&n);
}

static void test_backs_off_from_what_dies_at_once(void **state UNUSED)
{
	struct node n;
	size_t from = 0;
	int64_t second_ms, third_ms;

	node_make(&n);
	write_file(&n, "die-default.1", "111");
	write_file(&n, "die-courier", "100");
	node_start(&n);
	for (int i = 0; i < 2; i++)
		from = wait_line(&n, from, "start default/1") + 1;
	second_ms = clock_mono_ms();
	from = wait_line(&n, from, "start default/1") + 1;
	third_ms = clock_mono_ms();
	assert_true(third_ms - second_ms >= 300);
	remove_file(&n, "die-default.1");
	from = wait_line(&n, from, "start default/1");
	assert_true(log_has(&n, "log", "restarting at once"));
	assert_true(log_has(&n, "log", "restarting in 500ms"));
	assert_true(log_has(&n, "log", "restarting cannot help"));
	assert_false(log_has(&n, "log", "ready: store"));
	node_stop(&n);
}

static void test_one_instance_per_directory(void **state UNUSED)
{
	struct node n;
	char text[80];

	node_make(&n);
	node_start(&n);
	node_wait_up(&n);
	assert_int_equal(WEXITSTATUS(wait_exit(run_skepd(&n, "log2"))), EXIT_TEMPORARY);
	snprintf(text, sizeof text, "another skepd, pid %d, uses", (int)n.pid);
	assert_true(log_has(&n, "log2", text));
	node_stop(&n);
}

static void test_children_end_with_the_supervisor(void **state UNUSED)
{
	static const char *const names[] = {
	    "store", "gateway", "courier", "default/1", "default/2"};
	struct node n;
	pid_t pids[ARRAY_SIZE(names)];
	size_t again;

	node_make(&n);
	node_start(&n);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		pids[i] = wait_started(&n, 0, names[i]);
	kill(n.pid, SIGKILL);
	wait_exit(n.pid);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_gone(pids[i]);
	again = n.nlines;
	node_start(&n); /* over its remnants */
	wait_started(&n, again, "default/2");
	node_stop(&n);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stops_in_order),
	    cmocka_unit_test(test_second_signal_hurries),
	    cmocka_unit_test(test_store_knows_of_each_worker),
	    cmocka_unit_test(test_new_store_is_told_of_the_dead),
	    cmocka_unit_test(test_nothing_outlives_a_worker),
	    cmocka_unit_test(test_backs_off_from_what_dies_at_once),
	    cmocka_unit_test(test_one_instance_per_directory),
	    cmocka_unit_test(test_children_end_with_the_supervisor),
	};

	if (strncmp(base_name(argv[0]), "skep-", 5) == 0)
		return be_fake(base_name(argv[0]), argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
