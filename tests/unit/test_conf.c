/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "lib/conf/conf.h"

static struct conf *parsed(const char *text)
{
	struct err err = {0};
	struct conf *c = conf_parse(slice_str(text), "/etc/skep/skep.conf", &err);

	if (!c)
		fail_msg("%s", err.text);
	return c;
}

static void test_an_empty_file_has_defaults(void **state)
{
	struct conf *c = parsed("");

	(void)state;
	assert_int_equal(c->daemon.stop_timeout, 25000);
	assert_int_equal(c->daemon.log_level, LOG_INFO);
	assert_string_not_equal(c->daemon.name, "");
	assert_int_equal(c->daemon.state_dir[0], '/');
	assert_int_equal(c->daemon.runtime_dir[0], '/');
	assert_int_equal(c->broker.url.n, 1);
	assert_string_equal(c->broker.url.v[0], "embedded");
	assert_int_equal(c->broker.topology, TOPOLOGY_DECLARE);
	assert_int_equal(c->store.min_free, 64 << 20);
	assert_int_equal(c->npools, 0);
	assert_int_equal(c->nqueues, 0);
	conf_free(c);
}

static void test_every_type_is_read(void **state)
{
	struct conf *c = parsed(
	    "[daemon]\nname = n1\nlog_level = debug\nstate_dir = data\n"
	    "[broker]\nurl = amqp://a:b@h1:1/v, amqp://[::1]:5673/\ntopology = none\nheartbeat=1.5m\n"
	    "[pool default]\nqueues = one, \"two words\" three\nworkers=4\nmax_body = 2M\n"
	    "[queue one]\ntype = classic\nhandler = t\ndedupe = yes\nmax_priority = 10\n"
	    "[handler t]\ncommand = /bin/sh -c 'echo \"x y\"\\; ls' \"a \\\"b\\\\\" c\\ d ''\n"
	    "env = A=1 'B=two words'\nbackoff = exponential 1s..1h\ndead_exits = 3, 100 255\ntimeout = 250ms\n");
	const struct conf_handler *h = &c->handlers[0];

	(void)state;
	assert_string_equal(c->daemon.state_dir, "/etc/skep/data");
	assert_int_equal(c->broker.url.n, 2);
	assert_string_equal(c->broker.url.v[1], "amqp://[::1]:5673/");
	assert_int_equal(c->broker.heartbeat, 90000);
	assert_int_equal(c->pools[0].queues.n, 3);
	assert_string_equal(c->pools[0].queues.v[1], "two words");
	assert_int_equal(c->pools[0].workers.most, 4);
	assert_int_equal(c->pools[0].max_body, 2 << 20);
	assert_int_equal(c->nqueues, 3);
	assert_ptr_equal(conf_queue(c, slice_str("three")), &c->queues[2]);
	assert_int_equal(c->queues[2].type, QUEUE_QUORUM);
	assert_true(c->queues[0].dedupe);
	assert_int_equal(h->command.n, 6);
	assert_string_equal(h->command.v[2], "echo \"x y\"\\; ls");
	assert_string_equal(h->command.v[3], "a \"b\\");
	assert_string_equal(h->command.v[4], "c d");
	assert_string_equal(h->command.v[5], "");
	assert_null(h->command.v[6]);
	assert_string_equal(h->env.v[1], "B=two words");
	assert_int_equal(h->backoff.kind, BACKOFF_EXPONENTIAL);
	assert_int_equal(h->backoff.last_ms, 3600000);
	assert_true(conf_exits_has(&h->dead_exits, 100) && conf_exits_has(&h->dead_exits, 255));
	assert_false(conf_exits_has(&h->dead_exits, 75));
	assert_int_equal(h->timeout, 250);
	assert_string_equal(h->directory, "/etc/skep");
	conf_free(c);
}

