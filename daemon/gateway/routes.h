/* SPDX-License-Identifier: MIT */
/* Which request is meant: method and path against routes.def, and the names of its parameters.
 * Pure. */
#ifndef SKEP_GATEWAY_ROUTES_H
#define SKEP_GATEWAY_ROUTES_H

#include "daemon/gateway/target.h"

enum route_id {
#define ROUTE(name, ...) ROUTE_##name,
#include "daemon/gateway/routes.def"
#undef ROUTE
	ROUTE_COUNT
};

#define ROUTES_ALLOW_BYTES 64

/* 0; 404: no such path; 405: not by that method, and `allow` lists those it has. */
int routes_find(const char *method, const struct target *t, enum route_id *ret,
    char allow[static ROUTES_ALLOW_BYTES]);

/* -EINVAL with the name of a parameter that the route does not have, and those it has. */
int routes_check_params(enum route_id id, const struct target *t, struct err *err);

bool routes_takes_body(enum route_id id);

/* The segment of the path that is a job's id or a queue's name. */
struct slice routes_subject(const struct target *t);

#endif
