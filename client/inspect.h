/* SPDX-License-Identifier: MIT */
/* One job seen closely: `skep status`, `skep result`, `skep logs`. */
#ifndef SKEP_CLIENT_INSPECT_H
#define SKEP_CLIENT_INSPECT_H

#include "client/cli.h"

int inspect_status(struct cli *cli);
int inspect_result(struct cli *cli);
int inspect_logs(struct cli *cli);

/* Waits until the job is over, or for --wait-timeout, and prints its result; the exit code says how
 * it ended. */
int inspect_wait(struct cli *cli, const char *id);

#endif
