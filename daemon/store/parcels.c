/* SPDX-License-Identifier: MIT */
#include "daemon/store/parcels.h"

enum {
	PARCEL_INSERT,
	PARCEL_GET,
	PARCEL_OF_JOB,
	PARCEL_DELETE,
	PARCEL_SET,
	PARCEL_READY_OF,
	PARCEL_EARLY_OF,
	PARCEL_EARLY_COUNTS,
	PARCEL_DUE,
	PARCEL_NEXT_DUE,
	PARCEL_CLAMP,
	PARCEL_READY_COUNTS,
	PARCEL_DELAYED_COUNT,
	PARCEL_HELD_COUNT,
	PARCEL_HELD_AFTER,
	STMT_COUNT
};

static const char *const names_of[STMT_COUNT] = {
    [PARCEL_INSERT] = "parcel_insert",
    [PARCEL_GET] = "parcel_get",
    [PARCEL_OF_JOB] = "parcel_of_job",
    [PARCEL_DELETE] = "parcel_delete",
    [PARCEL_SET] = "parcel_set",
    [PARCEL_READY_OF] = "parcel_ready_of",
    [PARCEL_EARLY_OF] = "parcel_early_of",
    [PARCEL_EARLY_COUNTS] = "parcel_early_counts",
    [PARCEL_DUE] = "parcel_due",
    [PARCEL_NEXT_DUE] = "parcel_next_due",
    [PARCEL_CLAMP] = "parcel_clamp",
    [PARCEL_READY_COUNTS] = "parcel_ready_counts",
    [PARCEL_DELAYED_COUNT] = "parcel_delayed_count",
    [PARCEL_HELD_COUNT] = "parcel_held_count",
    [PARCEL_HELD_AFTER] = "parcel_held",
};

static bool is_timed(enum parcel_state state)
{
	return state == PARCEL_DELAYED || state == PARCEL_UNROUTABLE;
}

static bool may_go(const struct parcels *p, enum parcel_state state)
{
	return state == PARCEL_READY || (p->early && is_timed(state));
}

static void count_lanes(struct parcels *p, struct db_stmt *counts)
{
	while (batch_row(p->batch, counts))
		lanes_add(p->lanes, db_text(counts, 0), (uint64_t)db_int(counts, 1));
}

static void seek_next_due(struct parcels *p)
{
	p->next_due_ms = batch_number(p->batch, p->stmts[PARCEL_NEXT_DUE], INT64_MAX);
}

int parcels_open(struct parcels *p, struct batch *batch, struct bodies *bodies, struct lanes *lanes,
    int64_t now_wall_ms, struct err *err)
{
	int rc;

	_Static_assert(STMT_COUNT <= ARRAY_SIZE(p->stmts), "too many statements");
	*p = (struct parcels){.batch = batch, .bodies = bodies, .lanes = lanes};
	p->recent = xcalloc(PARCELS_RECENT, sizeof *p->recent);
	rc = batch_prepare(batch, names_of, STMT_COUNT, p->stmts, err);
	if (rc < 0)
		return rc;
	count_lanes(p, p->stmts[PARCEL_READY_COUNTS]);
	p->delayed = (uint64_t)batch_number(batch, p->stmts[PARCEL_DELAYED_COUNT], 0);
	p->held = (uint64_t)batch_number(batch, p->stmts[PARCEL_HELD_COUNT], 0);
	parcels_clamp(p, now_wall_ms);
	return 0;
}

void parcels_close(struct parcels *p)
{
	free(p->recent);
	p->recent = NULL;
}

void parcels_hasten(struct parcels *p)
{
	p->early = true;
	count_lanes(p, p->stmts[PARCEL_EARLY_COUNTS]);
}

/* --- counting: every change of a state passes these two --------------------------------------- */

static struct parcel_held *place_of(const struct parcels *p, int64_t job)
{
	return &p->recent[(uint64_t)job % PARCELS_RECENT];
}

