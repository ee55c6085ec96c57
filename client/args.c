/* SPDX-License-Identifier: MIT */
/*
 * getopt_long does the reading, twice: up to the command's name with the global options, then the
 * rest with those of the command too.
 */
#include "client/args.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>

#include "lib/base/clock.h"
#include "lib/job/job.h"

#define ON(name) (1U << COMMAND_##name)
#define GLOBAL 0

#define TEXT_OPTION(on, char_, name_, field, arg_, values_, help_)                                 \
	{.commands = (on),                                                                         \
	    .letter = (char_),                                                                     \
	    .name = (name_),                                                                       \
	    .argument = (arg_),                                                                    \
	    .values = (values_),                                                                   \
	    .help = (help_),                                                                       \
	    .offset = offsetof(struct args, field),                                                \
	    .global = (on) == GLOBAL},
#define FLAG_OPTION(on, char_, name_, field, help_)                                                \
	{.commands = (on),                                                                         \
	    .letter = (char_),                                                                     \
	    .name = (name_),                                                                       \
	    .help = (help_),                                                                       \
	    .offset = offsetof(struct args, field),                                                \
	    .global = (on) == GLOBAL},
const struct option_row args_options[] = {
#include "client/commands.def"
};
#define OPTIONS ARRAY_SIZE(args_options)
const size_t args_noptions = OPTIONS;

/* Values that getopt_long returns for rows without a letter. */
#define ROW_BASE 1000

