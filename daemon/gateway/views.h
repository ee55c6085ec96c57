/* SPDX-License-Identifier: MIT */
/* Requests about one job: it, its result, its logs, retry and cancel. Each function answers the
 * request, now or later. */
#ifndef SKEP_GATEWAY_VIEWS_H
#define SKEP_GATEWAY_VIEWS_H

#include "daemon/gateway/gateway.h"

void views_job(struct gateway *g, struct http_request *r);
void views_result(struct gateway *g, struct http_request *r);
void views_logs(struct gateway *g, struct http_request *r);
void views_retry(struct gateway *g, struct http_request *r);
void views_cancel(struct gateway *g, struct http_request *r);
void views_pause(struct gateway *g, struct http_request *r); /* of a queue */
void views_resume(struct gateway *g, struct http_request *r);

#endif
