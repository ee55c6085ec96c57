/* SPDX-License-Identifier: MIT */
#include "daemon/store/watches.h"

struct watch {
	struct map_node node;
	struct list age;
	void *owner;
	uint64_t request;
	size_t queue_n, id_n;
	uint8_t text[]; /* queue, id */
};

void watches_init(struct watches *w)
{
	*w = (struct watches){0};
	list_init(&w->by_age);
}

static void forget(struct watches *w, struct watch *watch)
{
	map_del(&w->by_job, &watch->node);
	list_del(&watch->age);
	free(watch);
}

void watches_add(
    struct watches *w, void *owner, uint64_t request, struct slice queue, struct slice id)
{
	struct watch *watch = xmalloc(sizeof *watch + queue.n + id.n);

	if (w->by_job.n >= WATCHES_MAX)
		forget(w, list_first(&w->by_age, struct watch, age));
	*watch =
	    (struct watch){.owner = owner, .request = request, .queue_n = queue.n, .id_n = id.n};
	memcpy(watch->text, queue.p, queue.n);
	memcpy(watch->text + queue.n, id.p, id.n);
	map_add(&w->by_job, &watch->node, map_hash_job(queue, id));
	list_add_tail(&w->by_age, &watch->age);
}

static bool is_of(const struct watch *watch, struct slice queue, struct slice id)
{
	return slice_eq(slice_of(watch->text, watch->queue_n), queue) &&
	       slice_eq(slice_of(watch->text + watch->queue_n, watch->id_n), id);
}

void watches_fire(struct watches *w, struct slice queue, struct slice id,
    void (*tell)(void *arg, void *owner, uint64_t request), void *arg)
{
	if (w->by_job.n == 0)
		return;
	for (struct map_node *node = map_first(&w->by_job, map_hash_job(queue, id)), *next; node;
	     node = next) {
		struct watch *watch = map_entry(node, struct watch, node);

		next = map_next(node);
		if (!is_of(watch, queue, id))
			continue;
		tell(arg, watch->owner, watch->request);
		forget(w, watch);
	}
}

void watches_drop(struct watches *w, const void *owner)
{
	list_each(struct watch, watch, &w->by_age, age)
	{
		if (watch->owner == owner)
			forget(w, watch);
	}
}

void watches_free(struct watches *w)
{
	list_each(struct watch, watch, &w->by_age, age) forget(w, watch);
	map_free(&w->by_job);
}
