/* SPDX-License-Identifier: MIT */
/* The workers of a pool: `skep scale` sets their number, `skep explain` tells how it came about. */
#ifndef SKEP_CLIENT_SCALE_H
#define SKEP_CLIENT_SCALE_H

#include <stdio.h>

#include "client/cli.h"

int scale_command(struct cli *cli);
int scale_explain_command(struct cli *cli);

/* `pool` as GET /v1/pools/NAME/changes answers it; ages are relative to now_ms. */
void scale_print(
    const struct json *pool, const struct screen *screen, int64_t now_ms, FILE *out);

#endif
