/* SPDX-License-Identifier: MIT */
/*
 * Frames are not sent where they become due but noted (shelf.h) and sent once per turn, in the
 * order of the list, as far as the store's socket has room. So a new store gets the same frames by
 * noting them again, and nothing has to be remembered for it.
 */
#include "daemon/worker/dispatch.h"

#include <errno.h>

#include "daemon/worker/age.h"
#include "daemon/worker/answers.h"
#include "daemon/worker/handlers.h"
#include "daemon/worker/next.h"
#include "daemon/worker/report.h"
#include "daemon/worker/shelf.h"
#include "daemon/worker/show.h"
#include "lib/base/clock.h"
#include "lib/base/fault.h"
#include "lib/base/log.h"

#define DISPATCH_MAGIC 0x64737063u
#define RELEASE_KILL_MS 5000 /* a handler that is released has at most so long after SIGTERM */
#define NO_ROOM_MS 20        /* the store does not read fast enough: look again */
#define CANNOT_SEND_MS 1000  /* this machine lacks memory or descriptors for a frame: try again */

struct dispatch {
	unsigned magic;
	struct dispatch_config c;
	const struct dispatch_events *events;
	void *arg;
	struct handlers *handlers;
	struct peer *store; /* NULL while the link is down */
	struct shelf shelf;
	struct age age;
	struct delivery *alone; /* runs, and nothing else may */
	struct loop_timer again, patience;
	bool stopping, told_empty;
	bool outcomes;  /* are among the frames that are not written yet */
	bool abandoned; /* what ends now is not reported */
};

/* --- sending ---------------------------------------------------------------------------------- */

/* False if the store must be given time, or this machine. */
static bool send_owed(struct dispatch *x, struct delivery *d)
{
	while (d->owes && x->store) {
		int rc;

		if (!peer_has_room(x->store)) {
			loop_timer_set(&x->again, NO_ROOM_MS);
			return false;
		}
		rc = report_owed(x->store, d);
		if (rc < 0) {
			log_warn(SHELF_JOB_FMT " cannot be reported now: %s", SHELF_JOB_ARG(d),
			    strerror(-rc));
			loop_timer_set(&x->again, CANNOT_SEND_MS);
			return false;
		}
	}
	return true;
}

static void send_from(struct dispatch *x, struct list *list)
{
	list_each(struct delivery, d, list, link) {
		if (!d->owes || !x->store)
			continue;
		x->outcomes = x->outcomes || (d->owes & OWES_OUTCOME);
		if (!send_owed(x, d))
			break;
	}
}

static void send_all(struct dispatch *x)
{
	send_from(x, &x->shelf.active);
	send_from(x, &x->shelf.asked);
}

/* Frames are written once per turn, and before a command starts. */
static void flush(struct dispatch *x)
{
	if (x->store)
		peer_flush(x->store);
	if (x->outcomes)
		FAULT(worker_outcome_sent);
	x->outcomes = false;
}

/* --- runs ------------------------------------------------------------------------------------- */

static struct delivery *delivery_of(struct run *run)
{
	return list_entry(run, struct delivery, live);
}

static void on_progress(void *arg, struct run *run UNUSED)
{
	OBJ(struct dispatch, x, arg, DISPATCH_MAGIC);

	x->shelf.changed = true;
}

/* From here on the run counts, whatever becomes of it. One that a service answers before the turn is over needs no
 * CLAIM: its OUTCOME says it all. */
static void begun(struct dispatch *x, struct delivery *d)
{
	if (d->verdict == VERDICT_NONE)
		d->attempt = 1;
	if (x->store) /* a new one is told by HOLD */
		d->owes |= OWES_BEGUN;
	shelf_running(&x->shelf, d);
	x->alone = d->alone ? d : NULL;
	x->c.slot->started++;
	d->end.started_wall_ms = clock_wall_ms();
	log_debug(SHELF_JOB_FMT " attempt=%u starts", SHELF_JOB_ARG(d), d->attempt);
}

/* It was sent ahead, and its turn has come, or the store must know of it before that. */
static void claim_ahead(void *arg, struct delivery *d)
{
	OBJ(struct dispatch, x, arg, DISPATCH_MAGIC);

	if (d->state == DELIVERY_AHEAD)
		begun(x, d);
}

static void on_begun(void *arg, struct run *run)
{
	claim_ahead(arg, delivery_of(run));
}

