/* SPDX-License-Identifier: MIT */
/* `skep submit`: one job. Many are in lines.h. */
#ifndef SKEP_CLIENT_SUBMIT_H
#define SKEP_CLIENT_SUBMIT_H

#include "client/cli.h"

int submit_command(struct cli *cli);

/* The job as POST /v1/jobs has it, with the options of the command line. A body that is not UTF-8
 * goes as base64. */
struct json *submit_job(const struct args *args, const char *id, struct slice body);

#endif
