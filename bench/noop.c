/* SPDX-License-Identifier: MIT */
/*
 * A service that does nothing, in C: what skep itself costs. All jobs that one read brought are answered by one write.
 *
 * `noop FILE`: bodies begin with the time of their publish in nanoseconds of CLOCK_MONOTONIC (fill with a RATE);
 * the age of each job when it is read goes to FILE, one a line, when skep has no more.
 *
 * It reads no more JSON than it needs: a job's line begins {"job":{ and its `run` comes before its body, so the
 * first "run":" is the right one, and a run has nothing to escape.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/banned.h"

#define SKEP 3
#define ROOM (4 << 20) /* more than the longest line */
#define AGES_MAX (1 << 20)

static const char job_begins[] = "{\"job\":{", run_begins[] = "\"run\":\"";
static const char body_begins[] = "\"body\":\"";
static const char done_begins[] = "{\"done\":{\"run\":\"", done_ends[] = "\"}}\n";
static char in[ROOM], out[ROOM];
static size_t out_n;
static int64_t ages[AGES_MAX], now_ns;
static size_t ages_n;
static int timed;

static void say(const char *text, size_t n)
{
	memcpy(out + out_n, text, n);
	out_n += n;
}

static void flush(void)
{
	for (size_t at = 0; at < out_n;) {
		ssize_t n = write(SKEP, out + at, out_n - at);

		if (n < 0 && errno != EINTR)
			exit(1);
		at += n > 0 ? (size_t)n : 0;
	}
	out_n = 0;
}

static void read_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void note_age(const char *line, size_t n)
{
	const char *body = memmem(line, n, body_begins, sizeof body_begins - 1);

	if (!body || ages_n == AGES_MAX)
		exit(1);
	ages[ages_n++] = now_ns - strtoll(body + sizeof body_begins - 1, NULL, 10);
}

static int write_ages(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return 1;
	for (size_t i = 0; i < ages_n; i++)
		fprintf(file, "%" PRId64 "\n", ages[i]);
	return fclose(file) != 0;
}

static void on_line(const char *line, size_t n)
{
	const char *run, *end;

	if (n < sizeof job_begins || memcmp(line, job_begins, sizeof job_begins - 1) != 0)
		return;
	run = memmem(line, n, run_begins, sizeof run_begins - 1);
	if (!run)
		exit(1);
	run += sizeof run_begins - 1;
	end = memchr(run, '"', n - (size_t)(run - line));
	if (!end)
		exit(1);
	if (timed)
		note_age(run, n - (size_t)(run - line));
	say(done_begins, sizeof done_begins - 1);
	say(run, (size_t)(end - run));
	say(done_ends, sizeof done_ends - 1);
}

int main(int argc, char **argv)
{
	static const char hello[] = "{\"hello\":{\"version\":1,\"capabilities\":[]}}\n";
	size_t have = 0;
	ssize_t n;

	timed = argc > 1;
	say(hello, sizeof hello - 1);
	flush();
	while ((n = read(SKEP, in + have, ROOM - have)) > 0) {
		char *line = in, *end;

		have += (size_t)n;
		if (timed)
			read_clock();
		while ((end = memchr(line, '\n', have - (size_t)(line - in)))) {
			on_line(line, (size_t)(end - line));
			line = end + 1;
		}
		flush();
		have -= (size_t)(line - in);
		memmove(in, line, have);
	}
	return timed ? write_ages(argv[1]) : 0;
}
