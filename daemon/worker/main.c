/* SPDX-License-Identifier: MIT */
/*
 * skep-worker: takes jobs from the queues of its pool and runs a handler for each. The intake, the
 * store and the handler each have a module; dispatch.h stands between them. This file makes them,
 * joins them, and takes them apart: consumers first, then what is held, then the connection.
 */
#include <errno.h>
#include <unistd.h>

#include "daemon/process.h"
#include "daemon/store_link.h"
#include "daemon/worker/balance.h"
#include "daemon/worker/consume.h"
#include "daemon/worker/dealt.h"
#include "daemon/worker/dispatch.h"
#include "daemon/worker/environment.h"
#include "daemon/worker/reap.h"
#include "daemon/worker/scheduling.h"
#include "daemon/worker/show.h"
#include "lib/base/log.h"

#define WORKER_MAGIC 0x776f726bu
#define HURRY_MS 2000
#define CARRY_PREFETCH 64 /* bodies in memory, of each queue */
#define CARRY_BODY_BYTES (128 << 20) /* the default of max_body: what no pool takes is dead-lettered */
#define CANCEL_MS 2000 /* a broker that does not confirm the end of consumption by then is left */

struct worker {
	unsigned magic;
	struct process *p;
	struct environment *environment;
	struct dispatch *dispatch; /* NULL until START */
	struct intake *intake;
	struct prefetch prefetch;
	struct balance *balance;
	struct store_link *link;
	struct loop_hook turn;
	struct loop_timer hurry, cancel;
	bool welcome; /* by a store, at least once */
	bool quiet;   /* nothing is delivered any more, or it would be handed back at once */
	bool closing;
	char node[256];
};

static void say_ready(struct worker *w)
{
	const char *status =
	    w->intake->ops->is_up(w->intake) ? "connected" : "waiting for the broker";

	if (w->welcome && !w->p->stopping)
		process_ready(w->p, status);
}

/* Everything is given back, and the broker will send nothing more: the connection may go. */
static void leave_if_done(struct worker *w)
{
	if (w->closing || !w->quiet || !dispatch_is_empty(w->dispatch))
		return;
	w->closing = true;
	w->intake->ops->close(w->intake);
}

/* --- the store -------------------------------------------------------------------------------- */

static uint32_t on_link_held(void *arg)
{
	OBJ(struct worker, w, arg, WORKER_MAGIC);

	return dispatch_held(w->dispatch);
}

static void on_link_hold(void *arg, struct peer *store)
{
	OBJ(struct worker, w, arg, WORKER_MAGIC);

	dispatch_hold(w->dispatch, store);
}

static void on_link_up(void *arg)
{
	OBJ(struct worker, w, arg, WORKER_MAGIC);

	dispatch_link(w->dispatch, store_link_peer(w->link));
	w->intake->ops->link(w->intake, store_link_peer(w->link));
	w->welcome = true;
	say_ready(w);
}

static void on_link_down(void *arg)
{
	OBJ(struct worker, w, arg, WORKER_MAGIC);

	dispatch_link(w->dispatch, NULL);
	w->intake->ops->link(w->intake, NULL);
}

static int on_link_frame(void *arg, struct frame *f)
{
	OBJ(struct worker, w, arg, WORKER_MAGIC);

	return dispatch_frame(w->dispatch, f);
}

/* --- the intake ------------------------------------------------------------------------------- */

static void on_delivered(
    void *arg, struct source *source, struct source_tag tag, const struct message *m)
{
	OBJ(struct worker, w, arg, WORKER_MAGIC);

	dispatch_delivered(w->dispatch, source, tag, m);
}

static void on_dealt(void *arg, struct source *source, const struct msg_deal *m)
{
	OBJ(struct worker, w, arg, WORKER_MAGIC);

	dispatch_dealt(w->dispatch, source, m);
}

static void on_lost(void *arg, struct source *source)
{
	OBJ(struct worker, w, arg, WORKER_MAGIC);

	dispatch_lost(w->dispatch, source);
}

static void on_intake_changed(void *arg)
{
	OBJ(struct worker, w, arg, WORKER_MAGIC);

	w->p->slot->connected = w->intake->ops->is_up(w->intake);
	w->p->slot->blocked = w->intake->ops->is_blocked(w->intake);
	process_board_changed(w->p);
	say_ready(w);
}

static void on_stopped(void *arg)
{
	OBJ(struct worker, w, arg, WORKER_MAGIC);

	w->quiet = true;
	leave_if_done(w);
}

static void on_unconfirmed(struct loop_timer *t)
{
	on_stopped(t->arg);
}

static void on_closed(void *arg)
{
	OBJ(struct worker, w, arg, WORKER_MAGIC);

	process_exit(w->p, EXIT_DRAINED);
}

/* --- the dispatcher --------------------------------------------------------------------------- */

static void on_ask(void *arg, struct slice queue, bool always)
{
	OBJ(struct worker, w, arg, WORKER_MAGIC);
	struct source *source = intake_source(w->intake, queue);

	if (queue.n == 0)
		intake_ask_all(w->intake, always);
	else if (source)
		source->ask = always;
}

static int on_deal(void *arg, const struct msg_deal *m)
{
	OBJ(struct worker, w, arg, WORKER_MAGIC);

	return w->intake->ops->deal(w->intake, m);
}

static void on_paused(void *arg, struct slice queue, bool paused)
{
	OBJ(struct worker, w, arg, WORKER_MAGIC);
	struct source *source = intake_source(w->intake, queue);

	if (!source || source->paused == paused)
		return;
	source->paused = paused;
	w->intake->ops->pause(w->intake, source);
	dispatch_paused(w->dispatch, source);
}

