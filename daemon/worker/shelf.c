/* SPDX-License-Identifier: MIT */
#include "daemon/worker/shelf.h"

#include "lib/base/log.h"

void shelf_init(struct shelf *s)
{
	*s = (struct shelf){0};
	list_init(&s->waiting);
	list_init(&s->asked);
	list_init(&s->active);
}

void shelf_free(struct shelf *s)
{
	list_each(struct delivery, d, &s->waiting, link)
		delivery_free(d);
	list_each(struct delivery, d, &s->asked, link)
		delivery_free(d);
	list_each(struct delivery, d, &s->active, link)
		delivery_free(d);
	shelf_init(s);
}

bool shelf_is_empty(const struct shelf *s)
{
	return list_empty(&s->waiting) && list_empty(&s->asked) && list_empty(&s->active);
}

static struct list *list_of(struct shelf *s, enum delivery_state state)
{
	if (state == DELIVERY_WAITING)
		return &s->waiting;
	if (state == DELIVERY_ASKING || state == DELIVERY_CLEARED)
		return &s->asked;
	return &s->active;
}

/* Lists in order of arrival are entered at the end, save by what comes back. */
static void enter(struct list *list, struct delivery *d)
{
	struct list *at = list->prev;

	while (at != list && list_entry(at, struct delivery, link)->order > d->order)
		at = at->prev;
	list_add_head(at, &d->link);
}

/* What its source counts it among. */
static uint32_t *count_of(const struct delivery *d)
{
	if (d->state == DELIVERY_RUNNING)
		return &d->source->running;
	return d->state < DELIVERY_RUNNING ? &d->source->held : NULL;
}

static void count(struct shelf *s, const struct delivery *d)
{
	uint32_t *of_source = count_of(d);

	s->n[d->state]++;
	if (of_source)
		++*of_source;
}

static void uncount(struct shelf *s, const struct delivery *d)
{
	uint32_t *of_source = count_of(d);

	s->n[d->state]--;
	if (of_source)
		--*of_source;
}

/* The one place where a delivery on the shelf changes state: lists and counts follow. */
static void set_state(struct shelf *s, struct delivery *d, enum delivery_state state)
{
	struct list *from = list_of(s, d->state), *to = list_of(s, state);

	if (from != to) {
		list_del(&d->link);
		if (to == &s->active)
			list_add_tail(to, &d->link);
		else
			enter(to, d);
	}
	uncount(s, d);
	delivery_set_state(d, state);
	count(s, d);
	s->changed = true;
}

void shelf_add(struct shelf *s, struct delivery *d)
{
	if (d->urgent)
		list_add_head(&s->waiting, &d->link);
	else
		list_add_tail(&s->waiting, &d->link);
	d->order = ++s->arrived;
	count(s, d);
	s->changed = true;
}

void shelf_add_cleared(struct shelf *s, struct delivery *d)
{
	shelf_add(s, d);
	set_state(s, d, DELIVERY_CLEARED);
}

/* What the store answers first is, as a rule, what it was told first. */
static struct delivery *find_in(struct list *list, struct id run)
{
	list_each(struct delivery, d, list, link) {
		if (id_eq(d->run, run))
			return d;
	}
	return NULL;
}

struct delivery *shelf_find(struct shelf *s, struct id run)
{
	struct delivery *d = find_in(&s->active, run);

	return d ? d : find_in(&s->asked, run);
}

void shelf_ask(struct shelf *s, struct delivery *d)
{
	set_state(s, d, DELIVERY_ASKING);
	d->owes |= OWES_CLAIM;
}

void shelf_cleared(struct shelf *s, struct delivery *d)
{
	set_state(s, d, DELIVERY_CLEARED);
}

void shelf_ahead(struct shelf *s, struct delivery *d)
{
	set_state(s, d, DELIVERY_AHEAD);
}

void shelf_back(struct shelf *s, struct delivery *d)
{
	set_state(s, d, d->verdict == VERDICT_RUN ? DELIVERY_CLEARED : DELIVERY_WAITING);
}

void shelf_running(struct shelf *s, struct delivery *d)
{
	set_state(s, d, DELIVERY_RUNNING);
	d->begun = true;
}

