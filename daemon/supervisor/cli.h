/* SPDX-License-Identifier: MIT */
/* The command line of skepd: one table is the parser and the help. */
#ifndef SKEP_DAEMON_SUPERVISOR_CLI_H
#define SKEP_DAEMON_SUPERVISOR_CLI_H

#include "lib/base/base.h"

enum cli_action { CLI_RUN, CLI_CHECK, CLI_DUMP, CLI_SAMPLE, CLI_MOVE, CLI_COUNT, CLI_VERSION, CLI_HELP };

struct cli {
	enum cli_action action;
	const char *file; /* NULL: the default file */
};

/* Reads the arguments. False after a message on stderr: wrong usage. */
bool cli_parse(struct cli *ret, int argc, char **argv);

void cli_print_help(void);

#endif
