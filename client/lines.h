/* SPDX-License-Identifier: MIT */
/* `skep submit --lines`: a job per line, pipelined. */
#ifndef SKEP_CLIENT_LINES_H
#define SKEP_CLIENT_LINES_H

#include "client/cli.h"

int lines_submit(struct cli *cli);

#endif
