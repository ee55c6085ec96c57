/* SPDX-License-Identifier: MIT */
#include "client/screen.h"

#include <sys/ioctl.h>

#define COLUMNS_UNKNOWN 80

struct screen screen_of(int fd, bool no_color)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
	struct screen s = {0};
	struct winsize size;

	if (!isatty(fd))
		return s;
	s.columns =
	    ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : COLUMNS_UNKNOWN;
	s.colors = !no_color && !(none && *none) && !(term && strcmp(term, "dumb") == 0);
	return s;
}

const char *screen_paint(const struct screen *s, enum paint paint)
{
	static const char *const codes[] = {
	    [PAINT_NONE] = "\033[0m",
	    [PAINT_HEAD] = "\033[1m",
	    [PAINT_GOOD] = "\033[32m",
	    [PAINT_BAD] = "\033[31m",
	    [PAINT_BUSY] = "\033[36m",
	    [PAINT_WAIT] = "\033[33m",
	    [PAINT_DIM] = "\033[2m",
	};

	return s->colors ? codes[paint] : "";
}

enum paint screen_state_paint(const char *state)
{
	static const struct {
		const char *name;
		enum paint paint;
	} paints[] = {
	    {"running", PAINT_BUSY},
	    {"retrying", PAINT_WAIT},
	    {"done", PAINT_GOOD},
	    {"dead", PAINT_BAD},
	    {"cancelled", PAINT_DIM},
	    {"expired", PAINT_DIM},
	    {"retry", PAINT_WAIT},
	    {"lost", PAINT_BAD},
	    {"released", PAINT_DIM},
	    {"duplicate", PAINT_DIM},
	};

	for (size_t i = 0; state && i < ARRAY_SIZE(paints); i++) {
		if (strcmp(paints[i].name, state) == 0)
			return paints[i].paint;
	}
	return PAINT_NONE;
}
