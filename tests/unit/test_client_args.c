/* links: client/args.c */
/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>

#include "client/args.h"

#define MANY INT_MAX
#define WORDS_MAX 16

/* The real rows without their functions. */
static const struct command commands[COMMAND_COUNT] = {
#define COMMAND(name, function, ...) [COMMAND_##name] = {#name, NULL, __VA_ARGS__},
#include "client/commands.def"
};

static int parse(struct args *args, const char *const *words, struct err *err)
{
	static const char *argv[WORDS_MAX + 2] = {"skep"};
	int argc = 1;

	for (; words[argc - 1]; argc++)
		argv[argc] = words[argc - 1];
	argv[argc] = NULL;
	*err = (struct err){0};
	return args_parse(args, commands, argc, (char **)(uintptr_t)argv, err);
}

#define PARSE(args, err, ...) parse((args), (const char *const[]){__VA_ARGS__, NULL}, (err))

static void test_options_stand_anywhere(void **state UNUSED)
{
	struct args a;
	struct err err;

	assert_int_equal(PARSE(&a, &err, "-c", "f.conf", "--json", "submit", "hash", "-q", "files",
			     "body", "--retries", "3", "--wait"),
	    0);
	assert_string_equal(a.config, "f.conf");
	assert_true(a.json);
	assert_string_equal(a.command->name, "submit");
	assert_int_equal(a.nwords, 2);
	assert_string_equal(a.words[0], "hash");
	assert_string_equal(a.words[1], "body");
	assert_string_equal(a.queue, "files");
	assert_int_equal(a.retries_n, 3);
	assert_true(a.wait);
	assert_int_equal(PARSE(&a, &err, "list", "--json", "-cf.conf", "--limit=7"), 0);
	assert_true(a.json);
	assert_string_equal(a.config, "f.conf");
	assert_int_equal(a.limit_n, 7);
	assert_int_equal(a.retries_n, -1);
}

static void test_a_body_may_look_like_anything(void **state UNUSED)
{
	struct args a;
	struct err err;

	assert_int_equal(PARSE(&a, &err, "submit", "hash", "-"), 0);
	assert_string_equal(a.words[1], "-");
	assert_int_equal(PARSE(&a, &err, "submit", "--wait", "--", "hash", "--not-an-option"), 0);
	assert_true(a.wait);
	assert_string_equal(a.words[1], "--not-an-option");
	assert_int_equal(PARSE(&a, &err, "submit", "hash", ""), 0);
	assert_string_equal(a.words[1], "");
}

static void test_help_and_version_need_nothing_else(void **state UNUSED)
{
	struct args a;
	struct err err;

	assert_int_equal(PARSE(&a, &err, "--help"), 0);
	assert_true(a.help && !a.command);
	assert_int_equal(PARSE(&a, &err, "submit", "-h"), 0);
	assert_true(a.help);
	assert_string_equal(a.command->name, "submit");
	assert_int_equal(PARSE(&a, &err, "-V"), 0);
	assert_true(a.version);
}

static void test_wait_timeout_waits(void **state UNUSED)
{
	struct args a;
	struct err err;

	assert_int_equal(PARSE(&a, &err, "result", "j1", "--wait-timeout", "1m"), 0);
	assert_true(a.wait);
	assert_int_equal(a.wait_timeout_ms, 60000);
}

static const struct {
	const char *words[WORDS_MAX];
	const char *error; /* a part of it */
} refused[] = {
    {{"frob"}, "unknown command 'frob'"},
    {{"--json"}, "no command"},
    {{"--frob", "list"}, "unknown option '--frob'"},
    {{"-x", "list"}, "unknown option '-x'"},
    {{"list", "--id", "7"}, "unknown option '--id'"}, /* one of submit's */
    {{"--state", "dead", "list"}, "unknown option '--state'"},
    {{"list", "--json=3"}, "takes no value"},
    {{"submit", "hash", "--retries"}, "'--retries' needs a value"},
    {{"submit"}, "submit needs TYPE"},
    {{"submit", "hash", "a", "b"}, "unexpected argument 'b'"},
    {{"list", "x"}, "unexpected argument 'x'"},
    {{"submit", "hash", "--retries", "1001"}, "--retries wants a whole number from 0 to 1000"},
    {{"submit", "hash", "--retries", ""}, "--retries"},
    {{"submit", "hash", "--retries", "3x"}, "not '3x'"},
    {{"submit", "hash", "--retries", "99999999999999999999"}, "--retries"},
    {{"submit", "hash", "--priority", "256"}, "--priority"},
    {{"submit", "hash", "--delay", "soon"}, "--delay wants a duration"},
    {{"submit", "hash", "--timeout", "-1s"}, "--timeout wants a duration"},
    {{"submit", "hash", "--at", "10s"}, "--at wants a time"},
    {{"submit", "hash", "--expires", "x"}, "or a duration"},
    {{"submit", "hash", "--at", "2026-11-23T19:12:03Z", "--delay", "1s"}, "exclude"},
    {{"submit", "hash", "--id", ""}, "--id"},
    {{"submit", "hash", "--lines", "--wait"}, "--lines"},
    {{"list", "--state", "sleepy"}, "no state 'sleepy'"},
    {{"list", "--limit", "0"}, "--limit"},
    {{"logs", "j", "--attempt", "0"}, "--attempt"},
};

static void test_refuses(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct args a;
		struct err err;

		if (parse(&a, refused[i].words, &err) == 0)
			fail_msg("row %zu was taken", i);
		if (!strstr(err.text, refused[i].error))
			fail_msg("row %zu: '%s' does not say '%s'", i, err.text, refused[i].error);
	}
}

static void test_rows_are_unambiguous(void **state UNUSED)
{
	for (size_t i = 0; i < args_noptions; i++) {
		for (size_t k = 0; k < i; k++) {
			assert_string_not_equal(args_options[i].name, args_options[k].name);
			assert_false(args_options[i].letter &&
				     args_options[i].letter == args_options[k].letter);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_options_stand_anywhere),
	    cmocka_unit_test(test_a_body_may_look_like_anything),
	    cmocka_unit_test(test_help_and_version_need_nothing_else),
	    cmocka_unit_test(test_wait_timeout_waits),
	    cmocka_unit_test(test_refuses),
	    cmocka_unit_test(test_rows_are_unambiguous),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
