/* SPDX-License-Identifier: MIT */
#include "daemon/store/claims.h"

static uint64_t hash_run(struct id run)
{
	return map_hash(MAP_SEED, run.b, sizeof run.b);
}

void claims_owner_init(struct claim_owner *o)
{
	list_init(&o->claims);
	o->n = 0;
}

void claims_init(struct claims *c)
{
	*c = (struct claims){0};
	claims_owner_init(&c->nobody);
}

void claims_free(struct claims *c)
{
	for (size_t i = 0; i < c->by_run.nbuckets; i++) {
		while (c->by_run.buckets[i])
			claims_close(c, map_entry(c->by_run.buckets[i], struct claim, by_run));
	}
	map_free(&c->by_run);
	map_free(&c->by_job);
}

static struct slice keep(uint8_t **at, struct slice s)
{
	struct slice kept = slice_of(*at, s.n);

	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return kept;
}

static struct claim_owner *list_of(struct claims *c, struct claim_owner *owner)
{
	return owner ? owner : &c->nobody;
}

struct claim *claims_open(
    struct claims *c, struct claim_owner *owner, struct id run, const struct claim_names *names)
{
	struct claim *claim = xmalloc(sizeof *claim + names->queue.n + names->id.n + names->type.n);
	uint8_t *at = claim->text;

	*claim = (struct claim){.run = run, .owner = owner};
	claim->queue = keep(&at, names->queue);
	claim->id = keep(&at, names->id);
	claim->type = keep(&at, names->type);
	map_add(&c->by_run, &claim->by_run, hash_run(run));
	map_add(&c->by_job, &claim->by_job, map_hash_job(claim->queue, claim->id));
	list_add_tail(&list_of(c, owner)->claims, &claim->link);
	list_of(c, owner)->n++;
	return claim;
}

void claims_close(struct claims *c, struct claim *claim)
{
	if (!claim)
		return;
	map_del(&c->by_run, &claim->by_run);
	map_del(&c->by_job, &claim->by_job);
	list_del(&claim->link);
	list_of(c, claim->owner)->n--;
	c->suspects -= claim->suspect;
	free(claim);
}

void claims_suspect(struct claims *c, struct claim *claim)
{
	c->suspects += !claim->suspect;
	claim->suspect = true;
}

void claims_own(struct claims *c, struct claim *claim, struct claim_owner *owner)
{
	list_of(c, claim->owner)->n--;
	list_del(&claim->link);
	claim->owner = owner;
	list_add_tail(&list_of(c, owner)->claims, &claim->link);
	list_of(c, owner)->n++;
}

struct claim *claims_find(const struct claims *c, struct id run)
{
	struct map_node *node = map_first(&c->by_run, hash_run(run));

	for (; node; node = map_next(node)) {
		struct claim *claim = map_entry(node, struct claim, by_run);

		if (id_eq(claim->run, run))
			return claim;
	}
	return NULL;
}

struct claim *claims_of_job(
    const struct claims *c, struct slice queue, struct slice id, const struct claim *except)
{
	struct map_node *node = map_first(&c->by_job, map_hash_job(queue, id));

	for (; node; node = map_next(node)) {
		struct claim *claim = map_entry(node, struct claim, by_job);

		if (claim != except && slice_eq(claim->queue, queue) && slice_eq(claim->id, id))
			return claim;
	}
	return NULL;
}

struct claim *claims_by_id(const struct claims *c, struct slice id, const struct claim *after)
{
	bool past = after == NULL;

	for (size_t i = 0; i < c->by_run.nbuckets; i++) {
		for (struct map_node *node = c->by_run.buckets[i]; node; node = node->next) {
			struct claim *claim = map_entry(node, struct claim, by_run);

			if (past && slice_eq(claim->id, id))
				return claim;
			past = past || claim == after;
		}
	}
	return NULL;
}
