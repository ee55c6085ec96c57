/* SPDX-License-Identifier: MIT */
/* GET /metrics: every row of lib/board/metrics.def, from the board. */
#ifndef SKEP_GATEWAY_METRICS_H
#define SKEP_GATEWAY_METRICS_H

#include "daemon/gateway/gateway.h"

void metrics_show(struct gateway *g, struct http_request *r);

#endif