void shelf_take(struct shelf *s, struct delivery *d, const char *reason)
{
	snprintf(d->reason, sizeof d->reason, "%s", reason);
	log_debug(SHELF_JOB_FMT " goes to the store: %s", SHELF_JOB_ARG(d), reason);
	if (d->state != DELIVERY_RUNNING)
		set_state(s, d, DELIVERY_TAKING);
	d->owes |= OWES_TAKE;
	d->taken = true;
}

void shelf_record(struct shelf *s, struct delivery *d)
{
	set_state(s, d, DELIVERY_RECORDING);
	d->owes = OWES_OUTCOME;
}

void shelf_bury(struct shelf *s, struct delivery *d, enum outcome outcome, const char *why)
{
	d->buried = true;
	d->end.outcome = outcome;
	snprintf(d->end.error, sizeof d->end.error, "%s", why);
	log_info(SHELF_JOB_FMT " not started, %s: %s", SHELF_JOB_ARG(d), outcome_name(outcome),
	    why);
	shelf_record(s, d);
}

/* What cannot be read would be lost on the way. */
void shelf_carry(struct shelf *s, struct delivery *d)
{
	if (d->fault)
		shelf_bury(s, d, OUTCOME_DEAD, d->fault);
	else
		shelf_take(s, d, "the node moves to the embedded queue");
}

uint32_t shelf_buffered(const struct shelf *s)
{
	return s->n[DELIVERY_WAITING] + s->n[DELIVERY_AHEAD] + s->n[DELIVERY_ASKING] +
	       s->n[DELIVERY_CLEARED] + s->n[DELIVERY_TAKING];
}

void shelf_bury_unhandled(struct shelf *s, struct delivery *d)
{
	char why[ERR_TEXT_BYTES];

	if (d->type.n == 0)
		snprintf(why, sizeof why,
		    "the message has no type, and queue '" SLICE_FMT "' has no handler for such",
		    SLICE_ARG(d->job.queue));
	else
		snprintf(why, sizeof why, "no handler '" SLICE_FMT "' is configured here",
		    SLICE_ARG(d->type));
	shelf_bury(s, d, OUTCOME_DEAD, why);
}

void shelf_release(struct shelf *s, struct delivery *d)
{
	d->buried = true;
	d->end.outcome = OUTCOME_RELEASED;
	snprintf(d->end.error, sizeof d->end.error, "handed back before it started");
	shelf_record(s, d);
}

void shelf_ack_early(struct delivery *d)
{
	if (d->settled)
		return;
	d->settled = true;
	d->source->ops->ack(d->source, d->tag);
}

static void over(struct shelf *s, struct delivery *d)
{
	set_state(s, d, DELIVERY_OVER);
	s->n[DELIVERY_OVER] = 0; /* it is gone */
	delivery_free(d);
}

void shelf_acked(struct shelf *s, struct delivery *d)
{
	shelf_ack_early(d);
	over(s, d);
}

void shelf_requeued(struct shelf *s, struct delivery *d)
{
	if (!d->settled)
		d->source->ops->requeue(d->source, d->tag);
	over(s, d);
}

int64_t shelf_waits_since_ms(const struct shelf *s)
{
	const struct delivery *d = list_first(&s->waiting, struct delivery, link);
	const struct delivery *asked = list_first(&s->asked, struct delivery, link);

	if (!d || (asked && asked->order < d->order))
		d = asked;
	return d ? d->arrived_ms : INT64_MAX;
}

void shelf_forget_waiting(struct shelf *s, const struct source *source)
{
	list_each(struct delivery, d, &s->waiting, link) {
		if (d->source != source)
			continue;
		d->settled = true;
		shelf_requeued(s, d);
	}
}

uint32_t shelf_hand_back(struct shelf *s, const struct source *source)
{
	uint32_t n = 0;

	list_each(struct delivery, d, &s->waiting, link) {
		if (source && d->source != source)
			continue;
		n++;
		shelf_requeued(s, d);
	}
	list_each(struct delivery, d, &s->asked, link) {
		if (d->state != DELIVERY_CLEARED || (source && d->source != source))
			continue;
		n++;
		shelf_release(s, d);
	}
	return n;
}
