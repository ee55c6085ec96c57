/* SPDX-License-Identifier: MIT */
/* `skep completion bash`, from commands.def. */
#ifndef SKEP_CLIENT_COMPLETION_H
#define SKEP_CLIENT_COMPLETION_H

#include "client/cli.h"

int completion_command(struct cli *cli);

#endif
