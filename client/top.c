/* SPDX-License-Identifier: MIT */
/*
 * One loop: ask the node when it is time, draw, wait for an answer or a key. Nothing in it blocks,
 * so keys work while the node is slow, hangs or is gone. What is asked is in topnode, what is
 * listed in toprows, how it looks in topview; here is what keys do.
 */
#include "client/top.h"

#include <poll.h>

#include "client/curses.h"
#include "client/topnode.h"
#include "client/toppage.h"
#include "client/topview.h"
#include "lib/base/clock.h"

#define INTERVAL_MS 1000
#define WAKE_MS                                                                                    \
	250 /* a change of the screen's size between two waits is seen after this at the latest */
#define MESSAGE_MS 8000
#define INPUT_BYTES 256
#define PATH_BYTES_MAX 4096

enum asking { ASK_NOTHING, ASK_WORKERS, ASK_JOB };

struct top {
	struct curses *curses;
	struct topnode node;
	struct topview view;
	struct sheet sheet;
	struct toprate_book rates;
	int64_t interval_ms, next_ms; /* clock_mono_ms() */
	char *message;
	int64_t message_ms;
	enum asking asking;
	char *about; /* the pool whose workers are asked for */
	char *prompt;
	char input[INPUT_BYTES];
	struct toppage page;
	bool quit;
};

/* --- what is said ----------------------------------------------------------------------------- */

static void say(struct top *t, bool bad, char *text)
{
	free(t->message);
	t->message = text;
	t->message_ms = clock_mono_ms();
	t->view.message_bad = bad;
}

static void hush(struct top *t)
{
	free(t->message);
	t->message = NULL;
}

/* "/v1/KIND/NAME" + tail + a parameter. A fresh string. */
static char *path_of(
    const char *kind, const char *name, const char *tail, const char *parameter, const char *value)
{
	struct buf path;
	char *text;

	buf_init(&path, PATH_BYTES_MAX);
	buf_addf(&path, "/v1/%s/", kind);
	http_encode(&path, slice_str(name));
	buf_adds(&path, tail);
	http_query(&path, parameter, value && *value ? value : NULL);
	text = slice_dup(buf_slice(&path));
	buf_free(&path);
	return text;
}

static void order(struct top *t, char *path)
{
	if (!topnode_ask(&t->node, TOPNODE_ORDER, "POST", path))
		say(t, true, xstrdup("the last order is not answered yet"));
}

/* --- rows ------------------------------------------------------------------------------------- */

static const struct toprows_row *chosen(const struct top *t, enum toprows_pane which)
{
	const struct topview_pane *p = &t->view.panes[which];

	return p->at < p->rows.n ? &p->rows.v[p->at] : NULL;
}

/* Sorts a pane anew, and leaves the mark on the row of that name. */
static void arrange(struct top *t, enum toprows_pane which, const char *name, const char *job)
{
	struct topview_pane *p = &t->view.panes[which];

	toprows_sort(&p->rows, which, p->order, p->reverse);
	p->at = toprows_find(&p->rows, name, job, p->at);
}

/* The names of a row, which outlive what it points to. */
static void names_of(const struct toprows_row *row, char **ret_name, char **ret_job)
{
	*ret_name = row ? xstrdup(row->name) : NULL;
	*ret_job = xstrdup(row ? row->job : "");
}

/* Rows must not outlive the JSON: topnode_wait() has freed what they pointed to, but for the names
 * that are kept. */
static void refill(
    struct top *t, enum toprows_pane which, const struct json *answer, char *const *names)
{
	struct topview_pane *p = &t->view.panes[which];
	bool changes = which == TOPROWS_CHANGES;

	toprows_fill(&p->rows, which, answer);
	if (which == TOPROWS_QUEUES)
		toprows_rate(&p->rows, &t->rates, clock_mono_ms());
	/* Changes have no names of their own: the mark stays where it is. */
	arrange(t, which, changes ? NULL : names[0], names[1]);
}

/* Takes what came in, if it did. */
static enum topnode_ask wait_for_answer(struct top *t, int timeout_ms)
{
	char *names[TOPROWS_PANES][2];
	enum topnode_ask which;

