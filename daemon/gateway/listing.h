/* SPDX-License-Identifier: MIT */
/*
 * GET /v1/jobs. A filter that few jobs pass may have to walk over millions, so a list is made in
 * small steps, between which the loop serves others; each step is a transaction of its own.
 */
#ifndef SKEP_GATEWAY_LISTING_H
#define SKEP_GATEWAY_LISTING_H

#include "daemon/gateway/gateway.h"

void listing_begin(struct gateway *g, struct http_request *r);

#endif