static void test_lines_longer_than_inih_takes(void **state)
{
	char name[251], text[8192], value[1500];
	struct conf *c;

	(void)state;
	memset(name, 'q', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	snprintf(text, sizeof text,
	    "# %s\n[queue %s]\nhandler = h\n[handler h]\ncommand = /bin/echo %s\n   %s ; and a comment\n"
	    "[pool empty]\n",
	    value, name, value, value);
	c = parsed(text);
	assert_string_equal(c->queues[0].section, name);
	assert_string_equal(c->queues[0].handler, "h");
	assert_int_equal(c->handlers[0].command.n, 3);
	assert_string_equal(c->handlers[0].command.v[1], value);
	assert_string_equal(c->handlers[0].command.v[2], value);
	assert_non_null(conf_pool(c, "empty"));
	assert_string_equal(c->pools[0].queues.v[0], "empty");
	conf_free(c);
}

static const struct {
	const char *text, *says;
} mistakes[] = {
    {"[pol a]\n", "f:1: unknown section [pol a]: did you mean [pool NAME]?"},
    {"[zzzzzzz]\n", "f:1: unknown section [zzzzzzz]: there are"},
    {"[pool]\n", "f:1: section [pool] needs a name"},
    {"[daemon x]\n", "f:1: section [daemon x] has no name"},
    {"[pool a]\nworker = 1\n", "f:2: unknown option 'worker' in [pool]: did you mean 'workers'?"},
    {"[pool a]\n\nhandler = 1\n", "f:3: option 'handler' belongs in [queue NAME], not in [pool a]"},
    {"[store]\nqqqqqqqqqqqqqqqqq = 1\n", "f:2: unknown option 'qqqqqqqqqqqqqqqqq' in [store]"},
    {"workers = 1\n", "f:1: option 'workers' stands before the first [section]"},
    {"[pool a]\nworkers\n", "f:2: neither a [section] nor name = value"},
    {"[pool a\n", "f:1: a section ends with ]"},
    {"[pool a] b\n", "f:1: there is text after the ]"},
    {"[pool a]\nworkers = many\n", "f:2: workers: 'many' is neither a whole number nor a range such as 2..16"},
    {"[pool a]\nworkers = 8..2\n", "f:2: workers: '8..2' ends before it begins"},
    {"[pool a]\nworkers = 2..\n", "f:2: workers: '2..' is neither a whole number nor a range"},
    {"[pool a]\nworkers = 2..2000\n", "f:2: workers: 2..2000 is out of bounds: 0 to 1024"},
    {"[pool a]\nworkers = 2..4\nscale = fixed\n", "f:3: [pool a] scale: fixed needs one number of workers, not 2..4"},
    {"[pool a]\nscale = soon\n", "f:2: scale: 'soon' is none of target_wait, queue_depth, fixed"},
    {"[pool a]\nprefetch = 0\n", "f:2: prefetch: 0 is out of bounds: 1 to 2000"},
    {"[pool a]\nprefetch = automatic\n", "f:2: prefetch: 'automatic' is neither a whole number nor auto"},
    {"[pool a]\nworkers = 2000\n", "f:2: workers: 2000 is out of bounds: 0 to 1024"},
    {"[pool a]\nworkers = 99999999999999999999\n", "f:2: workers: 9999"},
    {"[pool a]\nworkers =\n", "f:2: workers: '' is neither a whole number"},
    {"[pool a]\ntake_after = 1h\n", "f:2: take_after: 1h is out of bounds: 1s to 25m"},
    {"[broker]\nconnect_timeout = 1ms\n", "1ms is out of bounds: 100ms to 1m"},
    {"[pool a]\ntake_after = soon\n", "f:2: take_after: 'soon' is no duration: 250ms"},
    {"[daemon]\nstop_timeout = 99999d\n", "'99999d' is more than ten years"},
    {"[pool a]\nmax_body = 1X\n", "f:2: max_body: '1X' is no size"},
    {"[pool a]\nmax_body = 1G\n", "f:2: max_body: 1G is out of bounds: 1 to 256M"},
    {"[pool a]\nmax_body = 9999999999T\n", "is no size"},
    {"[daemon]\nlog_level = loud\n", "'loud' is none of error, warn, info, debug"},
    {"[broker]\ntopology = some\n", "f:2: topology: 'some' is none of declare, passive, none"},
    {"[queue q]\ntype = mirrored\n", "'mirrored' is none of quorum, classic"},
    {"[queue q]\ndedupe = maybe\n", "'maybe' is none of yes, no"},
    {"[queue q]\nhandler = h\n", "f:2: [queue q] handler: there is no [handler h]"},
    {"[queue q]\nmax_priority = 3\n", "only a classic queue has it"},
    {"[handler h]\n", "f: [handler h] command: a handler needs a command or a service"},
    {"[handler h]\ncommand = ''\n", "f:2: [handler h] command: a handler needs a command or a service"},
    {"[handler h]\nservice = ''\n", "f:2: [handler h] service: a handler needs a command or a service"},
    {"[handler h]\ncommand = x\nservice = y\n", "f:3: [handler h] service: a handler is either a command"},
    {"[handler h]\ncommand = x\nconcurrency = 2\n", "f:3: [handler h] concurrency: only a service has it"},
    {"[handler h]\ncommand = x\nwarmup = yes\n", "f:3: [handler h] warmup: only a service has it"},
    {"[handler h]\ncommand = x\nmax_jobs = 2\n", "f:3: [handler h] max_jobs: only a service has it"},
    {"[handler h]\ncommand = x\nmax_rss = 1G\n", "f:3: [handler h] max_rss: only a service has it"},
    {"[handler h]\nservice = x\ndead_exits = 3\n", "f:3: [handler h] dead_exits: only a command has it"},
    {"[handler h]\nservice = x\nconcurrency = 65\n", "f:3: concurrency: 65 is out of bounds: 1 to 64"},
    {"[handler h]\ncommand = sh -c 'a ; b'\n", "f:2: command: a quote is not closed (a ; after"},
    {"[handler h]\ncommand = x\nenv = A\n", "f:3: env: word 1 is not NAME=value"},
    {"[handler h]\ncommand = x\nbackoff = slow\n", "f:3: backoff: 'slow' is none of sidekiq"},
    {"[handler h]\ncommand = x\ndead_exits = 0\n", "'0' is no exit code of a failure: 1 to 255"},
    {"[pool a]\nqueues = \"x\n", "f:2: queues: a word in double quotes ends with one"},
    {"[pool a]\nqueues = x, x\n", "f:2: [pool a] queues: 'x' is there twice"},
    {"[pool a]\nqueues = x]\n", "[queue x]]: a name has no control characters and no ]"},
    {"[pool a/b]\n", "[pool a/b]: the name of a pool has letters, digits and"},
    {"[queue \xff]\n", "is not valid UTF-8"},
    {"[queue \x01]\n", "no control characters"},
    {"[daemon]\nsocket_mode = 999\n", "f:2: [daemon] socket_mode: '999' is no octal mode"},
    {"[daemon]\nstate_dir = data\n", "f:2: [daemon] state_dir: 'data' is no absolute path"},
    {"[broker]\nurl = amqps://h/\n",
	"f:2: url: 'amqps://h/': TLS is not supported by this version"},
    {"[broker]\nurl = embedded, amqp://h/\n", "embedded stands alone"},
    {"[broker]\nurl = embedded:x\n", "'embedded:x' is neither amqp://"},
    {"[broker]\nurl = amqp://\n", "'amqp://' has no host"},
    {"[broker]\nurl = amqp://u:p@:1/\n", "'amqp://u:***@:1/' has no host"},
    {"[broker]\nurl = amqp://u:s3cret@h:99999/\n", "'amqp://u:***@h:99999/': the port is a number"},
    {"[broker]\nurl = amqp://u:s3cret@h:5672x/\n", "'amqp://u:***@h:5672x/': the port is a number"},
    {"[broker]\nurl = amqp://u:s3/cret@h/\n", "'amqp://u:***@h/': / ? # @ in user"},
    {"[broker]\nurl = amqp://[::1/\n", "ends with ]"},
    {"[broker]\nurl = u:s3cret@h\n", "'u:***@h' is neither amqp://"},
    {"[broker]\nurl =\n", "f:2: url: there must be one url at least"},
};

static void test_mistakes_are_explained(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		struct err err = {0};

		assert_null(conf_parse(slice_str(mistakes[i].text), "f", &err));
		assert_int_equal(err.code, -EINVAL);
		if (!strstr(err.text, mistakes[i].says))
			fail_msg(
			    "%s\nsays: %s\nnot:  %s", mistakes[i].text, err.text, mistakes[i].says);
		assert_null(strstr(err.text, "s3"));
	}
}