	for (enum toprows_pane i = 0; i < TOPROWS_PANES; i++)
		names_of(chosen(t, i), &names[i][0], &names[i][1]);
	which = topnode_wait(&t->node, STDIN_FILENO, timeout_ms);
	for (enum toprows_pane i = 0; i < TOPROWS_PANES; i++) {
		bool queues = i == TOPROWS_QUEUES;

		if (which == (queues ? TOPNODE_QUEUES : TOPNODE_POOLS))
			refill(t, i, queues ? t->node.queues : t->node.pools, names[i]);
		free(names[i][0]);
		free(names[i][1]);
	}
	return which;
}

/* --- pages ------------------------------------------------------------------------------------ */

static void close_page(struct top *t)
{
	toppage_close(&t->page);
	t->view.page_offset = 0;
}

/* Takes title and path; the page shows when the answer is there. */
static void open_page(struct top *t, enum toppage_kind kind, char *title, char *path)
{
	toppage_open(&t->page, kind, title, path);
	t->view.page_offset = 0;
	if (path)
		topnode_ask(&t->node, TOPNODE_PAGE, "GET", xstrdup(path));
}

static void take_page(struct top *t)
{
	char *error = NULL;
	struct json *j = topnode_take(&t->node, TOPNODE_PAGE, &error);

	if (t->page.path && j) {
		toppage_take(&t->page, j);
		return;
	}
	json_free(j);
	if (!t->page.path) {
		free(error);
		return;
	}
	say(t, true, error);
	if (!t->page.json)
		close_page(t);
}

static void look_at_job(struct top *t, const char *id, const char *queue)
{
	open_page(t, TOPPAGE_JOB, xasprintf("job %s", id), path_of("jobs", id, "", "queue", queue));
}

static void look_at_pool(struct top *t, const char *name)
{
	open_page(t, TOPPAGE_POOL, xasprintf("pool %s", name),
	    path_of("pools", name, "/changes", "limit", NULL));
}

/* --- what keys do ----------------------------------------------------------------------------- */

static void do_quit(struct top *t)
{
	t->quit = true;
}

static void do_help(struct top *t)
{
	open_page(t, TOPPAGE_HELP, xstrdup("skep top: keys"), NULL);
}

static void do_next(struct top *t)
{
	t->view.focus = (t->view.focus + 1) % TOPROWS_PANES;
}

static void do_before(struct top *t)
{
	t->view.focus = (t->view.focus + TOPROWS_PANES - 1) % TOPROWS_PANES;
}

static void rearrange(struct top *t)
{
	auto_free char *name = NULL, *job = NULL;

	names_of(chosen(t, t->view.focus), &name, &job);
	arrange(t, t->view.focus, name, job);
}

static void do_sort(struct top *t)
{
	struct topview_pane *p = &t->view.panes[t->view.focus];

	p->order = toprows_order(t->view.focus, p->order + 1) ? p->order + 1 : 0;
	rearrange(t);
}

static void do_reverse(struct top *t)
{
	struct topview_pane *p = &t->view.panes[t->view.focus];

	p->reverse = !p->reverse;
	rearrange(t);
}

static void do_pause(struct top *t)
{
	const struct toprows_row *row = chosen(t, TOPROWS_QUEUES);
	bool paused = false;

	if (!row)
		return;
	json_get_bool(row->item, "paused", &paused);
	order(t, path_of("queues", row->name, paused ? "/resume" : "/pause", "", NULL));
}

static void ask(struct top *t, enum asking asking, char *about, char *prompt)
{
	free(t->about);
	free(t->prompt);
	t->asking = asking;
	t->about = about;
	t->prompt = prompt;
	t->input[0] = '\0';
	hush(t);
}

static void do_workers(struct top *t)
{
	const struct toprows_row *row = chosen(t, TOPROWS_POOLS);

	if (row)
		ask(t, ASK_WORKERS, xstrdup(row->name),
		    xasprintf("workers of pool %s (8, 2..16, auto):", row->name));
}

static void do_job_by_id(struct top *t)
{
	ask(t, ASK_JOB, NULL, xstrdup("id of the job:"));
}

