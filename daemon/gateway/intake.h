/* SPDX-License-Identifier: MIT */
/*
 * POST /v1/jobs: one job or many. Each is handed to the store as a call of its own, many of them
 * under way at a time; the answers are put together in the order of the request. One job that is
 * refused does not hold up the others.
 */
#ifndef SKEP_GATEWAY_INTAKE_H
#define SKEP_GATEWAY_INTAKE_H

#include "daemon/gateway/gateway.h"

#define INTAKE_WINDOW 1000 /* jobs of one request that wait for the store at a time */

void intake_begin(struct gateway *g, struct http_request *r);

#endif