/* Takes over the buffers of `end`. */
static void run_ended(struct dispatch *x, struct delivery *d, const struct run_end *end)
{
	int64_t started_wall_ms = d->end.started_wall_ms;

	FAULT(worker_ended);
	prefetch_ended(x->c.prefetch, d->job.body.n, clock_mono_us());
	d->ran = true;
	d->end = *end;
	d->end.started_wall_ms = started_wall_ms;
	if (end->outcome == OUTCOME_DONE)
		delivery_drop_body(d);
	if (x->alone == d)
		x->alone = NULL;
	show_ended(x->c.slot, d);
	shelf_record(&x->shelf, d);
}

static void on_ended(void *arg, struct run *run, struct run_end *end)
{
	OBJ(struct dispatch, x, arg, DISPATCH_MAGIC);

	if (x->abandoned) {
		buf_free(&end->result);
		buf_free(&end->logs);
		return;
	}
	run_ended(x, delivery_of(run), end);
}

/* Its handler never heard of it. If the store was told that it began, that claim must be closed. */
static void on_returned(void *arg, struct run *run)
{
	OBJ(struct dispatch, x, arg, DISPATCH_MAGIC);
	struct delivery *d = delivery_of(run);

	if (x->abandoned)
		return;
	if (d->state == DELIVERY_RUNNING) {
		shelf_release(&x->shelf, d);
		return;
	}
	shelf_back(&x->shelf, d);
	if (!x->stopping && !d->source->paused)
		return;
	if (d->state == DELIVERY_CLEARED)
		shelf_release(&x->shelf, d);
	else
		shelf_requeued(&x->shelf, d);
}

/* The claim is in the store's socket before the handler exists, or hears of the job: whatever that
 * does to this process or to the machine, it is known which job did it. */
static void run(struct dispatch *x, struct delivery *d, bool ahead)
{
	struct run_end end;

	if (ahead) {
		if (d->verdict == VERDICT_NONE)
			d->attempt = 1;
		shelf_ahead(&x->shelf, d);
	} else {
		begun(x, d);
		send_owed(x, d);
		if (x->store && d->handler->command.n)
			peer_flush(x->store);
		FAULT(worker_claimed);
	}
	d->live.spec = (struct run_spec){.job = &d->job, .type = d->type, .handler = d->handler,
	    .run = d->run, .attempt = d->attempt, .timeout_ms = delivery_timeout_ms(d)};
	if (handlers_start(x->handlers, &d->live, &end) < 0) {
		run_ended(x, d, &end);
		return;
	}
	FAULT(worker_started);
}

/* It is this delivery's turn, and the store need not be asked or has cleared it. */
static void go(struct dispatch *x, struct delivery *d, bool ahead)
{
	int64_t now = clock_wall_ms(), due = delivery_due_wall_ms(d);

	if (d->job.expires_wall_ms != JOB_NOT_GIVEN && now >= d->job.expires_wall_ms)
		shelf_bury(&x->shelf, d, OUTCOME_EXPIRED, "its job-expires had passed");
	else if (due != JOB_NOT_GIVEN && due > now)
		shelf_take(&x->shelf, d, "it is not due yet");
	else
		run(x, d, ahead);
}

/*~ 3. Its turn has come. A first delivery is claimed and started in one go; one that must ask was
 * asked for ahead of its turn, and the store has cleared it. Next: the store's side of it. */
static void begin(struct dispatch *x, struct delivery *d, bool ahead)
{
	if (d->fault)
		shelf_bury(&x->shelf, d, OUTCOME_DEAD, d->fault);
	else if (!d->handler)
		shelf_bury_unhandled(&x->shelf, d);
	else if (next_must_ask(d))
		shelf_ask(&x->shelf, d);
	else
		go(x, d, ahead);
}

/* --- turns ------------------------------------------------------------------------------------ */

/* A store that is slow to answer slows the starts. The broker's prefetch bounds what is
 * unanswered too, but not across its sessions. */
static bool may_start(struct dispatch *x)
{
	if (!x->store || x->stopping || x->shelf.n[DELIVERY_RECORDING] > x->c.prefetch->value)
		return false;
	if (peer_has_room(x->store))
		return true;
	loop_timer_set(&x->again, NO_ROOM_MS);
	return false;
}

static void show_counts(struct dispatch *x)
{
	if (!x->shelf.changed)
		return;
	x->shelf.changed = false;
	x->c.slot->buffered = shelf_buffered(&x->shelf);
	prefetch_running(x->c.prefetch, x->shelf.n[DELIVERY_RUNNING], clock_mono_us());
	show_runs(x->c.slot, &x->shelf, x->handlers);
	x->events->changed(x->arg);
}