static void do_look(struct top *t)
{
	bool pool = t->view.focus == TOPROWS_POOLS || t->view.focus == TOPROWS_CHANGES;
	const struct toprows_row *row = chosen(t, pool ? t->view.focus : TOPROWS_WORKERS);

	if (row && pool)
		look_at_pool(t, row->name);
	else if (row && row->run)
		look_at_job(t, row->job, cli_text(row->run, "queue", ""));
	else if (row)
		say(t, false, xasprintf("worker %s runs nothing now", row->name));
	else
		say(t, false, xstrdup("there is nothing to look at"));
}

static void do_refresh(struct top *t)
{
	t->next_ms = 0;
}

static const struct binding {
	int key;
	void (*act)(struct top *t);
} bindings[] = {
    {'q', do_quit},
    {'h', do_help},
    {'?', do_help},
    {CURSES_TAB, do_next},
    {CURSES_BACK_TAB, do_before},
    {'s', do_sort},
    {'r', do_reverse},
    {'p', do_pause},
    {'w', do_workers},
    {'i', do_job_by_id},
    {CURSES_ENTER, do_look},
    {' ', do_refresh},
};

/* Where a key moves to in a list of n; `at` if it moves nothing. */
static size_t moved(int key, size_t at, size_t n, size_t step)
{
	size_t last = n ? n - 1 : 0;

	switch (key) {
	case CURSES_UP:
	case 'k':
		return at ? at - 1 : 0;
	case CURSES_DOWN:
	case 'j':
		return at < last ? at + 1 : last;
	case CURSES_PAGE_UP:
		return at > step ? at - step : 0;
	case CURSES_PAGE_DOWN:
		return at + step < last ? at + step : last;
	case CURSES_HOME:
		return 0;
	case CURSES_END:
		return last;
	}
	return at;
}

static size_t half_a_screen(const struct top *t)
{
	return t->view.lines > 4 ? t->view.lines / 2 : 1;
}

static void on_list_key(struct top *t, int key)
{
	struct topview_pane *p = &t->view.panes[t->view.focus];

	hush(t);
	p->at = moved(key, p->at, p->rows.n, half_a_screen(t));
	for (size_t i = 0; i < ARRAY_SIZE(bindings); i++) {
		if (bindings[i].key == key)
			bindings[i].act(t);
	}
}

static void on_page_key(struct top *t, int key)
{
	/* topview_draw() brings an offset behind the end back. */
	t->view.page_offset = moved(key, t->view.page_offset, SIZE_MAX / 2, half_a_screen(t));
	if (key == 'q' || key == CURSES_ESCAPE || key == CURSES_ENTER || key == 'h')
		close_page(t);
	else if (key == ' ')
		t->next_ms = 0;
}

static void answered(struct top *t)
{
	enum asking asking = t->asking;

	t->asking = ASK_NOTHING;
	if (!t->input[0])
		return;
	if (asking == ASK_WORKERS)
		order(t, path_of("pools", t->about, "/scale", "workers", t->input));
	else
		look_at_job(t, t->input, NULL);
}

static void on_input_key(struct top *t, int key)
{
	size_t n = strlen(t->input);

	if (key == CURSES_ENTER) {
		answered(t);
	} else if (key == CURSES_ESCAPE) {
		t->asking = ASK_NOTHING;
	} else if (key == CURSES_ERASE && n) {
		t->input[n - 1] = '\0';
	} else if (key > 0 && n + 1 < sizeof t->input) {
		t->input[n] = (char)key;
		t->input[n + 1] = '\0';
	}
}

static void on_key(struct top *t, int key)
{
	if (t->asking != ASK_NOTHING)
		on_input_key(t, key);
	else if (t->page.kind != TOPPAGE_NONE)
		on_page_key(t, key);
	else
		on_list_key(t, key);
}

/* --- the loop --------------------------------------------------------------------------------- */

