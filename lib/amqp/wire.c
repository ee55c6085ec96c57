/* SPDX-License-Identifier: MIT */
/*
 * librabbitmq keeps what it decoded in a pool per channel. wire_release() recycles that pool after every
 * frame, so memory stays at one frame per channel whatever the size of a message, and a frame costs no
 * allocation. Frames of a type that AMQP does not have are skipped silently by librabbitmq; here they
 * are errors, seen at the first byte of a frame.
 */
#include "lib/amqp/wire.h"

#include <endian.h>
#include <errno.h>

#define WIRE_METHOD_ROOM 8192u /* declares with all their arguments need less than 3 KiB */

static const uint8_t protocol_header[8] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};

void wire_init(struct wire *w, size_t out_max_bytes)
{
	*w = (struct wire){.frame_max = WIRE_FRAME_MAX};
	buf_init(&w->out, out_max_bytes);
}

void wire_open(struct wire *w)
{
	if (w->codec)
		BUG("the codec is open already");
	w->codec = amqp_new_connection();
	if (!w->codec)
		BUG("out of memory for an AMQP codec");
	w->frame_max = WIRE_FRAME_MAX;
	w->in = xmalloc(WIRE_IN_BYTES);
	w->in_at = w->in_end = 0;
	w->inside = false;
	buf_add(&w->out, protocol_header, sizeof protocol_header);
}

void wire_close(struct wire *w)
{
	if (w->codec)
		amqp_destroy_connection(w->codec);
	free(w->in);
	buf_free(&w->out);
	wire_init(w, w->out.max);
}

struct slice wire_room(struct wire *w)
{
	if (wire_pending(w))
		BUG("reading over bytes that were not handled");
	w->in_at = w->in_end = 0;
	return slice_of(w->in, WIRE_IN_BYTES);
}

void wire_filled(struct wire *w, size_t n)
{
	w->in_end = n;
}

static bool type_is_known(uint8_t type)
{
	return type == AMQP_FRAME_METHOD || type == AMQP_FRAME_HEADER || type == AMQP_FRAME_BODY
	    || type == AMQP_FRAME_HEARTBEAT || type == protocol_header[0];
}

int wire_next(struct wire *w, amqp_frame_t *ret, struct err *err)
{
	while (wire_pending(w)) {
		amqp_bytes_t rest = {w->in_end - w->in_at, w->in + w->in_at};
		int used;

		if (!w->inside && !type_is_known(w->in[w->in_at])) {
			return err_set(err, -EPROTO, "the broker sent a frame of unknown type %u",
			    w->in[w->in_at]);
		}
		w->inside = true;
		used = amqp_handle_input(w->codec, rest, ret);
		if (used < 0) {
			return err_set(err, -EPROTO, "the broker sent a malformed frame (%s)",
			    amqp_error_string2(used));
		}
		w->in_at += (size_t)used;
		if (ret->frame_type == 0)
			continue;
		w->inside = false;
		if (ret->frame_type == protocol_header[0])
			return err_set(err, -EPROTO, "the broker does not speak AMQP 0-9-1");
		return 1;
	}
	return 0;
}

void wire_release(struct wire *w, const amqp_frame_t *frame)
{
	amqp_maybe_release_buffers_on_channel(w->codec, frame->channel);
}

void wire_tune(struct wire *w, uint16_t channel_max, uint32_t frame_max)
{
	w->frame_max = frame_max;
	if (amqp_tune_connection(w->codec, channel_max, (int)frame_max, 0) != AMQP_STATUS_OK)
		BUG("cannot tune the AMQP codec");
}

/* --- out ------------------------------------------------------------------------------------------ */

static void put_u16(uint8_t *p, uint16_t v)
{
	v = htobe16(v);
	memcpy(p, &v, sizeof v);
}

static void put_u32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof v);
}

static void put_u64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof v);
}

/* Closes the frame whose payload of n bytes was written at p + 7, and counts it. */
static void finish_frame(struct wire *w, uint8_t *p, uint8_t type, uint16_t channel, size_t n)
{
	p[0] = type;
	put_u16(p + 1, channel);
	put_u32(p + 3, (uint32_t)n);
	p[7 + n] = AMQP_FRAME_END;
	buf_added(&w->out, n + WIRE_OVERHEAD);
}

int wire_method(struct wire *w, uint16_t channel, amqp_method_number_t id, void *decoded)
{
	size_t room = WIRE_METHOD_ROOM < w->frame_max ? WIRE_METHOD_ROOM : w->frame_max;
	uint8_t *p = buf_reserve(&w->out, room);
	amqp_bytes_t payload;
	int n;

	if (!p)
		return -ENOBUFS;
	put_u32(p + 7, id);
	payload = (amqp_bytes_t){room - WIRE_OVERHEAD - 4, p + 11};
	n = amqp_encode_method(id, decoded, payload);
	if (n < 0)
		return -E2BIG;
	finish_frame(w, p, AMQP_FRAME_METHOD, channel, (size_t)n + 4);
	return 0;
}

int wire_heartbeat(struct wire *w)
{
	uint8_t *p = buf_reserve(&w->out, WIRE_OVERHEAD);

	if (!p)
		return -ENOBUFS;
	finish_frame(w, p, AMQP_FRAME_HEARTBEAT, 0, 0);
	return 0;
}

static int put_header(struct wire *w, uint16_t channel, amqp_basic_properties_t *props,
    uint64_t body_bytes)
{
	uint8_t *p = buf_reserve(&w->out, w->frame_max);
	amqp_bytes_t payload;
	int n;

	if (!p)
		return -ENOBUFS;
	put_u16(p + 7, AMQP_BASIC_CLASS);
	put_u16(p + 9, 0); /* weight */
	put_u64(p + 11, body_bytes);
	payload = (amqp_bytes_t){w->frame_max - WIRE_OVERHEAD - 12, p + 19};
	n = amqp_encode_properties(AMQP_BASIC_CLASS, props, payload);
	if (n < 0)
		return -E2BIG;
	finish_frame(w, p, AMQP_FRAME_HEADER, channel, (size_t)n + 12);
	return 0;
}

static int put_body(struct wire *w, uint16_t channel, struct slice body)
{
	size_t most = w->frame_max - WIRE_OVERHEAD;

	for (size_t at = 0; at < body.n;) {
		size_t n = body.n - at < most ? body.n - at : most;
		uint8_t *p = buf_reserve(&w->out, n + WIRE_OVERHEAD);

		if (!p)
			return -ENOBUFS;
		memcpy(p + 7, body.p + at, n);
		finish_frame(w, p, AMQP_FRAME_BODY, channel, n);
		at += n;
	}
	return 0;
}

int wire_publish(struct wire *w, uint16_t channel, amqp_basic_publish_t *method,
    amqp_basic_properties_t *props, struct slice body)
{
	size_t before = buf_size(&w->out);
	int rc = wire_method(w, channel, AMQP_BASIC_PUBLISH_METHOD, method);

	if (rc == 0)
		rc = put_header(w, channel, props, body.n);
	if (rc == 0)
		rc = put_body(w, channel, body);
	if (rc < 0)
		buf_truncate(&w->out, before);
	return rc;
}
