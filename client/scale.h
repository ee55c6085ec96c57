/* SPDX-License-Identifier: MIT */
/* The workers of a pool: `skep scale` sets their number, `skep explain` tells how it came about. */
#ifndef SKEP_CLIENT_SCALE_H
#define SKEP_CLIENT_SCALE_H

#include "client/cli.h"

int scale_command(struct cli *cli);
int scale_explain_command(struct cli *cli);

#endif
