/* SPDX-License-Identifier: MIT */
/* `skep top`: a node on a screen, with keys. */
#ifndef SKEP_CLIENT_TOP_H
#define SKEP_CLIENT_TOP_H

#include "client/cli.h"

int top_command(struct cli *cli);

#endif
