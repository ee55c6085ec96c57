/* links: client/libskep/handler.c client/libskep/session.c client/libskep/intake.c */
/* SPDX-License-Identifier: MIT */
/* A service in a thread of its own, and skep's side of its stream played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "include/skep/handler.h"
#include "lib/base/buf.h"

#define PATIENCE_MS 20000

struct stage {
	struct skep_handler handler;
	pthread_t thread;
	int fd, rc;
	struct buf in;
	int go[2];     /* run() of "hold" waits for a byte */
	int cancelled; /* atomic: calls of the cancel callback */
};

static void *serve(void *arg)
{
	struct stage *t = arg;

	t->rc = skep_serve(&t->handler);
	close(t->handler.fd);
	return NULL;
}

/* The body says what to do. */
static int run(struct skep_job *job, void *arg)
{
	struct stage *t = arg;
	size_t n;
	const char *body = skep_job_body(job, &n);
	char byte;

	if (strcmp(body, "hold") == 0) {
		assert_int_equal(read(t->go[0], &byte, 1), 1);
	} else if (strcmp(body, "until cancelled") == 0) {
		skep_progress(job, 1, NULL);
		while (!skep_job_cancelled(job) || !__atomic_load_n(&t->cancelled, __ATOMIC_SEQ_CST))
			poll(NULL, 0, 1);
		return skep_fail(job, SKEP_RETRY, "%s is given up", skep_job_id(job));
	} else if (strcmp(body, "fail") == 0) {
		skep_progress(job, 50, "half");
		skep_log(job, "attempt %d", skep_job_attempt(job));
		assert_int_equal(skep_fail(job, SKEP_DEAD, "no \"luck\""), 0);
		assert_int_equal(skep_log(job, "too late"), -EALREADY);
		return skep_done(job, "", 0);
	} else if (strcmp(body, "three") == 0) {
		return 3;
	} else if (strcmp(body, "silent") == 0) {
		return 0;
	} else if (strcmp(body, "large") == 0) {
		auto_free char *large = xcalloc(1, 1 << 20);

		memset(large, 'x', 1 << 20);
		return skep_done(job, large, 1 << 20);
	}
	assert_int_equal(skep_job_time_left_ms(job), -1);
	return skep_done(job, body, n);
}

static void on_cancel(struct skep_job *job, void *arg)
{
	struct stage *t = arg;

	assert_true(skep_job_cancelled(job));
	__atomic_add_fetch(&t->cancelled, 1, __ATOMIC_SEQ_CST);
}

static void say(struct stage *t, const char *fmt, ...)
{
	char line[600];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	assert_int_equal(send(t->fd, line, (size_t)n, MSG_NOSIGNAL), n);
}

static void hear(struct stage *t, const char *wanted)
{
	for (;;) {
		struct pollfd p = {.fd = t->fd, .events = POLLIN};
		uint8_t *lf = buf_size(&t->in) ? memchr(buf_head(&t->in), '\n', buf_size(&t->in)) : NULL;
		ssize_t n;

		if (lf) {
			*lf = '\0';
			assert_string_equal((char *)buf_head(&t->in), wanted);
			buf_consume(&t->in, (size_t)(lf - buf_head(&t->in)) + 1);
			return;
		}
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		n = recv(t->fd, buf_reserve(&t->in, 65536), 65536, 0);
		assert_true(n > 0);
		buf_added(&t->in, (size_t)n);
	}
}

static void begin_on(struct stage *t, int type, int concurrency, bool cancels)
{
	int pair[2];

	*t = (struct stage){0};
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe(t->go), 0);
	buf_init(&t->in, 64u << 20);
	t->fd = pair[0];
	t->handler = (struct skep_handler){.run = run, .arg = t, .concurrency = concurrency, .fd = pair[1]};
	if (cancels)
		t->handler.cancel = on_cancel;
	assert_int_equal(pthread_create(&t->thread, NULL, serve, t), 0);
	say(t, "{\"hello\":{\"version\":1,\"concurrency\":2,\"max_line\":100000,\"capabilities\":[\"x\"]}}\n");
	hear(t, cancels ? "{\"hello\":{\"version\":1,\"capabilities\":[\"ping\",\"cancel\"]}}"
			: "{\"hello\":{\"version\":1,\"capabilities\":[\"ping\"]}}");
}

static void begin(struct stage *t, int concurrency, bool cancels)
{
	begin_on(t, SOCK_STREAM, concurrency, cancels);
}

static void end(struct stage *t, int wanted)
{
	shutdown(t->fd, SHUT_WR);
	assert_int_equal(pthread_join(t->thread, NULL), 0);
	assert_int_equal(t->rc, wanted);
	close(t->fd);
	close(t->go[0]);
	close(t->go[1]);
	buf_free(&t->in);
}

