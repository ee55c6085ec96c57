/* SPDX-License-Identifier: MIT */
/* A job on paper: its facts, then a table of its runs. */
#ifndef SKEP_CLIENT_STATUS_H
#define SKEP_CLIENT_STATUS_H

#include <stdio.h>

#include "client/screen.h"
#include "lib/base/json.h"

/* `job` as GET /v1/jobs/ID answers it; ages are relative to now_ms. */
void status_print(const struct json *job, const struct screen *screen, int64_t now_ms, FILE *out);

#endif
