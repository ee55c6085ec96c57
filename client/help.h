/* SPDX-License-Identifier: MIT */
/* `skep help` and `skep version`, and the commands of the manual page, from commands.def. */
#ifndef SKEP_CLIENT_HELP_H
#define SKEP_CLIENT_HELP_H

#include <stdio.h>

#include "client/cli.h"

int help_command(struct cli *cli);
int help_version(struct cli *cli);

/* All commands, or one. */
void help_overview(const struct command *commands, size_t columns, FILE *out);
void help_explain(
    const struct command *commands, const struct command *c, size_t columns, FILE *out);

/* The two lists of docs/man/skep.1, in mdoc: tests/unit/test_client_help.c compares. */
void help_man(const struct command *commands, FILE *out);

#endif
