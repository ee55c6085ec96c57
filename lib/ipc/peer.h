/* SPDX-License-Identifier: MIT */
/*
 * One connected process: a stream socket, its frames in, its frames out. Sending only appends to a
 * buffer; the hub writes every peer that has something to say once per loop turn, in a hook. Whoever
 * must do something before anything is answered (the store's commit) registers its hook before it makes
 * the hub.
 *
 * Bounds: a peer reads at most PEER_TURN_BYTES a turn; a peer with more than PEER_OUT_MAX_BYTES waiting
 * to be written is closed, since it does not read. Whoever produces asks peer_has_room() first, which also bounds
 * the memory of large blobs: a memfd is there from when it is sent until the other side has read its frame, and a
 * socket alone would hold some hundred of them.
 */
#ifndef SKEP_IPC_PEER_H
#define SKEP_IPC_PEER_H

#include <sys/types.h>

#include "lib/base/loop.h"
#include "lib/ipc/codec.h"

#define PEER_TURN_BYTES (256u << 10)
#define PEER_OUT_HIGH_BYTES (1u << 20)
#define PEER_OUT_MAX_BYTES (16u << 20)
#define PEER_BLOBS_HIGH_BYTES (16u << 20) /* in memfds that the other side has not read */
#define PEER_FDS_MAX 512 /* descriptors waiting in either direction */

struct peer;
struct peer_hub;

struct peer_ops {
	/* One whole frame, borrowed. Negative: the peer broke the protocol and is closed. */
	int (*frame)(struct peer *peer, struct frame *f, void *arg);
	/* The other side is gone, after its last frame was given to `frame`. The peer is already
	 * closed and is freed when this returns; not called for peer_free(). */
	void (*closed)(struct peer *peer, const char *why, void *arg);
};

struct peer_hub *peer_hub_new(struct loop *loop);
void peer_hub_free(struct peer_hub *hub); /* all peers are freed before */

/* Takes `fd` (stream, made non-blocking here). Reading begins at the next turn. */
struct peer *peer_new(struct peer_hub *hub, int fd, const struct peer_ops *ops, void *arg);

/* Closes and frees, also from inside its own callbacks. What was not written is lost: see
 * peer_flush(). NULL is fine. */
void peer_free(struct peer *peer);

/* Writes now what can be written without waiting. True if nothing is left. */
bool peer_flush(struct peer *peer);

/* Reads and dispatches everything that has arrived, to the end, even from a peer that is paused or is paused
 * meanwhile. Used where order between two sockets matters; `closed` may be called. Not from its own callbacks. */
void peer_drain(struct peer *peer);

void peer_pause(struct peer *peer, bool paused); /* stops or resumes reading */

/* Below PEER_OUT_HIGH_BYTES and PEER_BLOBS_HIGH_BYTES. Nothing tells when the other side has read: whoever has more to
 * send looks again after an answer, or a little later. */
bool peer_has_room(struct peer *peer);
pid_t peer_pid(const struct peer *peer);         /* SO_PEERCRED at connect; 0 if unknown */
int peer_fd(const struct peer *peer);

/* peer_send_NAME(peer, &(struct msg_NAME){...}): 0, or negative if it can never be sent (too large). To a peer that
 * is gone, or is found not to read, it sends nothing and returns 0: `closed` comes in a later turn, never from
 * inside a send. */
#define MESSAGE(NAME, name, from, to, meaning)                                                     \
	int peer_send_##name(struct peer *peer, const struct msg_##name *m);
#include "lib/ipc/messages.def"
#undef MESSAGE

#endif
