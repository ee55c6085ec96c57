/* SPDX-License-Identifier: MIT */
/*
 * Frames are not sent where they become due but noted (shelf.h) and sent once per turn, in the
 * order of the list, as far as the store's socket has room. So a new store gets the same frames by
 * noting them again, and nothing has to be remembered for it.
 */
#include "daemon/worker/dispatch.h"

#include <errno.h>

#include "daemon/worker/answers.h"
#include "daemon/worker/report.h"
#include "daemon/worker/runner.h"
#include "daemon/worker/shelf.h"
#include "daemon/worker/show.h"
#include "lib/base/clock.h"
#include "lib/base/fault.h"
#include "lib/base/log.h"

#define DISPATCH_MAGIC 0x64737063u
#define RELEASE_KILL_MS 5000 /* a handler that is released has at most so long after SIGTERM */
#define NO_ROOM_MS 20        /* the store does not read fast enough: look again */
#define CANNOT_SEND_MS 1000  /* this machine lacks memory or descriptors for a frame: try again */
#define TAKE_RETRY_MS 1000

struct dispatch {
	unsigned magic;
	struct dispatch_config c;
	const struct dispatch_events *events;
	void *arg;
	struct runner *runner;
	struct peer *store; /* NULL while the link is down */
	struct shelf shelf;
	struct delivery *running;
	struct loop_timer again, take, patience;
	bool stopping, told_empty;
	bool abandoned; /* what ends now is not reported */
};

/* --- runs ------------------------------------------------------------------------------------- */

static void on_progress(void *arg, int32_t percent, const char *note)
{
	OBJ(struct dispatch, x, arg, DISPATCH_MAGIC);

	show_progress(x->c.slot, percent, note);
	x->shelf.changed = true;
}

/* Takes over the buffers of `end`. */
static void run_ended(struct dispatch *x, struct delivery *d, const struct run_end *end)
{
	FAULT(worker_ended);
	d->ran = true;
	d->end = *end;
	x->running = NULL;
	show_ended(x->c.slot, d);
	shelf_record(&x->shelf, d);
}

static void on_ended(void *arg, struct run_end *end)
{
	OBJ(struct dispatch, x, arg, DISPATCH_MAGIC);

	loop_timer_stop(&x->patience);
	if (x->abandoned) {
		buf_free(&end->result);
		buf_free(&end->logs);
		x->events->empty(x->arg);
		return;
	}
	run_ended(x, x->running, end);
}

static int64_t run_limit_ms(const struct delivery *d, const struct conf_handler *h)
{
	int64_t asked = d->job.timeout_ms > 0 ? d->job.timeout_ms : 0;

	if (asked == 0 || h->timeout == 0)
		return asked + h->timeout;
	return asked < h->timeout ? asked : h->timeout;
}

/* The claim is in the store's socket before the handler exists: whatever that does to this
 * process or to the machine, it is known which job did it. */
static void run(struct dispatch *x, struct delivery *d, const struct conf_handler *h)
{
	struct run_spec spec = {.job = &d->job, .type = d->type, .handler = h, .run = d->run,
	    .timeout_ms = run_limit_ms(d, h)};
	struct run_end end;

	if (d->state == DELIVERY_WAITING) {
		d->attempt = 1;
		report_claim(x->store, d, false);
		if (x->store)
			peer_flush(x->store);
	}
	FAULT(worker_claimed);
	spec.attempt = d->attempt;
	shelf_running(&x->shelf, d);
	d->end.started_wall_ms = clock_wall_ms();
	log_debug(SHELF_JOB_FMT " attempt=%u starts", SHELF_JOB_ARG(d), d->attempt);
	if (runner_start(x->runner, &spec, &end) < 0) {
		run_ended(x, d, &end);
		return;
	}
	x->running = d;
	show_started(x->c.slot, d, runner_pid(x->runner));
	x->shelf.changed = true;
	FAULT(worker_started);
}

