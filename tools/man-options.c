/* SPDX-License-Identifier: MIT */
/*
 * Makes a manual page from its source: a line `@SECTION@` becomes the list of that section's
 * options, from lib/conf/options.def. Runs while skep is built; the pages are mdoc(7).
 */
#include <stdio.h>
#include <string.h>

struct row {
	const char *section, *name, *type, *fallback, *doc;
};

static const struct row rows[] = {
#define DAEMON_OPTION(name, type, fallback, least, most, doc)                                      \
	{"daemon", #name, #type, fallback, doc},
#define BROKER_OPTION(name, type, fallback, least, most, doc)                                      \
	{"broker", #name, #type, fallback, doc},
#define STORE_OPTION(name, type, fallback, least, most, doc) {"store", #name, #type, fallback, doc},
#define POOL_OPTION(name, type, fallback, least, most, doc) {"pool", #name, #type, fallback, doc},
#define QUEUE_OPTION(name, type, fallback, least, most, doc) {"queue", #name, #type, fallback, doc},
#define HANDLER_OPTION(name, type, fallback, least, most, doc)                                     \
	{"handler", #name, #type, fallback, doc},
#include "lib/conf/options.def"
};

#define ROWS (sizeof rows / sizeof rows[0])

/* What a reader is to put there, for the types of options.def. */
static const char *value_word(const char *type)
{
	static const struct {
		const char *type, *word;
	} words[] = {{"TEXT", "text"}, {"PATH", "path"}, {"WORDS", "names"}, {"URLS", "urls"},
	    {"INT", "number"}, {"AUTO", "auto|number"}, {"RANGE", "number|range"},
	    {"BOOL", "yes|no"}, {"DURATION", "duration"}, {"SIZE", "size"},
	    {"LEVEL", "level"}, {"TOPOLOGY", "declare|passive|none"},
	    {"QUEUE_TYPE", "quorum|classic"}, {"SCALE", "target_wait|queue_depth|fixed"},
	    {"BACKOFF", "backoff"}, {"EXITS", "codes"},
	    {"COMMAND", "command"}, {"ENV", "assignments"}};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strcmp(words[i].type, type) == 0)
			return words[i].word;
	}
	return NULL;
}

/* Text that troff takes as it stands. */
static void put_text(const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else
			putchar(*text);
	}
	putchar('\n');
}

static int put_section(const char *section)
{
	int found = 0;

	puts(".Bl -tag -width Ds");
	for (size_t i = 0; i < ROWS; i++) {
		const char *word = value_word(rows[i].type);

		if (strcmp(rows[i].section, section) != 0)
			continue;
		if (!word) {
			fprintf(
			    stderr, "man-options: there is no word for type %s\n", rows[i].type);
			return -1;
		}
		printf(".It Ic %s = Ar %s\n", rows[i].name, word);
		if (*rows[i].fallback)
			printf("Default:\n.Ql %s .\n", rows[i].fallback);
		put_text(rows[i].doc);
		found = 1;
	}
	puts(".El");
	if (!found)
		fprintf(stderr, "man-options: there is no section '%s'\n", section);
	return found ? 0 : -1;
}

int main(void)
{
	char line[1024];

	while (fgets(line, sizeof line, stdin)) {
		char *end = line[0] == '@' ? strchr(line + 1, '@') : NULL;

		if (!end) {
			fputs(line, stdout);
			continue;
		}
		*end = '\0';
		if (put_section(line + 1) < 0)
			return 1;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
