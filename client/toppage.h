/* SPDX-License-Identifier: MIT */
/* A text that `skep top` shows over its lists: the help, a job, why a pool has so many workers. */
#ifndef SKEP_CLIENT_TOPPAGE_H
#define SKEP_CLIENT_TOPPAGE_H

#include "lib/base/json.h"

enum toppage_kind { TOPPAGE_NONE, TOPPAGE_HELP, TOPPAGE_JOB, TOPPAGE_POOL };

struct toppage {
	enum toppage_kind kind;
	char *title, *path; /* where its JSON is asked for, again and again; NULL: nowhere */
	struct json *json;  /* the last answer; NULL: there is none yet */
};

/* Takes title and path. */
void toppage_open(struct toppage *p, enum toppage_kind kind, char *title, char *path);
void toppage_close(struct toppage *p); /* there is none then */
void toppage_take(struct toppage *p, struct json *answer);

/* Its text for a screen of that width, clean but for line feeds; a fresh string, or NULL while
 * there is none. */
char *toppage_text(const struct toppage *p, size_t columns, int64_t now_ms);

#endif
