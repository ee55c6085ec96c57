/* SPDX-License-Identifier: MIT */
#include "client/topview.h"

#include "client/cli.h"
#include "client/table.h"
#include "client/text.h"

#define INDENT 2	 /* room for the mark */
#define HEADING 1	 /* lines of a pane's heading */
#define GAP 1		 /* the blank line behind a pane */
#define COLUMNS_ROOMY 70 /* so wide a screen shows every column, cut if need be */
#define CHANGES_MOST 5	 /* rows of changes, unless they are in focus */

const char topview_help[] =
    "Tab, Shift-Tab      the next list, the one before\n"
    "Up, Down, j, k      choose a row (marked with >); PgUp, PgDn, Home, End\n"
    "s                   sort the list by the next order; r: the other way round\n"
    "p                   pause the queue that is marked, or resume it\n"
    "w                   set the workers of the pool that is marked: 8, 2..16, or auto\n"
    "Enter               of a pool or a change: why it has so many workers; otherwise: the job that runs\n"
    "i                   look at a job by its id\n"
    "Space               ask the node now\n"
    "h, ?                this help\n"
    "q                   leave a text (so does Escape); leave\n"
    "\n"
    "Each list has a row that is marked; the list that the keys move in is shown inverse. p takes the\n"
    "marked queue and w the marked pool, whichever list that is.\n"
    "\n"
    "POOLS    NOW: workers there are. RANGE: between which the pool follows its work, with a * where\n"
    "         skep scale has overruled the configuration. WANTED: the target, and WHY.\n"
    "QUEUES   WAITING: ready to start. DONE/S and FAILED/S: runs a second that ended so, lately.\n"
    "WORKERS  FOR: how long the run has taken so far.\n"
    "CHANGES  of how many workers are wanted, the last ones, with the reason.";

/* --- layout ----------------------------------------------------------------------------------- */

/* One more line for a pane that wants it. */
static bool grow(size_t *left, size_t wanted, size_t *size)
{
	if (!*left || *size >= wanted)
		return false;
	++*size;
	--*left;
	return true;
}

void topview_layout(size_t lines, const size_t wanted[static TOPROWS_PANES],
    enum toprows_pane focus, size_t ret[static TOPROWS_PANES])
{
	const size_t least = HEADING + 1 + GAP;
	size_t left = lines;
	bool grown = true;

	for (size_t i = 0; i < TOPROWS_PANES; i++)
		ret[i] = 0;
	ret[focus] = wanted[focus] < least ? wanted[focus] : least;
	ret[focus] = ret[focus] < left ? ret[focus] : left;
	left -= ret[focus];
	for (size_t i = 0; i < TOPROWS_PANES; i++) {
		size_t few = wanted[i] < least ? wanted[i] : least;

		if (i == focus || few > left)
			continue;
		ret[i] = few;
		left -= few;
	}
	while (grown) {
		grown = false;
		for (size_t i = 0; i < TOPROWS_PANES; i++) {
			if (ret[i])
				grown |= grow(&left, wanted[i], &ret[i]);
		}
	}
}

/* The rows that are shown of a pane of so many lines: the chosen one is among them. */
static size_t scroll(struct topview_pane *p, size_t lines)
{
	size_t n = lines > HEADING ? lines - HEADING : 0;

	n = n < p->rows.n ? n : p->rows.n;
	if (p->at < p->offset)
		p->offset = p->at;
	if (n && p->at >= p->offset + n)
		p->offset = p->at - n + 1;
	if (p->offset + n > p->rows.n)
		p->offset = p->rows.n - n;
	return n;
}

/* --- panes ------------------------------------------------------------------------------------ */

static void add_number(struct table *t, const struct json *object, const char *key)
{
	int64_t value = cli_number(object, key, -1);

	if (value >= 0)
		table_addf(t, "%lld", (long long)value);
	else
		table_add(t, "?", PAINT_DIM);
}

static void add_rate(struct table *t, bool rated, double rate, enum paint paint)
{
	auto_free char *text = xasprintf(rate < 9.95 ? "%.1f" : "%.0f", rate);

	table_add(t, rated ? text : "?", !rated ? PAINT_DIM : rate > 0 ? paint : PAINT_NONE);
}

