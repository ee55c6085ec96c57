/* SPDX-License-Identifier: MIT */
/* Requests about one pool: how many workers it is to have, and how that came about. */
#ifndef SKEP_GATEWAY_POOLS_H
#define SKEP_GATEWAY_POOLS_H

#include "daemon/gateway/gateway.h"

/* POST /v1/pools/NAME/scale?workers=8|2..16|auto */
void pools_scale(struct gateway *g, struct http_request *r);

/* GET /v1/pools/NAME/changes */
void pools_changes(struct gateway *g, struct http_request *r);

#endif
