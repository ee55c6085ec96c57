/* SPDX-License-Identifier: MIT */
/*
 * A hash table of objects that carry their own links, so that putting one in never fails. Keys are
 * the owner's business: it computes the hash, walks the entries that have it, and compares.
 */
#ifndef SKEP_STORE_MAP_H
#define SKEP_STORE_MAP_H

#include "lib/base/base.h"
#include "lib/base/list.h"

struct map_node {
	struct map_node *next;
	uint64_t hash;
};

struct map {
	struct map_node **buckets;
	size_t nbuckets; /* a power of two, or 0 */
	size_t n;
};

void map_free(struct map *m); /* the table alone; entries belong to their owners */

void map_add(struct map *m, struct map_node *node, uint64_t hash);
void map_del(struct map *m, struct map_node *node); /* must be in it */

/* The entries of one hash: map_next(map_first(m, h)) and so on, NULL at the end. An entry may be
 * deleted after its successor was asked for. */
struct map_node *map_first(const struct map *m, uint64_t hash);
struct map_node *map_next(const struct map_node *node);

/* FNV-1a (Fowler, Noll, Vo), 64 bits; begin with MAP_SEED, chain for several parts. */
#define MAP_SEED 0xcbf29ce484222325u
uint64_t map_hash(uint64_t seed, const void *p, size_t n);

/* Of the identity of a job. */
uint64_t map_hash_job(struct slice queue, struct slice id);

#define map_entry(node, type, member) list_entry(node, type, member)

#endif
