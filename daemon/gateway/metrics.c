/* SPDX-License-Identifier: MIT */
/*
 * Everything is read once, before the first line is written, so that what is shown together was true
 * together, as far as the board tells. What the board does not know (no store yet, no courier, a queue
 * that was never looked at) has no sample: an absent one is told apart from 0.
 */
#include "daemon/gateway/metrics.h"

#include <sys/stat.h>

#include "daemon/gateway/exposition.h"
#include "daemon/gateway/usage.h"
#include "lib/job/job.h"

#define METRICS_BYTES_MAX (32u << 20) /* about three times what full series with the longest names make */
#define FIELD_TEXT(field) slice_of((field), strnlen((field), sizeof(field)))

struct seen {
	const struct process *p;
	struct series_seen *series;
	struct board_slot *slots; /* of processes that there are */
	struct usage *usages;	  /* of each; 0: not known */
	size_t n;
	const struct board_slot *store, *courier; /* NULL: there is none now */
	struct usage supervisor;
};

typedef void collect_fn(struct exposition *x, const struct seen *s);

/* --- by queue and type ------------------------------------------------------------------------ */

/* Row 0 is for what has no row of its own: as a rule there is nothing of the kind. */
static bool is_used(const struct series_row *row)
{
	static const struct series_row nothing;
	const size_t names = offsetof(struct series_row, submitted);

	return memcmp((const char *)row + names, (const char *)&nothing + names,
		   sizeof nothing - names) != 0;
}

static bool next_row(const struct seen *s, size_t *i)
{
	if (s->series->store.since_wall_ms == 0)
		return false;
	*i += *i == 0 && s->series->n > 0 && !is_used(&s->series->rows[0]);
	return *i < s->series->n;
}

#define ROW_LABELS(row) FIELD_TEXT((row)->queue), FIELD_TEXT((row)->type)

static void jobs_submitted(struct exposition *x, const struct seen *s)
{
	for (size_t i = 0; next_row(s, &i); i++) {
		const struct series_row *row = &s->series->rows[i];

		exposition_counter(x, (struct slice[]){ROW_LABELS(row)}, row->submitted, 1,
		    s->series->store.since_wall_ms);
	}
}

static void runs_begun(struct exposition *x, const struct seen *s)
{
	for (size_t i = 0; next_row(s, &i); i++) {
		const struct series_row *row = &s->series->rows[i];

		exposition_counter(x, (struct slice[]){ROW_LABELS(row)}, row->begun, 1,
		    s->series->store.since_wall_ms);
	}
}

/* What expired has never begun: no run has that outcome. */
static void runs_ended(struct exposition *x, const struct seen *s)
{
	for (size_t i = 0; next_row(s, &i); i++) {
		const struct series_row *row = &s->series->rows[i];

		for (enum outcome o = 0; o < OUTCOME_COUNT; o++) {
			struct slice labels[] = {ROW_LABELS(row), slice_str(outcome_name(o))};

			if (o != OUTCOME_EXPIRED)
				exposition_counter(x, labels, row->runs[o], 1,
				    s->series->store.since_wall_ms);
		}
	}
}

static void jobs_ended(struct exposition *x, const struct seen *s)
{
	for (size_t i = 0; next_row(s, &i); i++) {
		const struct series_row *row = &s->series->rows[i];

		for (enum job_state state = 0; state < JOB_STATE_COUNT; state++) {
			struct slice labels[] = {ROW_LABELS(row), slice_str(job_state_name(state))};

			if (job_state_over(state))
				exposition_counter(x, labels, row->jobs[state], 1,
				    s->series->store.since_wall_ms);
		}
	}
}

static void run_duration(struct exposition *x, const struct seen *s)
{
	for (size_t i = 0; next_row(s, &i); i++) {
		const struct series_row *row = &s->series->rows[i];

		exposition_histogram(x, (struct slice[]){ROW_LABELS(row)}, &row->run_ms,
		    &series_job_bounds, s->series->store.since_wall_ms);
	}
}

static void job_wait(struct exposition *x, const struct seen *s)
{
	for (size_t i = 0; next_row(s, &i); i++) {
		const struct series_row *row = &s->series->rows[i];

		exposition_histogram(x, (struct slice[]){ROW_LABELS(row)}, &row->wait_ms,
		    &series_job_bounds, s->series->store.since_wall_ms);
	}
}

/* --- queues ----------------------------------------------------------------------------------- */

/* Who looks at the depths of queues. */
static const struct board_slot *depths_of(const struct seen *s)
{
	return conf_is_embedded(s->p->conf) ? s->store : s->courier;
}

