/* SPDX-License-Identifier: MIT */
#include "daemon/gateway/gateway.h"

#include <errno.h>

#include "daemon/gateway/checks.h"

int gateway_job_name(struct http_request *r, struct job_name *ret)
{
	const struct target *t = http_target(r);
	struct job_name name = {target_param(t, "queue"), routes_job_id(t)};
	struct err err = {0};

	if (checks_name("id", name.id, &err) < 0 ||
	    (name.queue.p && checks_name("queue", name.queue, &err) < 0)) {
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
