/* SPDX-License-Identifier: MIT */
#include "daemon/gateway/routes.h"

#include <errno.h>

#define SUBJECT_SEGMENT 2 /* /v1/jobs/{}, /v1/queues/{} */

static const struct route {
	const char *method, *path, *params;
	bool body;
} routes[] = {
#define ROUTE(name, verb, where, has_body, names, text)                                            \
	[ROUTE_##name] = {verb, where, names, has_body},
#include "daemon/gateway/routes.def"
#undef ROUTE
};

static bool path_matches(const char *path, const struct target *t)
{
	size_t i = 0;

	while (path) {
		const char *next = strchr(++path, '/');
		struct slice part = slice_of(path, next ? (size_t)(next - path) : strlen(path));

		if (i == t->nsegments || t->segments[i].n == 0)
			return false;
		if (!slice_is(part, "{}") && !slice_eq(part, t->segments[i]))
			return false;
		i++;
		path = next;
	}
	return i == t->nsegments;
}

int routes_find(const char *method, const struct target *t, enum route_id *ret,
    char allow[static ROUTES_ALLOW_BYTES])
{
	int status = 404;
	size_t n = 0;

	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		if (!path_matches(routes[i].path, t))
			continue;
		if (strcmp(routes[i].method, method) == 0) {
			*ret = (enum route_id)i;
			return 0;
		}
		status = 405;
		n += (size_t)snprintf(
		    allow + n, ROUTES_ALLOW_BYTES - n, "%s%s", n ? ", " : "", routes[i].method);
	}
	return status;
}

static bool has_word(const char *words, struct slice word)
{
	while (*words) {
		size_t n = strcspn(words, " ");

		if (slice_eq(slice_of(words, n), word))
			return true;
		words += n;
		words += strspn(words, " ");
	}
	return false;
}

int routes_check_params(enum route_id id, const struct target *t, struct err *err)
{
	const struct route *r = &routes[id];

	for (size_t i = 0; i < t->nparams; i++) {
		struct slice name = t->params[i].name;

		if (has_word(r->params, name))
			continue;
		if (name.n > 60)
			name.n = 60;
		return err_set(err, -EINVAL, "no parameter '" SLICE_FMT "' here: %s%s",
		    SLICE_ARG(name), r->params[0] ? "there are " : "there are none", r->params);
	}
	return 0;
}

bool routes_takes_body(enum route_id id)
{
	return routes[id].body;
}

struct slice routes_subject(const struct target *t)
{
	return t->nsegments > SUBJECT_SEGMENT ? t->segments[SUBJECT_SEGMENT]
					     : (struct slice){NULL, 0};
}
