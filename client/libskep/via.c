/* SPDX-License-Identifier: MIT */
#include "client/libskep/via.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/job/job.h"

enum skep_code via_fail(struct skep_error *e, enum skep_code code, const char *fmt, ...)
{
	va_list ap;

	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	return code;
}

enum skep_state via_state(struct slice name)
{
	static const struct {
		enum job_state from;
		enum skep_state to;
	} ends[] = {
	    {JOB_DONE, SKEP_JOB_DONE},
	    {JOB_DEAD, SKEP_JOB_DEAD},
	    {JOB_CANCELLED, SKEP_JOB_CANCELLED},
	    {JOB_EXPIRED, SKEP_JOB_EXPIRED},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		if (slice_is(name, job_state_name(ends[i].from)))
			return ends[i].to;
	}
	return 0;
}

int64_t via_deadline(int64_t timeout_ms)
{
	int64_t now = clock_mono_ms();

	return timeout_ms < 0 || timeout_ms > INT64_MAX - now ? INT64_MAX : now + timeout_ms;
}