static void add_age(struct table *t, int64_t since_ms, int64_t now_ms)
{
	char text[TEXT_SHORT];
	int64_t ms = now_ms > since_ms ? now_ms - since_ms : 0;

	table_add(t, since_ms ? text_ms(text, (double)ms) : NULL, PAINT_NONE);
}

static void add_pool(struct table *t, const struct toprows_row *r, int64_t now_ms UNUSED)
{
	int64_t least = cli_number(r->item, "min", 0), most = cli_number(r->item, "max", 0);
	int64_t alive = cli_number(r->item, "alive", -1),
		target = cli_number(r->item, "target", -1);
	bool asked = false;

	json_get_bool(r->item, "asked", &asked);
	table_add(t, r->name, PAINT_NONE);
	add_number(t, r->item, "alive");
	if (least == most)
		table_addf(t, "%lld%s", (long long)most, asked ? "*" : "");
	else
		table_addf(t, "%lld..%lld%s", (long long)least, (long long)most, asked ? "*" : "");
	if (alive == target) {
		add_number(t, r->item, "target");
	} else {
		auto_free char *text = xasprintf("%lld", (long long)target);

		table_add(t, text, PAINT_WAIT);
	}
	add_number(t, r->item, "busy");
	add_number(t, r->item, "waiting");
	table_add(t, json_get_str(r->item, "reason"), PAINT_NONE);
}

static void add_queue(struct table *t, const struct toprows_row *r, int64_t now_ms UNUSED)
{
	bool missing = false, parked = false, paused = false;

	json_get_bool(r->item, "missing", &missing);
	json_get_bool(r->item, "parked", &parked);
	json_get_bool(r->item, "paused", &paused);
	table_add(t, r->name, PAINT_NONE);
	add_number(t, r->item, "ready");
	add_number(t, r->item, "running");
	add_number(t, r->item, "consumers");
	add_rate(t, r->rated, r->done, PAINT_GOOD);
	add_rate(t, r->rated, r->failed, PAINT_BAD);
	if (parked)
		table_add(t, "set aside after an error, see the log", PAINT_BAD);
	else if (paused)
		table_add(t, "paused", PAINT_WAIT);
	else
		table_add(t, missing ? "does not exist in the broker" : NULL, PAINT_BAD);
}

static void add_worker_state(struct table *t, const struct toprows_row *r)
{
	const char *state = cli_text(r->item, "state", "?");
	bool connected = true;

	json_get_bool(r->item, "connected", &connected);
	if (strcmp(state, "ready") != 0)
		table_add(t, state, PAINT_WAIT);
	else if (!connected)
		table_add(t, "not connected", PAINT_BAD);
	else if (r->run)
		table_add(t, "busy", PAINT_BUSY);
	else
		table_add(t, "idle", PAINT_DIM);
}

static void add_worker(struct table *t, const struct toprows_row *r, int64_t now_ms)
{
	int64_t progress = r->run ? cli_number(r->run, "progress", -1) : -1;

	table_add(t, r->name, PAINT_NONE);
	add_number(t, r->item, "pid");
	add_worker_state(t, r);
	table_add(t, r->run ? json_get_str(r->run, "type") : NULL, PAINT_NONE);
	add_age(t, r->since_ms, now_ms);
	table_add(t, r->job, PAINT_NONE);
	if (progress >= 0)
		table_addf(t, "%lld%% %s", (long long)progress, cli_text(r->run, "note", ""));
	else
		table_add(t, NULL, PAINT_NONE);
}

static void add_change(struct table *t, const struct toprows_row *r, int64_t now_ms)
{
	table_add(t, r->name, PAINT_NONE);
	add_age(t, r->since_ms, now_ms);
	add_number(t, r->item, "from");
	add_number(t, r->item, "to");
	table_add(t, json_get_str(r->item, "reason"), PAINT_NONE);
}

#define COLUMNS_MAX 8

