/* links: client/submit.c client/lines.c client/inspect.c client/status.c client/table.c client/text.c client/screen.c client/progress.c client/input.c client/cli.c client/http.c client/socket.c client/args.c */
/* SPDX-License-Identifier: MIT */
/* Submitting, against a server that loses answers: what it was sent is what counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "client/input.h"
#include "client/submit.h"
#include "lib/base/id.h"

#define REQUEST_BYTES 65536

/* --- the job as JSON
 * ------------------------------------------------------------------------------ */

static char *job_text(const struct args *args, struct slice body)
{
	struct json *job = submit_job(args, "i1", body);
	struct buf out;
	char *text;

	buf_init(&out, 4096);
	json_print(job, false, &out);
	json_free(job);
	text = slice_dup(buf_slice(&out));
	buf_free(&out);
	return text;
}

static void test_job(void **state UNUSED)
{
	char *words[] = {(char[]){"hash"}};
	struct args a = {.words = words, .nwords = 1, .retries_n = -1, .priority_n = -1};
	auto_free char *plain = job_text(&a, slice_str("größe \"x\"\n"));
	auto_free char *binary = job_text(&a, slice_of("a\0\xff", 3));
	auto_free char *full = NULL;

	a.queue = "q";
	a.delay = "10s";
	a.expires = "1h";
	a.content_type = "text/plain";
	a.retries_n = 0;
	a.priority_n = 9;
	full = job_text(&a, slice_str(""));
	assert_string_equal(
	    plain, "{\"type\":\"hash\",\"id\":\"i1\",\"body\":\"größe \\\"x\\\"\\n\"}");
	assert_string_equal(binary, "{\"type\":\"hash\",\"id\":\"i1\",\"body_base64\":\"YQD/\"}");
	assert_string_equal(full,
	    "{\"type\":\"hash\",\"queue\":\"q\",\"id\":\"i1\",\"delay\":\"10s\",\"expires\":\"1h\","
	    "\"content_type\":\"text/plain\",\"retries\":0,\"priority\":9,\"body\":\"\"}");
}

/* --- lines
 * ---------------------------------------------------------------------------------------- */

static void expect_line(struct input *in, bool wait, const char *text)
{
	struct err err = {0};
	struct slice line;

	assert_int_equal(input_line(in, wait, &line, &err), 1);
	assert_true(slice_is(line, text));
}

static void test_lines(void **state UNUSED)
{
	struct err err = {0};
	struct slice line;
	struct input in;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	input_open(&in, fds[0]);
	assert_int_equal(input_line(&in, false, &line, &err), -EAGAIN);
	assert_int_equal(write(fds[1], "one\n\ntw", 7), 7);
	expect_line(&in, false, "one");
	expect_line(&in, false, "");
	assert_int_equal(input_line(&in, false, &line, &err), -EAGAIN);
	assert_int_equal(write(fds[1], "o\r\nlast", 7), 7);
	expect_line(&in, true, "two\r");
	close(fds[1]);
	expect_line(&in, false, "last");
	assert_int_equal(input_line(&in, true, &line, &err), 0);
	assert_int_equal(input_line(&in, true, &line, &err), 0);
	assert_int_equal(in.bytes, 14);
	input_close(&in);
}

/* --- paths
 * ---------------------------------------------------------------------------------------- */

static void test_paths(void **state UNUSED)
{
	struct cli cli = {0};
	auto_free char *plain = cli_job_path(&cli, "a-b.c_~9", "/logs");
	auto_free char *odd = NULL;

	cli.args.queue = "q&=ü";
	odd = cli_job_path(&cli, "../x y%?", "");
	assert_string_equal(plain, "/v1/jobs/a-b.c_~9/logs");
	assert_string_equal(odd, "/v1/jobs/..%2Fx%20y%25%3F?queue=q%26%3D%C3%BC");
}

/* --- a server that loses answers
 * ------------------------------------------------------------------ */

/* Shared with the server's process: the ids in the requests that it got. */
struct seen {
	int requests;
	char ids[16][ID_TEXT_BYTES];
};

static void note_request(struct seen *seen, const char *request)
{
	const char *at = strstr(request, "\"id\":\"");

	if (at)
		slice_copy(
		    seen->ids[seen->requests], ID_TEXT_BYTES, slice_of(at + 6, ID_TEXT_BYTES - 1));
	seen->requests++;
}

