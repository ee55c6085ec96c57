/* SPDX-License-Identifier: MIT */
/*
 * A pass walks the jobs in order of their arrival and ends at the first that is younger than
 * anything that may go, so a store whose jobs are all young pays for one row. Jobs that must stay
 * (dead ones are kept longer) are walked over again in each pass; that reads their rows and nothing
 * else.
 */
#include "daemon/store/sweep.h"

#define SWEEP_BUSY_MS 50   /* a batch was found: several thousand jobs a second, more than arrive */
#define SWEEP_WALK_MS 1000 /* a batch held nothing to remove */
#define SWEEP_REST_MS 60000

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* True if something was removed. */
static bool sweep_job(struct ledger *l, const struct job_row *row, int64_t now)
{
	const struct conf_store *c = &l->conf->store;
	int64_t keep = row->state == JOB_DEAD ? c->keep_dead : c->keep_done;
	int64_t age = now - row->ended_wall_ms;

	if (!job_state_over(row->state) || age <= keep)
		return false;
	if (age > most(keep, c->dedupe_keep)) {
		bodies_drop(&l->bodies, row->body);
		jobs_delete(&l->jobs, row->seq);
		return true;
	}
	if (row->runs == 0 && row->body == 0)
		return false; /* its identity alone is left */
	bodies_drop(&l->bodies, row->body);
	jobs_strip(&l->jobs, row);
	return true;
}

/* Nothing that came later can be old enough. A row from the future (the clock was wrong once) says
 * nothing about those behind it. */
static bool is_young(const struct ledger *l, const struct job_row *row, int64_t now)
{
	const struct conf_store *c = &l->conf->store;

	return row->created_wall_ms <= now &&
	       now - row->created_wall_ms <= least(c->keep_done, c->keep_dead);
}

int64_t sweep_turn(struct sweep *s, struct ledger *l, int64_t now)
{
	struct job_row rows[SWEEP_ROWS];
	size_t n = jobs_walk(&l->jobs, s->at, SWEEP_ROWS, rows);
	bool removed = tombs_expire(&l->tombs, now, SWEEP_ROWS) > 0;

	for (size_t i = 0; i < n; i++) {
		if (is_young(l, &rows[i], now)) {
			n = i;
			break;
		}
		removed |= sweep_job(l, &rows[i], now);
		s->at = rows[i].seq;
	}
	if (n == SWEEP_ROWS)
		return removed ? SWEEP_BUSY_MS : SWEEP_WALK_MS;
	s->at = 0;
	return SWEEP_REST_MS;
}