/* A worker that leaves does not wait for a verdict when nobody is there to give it. */
static void stop_asking(struct dispatch *x)
{
	list_each(struct delivery, d, &x->shelf.asked, link) {
		if (d->state == DELIVERY_ASKING)
			shelf_requeued(&x->shelf, d);
	}
}

static void tell_empty(struct dispatch *x, bool empty)
{
	if (!empty || x->told_empty)
		return;
	x->told_empty = true;
	x->events->empty(x->arg);
}

void dispatch_turn(struct dispatch *x)
{
	struct delivery *d;
	bool ahead;

	if (x->abandoned) {
		tell_empty(x, handlers_are_gone(x->handlers));
		return;
	}
	if (x->stopping && !x->store)
		stop_asking(x);
	send_all(x);
	while (may_start(x) && (d = next_to_start(&x->shelf, x->handlers, x->alone, &ahead))) {
		begin(x, d, ahead);
		if (d->owes)
			send_all(x);
	}
	if (may_start(x) && next_ask_ahead(&x->shelf, x->handlers))
		send_all(x);
	flush(x); /* claims, before their jobs are heard of */
	handlers_flush(x->handlers);
	show_counts(x);
	tell_empty(x, x->stopping && dispatch_is_empty(x));
}

static void on_again(struct loop_timer *t UNUSED)
{
	/* the turn does it */
}

/* --- what the store says ---------------------------------------------------------------------- */

static int on_cancel(struct dispatch *x, struct frame *f)
{
	struct msg_cancel m;
	struct delivery *d;

	if (msg_cancel_decode(f, &m) < 0)
		return -EPROTO;
	d = shelf_find(&x->shelf, m.run);
	if (!d)
		return 0;
	claim_ahead(x, d);
	if (d->state == DELIVERY_RUNNING)
		handlers_stop(x->handlers, &d->live, RUN_STOP_CANCEL, d->handler->kill_after);
	else if (d->state == DELIVERY_CLEARED)
		shelf_bury(&x->shelf, d, OUTCOME_CANCELLED, "cancelled before it started");
	return 0;
}

static int on_ask(struct dispatch *x, struct frame *f)
{
	struct msg_ask m;

	if (msg_ask_decode(f, &m) < 0)
		return -EPROTO;
	x->events->ask(x->arg, m.queue, m.always);
	return 0;
}

static int on_deal(struct dispatch *x, struct frame *f)
{
	struct msg_deal m;

	return msg_deal_decode(f, &m) < 0 ? -EPROTO : x->events->dealt(x->arg, &m);
}

static int on_paused(struct dispatch *x, struct frame *f)
{
	struct msg_paused m;

	if (msg_paused_decode(f, &m) < 0)
		return -EPROTO;
	x->events->paused(x->arg, m.queue, m.paused);
	return 0;
}

int dispatch_frame(struct dispatch *x, struct frame *f)
{
	static int (*const on[MSG_COUNT])(struct dispatch *, struct frame *) = {
	    [MSG_CANCEL] = on_cancel,
	    [MSG_ASK] = on_ask,
	    [MSG_DEAL] = on_deal,
	    [MSG_PAUSED] = on_paused,
	};

	return on[f->type] ? on[f->type](x, f) : answers_frame(&x->shelf, f, x->stopping);
}

/* May be called from inside any send, so that it frees nothing. */
void dispatch_link(struct dispatch *x, struct peer *store)
{
	x->store = store;
	/* What it asked for may have passed while it had nobody to tell. */
	if (store)
		x->events->ask(x->arg, slice_str(""), false);
	x->age.linked = store != NULL;
	list_each(struct delivery, d, &x->shelf.active, link)
		report_again(d);
	list_each(struct delivery, d, &x->shelf.asked, link)
		report_again(d);
}

uint32_t dispatch_held(const struct dispatch *x)
{
	return report_held(NULL, &x->shelf.active) + report_held(NULL, &x->shelf.asked);
}

void dispatch_hold(const struct dispatch *x, struct peer *store)
{
	report_held(store, &x->shelf.active);
	report_held(store, &x->shelf.asked);
}

/* --- what the sources say --------------------------------------------------------------------- */

/* Does a copy of that job run here? Then the store must know before it is asked of this one. */
static bool is_running(struct dispatch *x, const struct delivery *copy)
{
	list_each(struct delivery, d, &x->shelf.active, link) {
		if ((d->state != DELIVERY_RUNNING && d->state != DELIVERY_AHEAD) ||
		    !delivery_same_job(d, copy))
			continue;
		claim_ahead(x, d);
		return true;
	}
	return false;
}

