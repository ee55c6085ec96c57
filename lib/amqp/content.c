/* SPDX-License-Identifier: MIT */
#include "lib/amqp/content.h"

#include <errno.h>
#include <inttypes.h>

#include "lib/amqp/props.h"

#define CONTENT_KEEP_BYTES (1u << 20) /* kept of a body buffer that has grown */

void content_init(struct content *c, uint64_t max_body_bytes)
{
	*c = (struct content){.max_body_bytes = max_body_bytes};
	buf_init(&c->head, WIRE_FRAME_MAX);
	buf_init(&c->body, max_body_bytes);
}

void content_free(struct content *c)
{
	buf_free(&c->head);
	buf_free(&c->body);
	c->wants = CONTENT_NONE;
}

void content_reset(struct content *c)
{
	c->wants = CONTENT_NONE;
	buf_clear(&c->head);
	buf_clear(&c->body);
	buf_trim(&c->body, CONTENT_KEEP_BYTES);
}

bool content_follows(amqp_method_number_t id)
{
	return id == AMQP_BASIC_DELIVER_METHOD || id == AMQP_BASIC_RETURN_METHOD;
}

/* Short strings: at most 255 bytes, which librabbitmq has checked. */
static struct slice keep_name(struct content *c, unsigned i, amqp_bytes_t b)
{
	if (b.len)
		memcpy(c->names[i], b.bytes, b.len);
	return slice_of(c->names[i], b.len);
}

int content_method(struct content *c, const amqp_method_t *method, struct err *err)
{
	if (c->wants != CONTENT_NONE) {
		return err_set(err, -EPROTO, "the broker sent %s in the middle of a message",
		    amqp_method_name(method->id));
	}
	content_reset(c);
	c->method = method->id;
	c->got = 0;
	if (method->id == AMQP_BASIC_DELIVER_METHOD) {
		const amqp_basic_deliver_t *d = method->decoded;

		c->delivery_tag = d->delivery_tag;
		c->m.redelivered = d->redelivered != 0;
		c->m.exchange = keep_name(c, 0, d->exchange);
		c->m.routing_key = keep_name(c, 1, d->routing_key);
	} else {
		const amqp_basic_return_t *r = method->decoded;

		snprintf(c->reason, sizeof c->reason, "%u " SLICE_FMT, r->reply_code,
		    SLICE_ARG(wire_slice(r->reply_text)));
		c->m.exchange = keep_name(c, 0, r->exchange);
		c->m.routing_key = keep_name(c, 1, r->routing_key);
	}
	c->wants = CONTENT_HEADER;
	return 0;
}

static int take_header(struct content *c, const amqp_frame_t *frame, struct err *err)
{
	struct slice raw = wire_slice(frame->payload.properties.raw);

	if (c->wants != CONTENT_HEADER || frame->payload.properties.class_id != AMQP_BASIC_CLASS)
		return err_set(err, -EPROTO, "the broker sent a header that belongs to no message");
	if (buf_add(&c->head, raw.p, raw.n) < 0)
		BUG("a header larger than a frame");
	props_read(&c->m, frame->payload.properties.decoded, raw, buf_head(&c->head));
	c->body_bytes = frame->payload.properties.body_size;
	c->oversize = c->body_bytes > c->max_body_bytes;
	c->m.body = slice_of(NULL, 0);
	c->m.body_buf = NULL;
	c->wants = c->body_bytes ? CONTENT_BODY : CONTENT_NONE;
	return c->wants == CONTENT_NONE;
}

static int take_body(struct content *c, const amqp_frame_t *frame, struct err *err)
{
	struct slice part = wire_slice(frame->payload.body_fragment);

	if (c->wants != CONTENT_BODY)
		return err_set(err, -EPROTO, "the broker sent a body that belongs to no message");
	if (part.n > c->body_bytes - c->got) {
		return err_set(err, -EPROTO, "the broker sent a body longer than the %" PRIu64
		    " bytes it announced", c->body_bytes);
	}
	c->got += part.n;
	if (c->got == c->body_bytes)
		c->wants = CONTENT_NONE;
	if (c->oversize)
		return c->wants == CONTENT_NONE;
	if (part.n == c->body_bytes) {
		c->m.body = part;
		return 1;
	}
	/* Grown with what really comes: a header may announce what is never sent. */
	if (buf_add(&c->body, part.p, part.n) < 0)
		BUG("a body within its bound does not fit its buffer");
	c->m.body = buf_slice(&c->body);
	c->m.body_buf = &c->body;
	return c->wants == CONTENT_NONE;
}

int content_frame(struct content *c, const amqp_frame_t *frame, struct err *err)
{
	if (frame->frame_type == AMQP_FRAME_HEADER)
		return take_header(c, frame, err);
	return take_body(c, frame, err);
}