static void job(struct stage *t, const char *run_id, const char *body)
{
	say(t, "{\"job\":{\"run\":\"%s\",\"id\":\"j%s\",\"attempt\":2,\"new\":{\"a\":[1]},\"body\":\"%s\"}}\n", run_id,
	    run_id, body);
}

static void each_job_is_answered(void **state UNUSED)
{
	for (int concurrency = SKEP_CONCURRENCY_OF_CONFIGURATION; concurrency < 5; concurrency++) {
		struct stage t;

		begin(&t, concurrency, false);
		job(&t, "1", "a\\n\\u00e9\\\"");
		hear(&t, "{\"done\":{\"run\":\"1\",\"result\":\"a\\n\xc3\xa9\\\"\"}}");
		say(&t, "{\"job\":{\"run\":\"2\",\"body_base64\":\"AP8K\"}}\n");
		hear(&t, "{\"done\":{\"run\":\"2\",\"result_base64\":\"AP8K\"}}");
		job(&t, "3", "fail");
		hear(&t, "{\"progress\":{\"run\":\"3\",\"percent\":50,\"text\":\"half\"}}");
		hear(&t, "{\"log\":{\"run\":\"3\",\"text\":\"attempt 2\"}}");
		hear(&t, "{\"failed\":{\"run\":\"3\",\"retry\":false,\"error\":\"no \\\"luck\\\"\"}}");
		job(&t, "4", "three");
		hear(&t, "{\"failed\":{\"run\":\"4\",\"error\":\"its function returned 3\"}}");
		job(&t, "5", "silent");
		hear(&t, "{\"done\":{\"run\":\"5\"}}");
		job(&t, "6", "large");
		hear(&t, "{\"failed\":{\"run\":\"6\",\"error\":\"a result of 1048576 bytes is too large to be sent\","
			 "\"retry\":false}}");
		say(&t, "{\"drain\":{}}\n{\"news\":[1,2]}\n");
		end(&t, 0);
	}
}

/* On a socket that keeps writes apart. A machine under load may interrupt a burst for longer than answers are
 * held back: then the next one counts. */
static void a_burst_is_answered_by_one_write(void **state UNUSED)
{
	char burst[600] = "", answers[600];
	struct stage t;
	ssize_t n, wanted = 0;

	begin_on(&t, SOCK_SEQPACKET, 1, false);
	for (int i = 0; i < 8; i++) {
		size_t used = strlen(burst);

		snprintf(burst + used, sizeof burst - used, "{\"job\":{\"run\":\"%d\",\"body\":\"x\"}}\n", i);
		wanted += (ssize_t)strlen("{'done':{'run':'1','result':'x'}}\n");
	}
	for (int tries = 0; tries < 100; tries++) {
		ssize_t first = 0;

		say(&t, "%s", burst);
		for (ssize_t got = 0; got < wanted; got += n) {
			n = recv(t.fd, answers, sizeof answers, 0);
			assert_true(n > 0);
			first = got == 0 ? n : first;
		}
		if (first == wanted)
			break;
		assert_int_not_equal(tries, 99);
	}
	end(&t, 0);
}

static void pings_are_answered_while_a_job_runs(void **state UNUSED)
{
	for (int concurrency = 1; concurrency < 3; concurrency++) {
		struct stage t;

		begin(&t, concurrency, false);
		job(&t, "1", "hold");
		for (int i = 0; i < 3; i++) {
			say(&t, "{\"ping\":%d}\n", 40 + i);
			hear(&t, (const char *[]){"{\"pong\":40}", "{\"pong\":41}", "{\"pong\":42}"}[i]);
		}
		assert_int_equal(write(t.go[1], "g", 1), 1);
		hear(&t, "{\"done\":{\"run\":\"1\",\"result\":\"hold\"}}");
		end(&t, 0);
	}
}

/* The answer of a short job is not held back by a long one behind it. */
static void a_long_job_holds_no_answer_back(void **state UNUSED)
{
	struct stage t;

	begin(&t, 1, false);
	say(&t, "{\"job\":{\"run\":\"1\",\"body\":\"x\"}}\n{\"job\":{\"run\":\"2\",\"body\":\"hold\"}}\n");
	hear(&t, "{\"done\":{\"run\":\"1\",\"result\":\"x\"}}");
	assert_int_equal(write(t.go[1], "g", 1), 1);
	hear(&t, "{\"done\":{\"run\":\"2\",\"result\":\"hold\"}}");
	end(&t, 0);
}