static void test_a_nul_byte_is_no_text(void **state)
{
	struct err err = {0};

	(void)state;
	assert_null(conf_parse(slice_of("[daemon]\nname = a\0b\n", 20), "f", &err));
	assert_non_null(strstr(err.text, "f:2: a NUL byte"));
}

static void test_lists_and_comments_over_lines(void **state)
{
	struct conf *c = parsed(
	    "\xef\xbb\xbf[pool p] ; pool\n; comment\nqueues = a ; first\n  b,\n\n\t# no\n  c ; last\n"
	    "[daemon]\r\nname: n 2\r\n");

	(void)state;
	assert_int_equal(c->pools[0].queues.n, 3);
	assert_string_equal(c->pools[0].queues.v[2], "c");
	assert_string_equal(c->daemon.name, "n 2");
	conf_free(c);
}

static char *written(const struct conf *c, bool secrets, bool origins)
{
	struct buf out;
	char *text;

	buf_init(&out, 1 << 20);
	assert_int_equal(conf_write(c, secrets, origins, &out), 0);
	text = slice_dup(buf_slice(&out));
	buf_free(&out);
	return text;
}

static const char odd[] =
    "[daemon]\nname = a\"b'c\n[broker]\nurl = amqp://u:p%40ss@h/v amqp://h2/\npassword_file = /x y/z\n"
    "[pool p.1]\nqueues = z, \"with space\", \"with,comma\", it's\n"
    "[queue it's]\nhandler = two words\n[queue with ;semi]\ndedupe = on\n"
    "[handler two words]\ncommand = sh -c 'a\tb \"c\" $d' \\; ';x' x\\ \\;y \"it's\" ''\n"
    "env = A='1 '\\;2 B=\nbackoff = fixed 90s\ndead_exits = 1,2\nmax_result = 1500\ntimeout = 1500ms\n";

