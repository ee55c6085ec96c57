/* SPDX-License-Identifier: MIT */
/* What changes jobs that exist: `skep retry`, `skep cancel`; and what stops and starts queues. */
#ifndef SKEP_CLIENT_CHANGE_H
#define SKEP_CLIENT_CHANGE_H

#include "client/cli.h"

int change_retry(struct cli *cli);
int change_cancel(struct cli *cli);
int change_pause(struct cli *cli);
int change_resume(struct cli *cli);

#endif
