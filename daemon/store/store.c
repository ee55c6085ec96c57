/* SPDX-License-Identifier: MIT */
/*
 * The order of a turn is what makes the answers true. Frames are handled as they are read, and
 * their answers wait in the buffers of the peers; the hook here, which was registered before the
 * hub's, judges the dead, deals parcels (to the courier, or to workers), and commits everything in
 * one transaction; then the hub's hook writes the answers. Meanwhile the next batch gathers in the
 * sockets, so it grows with the load, and there is no timer in it.
 *
 *     sockets -> handlers -> [rows, answers in buffers] -> burials, deals -> COMMIT, fsync ->
 * answers are written
 */
#include <errno.h>

#include "daemon/store/embedded.h"
#include "daemon/store/peers.h"
#include "daemon/store/store.h"
#include "lib/base/clock.h"
#include "lib/base/fault.h"
#include "lib/base/log.h"

#define SWEEP_FIRST_MS 5000
#define DISK_LOOK_MS 1000

/* --- what the ledger tells ------------------------------------------------------------------ */

static void on_over(void *arg, const struct job_names *job, enum job_state state)
{
	gateway_job_over(arg, job, state);
}

static void on_cancel(void *arg, const struct claim *claim)
{
	peers_cancel(arg, claim);
}

static void on_paused(void *arg, struct slice queue, bool paused)
{
	peers_paused(arg, queue, paused);
}

static void on_tombs(void *arg, struct slice queue, bool any)
{
	peers_ask(arg, queue, any);
}

/* --- a turn --------------------------------------------------------------------------------- */

static void show(struct store *s)
{
	struct board_slot *slot = s->p->slot;
	const struct ledger *l = &s->ledger;
	bool held = s->disk.level == DISK_FULL;

	if (slot->commits == l->batch.commits && slot->parcels_ready == l->lanes.ready &&
	    slot->parcels_delayed == l->parcels.delayed && slot->held == held)
		return;
	slot->rows = l->batch.all_rows;
	slot->commits = l->batch.commits;
	slot->parcels_ready = l->lanes.ready;
	slot->parcels_delayed = l->parcels.delayed;
	slot->held = held;
	embedded_show(s);
	process_board_changed(s->p);
}

/* Once for a group commit, and in a turn in which runs have begun. */
static void show_series(struct store *s, bool wrote, int64_t commit_us)
{
	struct ledger *l = &s->ledger;

	if (wrote) {
		struct series_store *seen = series_of_store(l->series);

		series_observe(&seen->commit_us, &series_commit_bounds, (uint64_t)commit_us);
		seen->rows = l->batch.all_rows;
		seen->parcels_held = l->parcels.held;
	}
	series_publish(l->series, s->p->board);
}

static void look_at_disk(struct store *s)
{
	if (disk_look(&s->disk))
		peers_gate(s);
	if (s->disk.level != DISK_OK && !loop_timer_active(&s->disk_timer))
		loop_timer_set(&s->disk_timer, DISK_LOOK_MS);
}

static void on_disk(struct loop_timer *t)
{
	OBJ(struct store, s, t->arg, STORE_MAGIC);

	look_at_disk(s);
}

/* The store is the last to be stopped: whatever the others sent before they left is read, recorded,
 * and answered. */
static void leave(struct store *s)
{
	s->running = false;
	peers_drain(s);
	batch_commit(&s->ledger.batch);
	peers_close(s);
	due_stop(&s->due);
	loop_timer_stop(&s->deal_timer);
	loop_timer_stop(&s->waits_timer);
	loop_timer_stop(&s->pace_timer);
	loop_timer_stop(&s->disk_timer);
	loop_timer_stop(&s->sweep_timer);
	watches_free(&s->watches);
	waits_drop(&s->waits, NULL);
	disk_free(&s->disk);
	ledger_close(&s->ledger);
	process_exit(s->p, EXIT_DRAINED);
}

static void on_rested(struct loop_timer *t)
{
	OBJ(struct store, s, t->arg, STORE_MAGIC);

	s->resting = false;
	peers_gate(s);
}

