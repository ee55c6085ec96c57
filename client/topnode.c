/* SPDX-License-Identifier: MIT */
#include "client/topnode.h"

#include "lib/base/clock.h"

#define LOOK_TIMEOUT_MS 3000
#define ORDER_TIMEOUT_MS 35000 /* the store has 30 s */

void topnode_open(struct topnode *n, struct http *http)
{
	*n = (struct topnode){.http = http};
}

static void drop(struct topnode *n, enum topnode_ask which)
{
	struct topnode_slot *slot = &n->slots[which];

	if (slot->busy)
		http_drop(n->http, &slot->call);
	slot->busy = false;
	free(slot->path);
	slot->path = NULL;
}

void topnode_close(struct topnode *n)
{
	for (enum topnode_ask i = 0; i < TOPNODE_ASKS; i++)
		drop(n, i);
	json_free(n->pools);
	json_free(n->queues);
	json_free(n->health);
	free(n->trouble);
}

bool topnode_ask(struct topnode *n, enum topnode_ask which, const char *method, char *path)
{
	struct topnode_slot *slot = &n->slots[which];

	if (slot->busy && which == TOPNODE_ORDER) {
		free(path);
		return false;
	}
	drop(n, which);
	slot->path = path;
	slot->busy = true;
	slot->call = (struct http_call){
	    .request = {.method = method,
		.path = path,
		.timeout_ms = which == TOPNODE_ORDER ? ORDER_TIMEOUT_MS : LOOK_TIMEOUT_MS}};
	http_start(n->http, &slot->call);
	return true;
}

void topnode_look(struct topnode *n)
{
	static const char *const paths[] = {[TOPNODE_POOLS] = "/v1/pools",
	    [TOPNODE_QUEUES] = "/v1/queues",
	    [TOPNODE_HEALTH] = "/healthz"};

	for (enum topnode_ask i = 0; i < ARRAY_SIZE(paths); i++) {
		if (!n->slots[i].busy)
			topnode_ask(n, i, "GET", xstrdup(paths[i]));
	}
}

struct json *topnode_take(struct topnode *n, enum topnode_ask which, char **ret_error)
{
	struct http_call *call = &n->slots[which].call;
	struct json *j = call->err.code ? NULL : json_parse(buf_slice(&call->body), NULL);
	const char *error = j ? json_get_str(j, "error") : NULL;
	/* A node that is not well says so in its health, with 503. */
	bool good = j && (call->status / 100 == 2 || which == TOPNODE_HEALTH);

	if (!good) {
		*ret_error = call->err.code ? xstrdup(call->err.text)
			     : error	    ? xstrdup(error)
					    : xasprintf("HTTP %ld without a reason", call->status);
		json_free(j);
		j = NULL;
	}
	http_call_free(call);
	return j;
}

/* An answer replaces the one before. The pools tell whether the node is there: they need the
 * gateway alone. */
static void keep(struct topnode *n, enum topnode_ask which, struct json **place)
{
	char *error = NULL;
	struct json *j = topnode_take(n, which, &error);

	if (j) {
		json_free(*place);
		*place = j;
	}
	if (which == TOPNODE_POOLS) {
		free(n->trouble);
		n->trouble = error;
		if (j)
			n->seen_ms = clock_wall_ms();
	} else {
		free(error);
	}
}

enum topnode_ask topnode_wait(struct topnode *n, int fd, int timeout_ms)
{
	struct http_call *call = http_poll(n->http, fd, timeout_ms);
	struct json **places[TOPNODE_ASKS] = {&n->pools, &n->queues, &n->health};

	for (enum topnode_ask i = 0; call && i < TOPNODE_ASKS; i++) {
		if (call != &n->slots[i].call)
			continue;
		n->slots[i].busy = false;
		if (places[i])
			keep(n, i, places[i]);
		return i;
	}
	return TOPNODE_ASKS;
}
