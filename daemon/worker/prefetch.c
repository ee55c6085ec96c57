/* SPDX-License-Identifier: MIT */
#include "daemon/worker/prefetch.h"

#include <math.h>

void prefetch_init(struct prefetch *p, uint32_t value, uint32_t slots, uint32_t queues)
{
	*p = (struct prefetch){.fixed = value > 0,
	    .value = value ? value : slots,
	    .slots = slots,
	    .queues = queues ? queues : 1};
}

void prefetch_running(struct prefetch *p, uint32_t running, int64_t now_us)
{
	if (p->running && now_us > p->seen_us) {
		double past_ms = (double)(now_us - p->seen_us) / 1000;
		double fade = exp(-past_ms / PREFETCH_MEMORY_MS);

		p->ended *= fade;
		p->body_bytes *= fade;
		p->busy_ms = p->busy_ms * fade + PREFETCH_MEMORY_MS * (1 - fade);
	}
	if (p->running == 0)
		p->ended_us = now_us;
	p->running = running;
	p->seen_us = now_us;
}

void prefetch_ended(struct prefetch *p, uint64_t body_bytes, int64_t now_us)
{
	p->ended_us = now_us;
	p->ended++;
	p->body_bytes += (double)body_bytes;
}

void prefetch_saw_slots(struct prefetch *p, uint32_t slots)
{
	if (slots > p->slots)
		p->slots = slots;
}

uint32_t prefetch_wanted(const struct prefetch *p)
{
	double wanted, room;

	if (p->ended <= 0 || p->busy_ms <= 0)
		return p->slots;
	wanted = p->ended / p->busy_ms * 1000 / p->queues;
	if (p->body_bytes > 0) {
		room = PREFETCH_BYTES / (p->body_bytes / p->ended) / p->queues;
		wanted = fmin(wanted, room);
	}
	wanted = fmin(wanted, PREFETCH_MAX);
	return wanted > p->slots ? (uint32_t)wanted : p->slots;
}

bool prefetch_update(struct prefetch *p, int64_t now_ms)
{
	uint32_t wanted = prefetch_wanted(p);
	int64_t since = p->changed_ms ? now_ms - p->changed_ms : INT64_MAX;

	if (p->fixed)
		return false;
	if (p->value < p->slots)
		p->value = p->slots;
	else if (wanted >= 2 * p->value && since >= PREFETCH_GROW_MS)
		p->value = wanted < PREFETCH_GROW * p->value ? wanted : PREFETCH_GROW * p->value;
	else if (2 * wanted <= p->value && since >= PREFETCH_SHRINK_MS)
		p->value = wanted;
	else
		return false;
	p->changed_ms = now_ms;
	return true;
}

int64_t prefetch_stuck_ms(const struct prefetch *p, int64_t now_us)
{
	return p->running ? (now_us - p->ended_us) / 1000 : 0;
}

void prefetch_restart(struct prefetch *p, int64_t now_ms)
{
	p->value = p->slots;
	p->changed_ms = now_ms;
}
