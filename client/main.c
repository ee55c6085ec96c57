/* SPDX-License-Identifier: MIT */
/* The `skep` command line: reads the arguments by commands.def and runs the command. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>

#include "client/change.h"
#include "client/cli.h"
#include "client/completion.h"
#include "client/help.h"
#include "client/inspect.h"
#include "client/list.h"
#include "client/move.h"
#include "client/node.h"
#include "client/scale.h"
#include "client/submit.h"
#include "client/text.h"
#include "client/top.h"

#define MANY INT_MAX

static const struct command commands[COMMAND_COUNT] = {
#define COMMAND(name, function, ...) [COMMAND_##name] = {#name, function, __VA_ARGS__},
#include "client/commands.def"
};

/* What was asked for is of no use if it did not arrive: a full disk, a closed pipe. */
static int flush(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	cli_complain("cannot write to standard output");
	return code > CLI_IO ? code : CLI_IO;
}

static int run(struct cli *cli)
{
	const struct command *c = cli->args.command;

	if (cli->args.version)
		return help_version(cli);
	if (c && !cli->args.help)
		return c->run(cli);
	if (c)
		help_explain(commands, c, cli->screen.columns, stdout);
	else
		help_overview(commands, cli->screen.columns, stdout);
	return CLI_OK;
}

int main(int argc, char **argv)
{
	struct cli cli = {.commands = commands};
	struct err err = {0};
	int code;

	text_init();
	signal(SIGPIPE, SIG_IGN);
	if (argc == 1) {
		help_overview(commands, 0, stderr);
		return CLI_USAGE;
	}
	if (args_parse(&cli.args, commands, argc, argv, &err) < 0) {
		cli_complain("%s; see 'skep help%s%s'", err.text, cli.args.command ? " " : "",
		    cli.args.command ? cli.args.command->name : "");
		return CLI_USAGE;
	}
	cli.screen = screen_of(STDOUT_FILENO, cli.args.no_color);
	code = flush(run(&cli));
	cli_free(&cli);
	return code;
}
