/* SPDX-License-Identifier: MIT */
/*
 * The order matters to the broker's permission checks: a declare with a dead-letter exchange needs that exchange, a
 * binding needs both ends.
 *
 * Some names are not ours to declare: those of the broker (amq.*) and what is declared here for other reasons. They
 * are only checked. A queue named `X.dead` is declared in the shape that X's own dead letters give it, so that both
 * can be consumed.
 */
#include "lib/amqp/topology.h"

#define DEAD_SUFFIX ".dead"
#define NAME_MAX_BYTES 255u /* of an AMQP short string */

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

static bool has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), k = strlen(suffix);

	return n > k && strcmp(name + n - k, suffix) == 0;
}

static bool is_reserved(const char *name)
{
	return strncmp(name, "amq.", 4) == 0 || strcmp(name, TOPOLOGY_UNROUTED) == 0;
}

/* A queue for dead letters has none of its own, and one whose name leaves no room cannot have one. */
static bool has_dead_letters(const char *name)
{
	return !has_suffix(name, DEAD_SUFFIX) && strlen(name) + strlen(DEAD_SUFFIX) <= NAME_MAX_BYTES;
}

/* What the broker itself drops (a delivery limit, a rejected message) goes to `<queue>.dead`. */
static void dead_letters(struct plan *plan, const struct conf_queue *q)
{
	char name[sizeof plan->steps->name];

	snprintf(name, sizeof name, "%s" DEAD_SUFFIX, q->section);
	add_text(next_step(plan, TOPOLOGY_OP_QUEUE, name), "x-queue-type", type_word(q));
	bind(plan, name, TOPOLOGY_EXCHANGE_DEAD, q->section);
}

static void dead_letter_arguments(struct topology_step *s, const struct conf_queue *q)
{
	add_text(s, "x-dead-letter-exchange", TOPOLOGY_EXCHANGE_DEAD);
	add_text(s, "x-dead-letter-routing-key", q->section);
	if (q->type == QUEUE_QUORUM) {
		add_text(s, "x-dead-letter-strategy", "at-least-once");
		add_text(s, "x-overflow", "reject-publish");
	}
}

static void queue(struct plan *plan, const struct conf_queue *q)
{
	struct topology_step *s;

	if (is_reserved(q->section)) {
		next_step(plan, TOPOLOGY_OP_QUEUE, q->section)->passive = true;
		return;
	}
	if (has_dead_letters(q->section))
		dead_letters(plan, q);
	s = next_step(plan, TOPOLOGY_OP_QUEUE, q->section);
	add_text(s, "x-queue-type", type_word(q));
	if (has_dead_letters(q->section))
		dead_letter_arguments(s, q);
	if (q->type == QUEUE_CLASSIC && q->max_priority > 0)
		add_number(s, "x-max-priority", q->max_priority);
	bind(plan, q->section, TOPOLOGY_EXCHANGE, q->section);
	bind(plan, q->section, TOPOLOGY_EXCHANGE_IN, q->section);
}

size_t topology_steps(enum conf_topology mode, const struct conf_queue *q,
    struct topology_step steps[static TOPOLOGY_STEPS_MAX])
{
	struct plan plan = {.steps = steps};

	/* An empty name means "the queue declared last" to a broker. */
	if (q && q->section[0] == '\0')
		q = NULL;
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
