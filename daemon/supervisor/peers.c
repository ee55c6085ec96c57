/* SPDX-License-Identifier: MIT */
/*
 * What the store is told of the other processes. It believes a connection by the pid behind it, so
 * it must have read PEER before that process can connect; and it judges the runs of a process only
 * after BURIED. A process that ended while there was no store is named to the next one all the
 * same, for the outcome that it sent may still wait in a connection that nobody has accepted yet.
 */
#include "daemon/supervisor/supervisor.h"

bool peers_store_listens(const struct supervisor *s)
{
	return s->store->control &&
	       (s->store->state == CHILD_STARTING || s->store->state == CHILD_READY ||
		   s->store->state == CHILD_STOPPING);
}

static void send_peer(const struct child *c, pid_t pid, uint32_t generation)
{
	peer_send_peer(c->s->store->control, &(struct msg_peer){.pid = (uint32_t)pid,
						 .role = (uint8_t)c->role,
						 .slot = c->slot,
						 .generation = generation,
						 .pool = slice_str(child_pool(c)),
						 .name = slice_str(c->name)});
}

static void send_buried(struct child *c)
{
	peer_send_buried(c->s->store->control,
	    &(struct msg_buried){.pid = (uint32_t)c->grave.pid, .asked = c->grave.asked});
	c->grave.open = false;
}

void peers_tell_all(struct supervisor *s)
{
	uint32_t count = 0;

	for (size_t i = 0; i < s->nchildren; i++) {
		struct child *c = &s->children[i];

		if (c->grave.open) {
			send_peer(c, c->grave.pid, c->grave.generation);
			count++;
		}
		if (child_is_alive(c) && c != s->store) {
			send_peer(c, c->pid, c->generation);
			count++;
		}
	}
	peer_send_peers_end(s->store->control, &(struct msg_peers_end){.count = count});
	for (size_t i = 0; i < s->nchildren; i++) {
		struct child *c = &s->children[i];

		if (c->grave.open && c->state != CHILD_BURYING)
			send_buried(c);
	}
}

void peers_tell_started(struct child *c)
{
	if (peers_store_listens(c->s))
		send_peer(c, c->pid, c->generation);
}

void peers_tell_buried(struct child *c)
{
	if (c->grave.open && peers_store_listens(c->s))
		send_buried(c);
}

bool peers_store_caught_up(struct supervisor *s)
{
	return !peers_store_listens(s) || peer_flush(s->store->control);
}