static void on_changed(void *arg)
{
	OBJ(struct worker, w, arg, WORKER_MAGIC);

	balance_look(w->balance);
	show_flows(w->p->slot, w->intake);
	process_board_changed(w->p);
}

static void on_empty(void *arg)
{
	OBJ(struct worker, w, arg, WORKER_MAGIC);

	if (!w->p->control)
		process_exit(w->p, EXIT_DRAINED);
	else
		leave_if_done(w);
}

static void on_turn(struct loop_hook *hook)
{
	OBJ(struct worker, w, hook->arg, WORKER_MAGIC);

	if (w->dispatch)
		dispatch_turn(w->dispatch);
}

/* --- the role --------------------------------------------------------------------------------- */

static void on_hurry(struct loop_timer *t)
{
	OBJ(struct worker, w, t->arg, WORKER_MAGIC);

	log_warn("leaving without the store's or the broker's last word; what is open will be "
		 "delivered again");
	process_exit(w->p, EXIT_DRAINED);
}

/* The hook is made before the hub's, so that what a turn decides is written in the same turn. */
static void worker_before_hub(struct process *p)
{
	struct worker *w = xcalloc(1, sizeof *w);

	w->magic = WORKER_MAGIC;
	w->p = p;
	p->role = w;
	loop_hook_add(p->loop, &w->turn, on_turn, w);
	loop_timer_init(&w->hurry, p->loop, on_hurry, w);
	loop_timer_init(&w->cancel, p->loop, on_unconfirmed, w);
}

static void name_node(struct worker *w)
{
	const char *name = w->p->conf->daemon.name;

	if (name && *name)
		slice_copy(w->node, sizeof w->node, slice_str(name));
	else if (gethostname(w->node, sizeof w->node - 1) < 0)
		slice_copy(w->node, sizeof w->node, slice_str("localhost"));
}

/* That of a worker which carries everything away: no pool is configured so. */
static struct conf_pool *pool_of_all(const struct conf *conf)
{
	struct conf_pool *all = xcalloc(1, sizeof *all);

	all->section = xstrdup("move");
	all->prefetch = CARRY_PREFETCH;
	all->max_body = CARRY_BODY_BYTES;
	all->queues.v = xcalloc(conf->nqueues + 1, sizeof *all->queues.v);
	for (size_t i = 0; i < conf->nqueues; i++)
		all->queues.v[all->queues.n++] = xstrdup(conf->queues[i].section);
	for (size_t i = 0; i < conf->npools; i++) {
		if (conf->pools[i].max_body > all->max_body)
			all->max_body = conf->pools[i].max_body;
	}
	return all;
}

static int worker_start(struct process *p, struct err *err)
{
	static const struct store_link_ops link_ops = {
	    on_link_held, on_link_hold, on_link_up, on_link_down, on_link_frame};
	static const struct intake_events intake_events = {
	    on_delivered, on_dealt, on_lost, on_intake_changed, on_stopped, on_closed};
	static const struct dispatch_events dispatch_events = {
	    on_ask, on_deal, on_paused, on_changed, on_empty};
	bool embedded = conf_is_embedded(p->conf);
	struct worker *w = p->role;
	const struct conf_pool *pool =
	    p->move == MOVE_IN ? pool_of_all(p->conf) : conf_pool(p->conf, p->pool);
	auto_free char *connection = NULL;

	if (!pool)
		return err_set(err, -EINVAL, "no pool '%s' is configured", p->pool);
	if (reap_begin(err) < 0)
		return err->code;
	scheduling_begin();
	name_node(w);
	w->environment = environment_new(p->conf, w->node, p->name, environ);
	connection = xasprintf("skep %s %s", w->node, p->name);
	prefetch_init(&w->prefetch, (uint32_t)pool->prefetch, conf_pool_slots(p->conf, pool),
	    embedded ? 1 : (uint32_t)pool->queues.n);
	w->dispatch = dispatch_new(&(struct dispatch_config){.loop = p->loop,
				       .conf = p->conf,
				       .pool = pool,
				       .environment = w->environment,
				       .prefetch = &w->prefetch,
				       .slot = p->slot,
				       .carries = p->move == MOVE_IN},
	    &dispatch_events, w);
	if (embedded)
		w->intake = dealt_new(
		    p->loop, p->conf, pool, w->prefetch.value, &intake_events, w);
	else
		w->intake = consume_new(
		    p->loop, p->conf, pool, w->prefetch.value, connection, &intake_events, w, err);
	if (!w->intake)
		return err->code;
	w->balance = balance_new(p, &w->prefetch, w->dispatch, w->intake);
	w->link = store_link_new(p, &link_ops, w);
	return 0;
}

static void worker_stop(struct process *p, bool hurry, int64_t within_ms)
{
	struct worker *w = p->role;

	if (hurry)
		loop_timer_set(&w->hurry, HURRY_MS);
	if (!p->control) {
		dispatch_abandon(w->dispatch);
		return;
	}
	dispatch_stop(w->dispatch, hurry, within_ms);
	w->intake->ops->stop(w->intake);
	if (!w->quiet)
		loop_timer_set(&w->cancel, CANCEL_MS);
	leave_if_done(w);
}

int main(int argc, char **argv)
{
	static const struct role role = {.id = ROLE_WORKER,
	    .start = worker_start,
	    .stop = worker_stop,
	    .before_hub = worker_before_hub};

	return process_main(&role, argc, argv);
}
