/* SPDX-License-Identifier: MIT */
/*
 * The courier: takes parcels from the store as it has room for them, publishes them, and tells the store what the
 * broker said of each. It keeps no parcel: one that cannot be published now goes back as it came.
 */
#ifndef SKEP_COURIER_COURIER_H
#define SKEP_COURIER_COURIER_H

#include "daemon/process.h"
#include "daemon/store_link.h"
#include "lib/amqp/publisher.h"

struct depths;
struct settlements;

struct courier {
	unsigned magic;
	struct process *p;
	struct store_link *link;
	struct amqp_conn *conn;
	/* Replies go where foreign producers say, on a channel of their own: an exception there (no
	 * permission for the default exchange) must not disturb the jobs. */
	struct amqp_publisher *jobs, *replies;
	struct depths *depths;
	struct settlements *settlements;
	uint32_t granted; /* credit the store has not used */
	struct loop_hook grant;
	struct loop_timer blocked_too_long, drain;
	const char *node;
	bool draining;
};

#define COURIER_MAGIC 0x636f7572u

/* Reads from the store only while the connection's out-buffer takes more: large parcels wait in the socket, where
 * the store sees them, instead of going back and forth. */
void courier_flow(struct courier *c);

/* Publishes one parcel, or settles it at once if that cannot be done. -EPROTO for a frame that is none. */
int courier_parcel(struct courier *c, struct frame *f);

extern const struct amqp_publisher_events courier_job_events, courier_reply_events;

#endif