static size_t queues_shown(const struct seen *s)
{
	size_t n = s->p->conf->nqueues;

	return n < BOARD_QUEUES_MAX ? n : BOARD_QUEUES_MAX;
}

static struct slice queue_name(const struct seen *s, size_t i)
{
	return slice_str(s->p->conf->queues[i].section);
}

static void of_queues(struct exposition *x, const struct seen *s, const struct board_slot *from,
    bool (*value)(const struct board_depth *d, uint64_t *ret))
{
	for (size_t i = 0; from && i < queues_shown(s); i++) {
		struct slice name = queue_name(s, i);
		uint64_t n;

		if (value(&from->depths[i], &n))
			exposition_gauge(x, &name, n, 1);
	}
}

static bool is_known(const struct board_depth *d)
{
	return d->at_wall_ms && !d->missing;
}

static bool ready_of(const struct board_depth *d, uint64_t *ret)
{
	*ret = d->ready;
	return is_known(d);
}

static bool consumers_of(const struct board_depth *d, uint64_t *ret)
{
	*ret = d->consumers;
	return is_known(d);
}

static bool paused_of(const struct board_depth *d, uint64_t *ret)
{
	*ret = d->paused != 0;
	return true;
}

static bool parked_of(const struct board_depth *d, uint64_t *ret)
{
	*ret = d->parked != 0;
	return true;
}

static bool missing_of(const struct board_depth *d, uint64_t *ret)
{
	*ret = d->missing != 0;
	return true;
}

static void queue_ready(struct exposition *x, const struct seen *s)
{
	of_queues(x, s, depths_of(s), ready_of);
}

static void queue_consumers(struct exposition *x, const struct seen *s)
{
	of_queues(x, s, depths_of(s), consumers_of);
}

static void queue_paused(struct exposition *x, const struct seen *s)
{
	of_queues(x, s, s->store, paused_of);
}

static void queue_parked(struct exposition *x, const struct seen *s)
{
	of_queues(x, s, depths_of(s), parked_of);
}

static void queue_missing(struct exposition *x, const struct seen *s)
{
	of_queues(x, s, depths_of(s), missing_of);
}

/* --- pools ------------------------------------------------------------------------------------ */

/* The board may have cut the pool's name. */
static bool is_of_pool(const struct board_slot *slot, const struct conf_pool *pool)
{
	return slot->role == ROLE_WORKER &&
	       strncmp(slot->pool, pool->section, sizeof slot->pool - 1) == 0;
}

static void of_pools(
    struct exposition *x, const struct seen *s, uint64_t (*value)(const struct board_slot *worker))
{
	for (size_t i = 0; i < s->p->conf->npools; i++) {
		const struct conf_pool *pool = &s->p->conf->pools[i];
		struct slice name = slice_str(pool->section);
		uint64_t sum = 0;

		for (size_t k = 0; k < s->n; k++)
			sum += is_of_pool(&s->slots[k], pool) ? value(&s->slots[k]) : 0;
		exposition_gauge(x, &name, sum, 1);
	}
}

static uint64_t is_connected(const struct board_slot *worker)
{
	return worker->connected != 0;
}

static uint64_t is_busy(const struct board_slot *worker)
{
	return worker->nruns > 0;
}

static uint64_t runs_of(const struct board_slot *worker)
{
	return worker->nruns;
}

static uint64_t buffered_of(const struct board_slot *worker)
{
	return worker->buffered;
}

static void workers(struct exposition *x, const struct seen *s)
{
	for (size_t i = 0; i < s->p->conf->npools; i++) {
		const struct conf_pool *pool = &s->p->conf->pools[i];

		for (unsigned state = BOARD_STARTING; state <= BOARD_STOPPING; state++) {
			struct slice labels[] = {slice_str(pool->section),
			    slice_str(fleet_state_name((uint8_t)state))};
			uint64_t n = 0;

			for (size_t k = 0; k < s->n; k++)
				n += is_of_pool(&s->slots[k], pool) && s->slots[k].state == state;
			exposition_gauge(x, labels, n, 1);
		}
	}
}

static void workers_wanted(struct exposition *x, const struct seen *s)
{
	for (size_t i = 0; i < s->p->conf->npools; i++) {
		struct slice name = slice_str(s->p->conf->pools[i].section);
		struct board_pool pool;

		board_read_pool(s->p->board, i, &pool);
		exposition_gauge(x, &name, pool.target, 1);
	}
}

