/* SPDX-License-Identifier: MIT */
/*
 * Lines become batches of NDJSON, a few of which are under way at a time. They are finished in
 * order: the ring below holds them, the oldest at `head`, and reading stops while it is full. A
 * batch whose connection broke is sent again as it is; the ids in it are ours, so what was accepted
 * already is not submitted twice. A batch is sent before it is full when the next line is not there
 * yet, so that a slow producer's jobs do not wait for each other.
 */
#include "client/lines.h"

#include <errno.h>
#include <fcntl.h>

#include "client/input.h"
#include "client/progress.h"
#include "client/submit.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"

#define BATCH_JOBS 256
#define BATCH_BYTES (1UL << 20) /* a batch that has reached this takes no further line */
#define BATCH_BYTES_MAX (6 * INPUT_LINE_BYTES_MAX + 2 * BATCH_BYTES) /* the longest line, escaped  \
								      */
#define BATCHES 4
#define COMPLAINTS_MAX 10

struct batch {
	struct http_call call;
	struct buf text;
	char ids[BATCH_JOBS][ID_TEXT_BYTES];
	uint64_t first_line;
	size_t njobs;
	int64_t deadline_ms;
	bool done;
};

struct lines {
	struct cli *cli;
	struct input input;
	struct batch *batches; /* BATCHES of them */
	size_t head, count;
	struct progress progress;
	uint64_t read, accepted, failed;
	bool seen;    /* skepd was there, so waiting for it makes sense: see cli_again() */
	bool stopped; /* nothing more is read */
	int code;
};

static void stop(struct lines *l, int code)
{
	l->stopped = true;
	l->code = code > l->code ? code : l->code;
}

static void complain(struct lines *l, uint64_t line, const char *error)
{
	progress_clear(&l->progress);
	if (l->failed < COMPLAINTS_MAX)
		cli_complain("line %llu: %s", (unsigned long long)line, error);
	else if (l->failed == COMPLAINTS_MAX)
		cli_complain("further lines that failed are not named");
	l->failed++;
	l->code = l->code > CLI_FAILED ? l->code : CLI_FAILED;
}

static void add_line(struct lines *l, struct batch *b, struct slice line)
{
	struct json *job;

	id_format(b->ids[b->njobs], id_new());
	job = submit_job(&l->cli->args, b->ids[b->njobs], line);
	if (json_print(job, false, &b->text) < 0 || buf_add(&b->text, "\n", 1) < 0)
		BUG("a line of %zu bytes does not fit", line.n);
	json_free(job);
	b->njobs++;
	l->read++;
}

/* Fills a batch with lines; waits for the first one if `wait`. False if there is none. */
static bool fill(struct lines *l, struct batch *b, bool wait)
{
	struct err err = {0};
	struct slice line;
	int rc = 1;

	*b = (struct batch){.first_line = l->read + 1};
	buf_init(&b->text, BATCH_BYTES_MAX);
	while (b->njobs < BATCH_JOBS && buf_size(&b->text) < BATCH_BYTES) {
		rc = input_line(&l->input, wait && b->njobs == 0, &line, &err);
		if (rc != 1)
			break;
		add_line(l, b, line);
	}
	if (rc == 0)
		l->stopped = true;
	if (rc < 0 && rc != -EAGAIN) {
		progress_clear(&l->progress);
		cli_complain("line %llu: %s", (unsigned long long)l->read + 1, err.text);
		stop(l, CLI_NO_INPUT);
	}
	if (b->njobs == 0)
		buf_free(&b->text);
	return b->njobs > 0;
}

static void send_batch(struct lines *l, struct batch *b)
{
	b->deadline_ms = clock_mono_ms() + CLI_PATIENCE_MS;
	b->call.arg = b;
	b->call.request =
	    (struct http_request){"POST", "/v1/jobs", "application/x-ndjson", buf_slice(&b->text)};
	http_start(l->cli->http, &b->call);
	l->count++;
}

