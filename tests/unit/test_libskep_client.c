/* links: client/libskep/check.c client/libskep/node_text.c client/libskep/inbox.c client/libskep/via.c client/libskep/client.c client/libskep/via_node.c client/libskep/via_broker.c client/libskep/broker_link.c client/http.c client/socket.c */
/* SPDX-License-Identifier: MIT */
/* What libskep-client knows by itself: checks, what is said to a node and heard from it, results kept. The rest
 * is in the scenarios. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "client/libskep/check.h"
#include "client/libskep/inbox.h"
#include "client/libskep/node_text.h"

#define LONG_NAME                                                                                  \
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"   \
	"8901234567890123456789012345678901234567890123456789012345678901234567890123456789012345"   \
	"6789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456"

static void wrong_submissions_are_told(void **state)
{
	const struct {
		struct skep_submission job;
		const char *about; /* NULL: it is right */
	} cases[] = {
	    {{.id = "1"}, NULL},
	    {{.id = "1", .type = "t", .queue = "q", .retries = 1000, .priority = 255}, NULL},
	    {{.id = "1", .retries = SKEP_NO_RETRIES, .body = "", .body_bytes = 0}, NULL},
	    {{.id = ""}, "id"},
	    {{.id = "\xff"}, "id is not UTF-8"},
	    {{.id = "1", .queue = ""}, "queue must have 1 to 255"},
	    {{.id = "1", .queue = LONG_NAME}, "queue must have 1 to 255"},
	    {{.id = "1", .content_type = "a/b\r\nX-Y: z"}, "content_type has control"},
	    {{.id = "1", .correlation_id = "\x7f"}, "correlation_id"},
	    {{.id = "1", .retries = 1001}, "retries"},
	    {{.id = "1", .retries = -2}, "retries"},
	    {{.id = "1", .priority = 256}, "priority"},
	    {{.id = "1", .timeout_ms = -1}, "timeout_ms"},
	    {{.id = "1", .delay_ms = INT64_MAX}, "delay_ms"},
	    {{.id = "1", .expires_ms = INT64_MAX}, "expires_ms"},
	    {{.id = "1", .delay_ms = 1, .at_ms = 1}, "not both"},
	    {{.id = "1", .reply_to = "r", .wants_result = 1}, "not both"},
	    {{.id = "1", .body_bytes = 1}, "without a body"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct skep_submission job = cases[i].job;

		assert_int_equal(check_submission(&job), cases[i].about ? SKEP_INVALID : SKEP_OK);
		assert_int_equal(job.error.code, cases[i].about ? SKEP_INVALID : SKEP_OK);
		if (cases[i].about && !strstr(job.error.text, cases[i].about))
			fail_msg("'%s' is not in '%s'", cases[i].about, job.error.text);
	}
	assert_true(strlen(LONG_NAME) > 255);
}

static void a_node_is_told_of_a_job(void **state)
{
	const struct {
		struct skep_submission job;
		const char *line, *path;
	} cases[] = {
	    {{.id = "1", .body = "x\"", .body_bytes = 2}, "{\"id\":\"1\",\"body\":\"x\\\"\"}\n",
		"/v1/jobs?id=1"},
	    {{.id = "a b", .body = "\xff", .body_bytes = 1},
		"{\"id\":\"a b\",\"body_base64\":\"/w==\"}\n", "/v1/jobs?id=a%20b"},
	    {{.id = "1", .type = "t", .queue = "q", .retries = SKEP_NO_RETRIES, .priority = 2,
		 .timeout_ms = 5, .content_type = "a/b"},
		"{\"type\":\"t\",\"queue\":\"q\",\"id\":\"1\",\"retries\":\"0\",\"priority\":\"2\","
		"\"timeout\":\"5ms\",\"content_type\":\"a/b\",\"body\":\"\"}\n",
		"/v1/jobs?type=t&queue=q&id=1&retries=0&priority=2&timeout=5ms"},
	    {{.id = "1", .retries = 3, .at_ms = 1500, .expires_ms = 61000, .correlation_id = "c",
		 .reply_to = "r"},
		"{\"id\":\"1\",\"retries\":\"3\",\"at\":\"1970-01-01T00:00:01.500Z\","
		"\"expires\":\"1970-01-01T00:01:01.000Z\",\"correlation_id\":\"c\",\"reply_to\":\"r\","
		"\"body\":\"\"}\n",
		"/v1/jobs?id=1&retries=3&at=1970-01-01T00%3A00%3A01.500Z"
		"&expires=1970-01-01T00%3A01%3A01.000Z&correlation_id=c&reply_to=r"},
	};
	struct buf out;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		buf_init(&out, 10000);
		assert_int_equal(node_text_line(&cases[i].job, &out), 0);
		buf_add(&out, "", 1);
		assert_string_equal((const char *)out.data, cases[i].line);
		buf_clear(&out);
		node_text_path(&cases[i].job, &out);
		assert_string_equal((const char *)out.data, cases[i].path);
		buf_free(&out);
	}
	buf_init(&out, 10);
	buf_adds(&out, "before");
	assert_int_equal(node_text_line(&cases[0].job, &out), -ENOBUFS);
	assert_int_equal(buf_size(&out), 6);
	buf_free(&out);
}

