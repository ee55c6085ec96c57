/* SPDX-License-Identifier: MIT */
#include "include/skep/client.h"

#include "client/libskep/check.h"
#include "client/libskep/via_broker.h"
#include "client/libskep/via_node.h"
#include "lib/base/id.h"

#define TIMEOUT_MS 30000

struct skep_client *skep_client_open(const char *where, int64_t timeout_ms, struct skep_error *error)
{
	struct skep_error unasked;

	if (!error)
		error = &unasked;
	*error = (struct skep_error){SKEP_OK, ""};
	if (timeout_ms <= 0)
		timeout_ms = TIMEOUT_MS;
	if (where && strncmp(where, "amqp:", 5) == 0)
		return via_broker_open(where, timeout_ms, error);
	if (where && strncmp(where, "unix:", 5) == 0)
		where += 5;
	else if (where && strstr(where, "://")) {
		/* Not repeated: there may be a password in it. */
		via_fail(error, SKEP_INVALID, "neither a path nor unix: nor amqp://");
		return NULL;
	}
	return via_node_open(where, timeout_ms, error);
}

void skep_client_close(struct skep_client *client)
{
	if (client)
		client->ops->close(client);
}

enum skep_code skep_submit_many(struct skep_client *client, struct skep_submission *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		jobs[i].existing = 0;
		if (!jobs[i].id[0])
			id_format(jobs[i].id, id_new());
		check_submission(&jobs[i]);
	}
	client->ops->submit(client, jobs, n);
	for (size_t i = 0; i < n; i++) {
		if (jobs[i].error.code)
			return jobs[i].error.code;
	}
	return SKEP_OK;
}

enum skep_code skep_submit(struct skep_client *client, struct skep_submission *job)
{
	return skep_submit_many(client, job, 1);
}

enum skep_code skep_wait(struct skep_client *client, const char *id, const char *queue,
    int64_t timeout_ms, struct skep_result *ret, struct skep_error *error)
{
	struct skep_error unasked;

	if (!error)
		error = &unasked;
	*error = (struct skep_error){SKEP_OK, ""};
	*ret = (struct skep_result){0};
	if (check_name(error, "id", id) || (queue && check_name(error, "queue", queue)))
		return error->code;
	return client->ops->wait(client, id, queue, timeout_ms, ret, error);
}

void skep_result_free(struct skep_result *result)
{
	free(result->data);
	free(result->error);
	*result = (struct skep_result){0};
}
