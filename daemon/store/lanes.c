/* SPDX-License-Identifier: MIT */
#include "daemon/store/lanes.h"

#define LANES_CALM 256 /* lanes kept for their memory of failures before idle ones are dropped */

struct lease {
	struct map_node node;
	int64_t parcel;
	struct lane *lane;
};

void lanes_init(struct lanes *l)
{
	*l = (struct lanes){.prune_at = LANES_CALM};
	list_init(&l->ring);
}

static void lane_free(struct lanes *l, struct lane *lane)
{
	list_del(&lane->ring);
	map_del(&l->by_name, &lane->node);
	free(lane);
}

void lanes_free(struct lanes *l)
{
	lanes_unlease_all(l);
	for (size_t i = 0; i < l->by_name.nbuckets; i++) {
		while (l->by_name.buckets[i])
			lane_free(l, map_entry(l->by_name.buckets[i], struct lane, node));
	}
	map_free(&l->by_name);
	map_free(&l->leases);
}

static struct lane *find(const struct lanes *l, struct slice destination)
{
	struct map_node *node =
	    map_first(&l->by_name, map_hash(MAP_SEED, destination.p, destination.n));

	for (; node; node = map_next(node)) {
		struct lane *lane = map_entry(node, struct lane, node);

		if (slice_eq(lane->destination, destination))
			return lane;
	}
	return NULL;
}

/* Replies go to queues of passing names: lanes that are idle and were not in trouble lately are
 * forgotten. */
static void prune(struct lanes *l)
{
	for (size_t i = 0; i < l->by_name.nbuckets; i++) {
		for (struct map_node *node = l->by_name.buckets[i], *next; node; node = next) {
			struct lane *lane = map_entry(node, struct lane, node);

			next = node->next;
			if (lane->ready == 0 && lane->fails == 0)
				lane_free(l, lane);
		}
	}
	l->prune_at = l->by_name.n * 2 > LANES_CALM ? l->by_name.n * 2 : LANES_CALM;
}

static struct lane *find_or_make(struct lanes *l, struct slice destination)
{
	struct lane *lane = find(l, destination);

	if (lane)
		return lane;
	if (l->by_name.n >= l->prune_at)
		prune(l);
	lane = xcalloc(1, sizeof *lane + destination.n);
	if (destination.n)
		memcpy(lane->text, destination.p, destination.n);
	lane->destination = slice_of(lane->text, destination.n);
	list_init(&lane->ring);
	map_add(&l->by_name, &lane->node, map_hash(MAP_SEED, destination.p, destination.n));
	return lane;
}

void lanes_add(struct lanes *l, struct slice destination, uint64_t n)
{
	struct lane *lane = find_or_make(l, destination);

	if (lane->ready == 0) {
		list_add_tail(&l->ring, &lane->ring);
		l->nring++;
	}
	lane->ready += n;
	l->ready += n;
}

void lanes_remove(struct lanes *l, struct slice destination, int64_t parcel)
{
	struct lane *lane = find(l, destination);

	if (!lane || lane->ready == 0)
		BUG("parcel %lld was not counted as ready", (long long)parcel);
	lanes_unlease(l, parcel);
	l->ready--;
	if (--lane->ready == 0) {
		list_del(&lane->ring);
		l->nring--;
	}
}

uint64_t lanes_count(const struct lanes *l, struct slice destination)
{
	const struct lane *lane = find(l, destination);

	return lane ? lane->ready : 0;
}

uint64_t lanes_ready(const struct lanes *l, struct slice destination, int64_t now_ms)
{
	const struct lane *lane = find(l, destination);

	return lane && now_ms >= lane->until_ms ? lane->ready : 0;
}

/* --- turns and leases ----------------------------------------------------------------------- */

uint32_t lane_room(const struct lane *lane, int64_t now_ms)
{
	uint32_t window = lane->fails ? 1 : LANE_WINDOW;
	uint64_t waiting = lane->ready - lane->leased;

	if (now_ms < lane->until_ms || lane->leased >= window)
		return 0;
	return waiting < window - lane->leased ? (uint32_t)waiting : window - lane->leased;
}

