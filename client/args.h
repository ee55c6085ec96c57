/* SPDX-License-Identifier: MIT */
/*
 * The command line, read by the rows of commands.def. Checks here what needs no server: that
 * options exist and belong to the command, the number of arguments, numbers, durations, times,
 * states.
 */
#ifndef SKEP_CLIENT_ARGS_H
#define SKEP_CLIENT_ARGS_H

#include "lib/base/err.h"

/* What `skep` exits with: the codes of sysexits.h beyond 0 and 1. */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,	      /* the job failed, is not known, or the request was refused */
	CLI_USAGE = 64,	      /* EX_USAGE */
	CLI_NO_INPUT = 66,    /* EX_NOINPUT: a file cannot be read */
	CLI_UNAVAILABLE = 69, /* EX_UNAVAILABLE: nothing answers on the socket */
	CLI_IO = 74,	      /* EX_IOERR: standard output cannot be written */
	CLI_LATER = 75,	      /* EX_TEMPFAIL: not over yet, or skepd cannot take it now */
	CLI_CONFIG = 78,      /* EX_CONFIG: the configuration file cannot be read */
};

enum command_id {
#define COMMAND(name, ...) COMMAND_##name,
#include "client/commands.def"
	COMMAND_COUNT
};

struct cli;

struct command {
	const char *name;
	int (*run)(struct cli *cli); /* returns enum cli_exit */
	const char *arguments;
	int least, most;
	const char *summary, *help;
};

struct option_row {
	uint32_t commands; /* 1 << enum command_id */
	int letter;
	const char *name;
	const char *argument; /* NULL for a flag */
	const char *values;
	const char *help;
	size_t offset; /* of its field in struct args */
	bool global;
};

struct args {
	const struct command *command; /* NULL if none was named */
	char **words;		       /* its arguments, of argv */
	int nwords;
#define TEXT_OPTION(commands, letter, name, field, ...) const char *field;
#define FLAG_OPTION(commands, letter, name, field, ...) bool field;
#include "client/commands.def"
	/* read from the options above; -1 when not given */
	int64_t retries_n, priority_n, limit_n, attempt_n, wait_timeout_ms, interval_ms;
};

extern const struct option_row args_options[];
extern const size_t args_noptions;

/* Reads argv, whose words may be put in another order. -EINVAL with what is wrong in `err`; `ret`
 * then still names the command, if one was found. */
int args_parse(
    struct args *ret, const struct command *commands, int argc, char **argv, struct err *err);

const struct command *args_command(const struct command *commands, const char *name);

#endif