static const struct pane {
	void (*add)(struct table *t, const struct toprows_row *r, int64_t now_ms);
	struct table_column columns[COLUMNS_MAX];
} panes[TOPROWS_PANES] = {
    [TOPROWS_POOLS] = {add_pool,
	{{"POOLS"}, {"NOW", .right = true}, {"RANGE", .right = true}, {"WANTED", .right = true},
	    {"BUSY", .right = true, .spare = 1}, {"HELD", .right = true, .spare = 2}, {"WHY"}}},
    [TOPROWS_QUEUES] = {add_queue,
	{{"QUEUES"}, {"WAITING", .right = true}, {"RUNNING", .right = true},
	    {"CONSUMERS", .right = true, .spare = 3}, {"DONE/S", .right = true, .spare = 1},
	    {"FAILED/S", .right = true, .spare = 2}, {"NOTE"}}},
    [TOPROWS_WORKERS] = {add_worker,
	{{"WORKERS"}, {"PID", .right = true, .spare = 3}, {"STATE", .spare = 2}, {"TYPE"},
	    {"FOR", .right = true, .whole = true}, {"JOB", .spare = 1}, {"PROGRESS"}}},
    [TOPROWS_CHANGES] = {add_change, {{"CHANGES"}, {"AGO", .right = true}, {"FROM", .right = true},
					 {"TO", .right = true}, {"WHY"}}},
};

static void put_piece(void *arg, enum paint paint, struct slice text)
{
	sheet_put(arg, paint, text);
}

/* "WORKERS 3-9 of 40 by time" */
static char *heading(
    const struct pane *pane, const struct topview_pane *p, size_t n, const char *order)
{
	auto_free char *part = p->offset || n < p->rows.n
				   ? xasprintf("%zu-%zu of ", p->offset + (n > 0), p->offset + n)
				   : xstrdup("");

	return xasprintf("%s %s%zu%s%s%s", pane->columns[0].title, part, p->rows.n,
	    *order ? " by " : "", order, p->reverse ? " reversed" : "");
}

static void draw_pane(struct topview *v, enum toprows_pane which, size_t lines, struct sheet *out)
{
	const struct pane *pane = &panes[which];
	struct topview_pane *p = &v->panes[which];
	size_t n = scroll(p, lines), first = out->n, columns = 0;
	auto_free char *title = heading(pane, p, n, toprows_order(which, p->order));
	struct table_column shown[COLUMNS_MAX];
	struct table *t;

	memcpy(shown, pane->columns, sizeof shown);
	shown[0].title = title;
	while (columns < COLUMNS_MAX && pane->columns[columns].title) {
		if (v->columns >= COLUMNS_ROOMY)
			shown[columns].spare = 0;
		columns++;
	}
	t = table_new(shown, columns);
	for (size_t i = 0; i < n; i++)
		pane->add(t, &p->rows.v[p->offset + i], v->now_ms);
	table_write(t, v->columns, INDENT, put_piece, out);
	table_free(t);
	if (n)
		sheet_mark(out, first + HEADING + p->at - p->offset,
		    which == v->focus ? SHEET_PICKED : SHEET_MARKED);
	else if (which == v->focus)
		sheet_mark(out, first, SHEET_MARKED);
	while (out->n < first + lines)
		sheet_end(out);
}

static void draw_panes(struct topview *v, size_t lines, struct sheet *out)
{
	size_t wanted[TOPROWS_PANES], sizes[TOPROWS_PANES];

	for (enum toprows_pane i = 0; i < TOPROWS_PANES; i++) {
		size_t n = v->panes[i].rows.n;

		if (i == TOPROWS_CHANGES && i != v->focus && n > CHANGES_MOST)
			n = CHANGES_MOST;
		wanted[i] = HEADING + n + GAP;
	}
	topview_layout(lines, wanted, v->focus, sizes);
	for (enum toprows_pane i = 0; i < TOPROWS_PANES; i++) {
		if (sizes[i])
			draw_pane(v, i, sizes[i], out);
	}
}

/* --- a text over the panes -------------------------------------------------------------------- */

static size_t count_lines(const char *text)
{
	size_t n = 1;

	for (const char *p = strchr(text, '\n'); p; p = strchr(p + 1, '\n'))
		n += p[1] != '\0';
	return n;
}

