/* SPDX-License-Identifier: MIT */
/*
 * Puts one message together from its frames: a method (basic.deliver or basic.return), a header, and as many
 * body frames as it takes. One per channel, its memory reused from message to message. A body in a
 * single frame, the usual case, is not copied; any other is put together in a buffer that its reader may take over.
 */
#ifndef SKEP_AMQP_CONTENT_H
#define SKEP_AMQP_CONTENT_H

#include "lib/amqp/wire.h"
#include "lib/job/message.h"

struct content {
	/* Readable when a call returned 1, until the next call. */
	amqp_method_number_t method;
	uint64_t delivery_tag; /* of a deliver */
	char reason[256];      /* of a return: "312 NO_ROUTE" */
	uint64_t body_bytes;   /* as announced */
	bool oversize;         /* above the bound: m.body is empty, the body was dropped */
	struct message m;

	enum { CONTENT_NONE, CONTENT_HEADER, CONTENT_BODY } wants;
	uint64_t max_body_bytes, got;
	uint8_t names[2][256]; /* exchange, routing key */
	struct buf head, body;
};

void content_init(struct content *c, uint64_t max_body_bytes);
void content_free(struct content *c);
void content_reset(struct content *c); /* forgets a message that was begun */

/* True if a message follows this method. */
bool content_follows(amqp_method_number_t id);

/* Each frame in turn: 1 when the message is whole, 0 when more frames must come, -EPROTO with what is wrong. */
int content_method(struct content *c, const amqp_method_t *method, struct err *err);
int content_frame(struct content *c, const amqp_frame_t *frame, struct err *err);

#endif
