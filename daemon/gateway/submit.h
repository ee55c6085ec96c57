/* SPDX-License-Identifier: MIT */
/*
 * The description of a new job, as a JSON object or as the parameters of a query with the body
 * beside it, read into what is sent to the store. Everything is checked here: what passes can be
 * published. Pure but for the id that is minted when none is given.
 */
#ifndef SKEP_GATEWAY_SUBMIT_H
#define SKEP_GATEWAY_SUBMIT_H

#include "daemon/gateway/target.h"
#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/conf/conf.h"
#include "lib/job/job.h"

/* What a description is read against. */
struct submit_context {
	const struct conf *conf;
	size_t max_body; /* bytes */
	int64_t now_wall_ms;
};

/* A job that was read. Its slices point into what it owns and, for a query, into the request. */
struct submit {
	struct job job;
	struct buf envelope;	       /* packed */
	int64_t due_wall_ms, delay_ms; /* JOB_NOT_GIVEN: at once */
	char minted[ID_TEXT_BYTES];
	struct json *tree;
	uint8_t *decoded;
	struct buf printed;
};

/* Reads a JSON object. Returns NULL with err: -EINVAL (not a description: HTTP 400), -EFBIG (413),
 * -ENOENT (no handler for the type on a node that consumes the queue: 422). */
struct submit *submit_from_json(const struct submit_context *x, struct slice text, struct err *err);

/* Reads the parameters of a query; body and content types are borrowed with them until
 * submit_free(). */
struct submit *submit_from_query(const struct submit_context *x, const struct target *t,
    struct slice body, struct slice content_type, struct slice content_encoding, struct err *err);

void submit_free(struct submit *s);

/* The HTTP status of such an error. */
unsigned submit_status(const struct err *err);

#endif
