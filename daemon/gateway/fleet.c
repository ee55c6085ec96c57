/* SPDX-License-Identifier: MIT */
#include "daemon/gateway/fleet.h"

#include <stdlib.h>

#include "lib/board/series.h"
#include "lib/job/job.h"

static const char *const slot_states[] = {
    [BOARD_FREE] = "free",
    [BOARD_STARTING] = "starting",
    [BOARD_READY] = "ready",
    [BOARD_STOPPING] = "stopping",
};

const char *fleet_state_name(uint8_t state)
{
	return state < ARRAY_SIZE(slot_states) ? slot_states[state] : "unknown";
}

/* The board is another process's memory: no count or text in it is trusted. */
static size_t slot_runs(const struct board_slot *slot)
{
	return slot->nruns < BOARD_RUNS_MAX ? slot->nruns : BOARD_RUNS_MAX;
}

#define FIELD_TEXT(field) slice_of((field), strnlen((field), sizeof(field)))

/* --- runs ------------------------------------------------------------------------------------- */

static int latest_first(const void *a, const void *b)
{
	const struct fleet_run *x = a, *y = b;

	return (x->run.since_wall_ms < y->run.since_wall_ms) -
	       (x->run.since_wall_ms > y->run.since_wall_ms);
}

/* True if `name`, cut to fit a field of `size`, is what stands there. */
static bool same_cut(const char *field, size_t size, const char *name)
{
	return strncmp(field, name, size - 1) == 0;
}

static struct slice whole_queue(const struct conf *conf, const struct board_run *run)
{
	for (size_t i = 0; i < conf->nqueues; i++) {
		if (same_cut(run->queue, sizeof run->queue, conf->queues[i].section))
			return slice_str(conf->queues[i].section);
	}
	return FIELD_TEXT(run->queue);
}

static struct slice whole_type(const struct conf *conf, const struct board_run *run)
{
	for (size_t i = 0; i < conf->nhandlers; i++) {
		if (same_cut(run->type, sizeof run->type, conf->handlers[i].section))
			return slice_str(conf->handlers[i].section);
	}
	return FIELD_TEXT(run->type);
}

static struct fleet_run *add_run(struct fleet *f, size_t *cap)
{
	if (f->n == *cap) {
		*cap = *cap ? *cap * 2 : 8;
		f->runs = xrealloc(f->runs, *cap * sizeof *f->runs);
	}
	return &f->runs[f->n++];
}

void fleet_look(struct fleet *ret, const struct process *p)
{
	size_t slots = board_slots(p->board), cap = 0;
	struct board_slot slot;

	*ret = (struct fleet){0};
	for (size_t i = 0; i < slots; i++) {
		if (!board_read(p->board, i, &slot) || slot.role != ROLE_WORKER)
			continue;
		for (size_t j = 0; j < slot_runs(&slot); j++) {
			struct fleet_run *r = add_run(ret, &cap);

			r->run = slot.runs[j];
			slice_copy(r->worker, sizeof r->worker, FIELD_TEXT(slot.name));
		}
	}
	if (ret->n > 1)
		qsort(ret->runs, ret->n, sizeof *ret->runs, latest_first);
	for (size_t i = 0; i < ret->n; i++) {
		ret->runs[i].queue = whole_queue(p->conf, &ret->runs[i].run);
		ret->runs[i].type = whole_type(p->conf, &ret->runs[i].run);
	}
}

void fleet_free(struct fleet *f)
{
	free(f->runs);
	*f = (struct fleet){0};
}

const struct fleet_run *fleet_find(const struct fleet *f, struct slice queue, struct slice id)
{
	for (size_t i = 0; i < f->n; i++) {
		if (slice_eq(FIELD_TEXT(f->runs[i].run.job), id) &&
		    (!queue.n || slice_eq(f->runs[i].queue, queue)))
			return &f->runs[i];
	}
	return NULL;
}

struct json *fleet_run_json(const struct fleet_run *run)
{
	struct json *j = json_object();

	json_add_strz(j, "worker", run->worker);
	json_add_time(j, "since", run->run.since_wall_ms);
	if (run->run.progress >= 0)
		json_add_int(j, "progress", run->run.progress);
	else
		json_add_null(j, "progress");
	json_add_str(j, "note", FIELD_TEXT(run->run.note));
	return j;
}

/* --- queues ----------------------------------------------------------------------------------- */

static bool pool_consumes(const struct conf_pool *pool, const char *queue)
{
	for (size_t i = 0; i < pool->queues.n; i++) {
		if (strcmp(pool->queues.v[i], queue) == 0)
			return true;
	}
	return false;
}

static size_t runs_of_queue(const struct fleet *f, const char *queue)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += slice_is(f->runs[i].queue, queue);
	return n;
}

