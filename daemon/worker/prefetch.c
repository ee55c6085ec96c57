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
	if (p->changed_ms == 0)
		p->changed_ms = now_us / 1000;
	p->running = running;
	p->seen_us = now_us;
}

void prefetch_ended(struct prefetch *p, uint64_t body_bytes, int64_t now_us)
{
	p->ended_us = now_us;
	p->ended++;
	p->fresh++;
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

static void change(struct prefetch *p, uint32_t value, int64_t now_ms)
{
	p->value = value;
	p->changed_ms = now_ms;
	p->fresh = 0;
}

/* How many times what it is it may be; 1: not yet. */
static uint32_t growth(const struct prefetch *p, int64_t since_ms)
{
	bool shown = p->fresh >= PREFETCH_LEAP_RUNS && p->fresh >= p->value &&
		     p->ended >= PREFETCH_LEAP_PER_MS * p->busy_ms;

	if (shown && since_ms >= PREFETCH_LEAP_MS)
		return PREFETCH_LEAP;
	return since_ms >= PREFETCH_GROW_MS ? PREFETCH_GROW : 1;
}

bool prefetch_update(struct prefetch *p, int64_t now_ms)
{
	uint32_t wanted = prefetch_wanted(p), most;
	int64_t since_ms = now_ms - p->changed_ms;

	if (p->fixed)
		return false;
	most = growth(p, since_ms) * p->value;
	if (p->value < p->slots)
		change(p, p->slots, now_ms);
	else if (wanted >= 2 * p->value && most > p->value)
		change(p, wanted < most ? wanted : most, now_ms);
	else if (2 * wanted <= p->value && since_ms >= PREFETCH_SHRINK_MS)
		change(p, wanted, now_ms);
	else
		return false;
	return true;
}

int64_t prefetch_stuck_ms(const struct prefetch *p, int64_t now_us)
{
	return p->running ? (now_us - p->ended_us) / 1000 : 0;
}

void prefetch_restart(struct prefetch *p, int64_t now_ms)
{
	change(p, p->slots, now_ms);
}