/* It is this delivery's turn, and the store need not be asked or has cleared it. */
static void go(struct dispatch *x, struct delivery *d, const struct conf_handler *h)
{
	int64_t now = clock_wall_ms(), due = delivery_due_wall_ms(d);

	if (d->job.expires_wall_ms != JOB_NOT_GIVEN && now >= d->job.expires_wall_ms)
		shelf_bury(&x->shelf, d, OUTCOME_EXPIRED, "its job-expires had passed");
	else if (due != JOB_NOT_GIVEN && due > now)
		shelf_take(&x->shelf, d, "it is not due yet");
	else
		run(x, d, h);
}

static const struct conf_handler *handler_of(struct dispatch *x, const struct delivery *d,
    char why[static ERR_TEXT_BYTES])
{
	const struct conf_handler *h = d->type.n ? conf_handler(x->c.conf, d->type) : NULL;

	if (d->type.n == 0)
		snprintf(why, ERR_TEXT_BYTES,
		    "the message has no type, and queue '" SLICE_FMT "' has no handler for such",
		    SLICE_ARG(d->job.queue));
	else if (!h)
		snprintf(why, ERR_TEXT_BYTES, "no handler '" SLICE_FMT "' is configured here",
		    SLICE_ARG(d->type));
	return h;
}

/*~ 3. Its turn has come. A first delivery is claimed and started in one go; a redelivery, or a
 * copy that came out of a parcel, sends its CLAIM and waits for the verdict. Next: the store's
 * side of it. */
static void begin(struct dispatch *x, struct delivery *d)
{
	char why[ERR_TEXT_BYTES];
	const struct conf_handler *h = handler_of(x, d, why);

	if (d->fault)
		shelf_bury(&x->shelf, d, OUTCOME_DEAD, d->fault);
	else if (!h)
		shelf_bury(&x->shelf, d, OUTCOME_DEAD, why);
	else if (d->state == DELIVERY_WAITING && delivery_must_ask(d))
		shelf_ask(&x->shelf, d);
	else
		go(x, d, h);
}

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

static void send_all(struct dispatch *x)
{
	bool outcomes = false, any = false;

	list_each(struct delivery, d, &x->shelf.active, link) {
		if (!d->owes || !x->store)
			continue;
		any = true;
		outcomes = outcomes || (d->owes & OWES_OUTCOME);
		if (!send_owed(x, d))
			break;
	}
	if (any && x->store)
		peer_flush(x->store);
	if (outcomes)
		FAULT(worker_outcome_sent);
}

/* --- the next one ----------------------------------------------------------------------------- */

static struct delivery *next_of(struct dispatch *x)
{
	struct delivery *first = list_first(&x->shelf.waiting, struct delivery, link);

	if (first && first->urgent)
		return first;
	if (!runner_is_idle(x->runner) || x->shelf.nasking)
		return NULL;
	list_each(struct delivery, d, &x->shelf.active, link) {
		/* A job with a loss on record takes nobody else's outcome down with it. */
		if (d->state == DELIVERY_CLEARED)
			return d->alone && x->shelf.nrecording ? NULL : d;
	}
	return first;
}

/* A store that is slow to answer slows the starts. The broker's prefetch bounds what is
 * unanswered too, but not across its sessions. */
static bool may_start(struct dispatch *x)
{
	if (!x->store || x->stopping || x->shelf.nrecording > (uint32_t)x->c.pool->prefetch)
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
	x->c.slot->buffered = x->shelf.nwaiting + x->shelf.nasking;
	x->events->changed(x->arg);
}

/* A worker that leaves does not wait for a verdict when nobody is there to give it. */
static void stop_asking(struct dispatch *x)
{
	list_each(struct delivery, d, &x->shelf.active, link) {
		if (d->state == DELIVERY_ASKING)
			shelf_requeued(&x->shelf, d);
	}
}

