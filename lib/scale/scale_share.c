/* SPDX-License-Identifier: MIT */
/* Dividing the machine: by largest remainder (Hamilton's method) of what each wants above its minimum. */
#include "lib/scale/scale.h"

static uint64_t wanted(const struct scale_claim *c)
{
	return c->want > c->min ? (uint64_t)(c->want - c->min) : 0;
}

uint64_t scale_room_bytes(const struct scale_policy *policy, const struct scale_facts *f, uint64_t held_bytes)
{
	static const struct scale_policy none;
	struct scale_policy p = scale_policy_complete(policy ? policy : &none);
	uint64_t free;

	if (f->memory_available < 0)
		return UINT64_MAX;
	free = (uint64_t)f->memory_available > p.memory_reserve
		   ? (uint64_t)f->memory_available - p.memory_reserve
		   : 0;
	return free > UINT64_MAX - held_bytes ? UINT64_MAX : free + held_bytes;
}

void scale_share(struct scale_claim *claims, size_t n, uint64_t room)
{
	double asked = 0, left = (double)room, part;

	for (size_t i = 0; i < n; i++) {
		claims[i].granted = claims[i].min;
		left -= (double)claims[i].min * (double)claims[i].cost;
		asked += (double)wanted(&claims[i]) * (double)claims[i].cost;
	}
	part = asked <= left ? 1 : left > 0 ? left / asked : 0;
	for (size_t i = 0; i < n; i++) {
		unsigned more = claims[i].cost ? (unsigned)((double)wanted(&claims[i]) * part)
					       : (unsigned)wanted(&claims[i]);

		claims[i].granted += more;
		left -= (double)more * (double)claims[i].cost;
	}
	for (;;) {
		struct scale_claim *best = NULL;
		double lack = 0;

		for (size_t i = 0; i < n; i++) {
			struct scale_claim *c = &claims[i];
			double lacks = (double)wanted(c) * part - (double)(c->granted - c->min);

			if (c->granted < c->want && (double)c->cost <= left && lacks > lack) {
				best = c;
				lack = lacks;
			}
		}
		if (!best)
			return;
		best->granted++;
		left -= (double)best->cost;
	}
}
