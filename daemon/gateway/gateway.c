/* SPDX-License-Identifier: MIT */
#include "daemon/gateway/gateway.h"

#include <errno.h>

#include "daemon/gateway/checks.h"

/* A job may have been named by a stranger's message, as only AMQP would have it: it must be found all the
 * same, so that it can be cancelled. */
int gateway_job_name(struct http_request *r, struct job_name *ret)
{
	const struct target *t = http_target(r);
	struct job_name name = {target_param(t, "queue"), routes_subject(t)};
	struct err err = {0};

	if (name.id.n == 0 || name.id.n > JOB_ID_BYTES)
		err_set(&err, -EINVAL, "'id' must be 1 to %d bytes", JOB_ID_BYTES);
	else if (name.queue.p)
		checks_name("queue", name.queue, &err);
	if (err.code < 0) {
		http_error(r, 400, "%s", err.text);
		return -EINVAL;
	}
	*ret = name;
	return 0;
}

void gateway_reader_failed(struct http_request *r, const struct err *err)
{
	if (err->code == -EEXIST)
		http_error(r, 409, "%s", err->text);
	else
		http_error(r, 503, "%s: try again", err->text);
}