/* The answer tells what is so now: {"queue", "state"} or {"pool", "workers"}. */
static void take_order(struct top *t)
{
	char *error = NULL;
	struct json *j = topnode_take(&t->node, TOPNODE_ORDER, &error);

	if (!j)
		say(t, true, error);
	else if (json_get_str(j, "queue"))
		say(t, false,
		    xasprintf(
			"queue %s is %s", cli_text(j, "queue", ""), cli_text(j, "state", "?")));
	else
		say(t, false,
		    xasprintf("pool %s: %s workers", cli_text(j, "pool", "?"),
			cli_text(j, "workers", "?")));
	json_free(j);
	t->next_ms = 0;
}

static void look_when_due(struct top *t)
{
	int64_t now_ms = clock_mono_ms();

	if (now_ms < t->next_ms)
		return;
	t->next_ms = now_ms + t->interval_ms;
	topnode_look(&t->node);
	if (t->page.path && !t->node.slots[TOPNODE_PAGE].busy)
		topnode_ask(&t->node, TOPNODE_PAGE, "GET", xstrdup(t->page.path));
}

static void draw(struct top *t)
{
	struct topview *v = &t->view;
	const struct toprate *rate = toprate_named(&t->rates, "");
	auto_free char *text = NULL;

	if (t->message && clock_mono_ms() - t->message_ms > MESSAGE_MS)
		hush(t);
	curses_size(t->curses, &v->lines, &v->columns);
	text = toppage_text(&t->page, v->columns, clock_wall_ms());
	v->page = text;
	v->page_title = t->page.title;
	v->health = t->node.health;
	v->trouble = t->node.trouble;
	v->seen_ms = t->node.seen_ms;
	v->now_ms = clock_wall_ms();
	v->rated = toprate_of(rate, &v->done, &v->failed);
	v->message = t->message;
	v->prompt = t->asking != ASK_NOTHING ? t->prompt : NULL;
	v->input = t->input;
	topview_draw(v, &t->sheet);
	curses_show(t->curses, &t->sheet, v->prompt ? t->sheet.n - 1 : SIZE_MAX);
}

/* The terminal is gone: a closed window, a connection that ended. */
static bool hung_up(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&in, 1, 0) > 0 && (in.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static void run(struct top *t)
{
	while (!t->quit && !hung_up()) {
		enum topnode_ask which;
		int64_t left_ms;
		int key;

		look_when_due(t);
		draw(t);
		left_ms = t->next_ms - clock_mono_ms();
		left_ms = left_ms < 0 ? 0 : left_ms < WAKE_MS ? left_ms : WAKE_MS;
		which = wait_for_answer(t, (int)left_ms);
		if (which == TOPNODE_PAGE)
			take_page(t);
		else if (which == TOPNODE_ORDER)
			take_order(t);
		while (!t->quit && (key = curses_key(t->curses)) != CURSES_NONE)
			on_key(t, key);
	}
}

static void close_all(struct top *t)
{
	curses_close(t->curses);
	close_page(t);
	topnode_close(&t->node);
	for (enum toprows_pane i = 0; i < TOPROWS_PANES; i++)
		toprows_free(&t->view.panes[i].rows);
	toprate_forget(&t->rates);
	sheet_free(&t->sheet);
	free(t->message);
	free(t->about);
	free(t->prompt);
}

int top_command(struct cli *cli)
{
	struct http_call first = {.request = {.method = "GET", .path = "/healthz"}};
	struct top t = {.interval_ms = cli->args.interval_ms};
	struct err err = {0};
	int code = CLI_OK;

	if (cli->args.json || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		cli_complain(
		    "top needs a terminal; for programs there are 'skep --json pools' and "
		    "'skep --json queues', without colours 'skep pools' and 'skep queues'");
		return CLI_USAGE;
	}
	if (t.interval_ms < 0)
		t.interval_ms = INTERVAL_MS;
	/* A wrong socket is told as by all commands. Later the node may come and go. */
	if (cli_call(cli, &first, false, &code))
		http_call_free(&first);
	if (code != CLI_OK)
		return code;
	topnode_open(&t.node, cli->http);
	t.curses = curses_open(cli->screen.colors, &err);
	if (t.curses)
		run(&t);
	close_all(&t);
	if (err.code) {
		cli_complain("%s; see 'skep pools' and 'skep queues'", err.text);
		return CLI_USAGE;
	}
	return CLI_OK;
}
