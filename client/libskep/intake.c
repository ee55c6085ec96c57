/* SPDX-License-Identifier: MIT */
/*
 * A job keeps its line: the strings of a job are read where they lie. A body is copied at most
 * once, out of the buffer of the socket.
 */
#include "client/libskep/intake.h"

#include <errno.h>

#include "lib/base/base64.h"
#include "lib/base/scan.h"

void intake_job_free(struct skep_job *job)
{
	if (!job)
		return;
	free(job->text);
	free(job->decoded);
	free(job);
}

static bool read_string(struct skep_job *job, struct slice name, struct scan *in)
{
	const struct {
		const char *name;
		const char **to;
	} strings[] = {{"id", &job->id}, {"type", &job->type}, {"queue", &job->queue},
	    {"content_type", &job->content_type}, {"content_encoding", &job->content_encoding},
	    {"correlation_id", &job->correlation_id}, {"app_id", &job->app_id},
	    {"traceparent", &job->traceparent}};
	struct slice text;

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
		if (!slice_is(name, strings[i].name))
			continue;
		if (!scan_text(in, &text))
			return false;
		*strings[i].to = (const char *)text.p;
		return true;
	}
	return false;
}

static bool read_base64(struct skep_job *job, struct scan *in)
{
	struct slice text;
	size_t n;

	if (job->decoded || !scan_text(in, &text))
		return false;
	job->decoded = base64_decode(text, &n);
	job->body = slice_of(job->decoded, n);
	return true;
}

static bool read_member(struct skep_job *job, struct slice name, struct scan *in)
{
	if (slice_is(name, "run"))
		return scan_text(in, &job->run);
	if (slice_is(name, "body"))
		return scan_text(in, &job->body);
	if (slice_is(name, "body_base64"))
		return read_base64(job, in);
	if (slice_is(name, "attempt"))
		return scan_int(in, &job->attempt);
	if (slice_is(name, "timeout_ms"))
		return scan_int(in, &job->timeout_ms);
	if (slice_is(name, "priority"))
		return scan_int(in, &job->priority);
	return read_string(job, name, in);
}

static int read_job(struct session *s, struct scan *in, char **text)
{
	struct skep_job *job = xcalloc(1, sizeof *job);
	struct slice name;

	job->session = s;
	job->id = job->type = job->queue = "";
	job->attempt = 1;
	while (scan_member(in, &name)) {
		if (!read_member(job, name, in))
			scan_skip(in);
	}
	if (scan_failed(in) || job->run.n == 0 || !job->body.p) {
		intake_job_free(job);
		return -EPROTO;
	}
	job->text = *text;
	*text = NULL;
	list_add_tail(&s->waiting, &job->link);
	s->nwaiting++;
	return 0;
}

/* One that has not begun is answered here. */
static void cancel(struct session *s, struct slice run)
{
	size_t start;

	list_each(struct skep_job, job, &s->waiting, link) {
		if (!slice_eq(job->run, run))
			continue;
		start = session_say(s, "failed", job);
		buf_adds(&s->out, ",\"error\":\"cancelled before it began\"");
		session_said(s, start);
		list_del(&job->link);
		s->nwaiting--;
		intake_job_free(job);
		return;
	}
	list_each(struct skep_job, job, &s->running, link) {
		if (slice_eq(job->run, run) && !job->cancelled) {
			job->tell = s->handler->cancel != NULL;
			__atomic_store_n(&job->cancelled, true, __ATOMIC_RELAXED);
		}
	}
}

static int read_cancel(struct session *s, struct scan *in, char **text UNUSED)
{
	struct slice name, run = {0};

	while (scan_member(in, &name)) {
		if (!slice_is(name, "run") || !scan_text(in, &run))
			scan_skip(in);
	}
	if (run.n)
		cancel(s, run);
	return 0;
}

static int read_hello(struct session *s, struct scan *in, char **text UNUSED)
{
	struct slice name;

	while (scan_member(in, &name)) {
		if (slice_is(name, "max_line") && scan_int(in, &s->max_line))
			continue;
		if (slice_is(name, "concurrency") && scan_int(in, &s->concurrency))
			continue;
		scan_skip(in);
	}
	return 0;
}

int intake_line_take(struct session *s, char *text, size_t n)
{
	static const struct {
		const char *kind;
		int (*read)(struct session *s, struct scan *in, char **text);
	} kinds[] = {{"job", read_job}, {"cancel", read_cancel}, {"hello", read_hello}};
	auto_free char *line = text;
	struct slice kind;
	struct scan in;
	int rc = 0;

	scan_init(&in, text, n);
	if (!scan_enter(&in))
		return -EPROTO;
	while (rc == 0 && scan_member(&in, &kind)) {
		int64_t number;
		size_t i = 0;

		if (slice_is(kind, "ping") && scan_int(&in, &number)) {
			buf_addf(&s->out, "{\"pong\":%lld}\n", (long long)number);
			continue;
		}
		while (i < ARRAY_SIZE(kinds) && !slice_is(kind, kinds[i].kind))
			i++;
		if (i == ARRAY_SIZE(kinds) || !scan_enter(&in))
			scan_skip(&in);
		else
			rc = kinds[i].read(s, &in, &line);
	}
	return rc == 0 && scan_failed(&in) ? -EPROTO : rc;
}
