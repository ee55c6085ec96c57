/* SPDX-License-Identifier: MIT */
#include "client/completion.h"

#include <stdio.h>

#include "lib/job/job.h"

static void print_option_names(unsigned command)
{
	for (size_t i = 0; i < args_noptions; i++) {
		const struct option_row *row = &args_options[i];

		if (!row->global && !(row->commands >> command & 1))
			continue;
		printf(" --%s", row->name);
		if (row->letter)
			printf(" -%c", row->letter);
	}
}

/* The words that may follow an option; files for "@". */
static void print_values(const struct option_row *row)
{
	if (row->letter)
		printf("\t-%c | ", row->letter);
	else
		printf("\t");
	printf("--%s) ", row->name);
	if (strcmp(row->values, "@") == 0) {
		printf("COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n");
		return;
	}
	printf("COMPREPLY=($(compgen -W '");
	if (strcmp(row->values, "STATES") == 0) {
		for (int i = 0; i < JOB_STATE_COUNT; i++)
			printf("%s%s", i ? " " : "", job_state_name((enum job_state)i));
	}
	printf("' -- \"$word\")); return ;;\n");
}

static void print_bash(const struct cli *cli)
{
	printf(
	    "# bash completion for skep, printed by 'skep completion bash'\n"
	    "_skep()\n{\n"
	    "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= i\n"
	    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	    "\t\tcase ${COMP_WORDS[i]} in\n"
	    "\t\t-c | --config | --socket) ((i++)) ;;\n"
	    "\t\t-*) ;;\n"
	    "\t\t*) command=${COMP_WORDS[i]}; break ;;\n"
	    "\t\tesac\n"
	    "\tdone\n"
	    "\tcase $before in\n");
	for (size_t i = 0; i < args_noptions; i++) {
		if (args_options[i].argument)
			print_values(&args_options[i]);
	}
	printf("\tesac\n"
	       "\tlocal words=\n"
	       "\tcase $command in\n"
	       "\t'') words='");
	for (int i = 0; i < COMMAND_COUNT; i++)
		printf("%s%s", i ? " " : "", cli->commands[i].name);
	print_option_names(COMMAND_COUNT);
	printf("' ;;\n");
	for (unsigned i = 0; i < COMMAND_COUNT; i++) {
		printf("\t%s) words='", cli->commands[i].name);
		print_option_names(i);
		printf("' ;;\n");
	}
	printf("\tesac\n"
	       "\tcase $command,$word in\n"
	       "\thelp,*) words=${words}' ");
	for (int i = 0; i < COMMAND_COUNT; i++)
		printf("%s%s", i ? " " : "", cli->commands[i].name);
	printf("' ;;\n"
	       "\tcompletion,*) words+=' bash' ;;\n"
	       "\tsubmit,@*) COMPREPLY=($(compgen -P @ -f -- \"${word#@}\")); return ;;\n"
	       "\tesac\n"
	       "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
	       "}\n"
	       "complete -F _skep skep\n");
}

int completion_command(struct cli *cli)
{
	if (strcmp(cli->args.words[0], "bash") != 0) {
		cli_complain("there is no completion for '%s', only for bash", cli->args.words[0]);
		return CLI_USAGE;
	}
	print_bash(cli);
	return CLI_OK;
}