static bool find_role(const struct board *board, enum role_id role, struct board_slot *ret)
{
	for (size_t i = 0; i < board_slots(board); i++) {
		if (board_read(board, i, ret) && ret->role == role)
			return true;
	}
	return false;
}

static void add_depth(struct json *j, const struct board_depth *d)
{
	bool known = d && d->at_wall_ms && !d->missing;

	if (known)
		json_add_int(j, "ready", d->ready);
	else
		json_add_null(j, "ready");
	if (known)
		json_add_int(j, "consumers", d->consumers);
	else
		json_add_null(j, "consumers");
	json_add_bool(j, "missing", d && d->missing);
	json_add_bool(j, "parked", d && d->parked);
	json_add_time(j, "asked_at", d ? d->at_wall_ms : 0);
}

/* Runs that the store has seen end since it started; null before there was one. */
static void add_ended(struct json *j, const struct series_seen *seen, const char *queue)
{
	uint64_t done = 0, failed = 0;

	for (size_t i = 0; i < seen->n; i++) {
		const struct series_row *row = &seen->rows[i];

		if (!slice_is(FIELD_TEXT(row->queue), queue))
			continue;
		done += row->runs[OUTCOME_DONE];
		failed += row->runs[OUTCOME_RETRY] + row->runs[OUTCOME_DEAD] +
			  row->runs[OUTCOME_LOST];
	}
	if (seen->store.since_wall_ms) {
		json_add_int(j, "done", (int64_t)done);
		json_add_int(j, "failed", (int64_t)failed);
	} else {
		json_add_null(j, "done");
		json_add_null(j, "failed");
	}
}

static struct json *queue_json(const struct process *p, size_t i, const struct board_depth *depth,
    bool paused, const struct fleet *runs)
{
	const struct conf_queue *q = &p->conf->queues[i];
	struct json *j = json_object(), *pools = json_array();

	for (size_t k = 0; k < p->conf->npools; k++) {
		if (pool_consumes(&p->conf->pools[k], q->section))
			json_push_str(pools, slice_str(p->conf->pools[k].section));
	}
	json_add_strz(j, "name", q->section);
	json_add_strz(j, "type",
	    conf_is_embedded(p->conf) ? "embedded" : q->type == QUEUE_QUORUM ? "quorum" : "classic");
	json_add_strz(j, "handler", q->handler && q->handler[0] ? q->handler : NULL);
	add_depth(j, depth);
	json_add_bool(j, "paused", paused);
	json_add_int(j, "running", (int64_t)runs_of_queue(runs, q->section));
	json_add(j, "pools", pools);
	return j;
}

struct json *fleet_queues(const struct process *p)
{
	struct json *all = json_array();
	bool embedded = conf_is_embedded(p->conf);
	struct series_seen *seen = series_read(p->board);
	struct board_slot courier, store;
	bool asked = find_role(p->board, ROLE_COURIER, &courier);
	bool told = find_role(p->board, ROLE_STORE, &store);
	struct fleet runs;

	fleet_look(&runs, p);
	for (size_t i = 0; i < p->conf->nqueues; i++) {
		const struct board_depth *d = NULL;
		struct json *queue;

		if (i < BOARD_QUEUES_MAX && (embedded ? told : asked))
			d = embedded ? &store.depths[i] : &courier.depths[i];
		queue = queue_json(
		    p, i, d, told && i < BOARD_QUEUES_MAX && store.depths[i].paused, &runs);
		add_ended(queue, seen, p->conf->queues[i].section);
		json_push(all, queue);
	}
	free(seen);
	fleet_free(&runs);
	return all;
}

/* --- pools ------------------------------------------------------------------------------------ */

struct pool_sums {
	int64_t workers, ready, connected, busy, waiting;
	uint64_t delivered, started, done, failed, released;
};

static struct json *worker_json(const struct board_slot *slot)
{
	struct json *j = json_object(), *runs = json_array();

	json_add_str(j, "name", FIELD_TEXT(slot->name));
	json_add_int(j, "pid", slot->pid);
	json_add_strz(j, "state", fleet_state_name(slot->state));
	json_add_bool(j, "connected", slot->connected);
	json_add_time(j, "started_at", slot->started_wall_ms);
	json_add_int(j, "waiting", slot->buffered);
	json_add_int(j, "prefetch", slot->prefetch);
	json_add_int(j, "done", (int64_t)slot->done);
	json_add_int(j, "failed", (int64_t)slot->failed);
	for (size_t i = 0; i < slot_runs(slot); i++) {
		const struct board_run *r = &slot->runs[i];
		struct json *run = json_object();

		json_add_str(run, "id", FIELD_TEXT(r->job));
		json_add_str(run, "type", FIELD_TEXT(r->type));
		json_add_str(run, "queue", FIELD_TEXT(r->queue));
		json_add_int(run, "attempt", r->attempt);
		json_add_int(run, "pid", r->pid);
		json_add_time(run, "since", r->since_wall_ms);
		if (r->progress >= 0)
			json_add_int(run, "progress", r->progress);
		else
			json_add_null(run, "progress");
		json_add_str(run, "note", FIELD_TEXT(r->note));
		json_push(runs, run);
	}
	json_add(j, "runs", runs);
	return j;
}

