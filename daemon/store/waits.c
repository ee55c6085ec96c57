/* SPDX-License-Identifier: MIT */
#include "daemon/store/waits.h"

#include <errno.h>

#include "lib/base/base.h"

struct wait {
	struct list link;
	void *owner;
	struct msg_claim claim; /* its names are in `text` */
	uint8_t text[];
};

void waits_init(struct waits *w)
{
	*w = (struct waits){0};
	list_init(&w->all);
}

static struct slice keep(uint8_t **at, struct slice s)
{
	struct slice kept = slice_of(*at, s.n);

	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return kept;
}

int waits_add(struct waits *w, void *owner, const struct msg_claim *m)
{
	struct wait *wait;
	uint8_t *at;

	if (w->n >= WAITS_MAX)
		return -ENOBUFS;
	wait = xmalloc(sizeof *wait + m->queue.n + m->job.n + m->type.n);
	*wait = (struct wait){.owner = owner, .claim = *m};
	at = wait->text;
	wait->claim.queue = keep(&at, m->queue);
	wait->claim.job = keep(&at, m->job);
	wait->claim.type = keep(&at, m->type);
	list_add_tail(&w->all, &wait->link);
	w->n++;
	return 0;
}

static void forget(struct waits *w, struct wait *wait)
{
	list_del(&wait->link);
	w->n--;
	free(wait);
}

void waits_drop(struct waits *w, const void *owner)
{
	list_each(struct wait, wait, &w->all, link)
	{
		if (!owner || wait->owner == owner)
			forget(w, wait);
	}
}

void waits_each(struct waits *w, bool (*again)(void *owner, const struct msg_claim *m))
{
	list_each(struct wait, wait, &w->all, link)
	{
		if (again(wait->owner, &wait->claim))
			forget(w, wait);
	}
}
