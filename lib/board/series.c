/* SPDX-License-Identifier: MIT */
/*
 * Rows are found by an open hash table of their numbers, twice as large as there are rows, so that a search ends soon;
 * most of the time the row is the same as last time, and that is looked at first. Nothing is ever removed.
 *
 * On the board one word says which store counted (its upper half, which each new store increments) and how many rows
 * are in use. A reader takes it before and after the rows: if another store began meanwhile, it reads again.
 */
#include "lib/board/series.h"

#include <stdatomic.h>

#include "lib/board/shown.h"

#define TABLE_SIZE (2 * SERIES_ROWS) /* a power of two */
#define SEED 0xcbf29ce484222325u     /* FNV-1a, 64 bits */
#define PRIME 0x100000001b3u

const struct series_bounds series_job_bounds = {
    .scale = 1000,
#define JOB_BUCKET(most, text) +1
    .n = 0
#include "lib/board/metrics.def"
#undef JOB_BUCKET
    ,
#define JOB_BUCKET(most, text) most,
    .most = {
#include "lib/board/metrics.def"
#undef JOB_BUCKET
    },
#define JOB_BUCKET(most, text) text,
    .text = {
#include "lib/board/metrics.def"
#undef JOB_BUCKET
    },
};

const struct series_bounds series_commit_bounds = {
    .scale = 1000000,
#define COMMIT_BUCKET(most, text) +1
    .n = 0
#include "lib/board/metrics.def"
#undef COMMIT_BUCKET
    ,
#define COMMIT_BUCKET(most, text) most,
    .most = {
#include "lib/board/metrics.def"
#undef COMMIT_BUCKET
    },
#define COMMIT_BUCKET(most, text) text,
    .text = {
#include "lib/board/metrics.def"
#undef COMMIT_BUCKET
    },
};

struct shown_row {
	_Atomic uint32_t shown;
	uint32_t pad;
	struct series_row copy[2];
};

struct shown_store {
	_Atomic uint32_t shown;
	uint32_t pad;
	struct series_store copy[2];
};

/* As it lies on the board. */
struct section {
	int64_t made_wall_ms;
	_Atomic uint64_t restarts[SERIES_ROLES];
	_Atomic uint64_t state; /* number of the store << 32 | rows */
	struct shown_store store;
	struct shown_row rows[SERIES_ROWS];
};

struct key {
	uint64_t hash;
	size_t nqueue, ntype;
};

struct series {
	size_t n, last; /* rows; the one that was found last */
	struct key keys[SERIES_ROWS];
	uint8_t table[TABLE_SIZE]; /* number of a row + 1; 0: free */
	bool begun;		   /* the board has forgotten what was before */
	bool store_changed, changed[SERIES_ROWS];
	uint8_t to_show[SERIES_ROWS]; /* those of which `changed` is true */
	size_t nto_show;
	struct series_store store;
	struct series_row rows[SERIES_ROWS];
};

size_t series_bytes(void)
{
	return sizeof(struct section);
}

static struct section *section_of(const struct board *b)
{
	return board_series(b);
}

/* --- counting --------------------------------------------------------------------------------- */

void series_observe(struct series_histogram *h, const struct series_bounds *bounds, uint64_t value)
{
	size_t i = 0;

	while (i < bounds->n && value > bounds->most[i])
		i++;
	h->in[i]++;
	h->sum += value;
}

struct series *series_new(int64_t now_wall_ms)
{
	struct series *s = xcalloc(1, sizeof *s);

	s->store.since_wall_ms = now_wall_ms;
	s->store_changed = true;
	series_add(s, slice_str(SERIES_OTHER), slice_str(SERIES_OTHER));
	return s;
}

void series_free(struct series *s)
{
	free(s);
}

static struct series_row *change(struct series *s, size_t i)
{
	if (!s->changed[i]) {
		s->changed[i] = true;
		s->to_show[s->nto_show++] = (uint8_t)i;
	}
	s->last = i;
	return &s->rows[i];
}

static bool is_row(const struct series *s, size_t i, struct slice queue, struct slice type)
{
	return s->keys[i].nqueue == queue.n && s->keys[i].ntype == type.n &&
	       memcmp(s->rows[i].queue, queue.p, queue.n) == 0 &&
	       (type.n == 0 || memcmp(s->rows[i].type, type.p, type.n) == 0);
}

static uint64_t mix(uint64_t hash, struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		hash = (hash ^ text.p[i]) * PRIME;
	return (hash ^ 0xff) * PRIME; /* no name has that byte: it is not UTF-8 */
}

static uint64_t hash_of(struct slice queue, struct slice type)
{
	uint64_t hash = mix(mix(SEED, queue), type);

	return hash ^ hash >> 32;
}

