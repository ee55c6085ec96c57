/* SPDX-License-Identifier: MIT */
/* Base64 (RFC 4648, section 4, with padding): how bodies and results that are not UTF-8 travel in
 * JSON. */
#ifndef SKEP_BASE_BASE64_H
#define SKEP_BASE_BASE64_H

#include "lib/base/base.h"

/* The length of the text for so many bytes. */
static inline size_t base64_size(size_t bytes)
{
	return (bytes + 2) / 3 * 4;
}

/* Writes base64_size(bytes.n) characters, no NUL. */
void base64_write(struct slice bytes, uint8_t *out);

/* A fresh C string. */
char *base64_encode(struct slice bytes);

/* A fresh buffer of *ret_bytes bytes with a NUL behind them, or NULL if the text is not canonical
 * base64. */
uint8_t *base64_decode(struct slice text, size_t *ret_bytes);

#endif