static void workers_connected(struct exposition *x, const struct seen *s)
{
	of_pools(x, s, is_connected);
}

static void workers_busy(struct exposition *x, const struct seen *s)
{
	of_pools(x, s, is_busy);
}

static void runs_active(struct exposition *x, const struct seen *s)
{
	of_pools(x, s, runs_of);
}

static void deliveries_buffered(struct exposition *x, const struct seen *s)
{
	of_pools(x, s, buffered_of);
}

/* --- store and courier ------------------------------------------------------------------------ */

static void parcels(struct exposition *x, const struct seen *s)
{
	if (!s->store)
		return;
	exposition_gauge(x, (struct slice[]){slice_str("ready")}, s->store->parcels_ready, 1);
	exposition_gauge(x, (struct slice[]){slice_str("delayed")}, s->store->parcels_delayed, 1);
	exposition_gauge(x, (struct slice[]){slice_str("held")}, s->series->store.parcels_held, 1);
}

static void broker_connected(struct exposition *x, const struct seen *s)
{
	if (!conf_is_embedded(s->p->conf))
		exposition_gauge(x, NULL, s->courier && s->courier->connected, 1);
}

static void broker_blocked(struct exposition *x, const struct seen *s)
{
	if (!conf_is_embedded(s->p->conf))
		exposition_gauge(x, NULL, s->courier && s->courier->blocked, 1);
}

static void published(struct exposition *x, const struct seen *s)
{
	if (s->courier)
		exposition_counter(
		    x, NULL, s->courier->published, 1, s->courier->started_wall_ms);
}

static void confirmed(struct exposition *x, const struct seen *s)
{
	if (s->courier)
		exposition_counter(
		    x, NULL, s->courier->confirmed, 1, s->courier->started_wall_ms);
}

static void returned(struct exposition *x, const struct seen *s)
{
	if (s->courier)
		exposition_counter(x, NULL, s->courier->returned, 1, s->courier->started_wall_ms);
}

static void commit_duration(struct exposition *x, const struct seen *s)
{
	const struct series_store *store = &s->series->store;

	if (store->since_wall_ms)
		exposition_histogram(x, NULL, &store->commit_us, &series_commit_bounds,
		    store->since_wall_ms);
}

static void store_rows(struct exposition *x, const struct seen *s)
{
	const struct series_store *store = &s->series->store;

	if (store->since_wall_ms)
		exposition_counter(x, NULL, store->rows, 1, store->since_wall_ms);
}

static void store_held(struct exposition *x, const struct seen *s)
{
	if (s->store)
		exposition_gauge(x, NULL, s->store->held != 0, 1);
}

static void database_size(struct exposition *x, const struct seen *s)
{
	static const struct {
		const char *label, *suffix;
	} files[] = {{"main", ""}, {"wal", "-wal"}};
	auto_free char *path = conf_database(s->p->conf);

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		auto_free char *name = xasprintf("%s%s", path, files[i].suffix);
		struct slice label = slice_str(files[i].label);
		struct stat st;

		if (stat(name, &st) == 0)
			exposition_gauge(x, &label, (uint64_t)st.st_size, 1);
	}
}

/* --- processes -------------------------------------------------------------------------------- */

static void restarts(struct exposition *x, const struct seen *s)
{
	for (enum role_id role = 0; role < ROLE_COUNT; role++) {
		struct slice word = slice_str(role_word(role));

		if (role != ROLE_SUPERVISOR)
			exposition_counter(
			    x, &word, s->series->restarts[role], 1, s->series->board_wall_ms);
	}
}

static void process_cpu(struct exposition *x, const struct seen *s)
{
	struct slice own = slice_str(role_word(ROLE_SUPERVISOR));

	if (s->supervisor.resident)
		exposition_counter(
		    x, &own, s->supervisor.cpu_ms, 1000, s->series->board_wall_ms);
	for (size_t i = 0; i < s->n; i++) {
		struct slice name = FIELD_TEXT(s->slots[i].name);

		if (s->usages[i].resident)
			exposition_counter(x, &name, s->usages[i].cpu_ms, 1000,
			    s->slots[i].started_wall_ms);
	}
}

static void process_memory(struct exposition *x, const struct seen *s)
{
	struct slice own = slice_str(role_word(ROLE_SUPERVISOR));

	if (s->supervisor.resident)
		exposition_gauge(x, &own, s->supervisor.resident, 1);
	for (size_t i = 0; i < s->n; i++) {
		struct slice name = FIELD_TEXT(s->slots[i].name);

		if (s->usages[i].resident)
			exposition_gauge(x, &name, s->usages[i].resident, 1);
	}
}