/* What was said of one line. */
static void take_answer(struct lines *l, struct batch *b, size_t i, struct slice text)
{
	struct json *j = text.n ? json_parse(text, NULL) : NULL;
	const char *error = j ? json_get_str(j, "error") : "it was not answered";
	int64_t status = cli_number(j, "status", 0);

	if (error)
		complain(l, b->first_line + i, error);
	else
		l->accepted++;
	/* The store is away or its disk is full: further lines would not fare better. */
	if (error && (status == 503 || status == 507))
		stop(l, CLI_LATER);
	if (l->cli->args.json && j)
		printf(SLICE_FMT "\n", SLICE_ARG(text));
	else if (!error)
		printf("%s\n", b->ids[i]);
	json_free(j);
}

/* What the oldest batch came to. One that failed as a whole ends it all: the next would fail as
 * well. */
static void finish(struct lines *l, struct batch *b)
{
	struct slice rest = buf_slice(&b->call.body);

	if (b->call.err.code || b->call.status / 100 != 2) {
		progress_clear(&l->progress);
		if (b->call.err.code)
			cli_complain("%s; is skepd running?", b->call.err.text);
		stop(l, b->call.err.code ? CLI_UNAVAILABLE : cli_refused(&b->call, NULL));
		l->failed += b->njobs;
		return;
	}
	l->seen = true;
	progress_clear(&l->progress);
	for (size_t i = 0; i < b->njobs; i++) {
		const uint8_t *end = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;
		size_t n = end ? (size_t)(end - rest.p) : rest.n;

		take_answer(l, b, i, slice_of(rest.p, n));
		rest = slice_of(rest.p + (end ? n + 1 : n), rest.n - (end ? n + 1 : n));
	}
}

/* Waits until a batch is answered, and finishes those at the head that are. */
static void reap(struct lines *l)
{
	struct http_call *call = http_wait(l->cli->http);
	struct batch *b = call ? call->arg : NULL;

	if (!b)
		BUG("%zu batches are under way and none is", l->count);
	if (cli_again(&b->call, b->deadline_ms, &l->seen)) {
		http_call_free(&b->call);
		http_start(l->cli->http, &b->call);
		return;
	}
	for (b->done = true; l->count && l->batches[l->head].done; l->count--) {
		b = &l->batches[l->head];
		finish(l, b);
		http_call_free(&b->call);
		buf_free(&b->text);
		l->head = (l->head + 1) % BATCHES;
	}
	fflush(stdout);
}

static void show_progress(struct lines *l)
{
	double part = -1;

	if (l->input.size > 0)
		part = (double)l->input.bytes / (double)l->input.size;
	progress_update(&l->progress, l->accepted, part);
}

static void run(struct lines *l)
{
	while (!l->stopped || l->count) {
		struct batch *b = &l->batches[(l->head + l->count) % BATCHES];

		if (!l->stopped && l->count < BATCHES && fill(l, b, l->count == 0))
			send_batch(l, b);
		else if (l->count)
			reap(l);
		show_progress(l);
	}
}

static int open_input(const struct cli *cli)
{
	const char *word = cli->args.nwords > 1 ? cli->args.words[1] : "-";
	const char *name = *word == '@' ? word + 1 : word;
	int fd = strcmp(word, "-") == 0 ? dup(STDIN_FILENO) : open(name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		cli_complain("cannot open '%s': %s", name, strerror(errno));
	return fd;
}

int lines_submit(struct cli *cli)
{
	struct lines l = {.cli = cli};
	int fd, code = CLI_OK;

	if (!cli_connect(cli, &code))
		return code;
	fd = open_input(cli);
	if (fd < 0)
		return CLI_NO_INPUT;
	input_open(&l.input, fd);
	l.batches = xcalloc(BATCHES, sizeof *l.batches);
	progress_start(&l.progress, cli->args.no_color);
	run(&l);
	progress_clear(&l.progress);
	if (l.failed)
		cli_complain("%llu of %llu jobs were accepted, %llu failed",
		    (unsigned long long)l.accepted, (unsigned long long)l.read,
		    (unsigned long long)l.failed);
	else if (l.progress.screen.columns)
		fprintf(stderr, "%llu jobs submitted\n", (unsigned long long)l.accepted);
	free(l.batches);
	input_close(&l.input);
	return l.code;
}