static void test_a_child_reads_the_same(void **state)
{
	struct err err = {0};
	struct conf *c = parsed(odd), *child;
	auto_free char *before = written(c, true, false), *after = NULL;
	int fd = conf_memfd(c, true, &err);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), -1);
	child = conf_from_fd(fd, &err);
	if (!child)
		fail_msg("%s\n%s", err.text, before);
	after = written(child, true, false);
	assert_string_equal(before, after);
	assert_int_equal(child->nqueues, c->nqueues);
	for (size_t i = 0; i < c->nqueues; i++)
		assert_string_equal(child->queues[i].section, c->queues[i].section);
	for (size_t i = 0; i < c->handlers[0].command.n; i++)
		assert_string_equal(child->handlers[0].command.v[i], c->handlers[0].command.v[i]);
	assert_int_equal(c->handlers[0].command.n, child->handlers[0].command.n);
	assert_string_equal(child->handlers[0].env.v[0], "A=1 ;2");
	close(fd);
	conf_free(child);
	conf_free(c);
}

static void test_the_dump_hides_secrets_and_names_origins(void **state)
{
	struct err err;
	struct conf *c =
	    parsed("[broker]\nurl = amqp://u:s3cret@h/\n[pool p]\nworkers = 1\nworkers = 3\n");
	struct conf *again;
	auto_free char *text = written(c, false, true);

	(void)state;
	assert_null(strstr(text, "s3cret"));
	assert_non_null(strstr(text, "url = amqp://u:***@h/"));
	assert_non_null(strstr(text, "; /etc/skep/skep.conf:2\n"));
	assert_non_null(strstr(text, "workers = 3"));
	assert_non_null(strstr(text, "; /etc/skep/skep.conf:5\n"));
	assert_non_null(strstr(text, "; default\n"));
	assert_non_null(strstr(text, "\n[queue p]\n"));
	again = conf_parse(slice_str(text), NULL, &err);
	assert_non_null(again);
	assert_int_equal(again->pools[0].workers.most, 3);
	assert_int_equal(again->pools[0].workers.least, 3);
	conf_free(again);
	conf_free(c);
}

static void test_the_sample_is_a_configuration(void **state)
{
	struct buf out;
	struct err err;
	struct conf *c;

	(void)state;
	buf_init(&out, 1 << 20);
	assert_int_equal(conf_sample(&out), 0);
	assert_non_null(memmem(out.data, out.len, "#stop_timeout = 25s\n", 20));
	c = conf_parse(buf_slice(&out), "/f", &err);
	assert_non_null(c);
	assert_int_equal(c->npools, 0);
	conf_free(c);
	buf_free(&out);
}

static void test_environment_decides_directories(void **state)
{
	auto_free char *runtime =
	    getenv("RUNTIME_DIRECTORY") ? xstrdup(getenv("RUNTIME_DIRECTORY")) : NULL;
	struct err err;
	struct conf *c;

	(void)state;
	setenv("RUNTIME_DIRECTORY", "/run/one:/run/two", 1);
	c = parsed("");
	assert_string_equal(c->daemon.runtime_dir, "/run/one");
	assert_string_equal(c->daemon.socket, "/run/one/skep.sock");
	conf_free(c);
	setenv("RUNTIME_DIRECTORY", "not/absolute", 1);
	c = parsed("");
	assert_string_not_equal(c->daemon.runtime_dir, "not/absolute");
	conf_free(c);
	setenv("RUNTIME_DIRECTORY", "/run/one\nuser = root", 1);
	c = parsed("");
	assert_int_equal(conf_memfd(c, true, &err), -EINVAL);
	conf_free(c);
	setenv("RUNTIME_DIRECTORY",
	    "/run/1234567890123456789012345678901234567890123456789012345678901234567890123456789"
	    "01234567890",
	    1);
	assert_null(conf_parse(slice_str(""), NULL, &err));
	assert_non_null(strstr(err.text, "too long: a socket's path has at most 107 bytes"));
	if (runtime)
		setenv("RUNTIME_DIRECTORY", runtime, 1);
	else
		unsetenv("RUNTIME_DIRECTORY");
}

