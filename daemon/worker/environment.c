/* SPDX-License-Identifier: MIT */
/*
 * An environment is an array of pointers: first those of the job, into one buffer of text that is
 * written anew for each run, then those that never change. No name is in it twice, since programs
 * differ in which of two they believe.
 */
#include "daemon/worker/environment.h"

#define ENV_JOB_MAX 16
#define ENV_TEXT_BYTES (1u << 20)

/* Variables of ours that pass to handlers, besides all LC_*. */
static const char *const passed[] = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ",
    "TMPDIR"};

/* What a handler's `env` cannot set. */
static const char *const job_names[] = {"SKEP_JOB_ID", "SKEP_JOB_TYPE", "SKEP_QUEUE",
    "SKEP_ATTEMPT", "SKEP_RUN_ID", "SKEP_CORRELATION_ID", "SKEP_CONTENT_TYPE",
    "SKEP_CONTENT_ENCODING", "SKEP_TIMEOUT_MS", "SKEP_APP_ID", "SKEP_PRIORITY", "TRACEPARENT",
    "SKEP_WORKER", "SKEP_NODE"};

struct words {
	char **v;
	size_t n;
};

struct environment {
	const struct conf *conf;
	struct words base;
	struct words *of_handler; /* by the handler's index; n == 0 until it is first needed */
	struct buf text;
	size_t at[ENV_JOB_MAX]; /* where each variable of the job begins in `text` */
	size_t nat;
	char **envp;
	size_t cap;
};

static size_t name_length(const char *variable)
{
	return strcspn(variable, "=");
}

static bool same_name(const char *a, const char *b)
{
	size_t n = name_length(a);

	return n == name_length(b) && strncmp(a, b, n) == 0;
}

/* Takes `variable`. */
static void words_set(struct words *w, char *variable)
{
	for (size_t i = 0; i < w->n; i++) {
		if (!same_name(w->v[i], variable))
			continue;
		free(w->v[i]);
		w->v[i] = variable;
		return;
	}
	w->v = xrealloc(w->v, (w->n + 1) * sizeof *w->v);
	w->v[w->n++] = variable;
}

static void words_free(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
}

static bool is_passed(const char *variable)
{
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
		if (same_name(passed[i], variable))
			return true;
	}
	return strncmp(variable, "LC_", 3) == 0;
}

static bool is_of_job(const char *variable)
{
	for (size_t i = 0; i < ARRAY_SIZE(job_names); i++) {
		if (same_name(job_names[i], variable))
			return true;
	}
	return false;
}

struct environment *environment_new(const struct conf *conf, const char *node, const char *worker,
    char *const *inherited)
{
	struct environment *e = xcalloc(1, sizeof *e);

	e->conf = conf;
	e->of_handler = xcalloc(conf->nhandlers + 1, sizeof *e->of_handler);
	buf_init(&e->text, ENV_TEXT_BYTES);
	for (; *inherited; inherited++) {
		if (is_passed(*inherited))
			words_set(&e->base, xstrdup(*inherited));
	}
	words_set(&e->base, xasprintf("SKEP_NODE=%s", node));
	words_set(&e->base, xasprintf("SKEP_WORKER=%s", worker));
	return e;
}

void environment_free(struct environment *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->conf->nhandlers; i++)
		words_free(&e->of_handler[i]);
	words_free(&e->base);
	buf_free(&e->text);
	free(e->of_handler);
	free(e->envp);
	free(e);
}

static const struct words *handler_words(struct environment *e, const struct conf_handler *h)
{
	struct words *w = &e->of_handler[h - e->conf->handlers];

	if (w->n)
		return w;
	for (size_t i = 0; i < e->base.n; i++)
		words_set(w, xstrdup(e->base.v[i]));
	for (size_t i = 0; i < h->env.n; i++) {
		if (strchr(h->env.v[i], '=') && !is_of_job(h->env.v[i]))
			words_set(w, xstrdup(h->env.v[i]));
	}
	return w;
}

/* An absent value sets nothing; a value ends at a NUL, since a variable does. */
static void put(struct environment *e, const char *name, struct slice value)
{
	size_t start = buf_size(&e->text);

	if (value.n == 0)
		return;
	if (buf_adds(&e->text, name) < 0 || buf_adds(&e->text, "=") < 0 ||
	    buf_add(&e->text, value.p, strnlen((const char *)value.p, value.n)) < 0 ||
	    buf_add(&e->text, "", 1) < 0) {
		buf_truncate(&e->text, start);
		return;
	}
	e->at[e->nat++] = start;
}

static void put_number(struct environment *e, const char *name, int64_t number)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)number);
	put(e, name, slice_str(text));
}

static void put_job(struct environment *e, const struct run_spec *spec)
{
	const struct job *job = spec->job;
	char run[ID_TEXT_BYTES];

	put(e, "SKEP_JOB_ID", job->id);
	put(e, "SKEP_JOB_TYPE", spec->type);
	put(e, "SKEP_QUEUE", job->queue);
	put_number(e, "SKEP_ATTEMPT", spec->attempt);
	put(e, "SKEP_RUN_ID", slice_str(id_format(run, spec->run)));
	put(e, "SKEP_CORRELATION_ID", job->correlation_id);
	put(e, "SKEP_CONTENT_TYPE", job->content_type);
	put(e, "SKEP_CONTENT_ENCODING", job->content_encoding);
	if (spec->timeout_ms > 0)
		put_number(e, "SKEP_TIMEOUT_MS", spec->timeout_ms);
	put(e, "SKEP_APP_ID", job->app_id);
	if (job->has_priority)
		put_number(e, "SKEP_PRIORITY", job->priority);
	put(e, "TRACEPARENT", job->traceparent);
}

static char *const *envp_of(struct environment *e, const struct words *w)
{
	if (e->cap < e->nat + w->n + 1) {
		e->cap = ENV_JOB_MAX + w->n + 1;
		e->envp = xrealloc(e->envp, e->cap * sizeof *e->envp);
	}
	for (size_t i = 0; i < e->nat; i++)
		e->envp[i] = (char *)buf_head(&e->text) + e->at[i];
	memcpy(e->envp + e->nat, w->v, w->n * sizeof *w->v);
	e->envp[e->nat + w->n] = NULL;
	return e->envp;
}

char *const *environment_for(struct environment *e, const struct run_spec *spec)
{
	buf_clear(&e->text);
	e->nat = 0;
	put_job(e, spec);
	return envp_of(e, handler_words(e, spec->handler));
}

char *const *environment_of(struct environment *e, const struct conf_handler *h)
{
	e->nat = 0;
	return envp_of(e, handler_words(e, h));
}

const char *environment_value(char *const *envp, const char *name)
{
	for (; *envp; envp++) {
		if (same_name(*envp, name))
			return *envp + name_length(name) + 1;
	}
	return NULL;
}
