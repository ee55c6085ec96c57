/* SPDX-License-Identifier: MIT */
#include "daemon/store/map.h"

#define MAP_FIRST_BUCKETS 64

void map_free(struct map *m)
{
	free(m->buckets);
	*m = (struct map){0};
}

static struct map_node **bucket_of(const struct map *m, uint64_t hash)
{
	return &m->buckets[(hash ^ hash >> 32) & (m->nbuckets - 1)];
}

static void link_node(struct map *m, struct map_node *node)
{
	struct map_node **bucket = bucket_of(m, node->hash);

	node->next = *bucket;
	*bucket = node;
}

static void grow(struct map *m)
{
	struct map old = *m;

	m->nbuckets = old.nbuckets ? old.nbuckets * 2 : MAP_FIRST_BUCKETS;
	m->buckets = xcalloc(m->nbuckets, sizeof(*m->buckets));
	for (size_t i = 0; i < old.nbuckets; i++) {
		for (struct map_node *node = old.buckets[i], *next; node; node = next) {
			next = node->next;
			link_node(m, node);
		}
	}
	free(old.buckets);
}

void map_add(struct map *m, struct map_node *node, uint64_t hash)
{
	if (m->n >= m->nbuckets)
		grow(m);
	node->hash = hash;
	link_node(m, node);
	m->n++;
}

void map_del(struct map *m, struct map_node *node)
{
	struct map_node **at = bucket_of(m, node->hash);

	while (*at != node) {
		if (!*at)
			BUG("an entry is not in its map");
		at = &(*at)->next;
	}
	*at = node->next;
	m->n--;
}

static struct map_node *match(struct map_node *node, uint64_t hash)
{
	while (node && node->hash != hash)
		node = node->next;
	return node;
}

struct map_node *map_first(const struct map *m, uint64_t hash)
{
	return m->nbuckets ? match(*bucket_of(m, hash), hash) : NULL;
}

struct map_node *map_next(const struct map_node *node)
{
	return match(node->next, node->hash);
}

uint64_t map_hash(uint64_t seed, const void *p, size_t n)
{
	const uint8_t *bytes = p;

	for (size_t i = 0; i < n; i++)
		seed = (seed ^ bytes[i]) * 0x100000001b3u;
	return seed;
}

uint64_t map_hash_job(struct slice queue, struct slice id)
{
	static const uint8_t between = 0;

	return map_hash(map_hash(map_hash(MAP_SEED, queue.p, queue.n), &between, 1), id.p, id.n);
}
