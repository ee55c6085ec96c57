/* SPDX-License-Identifier: MIT */
/*
 * What the board shows, as JSON and as a list of the runs that go on. A snapshot: nothing that must
 * be true is read from it. The board cuts long names; those that the configuration has are made
 * whole again.
 */
#ifndef SKEP_GATEWAY_FLEET_H
#define SKEP_GATEWAY_FLEET_H

#include "daemon/process.h"
#include "lib/base/json.h"

struct fleet_run {
	struct board_run run;
	struct slice queue, type;
	char worker[80];
};

struct fleet {
	struct fleet_run *runs; /* latest first */
	size_t n;
};

/* Takes a snapshot of all runs; fleet_free() it. The names point into it and into the
 * configuration. */
void fleet_look(struct fleet *ret, const struct process *p);
void fleet_free(struct fleet *f);

/* The run of that job, or NULL. An empty queue matches any. */
const struct fleet_run *fleet_find(const struct fleet *f, struct slice queue, struct slice id);

/* {"worker", "since", "progress", "note"} of a run. */
struct json *fleet_run_json(const struct fleet_run *run);

/* Arrays for GET /v1/queues and /v1/pools. */
struct json *fleet_queues(const struct process *p);
struct json *fleet_pools(const struct process *p);

/* What the supervisor wants of that pool of the configuration: target, min, max, scale, asked, since, reason. */
void fleet_add_scaling(struct json *j, const struct process *p, size_t pool);

/* A slot's state in a word; whatever stands on the board. */
const char *fleet_state_name(uint8_t state);

/* How the node stands with the broker: "connected", "blocked", "down", or "unknown" (no courier),
 * "embedded" (it needs none).
 */
const char *fleet_broker(const struct process *p);

#endif