static void enter_state(struct parcels *p, const struct parcel_row *row)
{
	if (row->state == PARCEL_HELD)
		*place_of(p, row->job) = (struct parcel_held){row->job, row->id, row->body};
	if (may_go(p, row->state))
		lanes_add(p->lanes, row->destination, 1);
	p->held += row->state == PARCEL_HELD;
	if (!is_timed(row->state))
		return;
	p->delayed++;
	if (row->due_wall_ms < p->next_due_ms)
		p->next_due_ms = row->due_wall_ms;
}

static void leave_state(struct parcels *p, const struct parcel_row *row)
{
	struct parcel_held *place = place_of(p, row->job);

	if (place->id == row->id)
		place->id = 0;
	if (may_go(p, row->state))
		lanes_remove(p->lanes, row->destination, row->id);
	p->held -= row->state == PARCEL_HELD;
	if (is_timed(row->state))
		p->delayed--;
}

int64_t parcels_add(struct parcels *p, struct parcel_row *row, int64_t now_wall_ms)
{
	struct db_stmt *s = p->stmts[PARCEL_INSERT];

	if (row->state != PARCEL_HELD)
		row->state = row->due_wall_ms > now_wall_ms ? PARCEL_DELAYED : PARCEL_READY;
	if (row->job)
		db_bind_int(s, 1, row->job);
	db_bind_int(s, 2, (int64_t)row->kind);
	db_bind_int(s, 3, (int64_t)row->ended);
	db_bind_int(s, 4, (int64_t)row->state);
	db_bind_text(s, 5, row->destination);
	db_bind_int(s, 6, row->priority);
	db_bind_int(s, 7, row->attempt);
	db_bind_int(s, 8, row->due_wall_ms);
	db_bind_int(s, 9, row->delay_ms > 0 ? row->delay_ms : 0);
	db_bind_int(s, 10, row->body);
	batch_write(p->batch, s, 0);
	row->id = db_last_id(p->batch->db);
	enter_state(p, row);
	return row->id;
}

void parcels_read(struct db_stmt *s, int column, struct parcel_row *ret)
{
	struct slice destination = db_text(s, column + 5);

	ret->id = db_int(s, column);
	ret->job = db_int(s, column + 1);
	ret->kind = (enum parcel_kind)db_int(s, column + 2);
	ret->ended = (enum job_state)db_int(s, column + 3);
	ret->state = (enum parcel_state)db_int(s, column + 4);
	ret->priority = db_int(s, column + 6);
	ret->attempt = db_int(s, column + 7);
	ret->tries = db_int(s, column + 8);
	ret->body = db_int(s, column + 9);
	ret->due_wall_ms = db_int(s, column + 10);
	ret->delay_ms = 0;
	ret->destination = slice_of(
	    ret->text, destination.n < sizeof ret->text ? destination.n : sizeof ret->text);
	memcpy(ret->text, destination.p, ret->destination.n);
}

static bool get_one(struct parcels *p, struct db_stmt *s, int64_t key, struct parcel_row *ret)
{
	db_bind_int(s, 1, key);
	if (!batch_row(p->batch, s))
		return false;
	parcels_read(s, 0, ret);
	db_reset(s);
	return true;
}

bool parcels_get(struct parcels *p, int64_t id, struct parcel_row *ret)
{
	return get_one(p, p->stmts[PARCEL_GET], id, ret);
}

bool parcels_of_job(struct parcels *p, int64_t seq, struct parcel_row *ret)
{
	return get_one(p, p->stmts[PARCEL_OF_JOB], seq, ret);
}

int64_t parcels_ready_since(const struct parcel_row *row)
{
	return row->tries ? JOB_NOT_GIVEN : row->due_wall_ms;
}

