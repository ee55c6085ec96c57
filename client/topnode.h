/* SPDX-License-Identifier: MIT */
/*
 * What `skep top` asks the node, without ever waiting for an answer alone: the last answers about
 * pools, queues and health are kept here, and whether the node answers at all.
 */
#ifndef SKEP_CLIENT_TOPNODE_H
#define SKEP_CLIENT_TOPNODE_H

#include "client/http.h"
#include "lib/base/json.h"

enum topnode_ask {
	TOPNODE_POOLS,
	TOPNODE_QUEUES,
	TOPNODE_HEALTH,
	TOPNODE_PAGE,  /* something to look at */
	TOPNODE_ORDER, /* something to be done */
	TOPNODE_ASKS
};

struct topnode {
	struct http *http; /* borrowed */
	struct topnode_slot {
		struct http_call call;
		char *path;
		bool busy;
	} slots[TOPNODE_ASKS];
	struct json *pools, *queues, *health; /* the last answers; NULL before the first */
	char *trouble;			      /* why there is no answer now; NULL: there is */
	int64_t seen_ms;		      /* wall clock of the last answer */
};

void topnode_open(struct topnode *n, struct http *http);
void topnode_close(struct topnode *n);

/* Asks for pools, queues and health, those that are not being asked for. */
void topnode_look(struct topnode *n);

/* Asks for that path, which is taken over. One that is under way is given up for it; but an order
 * is not: then false.
 */
bool topnode_ask(struct topnode *n, enum topnode_ask which, const char *method, char *path);

/* Waits for an answer, until `fd` can be read, or for the time. The first three are kept, which
 * frees what they replace; of the others the caller takes the answer. TOPNODE_ASKS: there is none.
 */
enum topnode_ask topnode_wait(struct topnode *n, int fd, int timeout_ms);

/* The answer that topnode_wait() told of: its JSON, or NULL with why in *ret_error, a fresh string.
 */
struct json *topnode_take(struct topnode *n, enum topnode_ask which, char **ret_error);

#endif