static void some_content_types_cannot_stand_in_a_header(void **state)
{
	const struct {
		const char *type;
		bool plain;
	} cases[] = {{NULL, true}, {"text/x; a=b", true}, {"Application/JSON", false},
	    {"application/x-ndjson", false}, {"application/x-www-form-urlencoded", false},
	    {"text/\xc3\xa9", false}, {" a", false}, {"a ", false}, {" ", false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct skep_submission job = {.content_type = cases[i].type};

		assert_int_equal(node_text_is_plain(&job), cases[i].plain);
		assert_non_null(node_text_type(&job));
	}
}

static void its_answer_is_understood(void **state)
{
	const struct {
		int status;
		const char *text;
		enum skep_code code;
		int existing;
	} cases[] = {
	    {201, "{\"id\":\"1\"}", SKEP_OK, 0},
	    {200, "{\"id\":\"1\",\"existing\":true}", SKEP_OK, 1},
	    {0, "{\"id\":\"1\"}", SKEP_OK, 0},
	    {0, "{\"error\":\"e\",\"status\":422}", SKEP_NO_HANDLER, 0},
	    {0, "", SKEP_FAILED, 0},
	    {400, "{\"error\":\"e\"}", SKEP_INVALID, 0},
	    {413, "{\"error\":\"e\"}", SKEP_INVALID, 0},
	    {503, "{\"error\":\"e\"}", SKEP_UNREACHABLE, 0},
	    {503, "oops", SKEP_UNREACHABLE, 0},
	    {507, "{\"error\":\"e\"}", SKEP_FULL, 0},
	    {418, "{\"error\":\"e\"}", SKEP_FAILED, 0},
	    {200, "[1]", SKEP_FAILED, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct skep_submission job = {.id = "1"};

		node_text_answer(&job, cases[i].status, slice_str(cases[i].text));
		assert_int_equal(job.error.code, cases[i].code);
		assert_int_equal(job.error.text[0] != '\0', cases[i].code != SKEP_OK);
		assert_int_equal(job.existing, cases[i].existing);
	}
}

static void results_are_read(void **state)
{
	const struct {
		const char *text;
		enum skep_state state; /* 0: not over */
		const char *data, *error;
		bool elsewhere;
	} cases[] = {
	    {"{\"state\":\"running\"}", 0, NULL, NULL, false},
	    {"{\"state\":\"retrying\",\"error\":\"e\"}", 0, NULL, NULL, false},
	    {"{\"state\":\"done\",\"result\":\"r\",\"error\":null}", SKEP_JOB_DONE, "r", NULL, false},
	    {"{\"state\":\"done\",\"result\":null,\"result_base64\":\"/w==\"}", SKEP_JOB_DONE,
		"\xff", NULL, false},
	    {"{\"state\":\"done\",\"result\":null,\"result_bytes\":0}", SKEP_JOB_DONE, "", NULL, false},
	    {"{\"state\":\"done\",\"result\":null,\"result_bytes\":9}", SKEP_JOB_DONE, NULL, NULL, true},
	    {"{\"state\":\"dead\",\"error\":\"e\"}", SKEP_JOB_DEAD, NULL, "e", false},
	    {"{\"state\":\"cancelled\"}", SKEP_JOB_CANCELLED, NULL, NULL, false},
	    {"{\"state\":\"expired\"}", SKEP_JOB_EXPIRED, NULL, NULL, false},
	    {"{}", 0, NULL, NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct json *j = json_parse(slice_str(cases[i].text), NULL);
		struct skep_result r = {0};
		bool elsewhere;

		assert_int_equal(node_text_result(j, &r, &elsewhere), cases[i].state != 0);
		assert_int_equal(r.state, cases[i].state);
		assert_int_equal(elsewhere, cases[i].elsewhere);
		assert_int_equal(r.data != NULL, cases[i].data != NULL);
		if (r.data)
			assert_string_equal(r.data, cases[i].data);
		assert_int_equal(r.error != NULL, cases[i].error != NULL);
		skep_result_free(&r);
		assert_null(r.data);
		json_free(j);
	}
}

static void results_wait_to_be_taken(void **state)
{
	struct skep_result r;
	struct inbox in;

	(void)state;
	inbox_init(&in);
	assert_int_equal(inbox_take(&in, "a", &r), INBOX_UNKNOWN);
	inbox_put(&in, slice_str("a"), SKEP_JOB_DONE, slice_str("nobody's"));
	for (const char *id = "abcd"; *id; id++)
		inbox_expect(&in, (char[]){*id, '\0'});
	inbox_expect(&in, "a");
	assert_int_equal(inbox_take(&in, "a", &r), INBOX_PENDING);
	inbox_put(&in, slice_str("b"), SKEP_JOB_DEAD, slice_str("why"));
	inbox_put(&in, slice_str("a"), SKEP_JOB_DONE, slice_of("x\0y", 3));
	inbox_put(&in, slice_str("a"), SKEP_JOB_DONE, slice_str("again"));
	inbox_lost(&in);
	assert_int_equal(inbox_take(&in, "c", &r), INBOX_LOST);
	assert_int_equal(inbox_take(&in, "c", &r), INBOX_PENDING);
	assert_int_equal(inbox_take(&in, "a", &r), INBOX_TAKEN);
	assert_int_equal(r.bytes, 3);
	assert_memory_equal(r.data, "x\0y", 4);
	skep_result_free(&r);
	assert_int_equal(inbox_take(&in, "a", &r), INBOX_UNKNOWN);
	assert_int_equal(inbox_take(&in, "b", &r), INBOX_TAKEN);
	assert_string_equal(r.error, "why");
	assert_null(r.data);
	skep_result_free(&r);
	inbox_put(&in, slice_str("c"), SKEP_JOB_DONE, slice_of(NULL, 0));
	assert_int_equal(inbox_take(&in, "c", &r), INBOX_TAKEN);
	assert_null(r.data);
	inbox_forget(&in, "d");
	assert_int_equal(inbox_take(&in, "d", &r), INBOX_UNKNOWN);
	inbox_expect(&in, "left");
	inbox_free(&in);
}

/* --- a node that misbehaves ------------------------------------------------------------------------- */

struct node {
	int listener;
	char path[100];
	const char *const *answers; /* one for each connection; NULL ends; "": hangs up, "hang": says nothing */
	pthread_t thread;
};

static void *play(void *arg)
{
	struct node *n = arg;
	char request[4096];
	int held = -1;

	for (size_t i = 0; n->answers[i]; i++) {
		int fd = accept4(n->listener, NULL, NULL, SOCK_CLOEXEC);

		if (strcmp(n->answers[i], "hang") == 0) {
			held = fd;
			continue;
		}
		if (recv(fd, request, sizeof request, 0) > 0)
			send(fd, n->answers[i], strlen(n->answers[i]), MSG_NOSIGNAL);
		close(fd);
	}
	if (held >= 0) {
		while (recv(held, request, sizeof request, 0) > 0)
			;
		close(held);
	}
	return NULL;
}

static void node_start(struct node *n, const char *const *answers)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	n->answers = answers;
	snprintf(n->path, sizeof n->path, "/tmp/skep-unit-%ld.sock", (long)getpid());
	slice_copy(address.sun_path, sizeof address.sun_path, slice_str(n->path));
	unlink(n->path);
	n->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(n->listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(n->listener, 8), 0);
	assert_int_equal(pthread_create(&n->thread, NULL, play, n), 0);
}

static void node_end(struct node *n)
{
	pthread_join(n->thread, NULL);
	close(n->listener);
	unlink(n->path);
}

#define HEALTHY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"

static void a_node_that_misbehaves_is_an_error(void **state)
{
	const struct {
		const char *answer;
		enum skep_code code;
	} cases[] = {
	    {"HTTP/1.1 201 C\r\nContent-Length: 10\r\nConnection: close\r\n\r\n{\"id\":\"1\"}", SKEP_OK},
	    {"", SKEP_UNREACHABLE},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"id\"", SKEP_UNREACHABLE},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", SKEP_FAILED},
	    {"nonsense\r\n\r\n", SKEP_UNREACHABLE},
	    {"hang", SKEP_TIMEOUT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *const answers[] = {HEALTHY, cases[i].answer, NULL};
		struct skep_submission job = {.type = "t", .body = "x", .body_bytes = 1};
		struct skep_client *client;
		struct skep_error error;
		struct node n;

		node_start(&n, answers);
		client = skep_client_open(n.path, cases[i].code == SKEP_TIMEOUT ? 300 : 20000, &error);
		assert_non_null(client);
		if (skep_submit(client, &job) != cases[i].code)
			fail_msg("case %zu: %d %s", i, job.error.code, job.error.text);
		assert_int_equal(strlen(job.id), 36);
		skep_client_close(client);
		node_end(&n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wrong_submissions_are_told),
	    cmocka_unit_test(a_node_is_told_of_a_job),
	    cmocka_unit_test(some_content_types_cannot_stand_in_a_header),
	    cmocka_unit_test(its_answer_is_understood),
	    cmocka_unit_test(results_are_read),
	    cmocka_unit_test(results_wait_to_be_taken),
	    cmocka_unit_test(a_node_that_misbehaves_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
