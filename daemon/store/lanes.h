/* SPDX-License-Identifier: MIT */
/*
 * Who of the ready parcels is next: in memory, one lane per destination. A lane has a window of its
 * own, so that a destination that is parked or slow blocks nobody, and backs off while nothing
 * arrives there: after a failure a single parcel is tried until one gets through. What is leased is
 * ready in the database all the same; that it is in the courier's hands is known here only, and
 * ends with the courier.
 */
#ifndef SKEP_STORE_LANES_H
#define SKEP_STORE_LANES_H

#include "daemon/store/map.h"

#define LANE_WINDOW 64
#define LANE_BACKOFF_FIRST_MS 1000
#define LANE_BACKOFF_LAST_MS 60000
#define LANE_PAUSE_MS 250
#define LANE_COMPLAIN_MS 60000

struct lane {
	struct map_node node;
	struct list ring;
	uint64_t ready; /* parcels in state ready, leased ones among them */
	uint32_t leased;
	unsigned fails;	  /* in a row */
	int64_t until_ms; /* monotonic: nothing is dealt before */
	int64_t quiet_until_ms;
	struct slice destination; /* in `text` */
	uint8_t text[];
};

struct lanes {
	struct map by_name, leases;
	struct list ring; /* lanes with something ready, the next to be served first */
	size_t nring;
	uint64_t ready; /* of all lanes */
	size_t prune_at;
};

void lanes_init(struct lanes *l);
void lanes_free(struct lanes *l);

/* A parcel has become ready, or is so no longer (then its lease is over too). */
void lanes_add(struct lanes *l, struct slice destination, uint64_t n);
void lanes_remove(struct lanes *l, struct slice destination, int64_t parcel);

/* How many are ready there; and how many of them may be taken now, by somebody who takes no lease. */
uint64_t lanes_count(const struct lanes *l, struct slice destination);
uint64_t lanes_ready(const struct lanes *l, struct slice destination, int64_t now_ms);

/* How many more parcels the lane may be dealt now. */
uint32_t lane_room(const struct lane *lane, int64_t now_ms);

/* The lane to be served next, which then goes to the end of the ring. NULL when none has anything
 * ready. */
struct lane *lanes_turn(struct lanes *l);

void lanes_lease(struct lanes *l, struct lane *lane, int64_t parcel);
bool lanes_is_leased(const struct lanes *l, int64_t parcel);
bool lanes_unlease(struct lanes *l, int64_t parcel); /* false: it was not */
void lanes_unlease_all(struct lanes *l);

/* A parcel arrived there, or did not; `tries` is how often that one had failed before. Returns the
 * lane's backoff from now on in milliseconds. One round of failures doubles it once. */
void lanes_worked(struct lanes *l, struct slice destination);
int64_t lanes_failed(struct lanes *l, struct slice destination, unsigned tries, int64_t now_ms);

/* What was dealt there came back as it was: nothing more for a moment, so that it does not go round
 * and round. */
void lanes_pause(struct lanes *l, struct slice destination, int64_t now_ms);

/* May this be said of the destination, or was it said less than LANE_COMPLAIN_MS ago? */
bool lanes_may_complain(struct lanes *l, struct slice destination, int64_t now_ms);

/* When the first lane that backs off with something ready may be dealt again; INT64_MAX: none. */
int64_t lanes_next_ms(const struct lanes *l, int64_t now_ms);

#endif
