/* SPDX-License-Identifier: MIT */
#include "lib/amqp/tags.h"

#include <errno.h>

void tags_init(struct tags *t)
{
	*t = (struct tags){0};
}

void tags_free(struct tags *t)
{
	free(t->e);
	*t = (struct tags){0};
}

void tags_allow(struct tags *t, size_t n)
{
	t->most = t->n + n;
	if (t->most <= t->cap)
		return;
	t->e = xrealloc(t->e, t->most * sizeof *t->e);
	t->cap = t->most;
}

void tags_reset(struct tags *t)
{
	t->n = t->most = t->nacked = 0;
	t->last = 0;
}

int tags_add(struct tags *t, uint64_t tag)
{
	if (tag <= t->last)
		return -EPROTO;
	if (t->n >= t->most)
		return -ENOBUFS;
	t->e[t->n++] = (struct tag_entry){.tag = tag};
	t->last = tag;
	return 0;
}

static struct tag_entry *find(const struct tags *t, uint64_t tag)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->e[middle].tag < tag)
			low = middle + 1;
		else
			high = middle;
	}
	return low < t->n && t->e[low].tag == tag && !t->e[low].acked ? &t->e[low] : NULL;
}

bool tags_has(const struct tags *t, uint64_t tag)
{
	return find(t, tag) != NULL;
}

bool tags_ack(struct tags *t, uint64_t tag)
{
	struct tag_entry *e = find(t, tag);

	if (!e)
		return false;
	e->acked = true;
	t->nacked++;
	return true;
}

bool tags_drop(struct tags *t, uint64_t tag)
{
	struct tag_entry *e = find(t, tag);

	if (!e)
		return false;
	t->n--;
	memmove(e, e + 1, (size_t)(t->e + t->n - e) * sizeof *e);
	return true;
}

void tags_fold(struct tags *t, tags_emit_fn *emit, void *arg)
{
	size_t run = 0, kept = 0;

	if (t->nacked == 0)
		return;
	while (run < t->n && t->e[run].acked)
		run++;
	/* All older tags are settled, so `multiple` cannot take one that is not meant. */
	if (run > 0)
		emit(arg, t->e[run - 1].tag, run > 1);
	for (size_t i = run; i < t->n; i++) {
		if (t->e[i].acked)
			emit(arg, t->e[i].tag, false);
		else
			t->e[kept++] = t->e[i];
	}
	t->n = kept;
	t->nacked = 0;
}