/* Where that row stands in the table, or could be put. */
static size_t place_of(const struct series *s, uint64_t hash, struct slice queue, struct slice type)
{
	size_t at = hash % TABLE_SIZE;

	while (s->table[at]) {
		size_t i = s->table[at] - 1u;

		if (s->keys[i].hash == hash && is_row(s, i, queue, type))
			break;
		at = (at + 1) % TABLE_SIZE;
	}
	return at;
}

struct series_row *series_find(struct series *s, struct slice queue, struct slice type)
{
	size_t at;

	if (is_row(s, s->last, queue, type))
		return change(s, s->last);
	at = place_of(s, hash_of(queue, type), queue, type);
	return s->table[at] ? change(s, s->table[at] - 1u) : NULL;
}

struct series_row *series_add(struct series *s, struct slice queue, struct slice type)
{
	uint64_t hash = hash_of(queue, type);
	size_t at = place_of(s, hash, queue, type), i = s->n;

	if (s->table[at])
		return change(s, s->table[at] - 1u);
	if (i == SERIES_ROWS || queue.n >= SERIES_NAME_BYTES || type.n >= SERIES_NAME_BYTES)
		return change(s, 0);
	slice_copy(s->rows[i].queue, sizeof s->rows[i].queue, queue);
	slice_copy(s->rows[i].type, sizeof s->rows[i].type, type);
	s->keys[i] = (struct key){hash, queue.n, type.n};
	s->table[at] = (uint8_t)(i + 1);
	s->n++;
	return change(s, i);
}

struct series_store *series_of_store(struct series *s)
{
	s->store_changed = true;
	return &s->store;
}

/* --- showing ---------------------------------------------------------------------------------- */

static uint64_t number_of(uint64_t state)
{
	return state >> 32;
}

/* From here on readers see no row of the last store. */
static void begin(struct series *s, struct section *m)
{
	uint64_t state = atomic_load_explicit(&m->state, memory_order_relaxed);

	atomic_store_explicit(&m->state, (number_of(state) + 1) << 32, memory_order_release);
	/* No row is overwritten before that is to be seen. */
	atomic_thread_fence(memory_order_release);
	s->begun = true;
}

void series_publish(struct series *s, struct board *b)
{
	struct section *m = section_of(b);
	uint64_t state;

	if (!s->begun)
		begin(s, m);
	if (s->store_changed)
		shown_put(&m->store.shown, m->store.copy, &s->store, sizeof s->store);
	s->store_changed = false;
	if (s->nto_show == 0)
		return;
	for (size_t i = 0; i < s->nto_show; i++) {
		size_t row = s->to_show[i];

		shown_put(&m->rows[row].shown, m->rows[row].copy, &s->rows[row], sizeof s->rows[row]);
		s->changed[row] = false;
	}
	s->nto_show = 0;
	state = atomic_load_explicit(&m->state, memory_order_relaxed);
	atomic_store_explicit(&m->state, number_of(state) << 32 | s->n, memory_order_release);
}

void series_made(struct board *b, int64_t now_wall_ms)
{
	section_of(b)->made_wall_ms = now_wall_ms;
}

void series_restarted(struct board *b, unsigned role)
{
	if (role < SERIES_ROLES)
		atomic_fetch_add_explicit(&section_of(b)->restarts[role], 1, memory_order_relaxed);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* False if another store began meanwhile. */
static bool read_rows(const struct section *m, struct series_seen *ret)
{
	uint64_t before = atomic_load_explicit(&m->state, memory_order_acquire), after;

	ret->n = (uint32_t)before < SERIES_ROWS ? (uint32_t)before : SERIES_ROWS;
	shown_get(&m->store.shown, m->store.copy, &ret->store, sizeof ret->store);
	for (size_t i = 0; i < ret->n; i++)
		shown_get(&m->rows[i].shown, m->rows[i].copy, &ret->rows[i], sizeof ret->rows[i]);
	atomic_thread_fence(memory_order_acquire);
	after = atomic_load_explicit(&m->state, memory_order_relaxed);
	return number_of(before) == number_of(after);
}

struct series_seen *series_read(const struct board *b)
{
	const struct section *m = section_of(b);
	struct series_seen *seen = xcalloc(1, sizeof *seen);

	for (int tries = 0; !read_rows(m, seen) && tries < SHOWN_READ_TRIES; tries++)
		continue;
	seen->board_wall_ms = m->made_wall_ms;
	for (size_t i = 0; i < SERIES_ROLES; i++)
		seen->restarts[i] = atomic_load_explicit(&m->restarts[i], memory_order_relaxed);
	return seen;
}
