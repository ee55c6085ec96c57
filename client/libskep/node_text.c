/* SPDX-License-Identifier: MIT */
#include "client/libskep/node_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "client/http.h"
#include "lib/base/base64.h"
#include "lib/base/clock.h"

#define NUMBER_BYTES 32 /* of a number with its unit, or a time */
#define NO_TYPE "application/x-www-form-urlencoded" /* is passed over by a node */

/* The members beside type, queue and body that a job may have, as text; "" where it is not given. */
struct members {
	char retries[NUMBER_BYTES], priority[NUMBER_BYTES], timeout[NUMBER_BYTES], delay[NUMBER_BYTES];
	char at[NUMBER_BYTES], expires[NUMBER_BYTES];
};

static void write_ms(char out[static NUMBER_BYTES], int64_t ms)
{
	if (ms)
		snprintf(out, NUMBER_BYTES, "%" PRId64 "ms", ms);
}

static void write_time(char out[static NUMBER_BYTES], int64_t wall_ms)
{
	_Static_assert(NUMBER_BYTES >= CLOCK_RFC3339_BYTES, "room for a time");
	if (wall_ms)
		clock_rfc3339(out, wall_ms);
}

typedef void member_fn(void *arg, const char *name, const char *value);

static void each_member(const struct skep_submission *job, member_fn *fn, void *arg)
{
	struct members m = {{0}};
	const struct {
		const char *name, *value;
	} all[] = {
	    {"type", job->type},
	    {"queue", job->queue},
	    {"id", job->id},
	    {"retries", m.retries},
	    {"priority", m.priority},
	    {"timeout", m.timeout},
	    {"delay", m.delay},
	    {"at", m.at},
	    {"expires", m.expires},
	    {"content_type", job->content_type},
	    {"correlation_id", job->correlation_id},
	    {"reply_to", job->reply_to},
	};

	if (job->retries)
		snprintf(m.retries, sizeof m.retries, "%d", job->retries > 0 ? job->retries : 0);
	if (job->priority)
		snprintf(m.priority, sizeof m.priority, "%d", job->priority);
	write_ms(m.timeout, job->timeout_ms);
	write_ms(m.delay, job->delay_ms);
	write_time(m.at, job->at_ms);
	write_time(m.expires, job->expires_ms);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i].value && all[i].value[0])
			fn(arg, all[i].name, all[i].value);
	}
}

static void add_json(void *arg, const char *name, const char *value)
{
	json_add_strz(arg, name, value);
}

int node_text_line(const struct skep_submission *job, struct buf *out)
{
	struct slice body = slice_of(job->body, job->body_bytes);
	size_t before = buf_size(out);
	struct json *j = json_object();
	int rc;

	each_member(job, add_json, j);
	if (json_utf8_valid(body)) {
		json_add_str(j, "body", body);
	} else {
		auto_free char *text = base64_encode(body);

		json_add_strz(j, "body_base64", text);
	}
	rc = json_print(j, false, out) < 0 || buf_adds(out, "\n") < 0 ? -ENOBUFS : 0;
	json_free(j);
	if (rc < 0)
		buf_truncate(out, before);
	return rc;
}

bool node_text_is_plain(const struct skep_submission *job)
{
	static const char *const taken[] = {"application/json", "application/x-ndjson", NO_TYPE};
	const char *type = job->content_type;

	if (!type)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		if (strncasecmp(type, taken[i], strlen(taken[i])) == 0)
			return false;
	}
	for (const char *p = type; *p; p++) {
		if (*p < ' ' || *p > '~')
			return false;
	}
	return type[0] != ' ' && type[strlen(type) - 1] != ' ';
}

const char *node_text_type(const struct skep_submission *job)
{
	return job->content_type ? job->content_type : NO_TYPE;
}

static void add_query(void *arg, const char *name, const char *value)
{
	if (strcmp(name, "content_type") != 0)
		http_query(arg, name, value);
}

void node_text_path(const struct skep_submission *job, struct buf *out)
{
	buf_adds(out, "/v1/jobs");
	each_member(job, add_query, out);
	buf_add(out, "", 1);
}

enum skep_code node_text_code(int64_t status)
{
	static const struct {
		int64_t status;
		enum skep_code code;
	} codes[] = {
	    {400, SKEP_INVALID},
	    {401, SKEP_REFUSED},
	    {403, SKEP_REFUSED},
	    {404, SKEP_NOT_FOUND},
	    {413, SKEP_INVALID},
	    {422, SKEP_NO_HANDLER},
	    {503, SKEP_UNREACHABLE},
	    {507, SKEP_FULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		if (codes[i].status == status)
			return codes[i].code;
	}
	return SKEP_FAILED;
}

void node_text_answer(struct skep_submission *job, int64_t status, struct slice text)
{
	struct json *j = text.n ? json_parse(text, NULL) : NULL;
	const char *error = j ? json_get_str(j, "error") : NULL;
	bool existing = false;

	if (!j || !json_is_object(j)) {
		via_fail(&job->error, status >= 400 ? node_text_code(status) : SKEP_FAILED,
		    "the node's answer is not understood (HTTP %" PRId64 ")", status);
	} else if (error) {
		json_get_int(j, "status", &status);
		via_fail(&job->error, node_text_code(status), "%s", error);
	} else if (json_get_bool(j, "existing", &existing)) {
		job->existing = existing;
	}
	json_free(j);
}

/* --- results -------------------------------------------------------------------------------------- */

static void set_data(struct skep_result *ret, char *take, size_t n)
{
	ret->data = take;
	ret->bytes = n;
}

static void read_data(const struct json *job, struct skep_result *ret, bool *ret_elsewhere)
{
	const char *text = json_get_str(job, "result"), *coded = json_get_str(job, "result_base64");
	int64_t bytes = 0;
	uint8_t *decoded;
	size_t n;

	if (text) {
		set_data(ret, xstrdup(text), strlen(text));
	} else if (coded && (decoded = base64_decode(slice_str(coded), &n))) {
		set_data(ret, (char *)decoded, n);
	} else if (json_get_int(job, "result_bytes", &bytes) && bytes == 0) {
		set_data(ret, xstrdup(""), 0);
	} else {
		*ret_elsewhere = true;
	}
}

bool node_text_result(const struct json *job, struct skep_result *ret, bool *ret_elsewhere)
{
	const char *error = json_get_str(job, "error");
	enum skep_state state = via_state(slice_str(json_get_str(job, "state")));
	bool cut = false;

	*ret_elsewhere = false;
	if (!state)
		return false;
	ret->state = state;
	ret->error = error ? xstrdup(error) : NULL;
	json_get_bool(job, "result_cut", &cut);
	ret->cut = cut;
	if (state == SKEP_JOB_DONE)
		read_data(job, ret, ret_elsewhere);
	return true;
}
