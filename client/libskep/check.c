/* SPDX-License-Identifier: MIT */
#include "client/libskep/check.h"

#include "lib/base/json.h"
#include "lib/job/job.h"

#define RETRIES_MAX 1000
#define PRIORITY_MAX 255
#define LONGEST_MS (INT64_C(3653) * 24 * 3600 * 1000) /* ten years: the longest duration, see clock.h */
#define LATEST_MS INT64_C(253402300799000)	      /* 9999-12-31T23:59:59Z */

_Static_assert(SKEP_ID_BYTES == JOB_ID_BYTES + 1, "an id and its NUL");

enum skep_code check_name(struct skep_error *error, const char *what, const char *name)
{
	size_t n = strnlen(name, JOB_NAME_BYTES + 1);

	if (n == 0 || n > JOB_NAME_BYTES)
		return via_fail(error, SKEP_INVALID, "%s must have 1 to %d bytes", what, JOB_NAME_BYTES);
	if (!json_utf8_valid(slice_of(name, n)))
		return via_fail(error, SKEP_INVALID, "%s is not UTF-8", what);
	for (size_t i = 0; i < n; i++) {
		if ((uint8_t)name[i] < ' ' || name[i] == 0x7f)
			return via_fail(error, SKEP_INVALID, "%s has control characters", what);
	}
	return SKEP_OK;
}

static enum skep_code check_names(struct skep_submission *job)
{
	const struct {
		const char *what, *name;
	} names[] = {
	    {"type", job->type},
	    {"queue", job->queue},
	    {"id", job->id},
	    {"content_type", job->content_type},
	    {"correlation_id", job->correlation_id},
	    {"reply_to", job->reply_to},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].name && check_name(&job->error, names[i].what, names[i].name))
			return SKEP_INVALID;
	}
	return SKEP_OK;
}

static enum skep_code check_numbers(struct skep_submission *job)
{
	const struct {
		const char *what;
		int64_t value, least, most;
	} numbers[] = {
	    {"retries", job->retries, SKEP_NO_RETRIES, RETRIES_MAX},
	    {"priority", job->priority, 0, PRIORITY_MAX},
	    {"timeout_ms", job->timeout_ms, 0, LONGEST_MS},
	    {"delay_ms", job->delay_ms, 0, LONGEST_MS},
	    {"at_ms", job->at_ms, 0, LATEST_MS},
	    {"expires_ms", job->expires_ms, 0, LATEST_MS},
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (numbers[i].value < numbers[i].least || numbers[i].value > numbers[i].most)
			return via_fail(&job->error, SKEP_INVALID, "%s is not within %lld and %lld",
			    numbers[i].what, (long long)numbers[i].least, (long long)numbers[i].most);
	}
	return SKEP_OK;
}

enum skep_code check_submission(struct skep_submission *job)
{
	job->error = (struct skep_error){SKEP_OK, ""};
	if (check_names(job) || check_numbers(job))
		return job->error.code;
	if (job->delay_ms && job->at_ms)
		return via_fail(&job->error, SKEP_INVALID, "give delay_ms or at_ms, not both");
	if (job->body_bytes && !job->body)
		return via_fail(&job->error, SKEP_INVALID, "body_bytes without a body");
	if (job->wants_result && job->reply_to)
		return via_fail(&job->error, SKEP_INVALID, "give reply_to or wants_result, not both");
	return SKEP_OK;
}
