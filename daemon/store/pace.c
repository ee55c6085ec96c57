/* SPDX-License-Identifier: MIT */
#include "daemon/store/pace.h"

static int64_t within_bounds(int64_t ms)
{
	return ms < PACE_REST_MIN_MS ? PACE_REST_MIN_MS : ms > PACE_REST_MAX_MS ? PACE_REST_MAX_MS : ms;
}

/* Notes this one. Were the last ones thick, and small? */
static bool is_worth_it(struct pace *p, uint64_t rows, int64_t now_us)
{
	int64_t since_us = p->last[p->next].at_us, passed_us = now_us - since_us;
	int64_t rested_us = p->rested_us - p->last[p->next].rested_us;

	p->rows += rows - p->last[p->next].rows;
	p->last[p->next].at_us = now_us;
	p->last[p->next].rested_us = p->rested_us;
	p->last[p->next].rows = rows;
	p->next = (p->next + 1) % PACE_COMMITS;
	return since_us && passed_us - rested_us < PACE_SPAN_US &&
	       p->rows * 1000 < PACE_MANY_ROWS * (uint64_t)passed_us;
}

int64_t pace_committed(struct pace *p, uint64_t rows, bool hungry, int64_t now_us)
{
	bool few = p->rest_ms && rows * PACE_FEW_ROWS < (uint64_t)p->rest_ms;
	bool worth = is_worth_it(p, rows, now_us) && !few;

	if (!worth)
		p->rest_ms = 0;
	else if (hungry)
		p->rest_ms /= 2;
	if (hungry || !worth)
		return 0;
	p->rest_ms = within_bounds(2 * p->rest_ms);
	p->rested_us += p->rest_ms * 1000;
	return p->rest_ms;
}
