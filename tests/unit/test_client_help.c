/* links: client/help.c client/cli.c client/http.c client/socket.c client/args.c client/screen.c client/text.c */
/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>

#include "client/help.h"

#define MANY INT_MAX
#define MANUAL "docs/man/skep.1"
#define BEGIN ".\\\" begin: help_man() of client/help.c\n"
#define END ".\\\" end\n"
#define EXPECTED "build/skep.1.commands" /* what belongs there, to be pasted */

static const struct command commands[COMMAND_COUNT] = {
#define COMMAND(name, function, ...) [COMMAND_##name] = {#name, NULL, __VA_ARGS__},
#include "client/commands.def"
};

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = xcalloc(1, 1 << 20);

	if (!f || fread(text, 1, (1 << 20) - 1, f) == 0)
		fail_msg("cannot read %s (tests run in the root of the sources)", path);
	fclose(f);
	return text;
}

static void test_manual_has_every_command(void **state UNUSED)
{
	auto_free char *manual = read_file(MANUAL), *expected = NULL;
	char *begin = strstr(manual, BEGIN), *end = begin ? strstr(begin, END) : NULL;
	size_t n = 0;
	FILE *out = open_memstream(&expected, &n);

	help_man(commands, out);
	fclose(out);
	if (end)
		*end = '\0';
	if (end && strcmp(begin + strlen(BEGIN), expected) == 0)
		return;
	out = fopen(EXPECTED, "we");
	if (out) {
		fputs(expected, out);
		fclose(out);
	}
	fail_msg(
	    "%s differs from client/commands.def: what belongs there is in %s", MANUAL, EXPECTED);
}

/* No line of help is wider than the screen, and none is lost. */
static void test_help_fits_the_screen(void **state UNUSED)
{
	static const size_t widths[] = {60, 80, 100, 200};

	for (size_t w = 0; w < ARRAY_SIZE(widths); w++) {
		for (int i = 0; i < COMMAND_COUNT; i++) {
			auto_free char *text = NULL;
			size_t n = 0;
			FILE *out = open_memstream(&text, &n);

			help_explain(commands, &commands[i], widths[w], out);
			fclose(out);
			for (char *line = text; *line; line += strcspn(line, "\n") + 1)
				assert_true(strcspn(line, "\n") <= widths[w]);
			assert_non_null(strstr(text, commands[i].arguments));
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_manual_has_every_command),
	    cmocka_unit_test(test_help_fits_the_screen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