struct lane *lanes_turn(struct lanes *l)
{
	struct lane *lane = list_first(&l->ring, struct lane, ring);

	if (lane) {
		list_del(&lane->ring);
		list_add_tail(&l->ring, &lane->ring);
	}
	return lane;
}

static uint64_t hash_parcel(int64_t parcel)
{
	return map_hash(MAP_SEED, &parcel, sizeof parcel);
}

static struct lease *find_lease(const struct lanes *l, int64_t parcel)
{
	struct map_node *node = map_first(&l->leases, hash_parcel(parcel));

	for (; node; node = map_next(node)) {
		struct lease *lease = map_entry(node, struct lease, node);

		if (lease->parcel == parcel)
			return lease;
	}
	return NULL;
}

void lanes_lease(struct lanes *l, struct lane *lane, int64_t parcel)
{
	struct lease *lease = xcalloc(1, sizeof *lease);

	lease->parcel = parcel;
	lease->lane = lane;
	lane->leased++;
	map_add(&l->leases, &lease->node, hash_parcel(parcel));
}

bool lanes_is_leased(const struct lanes *l, int64_t parcel)
{
	return find_lease(l, parcel) != NULL;
}

static void lease_end(struct lanes *l, struct lease *lease)
{
	lease->lane->leased--;
	map_del(&l->leases, &lease->node);
	free(lease);
}

bool lanes_unlease(struct lanes *l, int64_t parcel)
{
	struct lease *lease = find_lease(l, parcel);

	if (lease)
		lease_end(l, lease);
	return lease != NULL;
}

void lanes_unlease_all(struct lanes *l)
{
	for (size_t i = 0; i < l->leases.nbuckets; i++) {
		while (l->leases.buckets[i])
			lease_end(l, map_entry(l->leases.buckets[i], struct lease, node));
	}
}

/* --- trouble -------------------------------------------------------------------------------- */

void lanes_worked(struct lanes *l, struct slice destination)
{
	struct lane *lane = find(l, destination);

	if (lane) {
		lane->fails = 0;
		lane->until_ms = 0;
	}
}

int64_t lanes_failed(struct lanes *l, struct slice destination, unsigned tries, int64_t now_ms)
{
	struct lane *lane = find_or_make(l, destination);
	int64_t backoff = LANE_BACKOFF_FIRST_MS;

	if (now_ms < lane->until_ms)
		return lane->until_ms - now_ms;
	lane->fails = lane->fails > tries ? lane->fails + 1 : tries + 1;
	for (unsigned i = 1; i < lane->fails && backoff < LANE_BACKOFF_LAST_MS; i++)
		backoff *= 2;
	if (backoff > LANE_BACKOFF_LAST_MS)
		backoff = LANE_BACKOFF_LAST_MS;
	lane->until_ms = now_ms + backoff;
	return backoff;
}

void lanes_pause(struct lanes *l, struct slice destination, int64_t now_ms)
{
	struct lane *lane = find(l, destination);

	if (lane && lane->until_ms < now_ms + LANE_PAUSE_MS)
		lane->until_ms = now_ms + LANE_PAUSE_MS;
}

bool lanes_may_complain(struct lanes *l, struct slice destination, int64_t now_ms)
{
	struct lane *lane = find_or_make(l, destination);

	if (now_ms < lane->quiet_until_ms)
		return false;
	lane->quiet_until_ms = now_ms + LANE_COMPLAIN_MS;
	return true;
}

int64_t lanes_next_ms(const struct lanes *l, int64_t now_ms)
{
	int64_t next = INT64_MAX;

	list_each(struct lane, lane, &l->ring, ring)
	{
		if (lane->until_ms > now_ms && lane->until_ms < next)
			next = lane->until_ms;
	}
	return next;
}
