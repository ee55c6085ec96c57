/* SPDX-License-Identifier: MIT */
#include "lib/base/log.h"

#include <errno.h>
#include <stdarg.h>

#include "lib/base/clock.h"

#define LOG_LINE_BYTES 2048

static const char *const level_names[] = {"error", "warn ", "info ", "debug"};
static const int level_priorities[] = {3, 4, 6, 7}; /* sd-daemon(3) */

static struct {
	const char *name;
	enum log_level level;
	bool journal;
} sink = {"skep", LOG_INFO, false};

void log_open(const char *name, enum log_level level)
{
	sink.name = name;
	sink.level = level;
	sink.journal = getenv("JOURNAL_STREAM") != NULL;
}

int log_level_parse(const char *word, enum log_level *ret_level)
{
	static const char *const words[] = {"error", "warn", "info", "debug"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(word, words[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Control characters from outside (a broker's text, a job's id) must not forge lines. */
static void blank_controls(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = ' ';
	}
}

static void write_line(enum log_level level, const char *fmt, va_list ap)
{
	char line[LOG_LINE_BYTES];
	char stamp[CLOCK_RFC3339_BYTES];
	int n;

	if (sink.journal)
		n = snprintf(line, sizeof line, "<%d>%s[%d] ", level_priorities[level], sink.name,
		    (int)getpid());
	else
		n = snprintf(line, sizeof line, "%s %s %s[%d] ",
		    clock_rfc3339(stamp, clock_wall_ms()), level_names[level], sink.name,
		    (int)getpid());
	vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
	blank_controls(line);
	n = (int)strlen(line);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nowhere left to say it */
}

void log_write(enum log_level level, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (level > sink.level)
		return;
	va_start(ap, fmt);
	write_line(level, fmt, ap);
	va_end(ap);
	errno = saved;
}

_Noreturn void log_fatal(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(LOG_ERROR, fmt, ap);
	va_end(ap);
	_exit(code);
}
