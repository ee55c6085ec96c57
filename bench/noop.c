/* SPDX-License-Identifier: MIT */
/*
 * A service that does nothing, in C: what skep itself costs. All jobs that one read brought are answered by one write.
 *
 * It reads no more JSON than it needs: a job's line begins {"job":{ and its `run` comes before its body, so the
 * first "run":" is the right one, and a run has nothing to escape.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/banned.h"

#define SKEP 3
#define ROOM (4 << 20) /* more than the longest line */

static const char job_begins[] = "{\"job\":{", run_begins[] = "\"run\":\"";
static const char done_begins[] = "{\"done\":{\"run\":\"", done_ends[] = "\"}}\n";
static char in[ROOM], out[ROOM];
static size_t out_n;

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
	say(done_begins, sizeof done_begins - 1);
	say(run, (size_t)(end - run));
	say(done_ends, sizeof done_ends - 1);
}

int main(void)
{
	static const char hello[] = "{\"hello\":{\"version\":1,\"capabilities\":[]}}\n";
	size_t have = 0;
	ssize_t n;

	say(hello, sizeof hello - 1);
	flush();
	while ((n = read(SKEP, in + have, ROOM - have)) > 0) {
		char *line = in, *end;

		have += (size_t)n;
		while ((end = memchr(line, '\n', have - (size_t)(line - in)))) {
			on_line(line, (size_t)(end - line));
			line = end + 1;
		}
		flush();
		have -= (size_t)(line - in);
		memmove(in, line, have);
	}
	return 0;
}
