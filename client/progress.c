/* SPDX-License-Identifier: MIT */
#include "client/progress.h"

#include <stdio.h>

#include "lib/base/clock.h"

#define FIRST_MS 300 /* what is done sooner needs no bar */
#define DRAW_MS 100
#define BAR_COLUMNS 40
#define TEXT_BYTES 400

void progress_start(struct progress *p, bool no_color)
{
	int64_t now_ms = clock_mono_ms();

	*p = (struct progress){.screen = screen_of(STDERR_FILENO, no_color),
	    .began_ms = now_ms,
	    .drawn_ms = now_ms + FIRST_MS - DRAW_MS};
}

void progress_text(
    char *buf, size_t cap, size_t columns, uint64_t done, double part, int64_t passed_ms)
{
	double rate = passed_ms > 0 ? (double)done * 1000 / (double)passed_ms : 0;
	char bar[BAR_COLUMNS * 3 + 1] = "";
	int used, room = columns > 50 ? BAR_COLUMNS : 0;

	if (part < 0) {
		snprintf(buf, cap, "%llu jobs, %.0f/s", (unsigned long long)done, rate);
		return;
	}
	part = part > 1 ? 1 : part;
	room = (int)columns - 40 < room ? (int)columns - 40 : room;
	used = 0;
	for (int i = 0; i < room; i++)
		used += snprintf(
		    bar + used, sizeof bar - (size_t)used, "%s", i < part * room ? "█" : "░");
	snprintf(buf, cap, "%s%s%3.0f%%  %llu jobs, %.0f/s", bar, used ? " " : "", part * 100,
	    (unsigned long long)done, rate);
}

void progress_update(struct progress *p, uint64_t done, double part)
{
	int64_t now_ms = clock_mono_ms();
	char text[TEXT_BYTES];

	if (!p->screen.columns || now_ms - p->drawn_ms < DRAW_MS)
		return;
	progress_text(text, sizeof text, p->screen.columns, done, part, now_ms - p->began_ms);
	fprintf(stderr, "\r%s\033[K", text);
	fflush(stderr);
	p->drawn_ms = now_ms;
	p->shown = true;
}

void progress_clear(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}
