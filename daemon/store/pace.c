/* SPDX-License-Identifier: MIT */
#include "daemon/store/pace.h"

static int64_t within_bounds(int64_t ms)
{
	return ms < PACE_REST_MIN_MS ? PACE_REST_MIN_MS : ms > PACE_REST_MAX_MS ? PACE_REST_MAX_MS : ms;
}

/* Notes this one. */
static bool is_thick(struct pace *p, int64_t now_us)
{
	int64_t before_us = p->at_us[p->next], at_us = now_us - p->rested_us;

	p->at_us[p->next] = at_us;
	p->next = (p->next + 1) % PACE_COMMITS;
	return before_us && at_us - before_us < PACE_SPAN_US;
}

int64_t pace_committed(struct pace *p, uint64_t rows, bool hungry, int64_t now_us)
{
	int64_t rest_ms = within_bounds(p->rest_ms);
	bool thick = is_thick(p, now_us);
	bool small = rows < (uint64_t)(PACE_SMALL_ROWS * rest_ms);
	bool few = p->rest_ms && rows * PACE_FEW_ROWS < (uint64_t)p->rest_ms;

	if (!thick || few)
		p->rest_ms = 0;
	else if (hungry)
		p->rest_ms /= 2;
	if (hungry || !thick || few || !small)
		return 0;
	p->rest_ms = within_bounds(2 * p->rest_ms);
	p->rested_us += p->rest_ms * 1000;
	return p->rest_ms;
}
