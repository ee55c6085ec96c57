/* SPDX-License-Identifier: MIT */
/* `skep list`. */
#ifndef SKEP_CLIENT_LIST_H
#define SKEP_CLIENT_LIST_H

#include "client/cli.h"

int list_command(struct cli *cli);

/* GET /v1/jobs with these filters (NULL: none); NULL after a complaint. */
struct json *list_get(struct cli *cli, const char *state, const char *limit, int *ret_exit);

#endif
