/* SPDX-License-Identifier: MIT */
#include "daemon/gateway/pools.h"

#include <errno.h>

#include "daemon/gateway/checks.h"
#include "daemon/gateway/fleet.h"
#include "daemon/gateway/routes.h"

#define CHANGES_DEFAULT 20
#define CHANGES_MAX 1000

/* The pool that a request names; NULL: it is answered. */
static const struct conf_pool *find(struct gateway *g, struct http_request *r)
{
	auto_free char *name = slice_dup(routes_subject(http_target(r)));
	const struct conf_pool *pool = conf_pool(g->p->conf, name);

	if (!pool)
		http_error(r, 404, "no pool '%s' is configured here", name);
	return pool;
}

static size_t index_of(const struct gateway *g, const struct conf_pool *pool)
{
	return (size_t)(pool - g->p->conf->pools);
}

/* --- scale ------------------------------------------------------------------------------------ */

/* The supervisor obeys, and the board shows it: there is no answer to wait for. */
void pools_scale(struct gateway *g, struct http_request *r)
{
	const struct conf_pool *pool = find(g, r);
	auto_free char *text = NULL;
	struct slice workers = target_param(http_target(r), "workers");
	struct conf_range range = {0};
	struct err err = {0};
	bool automatic = slice_is(workers, "auto");
	char shown[CONF_RANGE_TEXT];
	struct json *j;

	if (!pool)
		return;
	text = slice_dup(workers);
	if (!workers.p || (!automatic && conf_range_parse(text, conf_pool_most(pool), &range, &err) < 0)) {
		http_error(r, 400, "%s",
		    err.code ? err.text : "'workers' must be a number, a range such as 2..16, or auto");
		return;
	}
	if (automatic)
		range = pool->workers;
	if (!g->p->control) {
		http_error(r, 503, "the supervisor is gone");
		return;
	}
	peer_send_scale(g->p->control, &(struct msg_scale){.pool = slice_str(pool->section),
					   .least = (uint32_t)range.least,
					   .most = (uint32_t)range.most,
					   .automatic = automatic});
	j = json_object();
	json_add_strz(j, "pool", pool->section);
	json_add_strz(j, "workers", conf_range_format(shown, &range));
	json_add_bool(j, "asked", !automatic);
	http_reply_json(r, 200, j);
}

/* --- changes ---------------------------------------------------------------------------------- */

void pools_changes(struct gateway *g, struct http_request *r)
{
	const struct conf_pool *pool = find(g, r);
	struct slice text = target_param(http_target(r), "limit");
	int64_t limit = CHANGES_DEFAULT;
	struct json *changes = NULL, *j;
	struct err err = {0};
	int rc;

	if (!pool)
		return;
	if (text.p && (checks_number(text, CHANGES_MAX, &limit) < 0 || limit < 1)) {
		http_error(r, 400, "'limit' must be a number from 1 to %d", CHANGES_MAX);
		return;
	}
	rc = reader_begin(g->reader, &err);
	if (rc == 0) {
		changes = reader_changes(g->reader, slice_str(pool->section), limit, &err);
		reader_end(g->reader);
	} else if (rc == -ENOENT) {
		changes = json_array();
	}
	if (!changes) {
		gateway_reader_failed(r, &err);
		return;
	}
	j = json_object();
	json_add_strz(j, "pool", pool->section);
	fleet_add_scaling(j, g->p, index_of(g, pool));
	json_add(j, "changes", changes);
	http_reply_json(r, 200, j);
}
