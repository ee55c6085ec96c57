/* SPDX-License-Identifier: MIT */
/*
 * amqp://[user[:password]@]host[:port][/vhost], as https://www.rabbitmq.com/docs/uri-spec has it, with two
 * differences: an empty vhost is "/", and query parameters are refused. Every part may be percent-encoded;
 * an IPv6 address stands in brackets.
 */
#ifndef SKEP_AMQP_URL_H
#define SKEP_AMQP_URL_H

#include "lib/base/err.h"

#define AMQP_PORT 5672
#define AMQP_URL_PART_BYTES 256 /* longest host, user, password or vhost, and a NUL */

struct amqp_url {
	char host[AMQP_URL_PART_BYTES]; /* without brackets */
	uint16_t port;
	char user[AMQP_URL_PART_BYTES], password[AMQP_URL_PART_BYTES];
	char vhost[AMQP_URL_PART_BYTES];
};

/* -EINVAL with what is wrong; no part of the url is in the text, since any of it may be a password with
 * a character that should have been encoded. */
int amqp_url_parse(const char *text, struct amqp_url *ret, struct err *err);

#endif