static void a_run_is_cancelled(void **state UNUSED)
{
	for (int concurrency = 1; concurrency < 3; concurrency++) {
		struct stage t;

		begin(&t, concurrency, true);
		job(&t, "1", "until cancelled");
		hear(&t, "{\"progress\":{\"run\":\"1\",\"percent\":1}}");
		say(&t, "{\"cancel\":{\"run\":\"9\"}}\n{\"cancel\":{\"run\":\"1\"}}\n");
		hear(&t, "{\"failed\":{\"run\":\"1\",\"error\":\"j1 is given up\"}}");
		end(&t, 0);
		assert_int_equal(__atomic_load_n(&t.cancelled, __ATOMIC_SEQ_CST), 1);
	}
}

static void a_job_that_waits_is_cancelled_unseen(void **state UNUSED)
{
	struct stage t;

	begin(&t, 1, true);
	say(&t, "{\"job\":{\"run\":\"1\",\"body\":\"hold\"}}\n{\"job\":{\"run\":\"2\",\"body\":\"fail\"}}\n");
	say(&t, "{\"cancel\":{\"run\":\"2\"}}\n");
	hear(&t, "{\"failed\":{\"run\":\"2\",\"error\":\"cancelled before it began\"}}");
	assert_int_equal(write(t.go[1], "g", 1), 1);
	hear(&t, "{\"done\":{\"run\":\"1\",\"result\":\"hold\"}}");
	end(&t, 0);
}

static void several_run_at_once(void **state UNUSED)
{
	struct stage t;

	begin(&t, 3, false);
	job(&t, "1", "hold");
	job(&t, "2", "hold");
	job(&t, "3", "x");
	hear(&t, "{\"done\":{\"run\":\"3\",\"result\":\"x\"}}");
	assert_int_equal(write(t.go[1], "gg", 2), 2);
	end(&t, 0);
}

/* More in both directions than the sockets hold, and nobody reads for as long as he writes. */
static void full_sockets_are_no_deadlock(void **state UNUSED)
{
	static char line[100100];

	for (int concurrency = 1; concurrency < 4; concurrency++) {
		struct stage t;
		int n = snprintf(line, sizeof line, "{\"job\":{\"run\":\"1\",\"body\":\"%099000d\"}}\n", 7);
		size_t bytes = 0;

		begin(&t, concurrency, false);
		for (int i = 0; i < 100; i++) {
			for (int at = 0; at < n;) {
				ssize_t sent = send(t.fd, line + at, (size_t)(n - at), MSG_NOSIGNAL);

				assert_true(sent > 0);
				at += (int)sent;
			}
		}
		shutdown(t.fd, SHUT_WR);
		for (ssize_t got = 1; got > 0; bytes += (size_t)got) {
			static char sink[65536];

			got = recv(t.fd, sink, sizeof sink, 0);
			assert_true(got >= 0);
		}
		assert_int_equal(bytes, 100 * (strlen("{'done':{'run':'1','result':''}}\n") + 99000));
		end(&t, 0);
	}
}

static void a_wrong_language_ends_it(void **state UNUSED)
{
	static const char *const lines[] = {"GET / HTTP/1.1\n", "{\"job\":{\"run\":\"1\"}}\n",
	    "{\"job\":{\"run\":\"1\",\"body_base64\":\"?\"}}\n", "{\"job\":{\"run\":\"1\",\"body\":\"\\u0000\"}}\n"};

	for (size_t i = 0; i < ARRAY_SIZE(lines) * 2; i++) {
		struct stage t;

		begin(&t, i % 2 ? 4 : 1, false);
		say(&t, "%s", lines[i / 2]);
		end(&t, -EPROTO);
	}
}

static void a_wrong_call_is_refused(void **state UNUSED)
{
	struct skep_handler h = {0};
	int fds[2];

	assert_int_equal(skep_serve(NULL), -EINVAL);
	assert_int_equal(skep_serve(&h), -EINVAL);
	h.run = run;
	h.concurrency = 100000;
	assert_int_equal(skep_serve(&h), -EINVAL);
	h.concurrency = 0;
	assert_int_equal(pipe(fds), 0);
	h.fd = fds[0];
	assert_int_equal(skep_serve(&h), -ENOTSOCK);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(skep_serve(&h), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_job_is_answered),
	    cmocka_unit_test(a_burst_is_answered_by_one_write),
	    cmocka_unit_test(pings_are_answered_while_a_job_runs),
	    cmocka_unit_test(a_long_job_holds_no_answer_back),
	    cmocka_unit_test(a_run_is_cancelled),
	    cmocka_unit_test(a_job_that_waits_is_cancelled_unseen),
	    cmocka_unit_test(several_run_at_once),
	    cmocka_unit_test(full_sockets_are_no_deadlock),
	    cmocka_unit_test(a_wrong_language_ends_it),
	    cmocka_unit_test(a_wrong_call_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