static void process_start(struct exposition *x, const struct seen *s)
{
	struct slice own = slice_str(role_word(ROLE_SUPERVISOR));

	exposition_gauge(x, &own, (uint64_t)s->series->board_wall_ms, 1000);
	for (size_t i = 0; i < s->n; i++) {
		struct slice name = FIELD_TEXT(s->slots[i].name);

		exposition_gauge(x, &name, (uint64_t)s->slots[i].started_wall_ms, 1000);
	}
}

static void build(struct exposition *x, const struct seen *s)
{
	struct slice labels[] = {slice_str(SKEP_VERSION), slice_str(s->p->conf->daemon.name)};

	exposition_gauge(x, labels, 1, 1);
}

/* --- all of them ------------------------------------------------------------------------------ */

static collect_fn *const collectors[METRIC_COUNT] = {
    [METRIC_JOBS_SUBMITTED] = jobs_submitted,
    [METRIC_RUNS_BEGUN] = runs_begun,
    [METRIC_RUNS_ENDED] = runs_ended,
    [METRIC_JOBS_ENDED] = jobs_ended,
    [METRIC_RUN_DURATION] = run_duration,
    [METRIC_JOB_WAIT] = job_wait,
    [METRIC_QUEUE_READY] = queue_ready,
    [METRIC_QUEUE_CONSUMERS] = queue_consumers,
    [METRIC_QUEUE_PAUSED] = queue_paused,
    [METRIC_QUEUE_PARKED] = queue_parked,
    [METRIC_QUEUE_MISSING] = queue_missing,
    [METRIC_WORKERS] = workers,
    [METRIC_WORKERS_WANTED] = workers_wanted,
    [METRIC_WORKERS_CONNECTED] = workers_connected,
    [METRIC_WORKERS_BUSY] = workers_busy,
    [METRIC_RUNS_ACTIVE] = runs_active,
    [METRIC_DELIVERIES_BUFFERED] = deliveries_buffered,
    [METRIC_PARCELS] = parcels,
    [METRIC_BROKER_CONNECTED] = broker_connected,
    [METRIC_BROKER_BLOCKED] = broker_blocked,
    [METRIC_PUBLISHED] = published,
    [METRIC_CONFIRMED] = confirmed,
    [METRIC_RETURNED] = returned,
    [METRIC_COMMIT_DURATION] = commit_duration,
    [METRIC_STORE_ROWS] = store_rows,
    [METRIC_STORE_HELD] = store_held,
    [METRIC_DATABASE_SIZE] = database_size,
    [METRIC_RESTARTS] = restarts,
    [METRIC_PROCESS_CPU] = process_cpu,
    [METRIC_PROCESS_MEMORY] = process_memory,
    [METRIC_PROCESS_START] = process_start,
    [METRIC_BUILD] = build,
};

static void look(struct seen *s, const struct process *p)
{
	size_t slots = board_slots(p->board);

	*s = (struct seen){.p = p, .series = series_read(p->board)};
	s->slots = xcalloc(slots, sizeof *s->slots);
	s->usages = xcalloc(slots, sizeof *s->usages);
	for (size_t i = 0; i < slots; i++) {
		struct board_slot *slot = &s->slots[s->n];

		if (!board_read(p->board, i, slot))
			continue;
		usage_read(slot->pid, &s->usages[s->n++]);
		if (slot->role == ROLE_STORE)
			s->store = slot;
		else if (slot->role == ROLE_COURIER)
			s->courier = slot;
	}
	usage_read(getppid(), &s->supervisor);
}

static void forget(struct seen *s)
{
	free(s->series);
	free(s->slots);
	free(s->usages);
}

void metrics_show(struct gateway *g, struct http_request *r)
{
	enum exposition_format format = exposition_format_of(http_header(r, "Accept"));
	struct exposition x;
	struct seen seen;
	struct buf out;

	buf_init(&out, METRICS_BYTES_MAX);
	look(&seen, g->p);
	exposition_begin(&x, &out, format);
	for (enum metric_id id = 0; id < METRIC_COUNT; id++) {
		exposition_metric(&x, id);
		collectors[id](&x, &seen);
	}
	forget(&seen);
	if (exposition_end(&x) < 0) {
		buf_free(&out);
		http_error(r, 500, "the metrics are larger than %u bytes", METRICS_BYTES_MAX);
		return;
	}
	http_reply(r, 200, exposition_content_type(format), &out);
}