static void find_handler(struct dispatch *x, struct delivery *d)
{
	d->handler = d->type.n ? conf_handler(x->c.conf, d->type) : NULL;
	if (d->handler)
		prefetch_saw_slots(x->c.prefetch, (uint32_t)d->handler->concurrency);
}

void dispatch_delivered(struct dispatch *x, struct source *source, struct source_tag tag,
    const struct message *m)
{
	struct delivery *d;

	FAULT(worker_delivered);
	if (x->stopping || source->paused) {
		source->ops->requeue(source, tag);
		return;
	}
	d = delivery_new(source, tag, m, clock_wall_ms(), loop_now_ms(x->c.loop));
	find_handler(x, d);
	d->urgent = !d->nameless && !d->fault && d->handler && delivery_must_ask(d) &&
		    is_running(x, d);
	shelf_add(&x->shelf, d);
	show_delivered(x->c.slot, source);
	if (!x->c.carries)
		age_arrived(&x->age);
	else
		shelf_carry(&x->shelf, d);
}

/* The store has read its envelope a moment ago. */
void dispatch_dealt(struct dispatch *x, struct source *source, const struct msg_deal *m)
{
	struct err err = {0};
	struct delivery *d = delivery_dealt(source, m, loop_now_ms(x->c.loop), &err);

	if (!d)
		BUG("a job was dealt that cannot be read: %s", err.text);
	FAULT(worker_delivered);
	find_handler(x, d);
	shelf_add_cleared(&x->shelf, d);
	show_delivered(x->c.slot, source);
	if (x->stopping || source->paused)
		shelf_release(&x->shelf, d);
}

void dispatch_paused(struct dispatch *x, struct source *source)
{
	if (source->paused)
		shelf_hand_back(&x->shelf, source);
}

/* What was not begun is forgotten; what the store was told of goes on, and settles nothing. */
void dispatch_lost(struct dispatch *x, struct source *source)
{
	shelf_forget_waiting(&x->shelf, source);
	list_each(struct delivery, d, &x->shelf.active, link) {
		if (d->source != source)
			continue;
		d->settled = true;
		claim_ahead(x, d); /* whoever is given it next must hear that it runs here */
	}
	list_each(struct delivery, d, &x->shelf.asked, link) {
		if (d->source != source)
			continue;
		d->settled = true;
		if (d->state == DELIVERY_CLEARED)
			shelf_release(&x->shelf, d);
	}
}

struct shelf *dispatch_shelf(struct dispatch *x)
{
	return &x->shelf;
}

/* --- stopping --------------------------------------------------------------------------------- */

static void on_patience(struct loop_timer *t)
{
	OBJ(struct dispatch, x, t->arg, DISPATCH_MAGIC);

	handlers_release(x->handlers, RELEASE_KILL_MS);
}

void dispatch_stop(struct dispatch *x, bool hurry, int64_t within_ms)
{
	x->stopping = true;
	shelf_hand_back(&x->shelf, NULL);
	handlers_quit(x->handlers);
	if (hurry)
		handlers_release(x->handlers, 0);
	else
		loop_timer_set(&x->patience, within_ms);
}

void dispatch_abandon(struct dispatch *x)
{
	x->stopping = x->abandoned = true;
	handlers_release(x->handlers, 0);
}

bool dispatch_is_empty(const struct dispatch *x)
{
	return shelf_is_empty(&x->shelf) && (!x->stopping || handlers_are_gone(x->handlers));
}

/* --- life ------------------------------------------------------------------------------------- */

struct dispatch *dispatch_new(const struct dispatch_config *config,
    const struct dispatch_events *events, void *arg)
{
	static const struct run_events run_events = {
	    on_begun, on_progress, on_ended, on_returned};
	struct dispatch *x = xcalloc(1, sizeof *x);

	x->magic = DISPATCH_MAGIC;
	x->c = *config;
	x->events = events;
	x->arg = arg;
	shelf_init(&x->shelf);
	age_init(&x->age, config->loop, config->pool, &x->shelf, claim_ahead, x);
	loop_timer_init(&x->again, config->loop, on_again, x);
	loop_timer_init(&x->patience, config->loop, on_patience, x);
	x->handlers = handlers_new(
	    config->loop, config->conf, config->environment, &run_events, x);
	return x;
}

void dispatch_free(struct dispatch *x)
{
	if (!x)
		return;
	loop_timer_stop(&x->again);
	age_stop(&x->age);
	loop_timer_stop(&x->patience);
	handlers_free(x->handlers);
	shelf_free(&x->shelf);
	x->magic = 0;
	free(x);
}
