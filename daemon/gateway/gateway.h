/* SPDX-License-Identifier: MIT */
/* What the parts of the gateway share. */
#ifndef SKEP_GATEWAY_GATEWAY_H
#define SKEP_GATEWAY_GATEWAY_H

#include "daemon/gateway/calls.h"
#include "daemon/gateway/http.h"
#include "daemon/gateway/reader.h"

struct watches;

struct gateway {
	unsigned magic;
	struct process *p;
	struct http *http;
	struct calls *calls;
	struct reader *reader;
	struct watches *watches;
	size_t max_body;	    /* bytes */
	struct loop_timer patience; /* for the store at the start; for requests at the end */
	bool ready, stopping;
};

/* The parameters that name a job, checked. An absent queue is empty. On failure the request is
 * answered. */
struct job_name {
	struct slice queue, id;
};
int gateway_job_name(struct http_request *r, struct job_name *ret);

/* Answers a request that failed with an error of the reader. */
void gateway_reader_failed(struct http_request *r, const struct err *err);

#endif