const struct command *args_command(const struct command *commands, const char *name)
{
	for (int i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static void take_option(struct args *args, const struct option_row *row, const char *value)
{
	char *field = (char *)args + row->offset;

	if (row->argument)
		*(const char **)(void *)field = value;
	else
		*(bool *)(void *)field = true;
}

static int refuse(struct err *err, const char *word, int code, bool lacks_value)
{
	if (lacks_value)
		return err_set(err, -EINVAL, "option '%s' needs a value", word);
	if (code > 0 && code < ROW_BASE)
		return err_set(err, -EINVAL, "unknown option '-%c'", code);
	return err_set(err, -EINVAL, "unknown option '%s', or it takes no value", word);
}

/* Reads options into `args` and leaves optind at the first other word. `command` < 0: only global
 * options, and the first other word ends them. */
static int read_options(struct args *args, int command, int argc, char **argv, struct err *err)
{
	struct option longs[OPTIONS + 1] = {0};
	char shorts[2 * OPTIONS + 3], *s = shorts;
	size_t n = 0;
	int code;

	if (command < 0)
		*s++ = '+';
	*s++ = ':';
	for (size_t i = 0; i < OPTIONS; i++) {
		const struct option_row *row = &args_options[i];

		if (!row->global && (command < 0 || !(row->commands >> command & 1)))
			continue;
		longs[n++] = (struct option){row->name,
		    row->argument ? required_argument : no_argument, NULL, ROW_BASE + (int)i};
		if (row->letter)
			*s++ = (char)row->letter;
		if (row->letter && row->argument)
			*s++ = ':';
	}
	*s = '\0';
	opterr = 0;
	optind = 0; /* glibc: begin anew */
	while ((code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (code == '?' || code == ':')
			return refuse(err, argv[optind - 1], optopt, code == ':');
		for (size_t i = 0; i < OPTIONS; i++) {
			if (code == ROW_BASE + (int)i || code == args_options[i].letter)
				take_option(args, &args_options[i], optarg);
		}
	}
	return 0;
}

static int read_number(const char *text, const char *option, int64_t least, int64_t most,
    int64_t *ret, struct err *err)
{
	char *end;
	long long value;

	*ret = -1;
	if (!text)
		return 0;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (!*text || *end || errno || value < least || value > most)
		return err_set(err, -EINVAL, "%s wants a whole number from %lld to %lld, not '%s'",
		    option, (long long)least, (long long)most, text);
	*ret = value;
	return 0;
}

static int read_duration(const char *text, const char *option, int64_t *ret_ms, struct err *err)
{
	if (text && clock_parse_duration(slice_str(text), ret_ms) < 0)
		return err_set(err, -EINVAL,
		    "%s wants a duration such as 250ms, 10s, 5m, 1h or 7d, not '%s'", option, text);
	return 0;
}

static int read_time(const char *text, const char *option, bool or_duration, struct err *err)
{
	int64_t unused;

	if (!text || clock_parse(slice_str(text), &unused) == 0 ||
	    (or_duration && clock_parse_duration(slice_str(text), &unused) == 0))
		return 0;
	return err_set(err, -EINVAL, "%s wants a time such as 2026-11-23T19:12:03Z%s, not '%s'",
	    option, or_duration ? ", or a duration such as 10m" : "", text);
}

static int check_values(struct args *a, struct err *err)
{
	int64_t unused_ms;
	enum job_state state;
	int rc;

	a->wait_timeout_ms = a->interval_ms = -1;
	if ((rc = read_number(a->retries, "--retries", 0, 1000, &a->retries_n, err)) < 0 ||
	    (rc = read_number(a->priority, "--priority", 0, 255, &a->priority_n, err)) < 0 ||
	    (rc = read_number(a->limit, "--limit", 1, 1000, &a->limit_n, err)) < 0 ||
	    (rc = read_number(a->attempt, "--attempt", 1, INT_MAX, &a->attempt_n, err)) < 0 ||
	    (rc = read_duration(a->timeout, "--timeout", &unused_ms, err)) < 0 ||
	    (rc = read_duration(a->delay, "--delay", &unused_ms, err)) < 0 ||
	    (rc = read_duration(a->wait_timeout, "--wait-timeout", &a->wait_timeout_ms, err)) < 0 ||
	    (rc = read_duration(a->interval, "--interval", &a->interval_ms, err)) < 0 ||
	    (rc = read_time(a->at, "--at", false, err)) < 0 ||
	    (rc = read_time(a->expires, "--expires", true, err)) < 0)
		return rc;
	if (a->state && job_state_parse(a->state, &state) < 0)
		return err_set(err, -EINVAL, "there is no state '%s'", a->state);
	if (a->id && (!*a->id || strlen(a->id) > JOB_ID_BYTES))
		return err_set(err, -EINVAL, "--id wants 1 to %d bytes", JOB_ID_BYTES);
	if (a->interval && (a->interval_ms < 100 || a->interval_ms > 3600 * 1000))
		return err_set(err, -EINVAL, "--interval wants 0.1 to 3600 seconds");
	if (a->delay && a->at)
		return err_set(err, -EINVAL, "--delay and --at exclude each other");
	if (a->lines && (a->wait || a->wait_timeout || a->id))
		return err_set(err, -EINVAL, "--lines goes with neither --wait nor --id");
	if (a->wait_timeout)
		a->wait = true;
	return 0;
}

static int check_count(const struct args *a, struct err *err)
{
	const struct command *c = a->command;

	if (a->help || a->version)
		return 0;
	if (a->nwords < c->least)
		return err_set(err, -EINVAL, "%s needs %s", c->name, c->arguments);
	if (a->nwords > c->most)
		return err_set(
		    err, -EINVAL, "%s: unexpected argument '%s'", c->name, a->words[c->most]);
	return 0;
}

int args_parse(
    struct args *ret, const struct command *commands, int argc, char **argv, struct err *err)
{
	int at, rc;

	*ret = (struct args){0};
	rc = read_options(ret, -1, argc, argv, err);
	if (rc < 0)
		return rc;
	at = optind;
	if (at == argc)
		return ret->help || ret->version ? 0 : err_set(err, -EINVAL, "no command given");
	ret->command = args_command(commands, argv[at]);
	if (!ret->command)
		return err_set(err, -EINVAL, "unknown command '%s'", argv[at]);
	rc = read_options(ret, (int)(ret->command - commands), argc - at, argv + at, err);
	if (rc < 0)
		return rc;
	ret->words = argv + at + optind;
	ret->nwords = argc - at - optind;
	rc = check_count(ret, err);
	return rc < 0 ? rc : check_values(ret, err);
}