void dispatch_turn(struct dispatch *x)
{
	struct delivery *d;

	if (x->stopping && !x->store)
		stop_asking(x);
	send_all(x);
	while (may_start(x) && (d = next_of(x))) {
		begin(x, d);
		send_all(x);
	}
	show_counts(x);
	if (!x->stopping || x->told_empty || !dispatch_is_empty(x))
		return;
	x->told_empty = true;
	x->events->empty(x->arg);
}

static void on_again(struct loop_timer *t UNUSED)
{
	/* the turn does it */
}

/* --- take-over by age ------------------------------------------------------------------------- */

/* Unreadable ones are buried at their turn, not taken: what could not be read would be lost on
 * the way. */
static void take_aged(struct dispatch *x, struct delivery *d)
{
	if (d->state == DELIVERY_RUNNING || d->state == DELIVERY_CLEARED)
		shelf_take(&x->shelf, d, "it was unacknowledged for long");
	else if (d->fault)
		shelf_bury(&x->shelf, d, OUTCOME_DEAD, d->fault);
	else if (delivery_must_ask(d))
		shelf_ask(&x->shelf, d);
	else
		shelf_take(&x->shelf, d, "it was unacknowledged for long");
}

/* How long until it is old enough; negative: it is. INT64_MAX: its age does not matter. */
static int64_t until_aged_ms(const struct dispatch *x, const struct delivery *d, int64_t now)
{
	int64_t left = d->arrived_ms + x->c.pool->take_after - now;

	if (d->settled || d->taken)
		return INT64_MAX;
	switch (d->state) {
	case DELIVERY_WAITING:
	case DELIVERY_CLEARED:
	case DELIVERY_RUNNING:
		return left;
	case DELIVERY_ASKING:
		/* what it becomes is seen then */
		return left > TAKE_RETRY_MS ? left : TAKE_RETRY_MS;
	case DELIVERY_TAKING:
	case DELIVERY_RECORDING:
	case DELIVERY_OVER:
	case DELIVERY_STATE_COUNT:
		return INT64_MAX;
	}
	BUG("delivery in state %d", d->state);
}

/* Takes what is old enough; returns how long until the next one is. */
static int64_t take_from(struct dispatch *x, struct list *from, int64_t now)
{
	int64_t next = INT64_MAX;

	list_each(struct delivery, d, from, link) {
		int64_t left = until_aged_ms(x, d, now);

		if (left <= 0) {
			take_aged(x, d);
			left = until_aged_ms(x, d, now);
		}
		if (left < next)
			next = left;
	}
	return next;
}

static void on_take(struct loop_timer *t)
{
	OBJ(struct dispatch, x, t->arg, DISPATCH_MAGIC);
	int64_t now = loop_now_ms(x->c.loop), active, waiting;

	if (!x->store) {
		loop_timer_set(&x->take, TAKE_RETRY_MS);
		return;
	}
	waiting = take_from(x, &x->shelf.waiting, now);
	active = take_from(x, &x->shelf.active, now);
	if (waiting < active)
		active = waiting;
	if (active != INT64_MAX)
		loop_timer_set(&x->take, active);
}

/* --- what the store says ---------------------------------------------------------------------- */

