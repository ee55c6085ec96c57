/* SPDX-License-Identifier: MIT */
/*
 * How the screen of `skep top` looks: from rows and sizes to a sheet. Nothing here asks the node or
 * the terminal.
 */
#ifndef SKEP_CLIENT_TOPVIEW_H
#define SKEP_CLIENT_TOPVIEW_H

#include "client/sheet.h"
#include "client/toprows.h"

struct topview_pane {
	struct toprows rows;
	size_t at;	/* the row that is chosen */
	size_t offset;	/* the first row that is shown; kept by topview_draw() */
	unsigned order; /* toprows_order() */
	bool reverse;
};

struct topview {
	size_t lines, columns; /* of the terminal */
	struct topview_pane panes[TOPROWS_PANES];
	enum toprows_pane focus;
	const struct json *health; /* GET /healthz; NULL: not known yet */
	const char *trouble;	   /* why the node does not answer; NULL: it does */
	int64_t seen_ms, now_ms;   /* wall clock: when it answered last, now */
	bool rated;
	double done, failed; /* of the node, a second */
	const char *message; /* what became of the last key; NULL: keys are shown */
	bool message_bad;
	const char *prompt, *input; /* what is asked for, and typed; NULL: nothing is */
	/* A text over the panes: the help, a job. NULL: none. */
	const char *page_title, *page;
	size_t page_offset; /* kept within the text by topview_draw() */
};

/* How many lines each pane gets of `lines`: what it wants (its heading, its rows, and a blank
 * line), or less; 0: it is not shown. The one in focus comes first, then the others in their order,
 * with a row each before any has two. */
void topview_layout(size_t lines, const size_t wanted[static TOPROWS_PANES],
    enum toprows_pane focus, size_t ret[static TOPROWS_PANES]);

/* Draws all of it; the last line is that of keys, messages and input. */
void topview_draw(struct topview *v, struct sheet *out);

extern const char topview_help[];

#endif
