/* SPDX-License-Identifier: MIT */
#include "lib/amqp/confirms.h"

#define CONFIRMS_SPREAD 4u /* how much wider than the window the ring is */

static struct confirm *at(const struct confirms *c, uint64_t seq)
{
	return &c->ring[seq & (c->cap - 1)];
}

void confirms_init(struct confirms *c, uint32_t window)
{
	size_t cap = 64;

	while (cap < (size_t)window * CONFIRMS_SPREAD)
		cap *= 2;
	*c = (struct confirms){.ring = xcalloc(cap, sizeof *c->ring), .cap = cap, .window = window};
	confirms_reset(c);
}

void confirms_free(struct confirms *c)
{
	free(c->ring);
	*c = (struct confirms){0};
}

void confirms_reset(struct confirms *c)
{
	if (c->open)
		BUG("%u messages wait for confirms of a channel that is gone", c->open);
	c->oldest = c->next = 1;
}

uint32_t confirms_room(const struct confirms *c)
{
	uint64_t spread = c->next - c->oldest;
	uint32_t window = c->window > c->open ? c->window - c->open : 0;

	return c->cap - spread < window ? (uint32_t)(c->cap - spread) : window;
}

void confirms_push(struct confirms *c, uint64_t key, int64_t now_ms)
{
	if (confirms_room(c) == 0)
		BUG("publishing beyond the confirm window");
	*at(c, c->next++) = (struct confirm){.key = key, .sent_ms = now_ms, .open = true};
	c->open++;
}

static void take(struct confirms *c, uint64_t seq, struct confirm *ret)
{
	*ret = *at(c, seq);
	at(c, seq)->open = false;
	c->open--;
	while (c->oldest < c->next && !at(c, c->oldest)->open)
		c->oldest++;
}

bool confirms_take(struct confirms *c, uint64_t seq, bool multiple, struct confirm *ret)
{
	if (multiple && c->open && c->oldest <= seq) {
		take(c, c->oldest, ret);
		return true;
	}
	if (multiple || seq < c->oldest || seq >= c->next || !at(c, seq)->open)
		return false;
	take(c, seq, ret);
	return true;
}

bool confirms_take_any(struct confirms *c, struct confirm *ret)
{
	return confirms_take(c, UINT64_MAX, true, ret);
}

static struct confirm *find(const struct confirms *c, uint64_t key)
{
	for (uint64_t seq = c->oldest; seq < c->next; seq++) {
		if (at(c, seq)->open && at(c, seq)->key == key)
			return at(c, seq);
	}
	return NULL;
}

void confirms_returned(struct confirms *c, uint64_t key)
{
	struct confirm *found = find(c, key);

	if (found)
		found->returned = true;
}

bool confirms_has(const struct confirms *c, uint64_t key)
{
	return find(c, key) != NULL;
}

int64_t confirms_oldest_ms(const struct confirms *c)
{
	return c->open ? at(c, c->oldest)->sent_ms : INT64_MAX;
}