static int on_cancel(struct dispatch *x, struct frame *f)
{
	const struct conf_handler *h;
	struct msg_cancel m;
	struct delivery *d;

	if (msg_cancel_decode(f, &m) < 0)
		return -EPROTO;
	d = shelf_find(&x->shelf, m.run);
	if (!d)
		return 0;
	h = conf_handler(x->c.conf, d->type);
	if (d == x->running)
		runner_stop(x->runner, RUN_STOP_CANCEL, h->kill_after);
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

int dispatch_frame(struct dispatch *x, struct frame *f)
{
	static int (*const on[MSG_COUNT])(struct dispatch *, struct frame *) = {
	    [MSG_CANCEL] = on_cancel,
	    [MSG_ASK] = on_ask,
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
	list_each(struct delivery, d, &x->shelf.active, link)
		report_again(d);
}

uint32_t dispatch_held(const struct dispatch *x)
{
	uint32_t n = 0;

	list_each(struct delivery, d, &x->shelf.active, link)
		n += delivery_is_held(d);
	return n;
}

void dispatch_hold(const struct dispatch *x, struct peer *store)
{
	list_each(struct delivery, d, &x->shelf.active, link) {
		if (delivery_is_held(d))
			report_hold(store, d);
	}
}

/* --- what the sources say --------------------------------------------------------------------- */

void dispatch_delivered(struct dispatch *x, struct source *source, struct source_tag tag,
    const struct message *m)
{
	struct delivery *d;

	FAULT(worker_delivered);
	if (x->stopping) {
		source->ops->requeue(source, tag);
		return;
	}
	d = delivery_new(source, tag, m, clock_wall_ms(), loop_now_ms(x->c.loop));
	d->urgent = x->running && !d->nameless && !d->fault && delivery_must_ask(d) &&
		    delivery_same_job(d, x->running);
	shelf_add(&x->shelf, d);
	x->c.slot->delivered++;
	if (!loop_timer_active(&x->take))
		loop_timer_set(&x->take, x->c.pool->take_after);
}

/* What was not begun is forgotten; what the store was told of goes on, and settles nothing. */
void dispatch_lost(struct dispatch *x, struct source *source)
{
	shelf_forget_waiting(&x->shelf, source, false);
	list_each(struct delivery, d, &x->shelf.active, link) {
		if (d->source != source)
			continue;
		d->settled = true;
		if (d->state == DELIVERY_CLEARED)
			shelf_release(&x->shelf, d);
	}
}

/* --- stopping --------------------------------------------------------------------------------- */

static void on_patience(struct loop_timer *t)
{
	OBJ(struct dispatch, x, t->arg, DISPATCH_MAGIC);
	int64_t kill_after;

	if (!x->running)
		return;
	kill_after = conf_handler(x->c.conf, x->running->type)->kill_after;
	if (kill_after > RELEASE_KILL_MS)
		kill_after = RELEASE_KILL_MS;
	runner_stop(x->runner, RUN_STOP_RELEASE, kill_after);
}

void dispatch_stop(struct dispatch *x, bool hurry, int64_t within_ms)
{
	x->stopping = true;
	shelf_forget_waiting(&x->shelf, NULL, true);
	list_each(struct delivery, d, &x->shelf.active, link) {
		if (d->state == DELIVERY_CLEARED)
			shelf_release(&x->shelf, d);
	}
	if (!x->running)
		return;
	if (hurry)
		runner_stop(x->runner, RUN_STOP_RELEASE, 0);
	else
		loop_timer_set(&x->patience, within_ms);
}

void dispatch_abandon(struct dispatch *x)
{
	x->stopping = x->abandoned = true;
	if (x->running)
		runner_stop(x->runner, RUN_STOP_RELEASE, 0);
	else
		x->events->empty(x->arg);
}

bool dispatch_is_empty(const struct dispatch *x)
{
	return shelf_is_empty(&x->shelf);
}

/* --- life ------------------------------------------------------------------------------------- */

struct dispatch *dispatch_new(const struct dispatch_config *config,
    const struct dispatch_events *events, void *arg)
{
	static const struct run_events run_events = {on_progress, on_ended};
	struct dispatch *x = xcalloc(1, sizeof *x);

	x->magic = DISPATCH_MAGIC;
	x->c = *config;
	x->events = events;
	x->arg = arg;
	shelf_init(&x->shelf);
	x->runner = runner_new(config->loop, config->environment, &run_events, x);
	loop_timer_init(&x->again, config->loop, on_again, x);
	loop_timer_init(&x->take, config->loop, on_take, x);
	loop_timer_init(&x->patience, config->loop, on_patience, x);
	return x;
}

void dispatch_free(struct dispatch *x)
{
	if (!x)
		return;
	loop_timer_stop(&x->again);
	loop_timer_stop(&x->take);
	loop_timer_stop(&x->patience);
	runner_free(x->runner);
	shelf_free(&x->shelf);
	x->magic = 0;
	free(x);
}
