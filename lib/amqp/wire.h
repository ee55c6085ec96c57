/* SPDX-License-Identifier: MIT */
/*
 * Frames to and from bytes: librabbitmq as a codec, without its sockets, queues and timers. Bytes that
 * came in are given to it and come out as decoded frames, one at a time; frames that go out are
 * appended to one buffer. AMQP 0-9-1, 4.2.3:
 *
 *     type(1) channel(2) size(4) payload(size) 0xCE
 */
#ifndef SKEP_AMQP_WIRE_H
#define SKEP_AMQP_WIRE_H

#include <amqp.h>
#include <amqp_framing.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

#define WIRE_FRAME_MAX 131072u /* asked for; the broker may ask for less */
#define WIRE_FRAME_MIN 4096u   /* and no less than this (AMQP 0-9-1, connection.tune) */
#define WIRE_OVERHEAD 8u       /* of a frame beside its payload */
#define WIRE_IN_BYTES (64u << 10)
#define WIRE_OUT_KEEP_BYTES (256u << 10) /* kept of an out-buffer that has grown */

struct wire {
	amqp_connection_state_t codec;
	uint32_t frame_max;
	struct buf out;
	uint8_t *in; /* WIRE_IN_BYTES */
	size_t in_at, in_end;
	bool inside; /* of a frame: the next byte is not a frame's first */
};

void wire_init(struct wire *w, size_t out_max_bytes);
void wire_open(struct wire *w);  /* for a new connection; queues the protocol header */
void wire_close(struct wire *w); /* gives all memory back */

/* In: put bytes at wire_room(), count them with wire_filled(), then take frames until 0. */
static inline bool wire_pending(const struct wire *w)
{
	return w->in_at < w->in_end;
}
struct slice wire_room(struct wire *w); /* only when nothing is pending */
void wire_filled(struct wire *w, size_t n);

/* 1 with a frame, which lives until wire_release(); 0 when more bytes are needed; -EPROTO with what is
 * wrong, after which only wire_close() makes sense. */
int wire_next(struct wire *w, amqp_frame_t *ret, struct err *err);
void wire_release(struct wire *w, const amqp_frame_t *frame);

/* After connection.tune: both directions obey the smaller frame. */
void wire_tune(struct wire *w, uint16_t channel_max, uint32_t frame_max);

/* Out. 0, -ENOBUFS (the out-buffer is full) or -E2BIG (does not fit a frame, or a string is too long). */
int wire_method(struct wire *w, uint16_t channel, amqp_method_number_t id, void *decoded);
int wire_heartbeat(struct wire *w);

/* basic.publish with its header and body; all of it or, on error, nothing. */
int wire_publish(struct wire *w, uint16_t channel, amqp_basic_publish_t *method,
    amqp_basic_properties_t *props, struct slice body);

static inline struct slice wire_slice(amqp_bytes_t b)
{
	return slice_of(b.bytes, b.len);
}
static inline amqp_bytes_t wire_bytes(struct slice s)
{
	return (amqp_bytes_t){s.n, (void *)(uintptr_t)s.p};
}
static inline amqp_bytes_t wire_str(const char *s)
{
	return wire_bytes(slice_str(s));
}

#endif
