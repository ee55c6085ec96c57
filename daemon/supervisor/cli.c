/* SPDX-License-Identifier: MIT */
#include "daemon/supervisor/cli.h"

#include <getopt.h>

static const struct {
	const char *name;
	char letter; /* 0: none */
	bool has_file;
	enum cli_action action;
	const char *help;
} options[] = {
    {"config", 'c', true, CLI_RUN, "read FILE and the conf.d/ beside it"},
    {"check", 0, false, CLI_CHECK, "check the configuration, print warnings, and exit"},
    {"dump-config", 0, false, CLI_DUMP, "print every option, its value and where it came from"},
    {"sample-config", 0, false, CLI_SAMPLE, "print a configuration with every option explained"},
    {"move", 0, false, CLI_MOVE, "carry what waits to the queue that is named on standard input: see skep move"},
    {"move-count", 0, false, CLI_COUNT, "count what --move would carry"},
    {"version", 0, false, CLI_VERSION, "print the version"},
    {"help", 'h', false, CLI_HELP, "print this help"},
};

#define OPTION_BASE 1000 /* getopt's number of row 0 */

void cli_print_help(void)
{
	printf(
	    "usage: skepd [-c FILE] [--check | --dump-config]\n"
	    "Runs background jobs from RabbitMQ in a pool of worker processes, in the foreground.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		char words[40];

		snprintf(words, sizeof words, "%c%c%s--%s%s", options[i].letter ? '-' : ' ',
		    options[i].letter ? options[i].letter : ' ', options[i].letter ? ", " : "  ",
		    options[i].name, options[i].has_file ? " FILE" : "");
		printf("  %-24s %s\n", words, options[i].help);
	}
	printf(
	    "\nSignals: TERM and INT stop it (a second one hurries). Manual pages: skepd(8), skep.conf(5).\n");
}

bool cli_parse(struct cli *ret, int argc, char **argv)
{
	struct option longs[ARRAY_SIZE(options) + 1] = {{0}};
	int c;

	*ret = (struct cli){.action = CLI_RUN};
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		longs[i] = (struct option){options[i].name,
		    options[i].has_file ? required_argument : no_argument, NULL,
		    OPTION_BASE + (int)i};
	while ((c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
		size_t row = (size_t)(c - OPTION_BASE);

		for (size_t i = 0; c < OPTION_BASE && i < ARRAY_SIZE(options); i++) {
			if (options[i].letter && options[i].letter == c)
				row = i;
		}
		if (row >= ARRAY_SIZE(options)) {
			fprintf(stderr, "skepd: try 'skepd --help'\n");
			return false;
		}
		if (options[row].has_file)
			ret->file = optarg;
		else
			ret->action = options[row].action;
	}
	if (optind < argc) {
		fprintf(stderr, "skepd: what is '%s'? Try 'skepd --help'\n", argv[optind]);
		return false;
	}
	return true;
}
