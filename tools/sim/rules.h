/* SPDX-License-Identifier: MIT */
/*
 * The rules that are compared. skep's is scale_decide() itself; the others are written anew after what their projects
 * document and do, at their default settings:
 *
 *   celery      celery/worker/autoscale.py: each second, as many processes as tasks are in hand (waiting ones up
 *               to the prefetch of 4 x max), fewer only 30 s after the last growth
 *   horizon     laravel/horizon AutoScaler: every 3 s one process up while anything waits, one down otherwise. Its
 *               strategies `time` and `size` divide a maximum between several queues; before one queue they are
 *               the same
 *   uwsgi       cheaper_busyness: one more where the workers were busy for more than 50 % of 3 s or 33 requests wait,
 *               one less after 10 such cycles below 25 %
 *   keda        the RabbitMQ trigger, mode QueueLength, value 20, behind a Kubernetes HPA: asked every 15 s (30 s
 *               from 0), at most doubled or 4 more, fewer only to the most that was wanted in 300 s
 */
#ifndef SKEP_TOOLS_SIM_RULES_H
#define SKEP_TOOLS_SIM_RULES_H

#include "tools/sim/sim.h"

/* In front of each rule's own state. */
struct rule_state {
	const void *setting;
	max_align_t own[];
};

extern const struct sim_rule rule_skep, rule_clairvoyant;
extern const struct sim_rule rules_others[];
extern const size_t rules_nothers;

/*
 * The causal oracle: asked as often as skep, with the same start delay, but it knows the true rate and run time of now
 * (not what comes). Its margins are those that serve the very traffic best, found by trying them all: the fewest
 * worker-seconds with p99 within the target. Returns whether any holds it; if none does, the result is that with the
 * least p99.
 */
bool rule_oracle(const struct sim_traffic *traffic, struct sim_result *ret);

#endif
