/* SPDX-License-Identifier: MIT */
/*
 * The environment of a handler: a few variables of our own that every program expects (PATH, HOME,
 * LANG, ...), the handler's `env`, and SKEP_* for the job. What is the same for every job of a
 * handler is put together once.
 */
#ifndef SKEP_WORKER_ENVIRONMENT_H
#define SKEP_WORKER_ENVIRONMENT_H

#include "daemon/worker/run.h"

struct environment;

/* `inherited` is read here only (environ(7)); `conf` is borrowed for life. */
struct environment *environment_new(const struct conf *conf, const char *node, const char *worker,
    char *const *inherited);
void environment_free(struct environment *e);

/* The whole environment for one run; good until the next call. */
char *const *environment_for(struct environment *e, const struct run_spec *spec);

/* The same without a job: what a service is started with. */
char *const *environment_of(struct environment *e, const struct conf_handler *h);

/* The value of a variable in an environment, or NULL. */
const char *environment_value(char *const *envp, const char *name);

#endif
