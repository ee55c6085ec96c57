/* SPDX-License-Identifier: MIT */
/*
 * An AMQP message as the rest of skep sees it: properties and headers in neutral types, so that only
 * lib/amqp knows librabbitmq. Everything is borrowed from whoever made the message.
 */
#ifndef SKEP_JOB_MESSAGE_H
#define SKEP_JOB_MESSAGE_H

#include "lib/base/buf.h"

#define MESSAGE_HEADERS_MAX 64 /* further headers stay in raw_headers, unread */

enum header_kind {
	HEADER_BOOL,
	HEADER_INT,
	HEADER_DOUBLE,
	HEADER_STRING, /* short, long string or bytes */
	HEADER_TIME,   /* AMQP timestamp, seconds */
	HEADER_OTHER,  /* table, array, decimal, void: present, not readable as one value */
};

struct header {
	struct slice name;
	enum header_kind kind;
	int64_t integer; /* BOOL, INT, TIME */
	double real;     /* DOUBLE */
	struct slice text;
};

struct message {
	struct slice exchange, routing_key;
	bool redelivered;
	/* properties; absent ones have p == NULL, absent numbers -1 */
	struct slice type, message_id, correlation_id, reply_to, content_type, content_encoding;
	struct slice app_id, user_id;
	int64_t timestamp_s;
	int priority;
	struct header headers[MESSAGE_HEADERS_MAX];
	size_t nheaders;
	struct slice raw_headers; /* the whole table as AMQP encodes it, its u32 length first */
	struct slice body;
	/* The buffer that `body` lies in, or NULL. Who wants to keep a large body takes this over and leaves an
	 * initialized buffer behind, rather than copy it. */
	struct buf *body_buf;
};

#endif