/* Reads to the end of the body: every request here is one JSON object with `}` last. */
static bool read_request(int fd, char *request)
{
	size_t n = 0;

	for (;;) {
		ssize_t got = read(fd, request + n, REQUEST_BYTES - 1 - n);

		if (got <= 0)
			return false;
		n += (size_t)got;
		request[n] = '\0';
		if (strstr(request, "\r\n\r\n{") &&
		    (request[n - 1] == '}' || request[n - 1] == '\n'))
			return true;
	}
}

/* Answers each request with the next of `answers`: an HTTP answer, or "" to close without one. */
static _Noreturn void serve(int listener, struct seen *seen, const char *const *answers)
{
	static char request[REQUEST_BYTES];

	for (; *answers; answers++) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0 || !read_request(fd, request))
			_exit(1);
		note_request(seen, request);
		if (**answers && write(fd, *answers, strlen(*answers)) < 0)
			_exit(2);
		close(fd);
	}
	_exit(0);
}

/* Runs `skep submit` with these words; returns its exit code and what the server saw. */
static int submit_to(const char *const *answers, char **words, int nwords, struct seen *ret_seen)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char directory[] = "/tmp/skep-test-XXXXXX";
	struct cli cli = {
	    .args = {.words = words, .nwords = nwords, .retries_n = -1, .priority_n = -1}};
	struct seen *seen =
	    mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	auto_fd int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int status, code;
	pid_t pid;

	assert_non_null(mkdtemp(directory));
	snprintf(address.sun_path, sizeof address.sun_path, "%s/s", directory);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 8), 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		serve(listener, seen, answers);
	cli.args.socket = address.sun_path;
	code = submit_command(&cli);
	cli_free(&cli);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	*ret_seen = *seen;
	munmap(seen, sizeof *seen);
	unlink(address.sun_path);
	rmdir(directory);
	return code;
}

#define CREATED "HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
#define BUSY "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
#define REFUSED                                                                                    \
	"HTTP/1.1 422 Unprocessable\r\nContent-Length: 14\r\nConnection: close\r\n\r\n{\"error\":\"no\"}"

static void test_a_lost_answer_is_asked_for_again_with_the_same_id(void **state UNUSED)
{
	static const char *const answers[] = {"", BUSY, "HTTP/1.1 2", CREATED, NULL};
	char *words[] = {(char[]){"hash"}, (char[]){"body"}};
	struct seen seen;
	struct id id;

	assert_int_equal(submit_to(answers, words, 2, &seen), CLI_OK);
	assert_int_equal(seen.requests, 4);
	assert_int_equal(id_parse(slice_str(seen.ids[0]), &id), 0);
	for (int i = 1; i < seen.requests; i++)
		assert_string_equal(seen.ids[i], seen.ids[0]);
}

static void test_a_refusal_is_final(void **state UNUSED)
{
	static const char *const answers[] = {REFUSED, NULL};
	char *words[] = {(char[]){"hash"}};
	struct seen seen;

	assert_int_equal(submit_to(answers, words, 1, &seen), CLI_FAILED);
	assert_int_equal(seen.requests, 1);
}

static void test_nothing_there_is_said_at_once(void **state UNUSED)
{
	char *words[] = {(char[]){"hash"}};
	struct cli cli = {
	    .args = {.words = words, .nwords = 1, .socket = "/nonexistent/skep.sock"}};

	assert_int_equal(submit_command(&cli), CLI_UNAVAILABLE);
	cli_free(&cli);
}

static void test_a_body_that_cannot_be_read(void **state UNUSED)
{
	char *words[] = {(char[]){"hash"}, (char[]){"@/nonexistent"}};
	struct cli cli = {
	    .args = {.words = words, .nwords = 2, .socket = "/nonexistent/skep.sock"}};

	assert_int_equal(submit_command(&cli), CLI_NO_INPUT);
	cli_free(&cli);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_job),
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_a_lost_answer_is_asked_for_again_with_the_same_id),
	    cmocka_unit_test(test_a_refusal_is_final),
	    cmocka_unit_test(test_nothing_there_is_said_at_once),
	    cmocka_unit_test(test_a_body_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