/* --- files ------------------------------------------------------------------------------------ */

static void put(const char *dir, const char *name, const char *text)
{
	auto_free char *path = xasprintf("%s/%s", dir, name);
	auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void drop(const char *dir, const char *name)
{
	auto_free char *path = xasprintf("%s/%s", dir, name);

	assert_int_equal(remove(path), 0);
}

static void test_parts_and_password(void **state)
{
	char dir[] = "/tmp/skep-test-conf-XXXXXX";
	auto_free char *file = NULL, *parts = NULL;
	struct err err = {0};
	struct conf *c;

	(void)state;
	assert_non_null(mkdtemp(dir));
	file = xasprintf("%s/skep.conf", dir);
	parts = xasprintf("%s/conf.d", dir);
	assert_int_equal(mkdir(parts, 0700), 0);
	assert_null(conf_load(file, &err));
	assert_int_equal(err.code, -ENOENT);
	put(dir, "skep.conf",
	    "[broker]\nurl = amqp://app@h/v amqp://h2/ amqp://app:old@h3\npassword_file = pw\n"
	    "[pool p]\nworkers = 1\n");
	put(dir, "pw", "p@ss w/rd:%\nsecond\n");
	put(parts, "10-a.conf", "[pool p]\nworkers = 2\nprefetch = 5\n");
	put(parts, "20-b.conf", "[pool p]\nworkers = 3\n[pool q]\n");
	put(parts, ".hidden.conf", "rubbish");
	put(parts, "c.conf.bak", "rubbish");
	c = conf_load(file, &err);
	if (!c)
		fail_msg("%s", err.text);
	assert_int_equal(c->pools[0].workers.most, 3);
	assert_int_equal(c->pools[0].prefetch, 5);
	assert_int_equal(c->pools[1].prefetch, 0); /* auto */
	assert_string_equal(c->broker.url.v[0], "amqp://app:p%40ss%20w%2Frd%3A%25@h/v");
	assert_string_equal(c->broker.url.v[1], "amqp://guest:p%40ss%20w%2Frd%3A%25@h2/");
	assert_string_equal(c->broker.url.v[2], "amqp://app:p%40ss%20w%2Frd%3A%25@h3");
	assert_int_equal(conf_check_start(c, &err), 0);
	conf_free(c);
	put(dir, "pw", "\n");
	assert_null(conf_load(file, &err));
	assert_non_null(strstr(err.text, "/pw' is empty"));
	put(parts, "20-b.conf", "[pool p]\nworkers = x\n");
	assert_null(conf_load(file, &err));
	assert_non_null(strstr(err.text, "conf.d/20-b.conf:2: workers:"));
	drop(parts, "10-a.conf");
	drop(parts, "20-b.conf");
	drop(parts, ".hidden.conf");
	drop(parts, "c.conf.bak");
	drop(dir, "conf.d");
	drop(dir, "pw");
	drop(dir, "skep.conf");
	assert_int_equal(remove(dir), 0);
}

static void test_users_are_checked_at_the_start(void **state)
{
	struct err err = {0};
	struct conf *c = parsed("[pool p]\nuser = no-such-user-here\n");

	(void)state;
	assert_int_equal(conf_check_start(c, &err), -EINVAL);
	assert_string_equal(
	    err.text, "/etc/skep/skep.conf:2: [pool p] user: there is no user 'no-such-user-here'");
	conf_free(c);
	if (geteuid() == 0)
		return;
	c = parsed("[pool p]\nuser = root\n");
	assert_int_equal(conf_check_start(c, &err), -EINVAL);
	assert_non_null(strstr(err.text, "only root can become 'root'"));
	conf_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_empty_file_has_defaults),
	    cmocka_unit_test(test_every_type_is_read),
	    cmocka_unit_test(test_lines_longer_than_inih_takes),
	    cmocka_unit_test(test_mistakes_are_explained),
	    cmocka_unit_test(test_a_nul_byte_is_no_text),
	    cmocka_unit_test(test_lists_and_comments_over_lines),
	    cmocka_unit_test(test_a_child_reads_the_same),
	    cmocka_unit_test(test_the_dump_hides_secrets_and_names_origins),
	    cmocka_unit_test(test_the_sample_is_a_configuration),
	    cmocka_unit_test(test_environment_decides_directories),
	    cmocka_unit_test(test_parts_and_password),
	    cmocka_unit_test(test_users_are_checked_at_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
