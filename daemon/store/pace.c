/* SPDX-License-Identifier: MIT */
#include "daemon/store/pace.h"

int64_t pace_committed(struct pace *p, uint64_t rows, bool hungry, int64_t now_us)
{
	int64_t *oldest = &p->at_us[p->next];
	int64_t span_us = *oldest ? now_us - *oldest : INT64_MAX;

	*oldest = now_us;
	p->next = (p->next + 1) % PACE_COMMITS;
	return !hungry && rows < PACE_ROWS && span_us < PACE_SPAN_US ? PACE_REST_MS : 0;
}
