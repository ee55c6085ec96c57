/* SPDX-License-Identifier: MIT */
/* `skep move`: has skepd, started for that alone, carry what waits from one queue to the other. */
#ifndef SKEP_CLIENT_MOVE_H
#define SKEP_CLIENT_MOVE_H

#include "client/cli.h"

int move_command(struct cli *cli);

#endif