/* Its columns are kept, so it is not cleaned here: whoever made the page did. */
static void draw_page(struct topview *v, size_t lines, struct sheet *out)
{
	size_t n = count_lines(v->page), room = lines > HEADING ? lines - HEADING : 0, at = 0;

	if (v->page_offset + room > n)
		v->page_offset = n > room ? n - room : 0;
	sheet_addf(out, PAINT_HEAD, "%s", v->page_title);
	if (n > room)
		sheet_addf(out, PAINT_DIM, " (lines %zu-%zu of %zu)", v->page_offset + (room > 0),
		    v->page_offset + room, n);
	sheet_end(out);
	for (const char *p = v->page; *p && at < v->page_offset + room; at++) {
		size_t bytes = strcspn(p, "\n");

		if (at >= v->page_offset) {
			sheet_put(out, PAINT_NONE, slice_of(p, bytes));
			sheet_end(out);
		}
		p += bytes + (p[bytes] == '\n');
	}
}

/* --- the first lines and the last ------------------------------------------------------------- */

static void draw_head(const struct topview *v, struct sheet *out)
{
	const char *status = v->health ? cli_text(v->health, "status", "?") : "?";
	const char *broker = v->health ? cli_text(v->health, "broker", "?") : "?";
	const char *store = v->health ? cli_text(v->health, "store", "?") : "?";
	bool well = strcmp(status, "ok") == 0;

	sheet_add(out, PAINT_HEAD, "skep top");
	sheet_addf(out, PAINT_NONE, " %s", v->health ? cli_text(v->health, "node", "?") : "");
	sheet_addf(out,
	    v->trouble ? PAINT_BAD
	    : well     ? PAINT_GOOD
		       : PAINT_WAIT,
	    " %s", v->trouble ? "away" : status);
	if (v->rated && !v->trouble) {
		sheet_put(out, PAINT_NONE, slice_str("  "));
		sheet_addf(
		    out, PAINT_NONE, v->done < 9.95 ? "%.1f done/s" : "%.0f done/s", v->done);
		sheet_put(out, PAINT_NONE, slice_str("  "));
		sheet_addf(out, v->failed > 0 ? PAINT_BAD : PAINT_NONE,
		    v->failed < 9.95 ? "%.1f failed/s" : "%.0f failed/s", v->failed);
	}
	sheet_put(out, PAINT_NONE, slice_str("  "));
	sheet_addf(out, PAINT_DIM, "broker %s, store %s, skepd %s", broker, store,
	    v->health ? cli_text(v->health, "version", "?") : "?");
	sheet_end(out);
}

static void draw_trouble(const struct topview *v, struct sheet *out)
{
	char ago[TEXT_SHORT];
	int64_t ms = v->now_ms > v->seen_ms ? v->now_ms - v->seen_ms : 0;

	sheet_addf(out, PAINT_BAD, "skepd does not answer for %s: %s; it is asked again",
	    text_ms(ago, (double)ms), v->trouble);
	sheet_end(out);
}

static void draw_foot(const struct topview *v, struct sheet *out)
{
	if (v->prompt) {
		sheet_addf(out, PAINT_HEAD, "%s ", v->prompt);
		sheet_put(out, PAINT_NONE, slice_str(v->input));
	} else if (v->message) {
		sheet_add(out, v->message_bad ? PAINT_BAD : PAINT_GOOD, v->message);
	} else if (v->page) {
		sheet_add(out, PAINT_DIM, "q back, Up, Down, PgUp, PgDn");
	} else {
		sheet_add(out, PAINT_DIM,
		    "q quit, h help, Tab list, s sort, p pause, w workers, Enter look, i job by id");
	}
	sheet_end(out);
}

void topview_draw(struct topview *v, struct sheet *out)
{
	size_t lines = v->lines > 0 ? v->lines - 1 : 0, used;

	sheet_free(out);
	if (v->trouble && lines > 0)
		draw_trouble(v, out);
	if (lines > out->n)
		draw_head(v, out);
	used = out->n;
	if (v->page && lines > used)
		draw_page(v, lines - used, out);
	else if (!v->page)
		draw_panes(v, lines - used, out);
	while (out->n < lines)
		sheet_end(out);
	draw_foot(v, out);
}
