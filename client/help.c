/* SPDX-License-Identifier: MIT */
#include "client/help.h"

#define COLUMNS_DEFAULT 80
#define COLUMNS_MOST 100 /* longer lines of prose do not read well */
#define COMMAND_INDENT 14
#define OPTION_INDENT 28

static const char codes[] =
    "Exit codes: 0 done or answered; 1 the job failed, is not known, or the request was refused; 64 usage; "
    "66 input that cannot be read; 69 nothing answers on the socket; 74 output that cannot be written; "
    "75 not over yet, or skepd cannot take it now: try again; 78 configuration that cannot be read.";

/* Prints text in lines of at most `columns`, each behind `indent` blanks but the first, which
 * begins at `at`. A newline in the text begins a paragraph. */
static void print_wrapped(FILE *out, const char *text, size_t at, size_t indent, size_t columns)
{
	size_t column = at;

	for (const char *p = text; *p;) {
		size_t n = strcspn(p, " \n");

		if (column > indent && column + 1 + n > columns) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', out);
			column++;
		} else if (column < indent) {
			fprintf(out, "%*s", (int)(indent - column), "");
			column = indent;
		}
		fwrite(p, 1, n, out);
		column += n;
		p += n;
		if (*p == '\n') {
			fprintf(out, "\n\n%*s", (int)indent, "");
			column = indent;
		}
		p += *p != '\0';
	}
	fputc('\n', out);
}

static size_t text_width(size_t columns)
{
	columns = columns ? columns : COLUMNS_DEFAULT;
	return columns > COLUMNS_MOST ? COLUMNS_MOST : columns;
}

static void print_option(const struct option_row *row, size_t columns, FILE *out)
{
	char letter[] = {'-', (char)row->letter, ',', ' ', '\0'};
	auto_free char *text = xasprintf("  %s--%s%s%s", row->letter ? letter : "    ", row->name,
	    row->argument ? " " : "", row->argument ? row->argument : "");
	size_t used = strlen(text);

	fputs(text, out);
	if (used + 2 > OPTION_INDENT) {
		fputc('\n', out);
		used = 0;
	}
	print_wrapped(out, row->help, used, OPTION_INDENT, columns);
}

static bool has_options(unsigned command)
{
	for (size_t i = 0; i < args_noptions; i++) {
		if (args_options[i].commands >> command & 1)
			return true;
	}
	return false;
}

void help_overview(const struct command *commands, size_t columns, FILE *out)
{
	columns = text_width(columns);
	fputs("usage: skep [-c FILE] [--socket PATH] [--json] [--no-color] COMMAND ...\n\n"
	      "Submits jobs to skepd and shows what becomes of them.\n\n",
	    out);
	for (int i = 0; i < COMMAND_COUNT; i++)
		fprintf(
		    out, "  %-*s%s\n", COMMAND_INDENT - 2, commands[i].name, commands[i].summary);
	fputc('\n', out);
	for (size_t i = 0; i < args_noptions; i++) {
		if (args_options[i].global)
			print_option(&args_options[i], columns, out);
	}
	fputc('\n', out);
	print_wrapped(out, codes, 0, 0, columns);
	fputs("\nskep help COMMAND explains one.\n", out);
}

void help_explain(
    const struct command *commands, const struct command *c, size_t columns, FILE *out)
{
	unsigned id = (unsigned)(c - commands);

	columns = text_width(columns);
	fprintf(out, "usage: skep %s%s%s%s\n\n", c->name, has_options(id) ? " [OPTION ...]" : "",
	    *c->arguments ? " " : "", c->arguments);
	print_wrapped(out, c->help, 0, 0, columns);
	if (has_options(id))
		fputc('\n', out);
	for (size_t i = 0; i < args_noptions; i++) {
		if (args_options[i].commands >> id & 1)
			print_option(&args_options[i], columns, out);
	}
}

/* A paragraph of text as mdoc: a hyphen is a minus, nothing is a macro, a newline a new paragraph.
 */
static void print_mdoc(FILE *out, const char *text)
{
	for (const char *p = text; *p; p++) {
		if (*p == '\n')
			fputs("\n.Pp\n", out);
		else if (*p == '-')
			fputs("\\-", out);
		else if (*p == '\\')
			fputs("\\e", out);
		else
			fputc(*p, out);
	}
	fputc('\n', out);
}

static void print_mdoc_options(unsigned command, bool global, FILE *out)
{
	fputs(".Bl -tag -width indent\n", out);
	for (size_t i = 0; i < args_noptions; i++) {
		const struct option_row *row = &args_options[i];

		if (global ? !row->global : !(row->commands >> command & 1))
			continue;
		fputs(".It ", out);
		if (row->letter)
			fprintf(out, "Fl %c , ", row->letter);
		fprintf(out, "Fl \\-%s", row->name);
		if (row->argument)
			fprintf(out, " Ar %s", row->argument);
		fputc('\n', out);
		print_mdoc(out, row->help);
	}
	fputs(".El\n", out);
}

void help_man(const struct command *commands, FILE *out)
{
	fputs(".Sh OPTIONS\nThese go before the command, or after it:\n", out);
	print_mdoc_options(0, true, out);
	fputs(".Sh COMMANDS\n.Bl -tag -width indent\n", out);
	for (unsigned i = 0; i < COMMAND_COUNT; i++) {
		const struct command *c = &commands[i];

		fprintf(out, ".It Cm %s", c->name);
		if (*c->arguments)
			fprintf(out, " Ar \"%s\"", c->arguments);
		fputc('\n', out);
		print_mdoc(out, c->help);
		if (has_options(i))
			print_mdoc_options(i, false, out);
	}
	fputs(".El\n", out);
}

static void print_json(const struct cli *cli)
{
	struct json *list = json_array();

	for (int i = 0; i < COMMAND_COUNT; i++) {
		struct json *c = json_object();

		json_add_strz(c, "name", cli->commands[i].name);
		json_add_strz(c, "arguments", cli->commands[i].arguments);
		json_add_strz(c, "summary", cli->commands[i].summary);
		json_push(list, c);
	}
	cli_print_json(cli, list);
	json_free(list);
}

int help_command(struct cli *cli)
{
	const struct command *c = NULL;

	if (cli->args.nwords) {
		c = args_command(cli->commands, cli->args.words[0]);
		if (!c) {
			cli_complain(
			    "unknown command '%s'; 'skep help' lists them", cli->args.words[0]);
			return CLI_USAGE;
		}
	}
	if (cli->args.json)
		print_json(cli);
	else if (c)
		help_explain(cli->commands, c, cli->screen.columns, stdout);
	else
		help_overview(cli->commands, cli->screen.columns, stdout);
	return CLI_OK;
}

int help_version(struct cli *cli)
{
	struct json *j;

	if (!cli->args.json) {
		printf("skep %s\n", SKEP_VERSION);
		return CLI_OK;
	}
	j = json_object();
	json_add_strz(j, "version", SKEP_VERSION);
	cli_print_json(cli, j);
	json_free(j);
	return CLI_OK;
}