static void committed(struct store *s, uint64_t rows, bool hungry)
{
	int64_t rest_ms = pace_committed(&s->pace, rows, hungry, clock_mono_us());

	if (rest_ms && !s->resting) {
		s->resting = true;
		loop_timer_set(&s->pace_timer, rest_ms);
		peers_gate(s);
	}
	look_at_disk(s);
}

static void on_turn(struct loop_hook *hook)
{
	OBJ(struct store, s, hook->arg, STORE_MAGIC);
	uint64_t before = s->ledger.batch.all_rows;
	bool wrote, hungry;
	int64_t begun_us;

	if (!s->running)
		return;
	peers_turn(s);
	if (s->stop_asked) {
		leave(s);
		return;
	}
	workers_turn(s);
	hungry = peers_hungry(s); /* before they are dealt what this turn answers with */
	courier_deal(s);
	embedded_deal(s);
	due_turn(&s->due);
	begun_us = clock_mono_us();
	wrote = batch_commit(&s->ledger.batch);
	show_series(s, wrote, clock_mono_us() - begun_us);
	if (s->verdicts)
		FAULT(store_verdict);
	s->verdicts = false;
	if (s->throttled) {
		s->throttled = false;
		peers_gate(s);
	}
	if (wrote)
		committed(s, s->ledger.batch.all_rows - before, hungry);
	show(s);
}

static void on_sweep(struct loop_timer *t)
{
	OBJ(struct store, s, t->arg, STORE_MAGIC);

	loop_timer_set(t, sweep_turn(&s->sweep, &s->ledger, clock_wall_ms()));
}

/* Being woken is enough: every turn ends with deals and with verdicts that had to wait. */
static void on_wake(struct loop_timer *t UNUSED)
{
}

/* --- start and stop ------------------------------------------------------------------------- */

static void before_hub(struct process *p)
{
	struct store *s = xcalloc(1, sizeof *s);

	s->magic = STORE_MAGIC;
	s->p = p;
	p->role = s;
	loop_hook_add(p->loop, &s->turn, on_turn, s);
}

static int start(struct process *p, struct err *err)
{
	static const struct ledger_events events = {on_over, on_cancel, on_paused, on_tombs};
	auto_free char *path = conf_database(p->conf);
	struct store *s = p->role;
	int rc;

	rc = ledger_open(&s->ledger, path, p->conf, &events, s, clock_wall_ms(), err);
	if (rc < 0)
		return rc;
	log_debug("opened '%s'", path);
	if (p->move == MOVE_OUT)
		parcels_hasten(&s->ledger.parcels);
	watches_init(&s->watches);
	waits_init(&s->waits);
	peers_open(s);
	due_start(&s->due, p->loop, &s->ledger);
	loop_timer_init(&s->deal_timer, p->loop, on_wake, s);
	loop_timer_init(&s->waits_timer, p->loop, on_wake, s);
	loop_timer_init(&s->pace_timer, p->loop, on_rested, s);
	loop_timer_init(&s->disk_timer, p->loop, on_disk, s);
	loop_timer_init(&s->sweep_timer, p->loop, on_sweep, s);
	loop_timer_set(&s->sweep_timer, SWEEP_FIRST_MS);
	disk_init(&s->disk, path, p->conf->store.min_free);
	look_at_disk(s);
	embedded_show(s);
	series_of_store(s->ledger.series)->parcels_held = s->ledger.parcels.held;
	series_publish(s->ledger.series, p->board);
	s->running = true;
	return 0;
}

static int control(struct process *p, struct frame *f)
{
	struct store *s = p->role;

	return s->running ? peers_control(s, f) : -EPROTO;
}

/* Only noted: this may be called while a frame of a peer is handled. */
static void stop(struct process *p, bool hurry UNUSED, int64_t within_ms UNUSED)
{
	struct store *s = p->role;

	s->stop_asked = true;
	loop_again(p->loop);
}

const struct role store_role = {
    .id = ROLE_STORE, .start = start, .stop = stop, .control = control, .before_hub = before_hub};