/* The time of one whose publish has failed is when it was to be tried again. */
int64_t parcels_due(const struct parcels *p, const struct parcel_row *row)
{
	return p->early && row->state == PARCEL_DELAYED && row->tries == 0 ? row->due_wall_ms
									   : JOB_NOT_GIVEN;
}

void parcels_remove(struct parcels *p, const struct parcel_row *row, bool keep_body)
{
	leave_state(p, row);
	db_bind_int(p->stmts[PARCEL_DELETE], 1, row->id);
	batch_write(p->batch, p->stmts[PARCEL_DELETE], 0);
	if (!keep_body)
		bodies_drop(p->bodies, row->body);
}

int64_t parcels_remove_of_job(struct parcels *p, int64_t seq, bool keep_body)
{
	const struct parcel_held *held = place_of(p, seq);
	struct parcel_row row = {
	    .id = held->id, .job = seq, .state = PARCEL_HELD, .body = held->body};

	if ((held->id == 0 || held->job != seq) && !parcels_of_job(p, seq, &row))
		return 0;
	parcels_remove(p, &row, keep_body);
	return keep_body ? row.body : 0;
}

void parcels_set_state(struct parcels *p, struct parcel_row *row, enum parcel_state state,
    int64_t due_wall_ms, int64_t delay_ms)
{
	struct db_stmt *s = p->stmts[PARCEL_SET];

	leave_state(p, row);
	row->state = state;
	row->due_wall_ms = due_wall_ms;
	row->delay_ms = delay_ms;
	db_bind_int(s, 1, row->id);
	db_bind_int(s, 2, (int64_t)state);
	db_bind_int(s, 3, due_wall_ms);
	db_bind_int(s, 4, delay_ms);
	db_bind_int(s, 5, row->tries);
	batch_write(p->batch, s, 0);
	enter_state(p, row);
}

/* --- time ----------------------------------------------------------------------------------- */

size_t parcels_promote(struct parcels *p, int64_t now_wall_ms, size_t most)
{
	struct db_stmt *s = p->stmts[PARCEL_DUE];
	struct parcel_row row;
	size_t n = 0;

	/* One at a time: the query must not walk the index that the change is made in. */
	for (; n < most; n++) {
		db_bind_int(s, 1, now_wall_ms);
		db_bind_int(s, 2, 1);
		if (!batch_row(p->batch, s))
			break;
		parcels_read(s, 0, &row);
		db_reset(s);
		parcels_set_state(p, &row, PARCEL_READY, row.due_wall_ms, 0);
	}
	seek_next_due(p);
	return n;
}

void parcels_clamp(struct parcels *p, int64_t now_wall_ms)
{
	db_bind_int(p->stmts[PARCEL_CLAMP], 1, now_wall_ms);
	batch_write(p->batch, p->stmts[PARCEL_CLAMP], 0);
	seek_next_due(p);
}

static size_t first_of(struct parcels *p, struct db_stmt *s, struct slice destination, size_t most,
    int64_t *ret_ids)
{
	size_t n = 0;

	db_bind_text(s, 1, destination);
	db_bind_int(s, 2, (int64_t)most);
	while (batch_row(p->batch, s))
		ret_ids[n++] = db_int(s, 0);
	return n;
}

size_t parcels_ready_of(struct parcels *p, struct slice destination, size_t most, int64_t *ret_ids)
{
	size_t n = first_of(p, p->stmts[PARCEL_READY_OF], destination, most, ret_ids);

	if (p->early && n < most)
		n += first_of(p, p->stmts[PARCEL_EARLY_OF], destination, most - n, ret_ids + n);
	return n;
}

bool parcels_held(struct parcels *p, int64_t id, int64_t *ret_id, int64_t *ret_job)
{
	struct db_stmt *s = p->stmts[PARCEL_HELD_AFTER];

	db_bind_int(s, 1, id);
	if (!batch_row(p->batch, s))
		return false;
	*ret_id = db_int(s, 0);
	*ret_job = db_int(s, 1);
	db_reset(s);
	return true;
}
