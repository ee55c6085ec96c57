/* SPDX-License-Identifier: MIT */
/*
 * The order matters to the broker's permission checks: a declare with a dead-letter exchange needs that exchange, a
 * binding needs both ends.
 */
#include "lib/amqp/topology.h"

struct plan {
	struct topology_step *steps;
	size_t n;
};

static struct topology_step *next_step(struct plan *plan, enum topology_op op, const char *name)
{
	struct topology_step *s = &plan->steps[plan->n++];

	if (plan->n > TOPOLOGY_STEPS_MAX)
		BUG("more than %d topology steps", TOPOLOGY_STEPS_MAX);
	memset(s, 0, sizeof *s);
	s->op = op;
	snprintf(s->name, sizeof s->name, "%s", name);
	return s;
}

static void add_text(struct topology_step *s, const char *key, const char *text)
{
	s->args[s->nargs++] = (struct topology_arg){.key = key, .text = text};
}

static void add_number(struct topology_step *s, const char *key, int64_t number)
{
	s->args[s->nargs++] = (struct topology_arg){.key = key, .number = number};
}

static struct topology_step *exchange(struct plan *plan, const char *name, const char *kind)
{
	struct topology_step *s = next_step(plan, TOPOLOGY_OP_EXCHANGE, name);

	s->kind = kind;
	return s;
}

static void bind(struct plan *plan, const char *queue, const char *source, const char *key)
{
	struct topology_step *s = next_step(plan, TOPOLOGY_OP_BIND, queue);

	snprintf(s->source, sizeof s->source, "%s", source);
	snprintf(s->key, sizeof s->key, "%s", key);
}

static const char *type_word(const struct conf_queue *q)
{
	return q->type == QUEUE_QUORUM ? "quorum" : "classic";
}

static void exchanges(struct plan *plan)
{
	exchange(plan, TOPOLOGY_UNROUTED, "fanout");
	add_text(next_step(plan, TOPOLOGY_OP_QUEUE, TOPOLOGY_UNROUTED), "x-queue-type", "classic");
	bind(plan, TOPOLOGY_UNROUTED, TOPOLOGY_UNROUTED, "");
	add_text(exchange(plan, TOPOLOGY_EXCHANGE, "direct"), "alternate-exchange", TOPOLOGY_UNROUTED);
	exchange(plan, TOPOLOGY_EXCHANGE_IN, "direct");
	exchange(plan, TOPOLOGY_EXCHANGE_DEAD, "direct");
}

/* What the broker itself drops (a delivery limit, a rejected message) goes to `<queue>.dead`. */
static void dead_letters(struct plan *plan, const struct conf_queue *q)
{
	char name[sizeof plan->steps->name];

	snprintf(name, sizeof name, "%s.dead", q->section);
	add_text(next_step(plan, TOPOLOGY_OP_QUEUE, name), "x-queue-type", type_word(q));
	bind(plan, name, TOPOLOGY_EXCHANGE_DEAD, q->section);
}

static void queue(struct plan *plan, const struct conf_queue *q)
{
	struct topology_step *s;

	dead_letters(plan, q);
	s = next_step(plan, TOPOLOGY_OP_QUEUE, q->section);
	add_text(s, "x-queue-type", type_word(q));
	add_text(s, "x-dead-letter-exchange", TOPOLOGY_EXCHANGE_DEAD);
	add_text(s, "x-dead-letter-routing-key", q->section);
	if (q->type == QUEUE_QUORUM) {
		add_text(s, "x-dead-letter-strategy", "at-least-once");
		add_text(s, "x-overflow", "reject-publish");
	} else if (q->max_priority > 0) {
		add_number(s, "x-max-priority", q->max_priority);
	}
	bind(plan, q->section, TOPOLOGY_EXCHANGE, q->section);
	bind(plan, q->section, TOPOLOGY_EXCHANGE_IN, q->section);
}

size_t topology_steps(enum conf_topology mode, const struct conf_queue *q,
    struct topology_step steps[static TOPOLOGY_STEPS_MAX])
{
	struct plan plan = {.steps = steps};

	switch (mode) {
	case TOPOLOGY_NONE:
		break;
	case TOPOLOGY_PASSIVE:
		if (q)
			next_step(&plan, TOPOLOGY_OP_QUEUE, q->section)->passive = true;
		break;
	case TOPOLOGY_DECLARE:
		exchanges(&plan);
		if (q)
			queue(&plan, q);
		break;
	}
	return plan.n;
}