static void sum_up(struct pool_sums *sums, const struct board_slot *slot)
{
	sums->workers++;
	sums->ready += slot->state == BOARD_READY;
	sums->connected += slot->connected != 0;
	sums->busy += slot->nruns > 0;
	sums->waiting += slot->buffered;
	sums->delivered += slot->delivered;
	sums->started += slot->started;
	sums->done += slot->done;
	sums->failed += slot->failed;
	sums->released += slot->released;
}

static const char *scale_word(const struct board_pool *b)
{
	static const char *const words[] = {[SCALE_BY_TARGET_WAIT] = "target_wait",
	    [SCALE_BY_QUEUE_DEPTH] = "queue_depth",
	    [SCALE_BY_NOTHING] = "fixed"};

	return b->rule < ARRAY_SIZE(words) ? words[b->rule] : "unknown";
}

/* The last ones that the board has room for, newest first. */
static struct json *changes_json(const struct board_pool *b)
{
	struct json *all = json_array();
	uint64_t n = b->changes < BOARD_CHANGES_MAX ? b->changes : BOARD_CHANGES_MAX;

	for (uint64_t i = 1; i <= n; i++) {
		const struct board_change *c = &b->change[(b->changes - i) % BOARD_CHANGES_MAX];
		struct json *j = json_object();

		json_add_time(j, "at", c->at_wall_ms);
		json_add_int(j, "from", c->from);
		json_add_int(j, "to", c->to);
		json_add_str(j, "reason", FIELD_TEXT(c->reason));
		json_push(all, j);
	}
	return all;
}

static void add_scaling(struct json *j, const struct board_pool *b)
{
	json_add_int(j, "target", b->target);
	json_add_int(j, "min", b->least);
	json_add_int(j, "max", b->most);
	json_add_strz(j, "scale", scale_word(b));
	json_add_bool(j, "asked", b->asked);
	json_add_time(j, "since", b->since_wall_ms);
	json_add_str(j, "reason", FIELD_TEXT(b->reason));
}

void fleet_add_scaling(struct json *j, const struct process *p, size_t pool)
{
	struct board_pool board;

	board_read_pool(p->board, pool, &board);
	add_scaling(j, &board);
}

static struct json *pool_json(const struct process *p, size_t index)
{
	const struct conf_pool *pool = &p->conf->pools[index];
	struct board_pool board;
	struct json *j = json_object(), *queues = json_array(), *workers = json_array();
	struct pool_sums sums = {0};
	struct board_slot slot;

	for (size_t i = 0; i < board_slots(p->board); i++) {
		if (!board_read(p->board, i, &slot) || slot.role != ROLE_WORKER ||
		    !same_cut(slot.pool, sizeof slot.pool, pool->section))
			continue;
		sum_up(&sums, &slot);
		json_push(workers, worker_json(&slot));
	}
	for (size_t i = 0; i < pool->queues.n; i++)
		json_push_str(queues, slice_str(pool->queues.v[i]));
	json_add_strz(j, "name", pool->section);
	json_add(j, "queues", queues);
	json_add_strz(j, "user", pool->user && pool->user[0] ? pool->user : NULL);
	board_read_pool(p->board, index, &board);
	add_scaling(j, &board);
	json_add(j, "changes", changes_json(&board));
	json_add_int(j, "alive", sums.workers);
	json_add_int(j, "ready", sums.ready);
	json_add_int(j, "connected", sums.connected);
	json_add_int(j, "busy", sums.busy);
	if (pool->prefetch)
		json_add_int(j, "prefetch", pool->prefetch);
	else
		json_add_strz(j, "prefetch", "auto");
	json_add_int(j, "waiting", sums.waiting);
	json_add_int(j, "delivered", (int64_t)sums.delivered);
	json_add_int(j, "started", (int64_t)sums.started);
	json_add_int(j, "done", (int64_t)sums.done);
	json_add_int(j, "failed", (int64_t)sums.failed);
	json_add_int(j, "released", (int64_t)sums.released);
	json_add(j, "workers", workers);
	return j;
}

struct json *fleet_pools(const struct process *p)
{
	struct json *all = json_array();

	for (size_t i = 0; i < p->conf->npools; i++)
		json_push(all, pool_json(p, i));
	return all;
}

const char *fleet_broker(const struct process *p)
{
	struct board_slot courier;

	if (conf_is_embedded(p->conf))
		return "embedded";
	if (!find_role(p->board, ROLE_COURIER, &courier))
		return "unknown";
	return !courier.connected ? "down" : courier.blocked ? "blocked" : "connected";
}
