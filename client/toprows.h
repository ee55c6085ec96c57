/* SPDX-License-Identifier: MIT */
/*
 * What `skep top` lists: rows that point into the JSON that the node answered, and their orders.
 * Nothing here draws or asks.
 */
#ifndef SKEP_CLIENT_TOPROWS_H
#define SKEP_CLIENT_TOPROWS_H

#include "client/toprate.h"
#include "lib/base/json.h"

enum toprows_pane {
	TOPROWS_POOLS,
	TOPROWS_QUEUES,
	TOPROWS_WORKERS,
	TOPROWS_CHANGES,
	TOPROWS_PANES
};

struct toprows_row {
	const struct json *item; /* the pool, queue, worker, or change */
	const struct json *run;	 /* of a worker, one row for each; NULL: it has none */
	const char *name;	 /* of the pool, queue or worker; of a change: its pool */
	const char *job;	 /* the run's, or "" */
	int64_t since_ms;	 /* of a run or a change; 0: none */
	size_t at;		 /* its place in the answer */
	bool rated;		 /* a queue: these are known, a second */
	double done, failed;
};

struct toprows {
	struct toprows_row *v;
	size_t n;
};

/* The rows of a pane, from GET /v1/pools or, of TOPROWS_QUEUES, GET /v1/queues; NULL makes none.
 * They live as long as the JSON does. What was in `rows` is freed. */
void toprows_fill(struct toprows *rows, enum toprows_pane pane, const struct json *answer);
void toprows_free(struct toprows *rows);

/* Notes the counters of these queues, and gives each row its rate. The rate of all together goes
 * under the name "".
 */
void toprows_rate(struct toprows *queues, struct toprate_book *book, int64_t now_ms);

/* The orders of a pane by number, in a word; NULL behind the last. Order 0 is that of the answer.
 */
const char *toprows_order(enum toprows_pane pane, unsigned order);
void toprows_sort(struct toprows *rows, enum toprows_pane pane, unsigned order, bool reverse);

/* Where that row stands now, or `otherwise`, cut to what there is. */
size_t toprows_find(
    const struct toprows *rows, const char *name, const char *job, size_t otherwise);

#endif
