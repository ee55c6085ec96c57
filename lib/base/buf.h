/* SPDX-License-Identifier: MIT */
/*
 * A growable byte buffer with a bound. Bytes go in at the end and may be consumed at the front, so
 * the same type serves as an output queue. Growth beyond `max` fails; nothing else does.
 */
#ifndef SKEP_BASE_BUF_H
#define SKEP_BASE_BUF_H

#include "lib/base/base.h"

struct buf {
	uint8_t *data;
	size_t head; /* first byte not yet consumed */
	size_t len;  /* end of the bytes; buf_size() = len - head */
	size_t cap;
	size_t max; /* bound on buf_size(), in bytes */
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b); /* frees the memory; the bound stays */

static inline size_t buf_size(const struct buf *b)
{
	return b->len - b->head;
}

static inline uint8_t *buf_head(struct buf *b)
{
	return b->data + b->head;
}

static inline struct slice buf_slice(const struct buf *b)
{
	return slice_of(b->data ? b->data + b->head : NULL, b->len - b->head);
}

/* Room for `n` more bytes at the end, not yet counted: NULL when the bound does not allow it.
 * Follow with buf_added(). */
uint8_t *buf_reserve(struct buf *b, size_t n);
static inline void buf_added(struct buf *b, size_t n)
{
	b->len += n;
}

int buf_add_growing(struct buf *b, const void *p, size_t n); /* buf_add() where there is no room yet */

/* 0, or -ENOBUFS when the bound does not allow it (then nothing is added). Frames and lines are put together from a few
 * bytes at a time: where there is room, this is no call. */
static inline int buf_add(struct buf *b, const void *p, size_t n)
{
	if (n > b->cap - b->len || buf_size(b) + n > b->max || !b->data)
		return buf_add_growing(b, p, n);
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	return 0;
}

static inline int buf_adds(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int buf_addi(struct buf *b, int64_t number); /* in decimal digits */
int buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

void buf_consume(struct buf *b, size_t n); /* drops n bytes at the front */
void buf_truncate(struct buf *b, size_t size);
void buf_clear(struct buf *b); /* keeps the memory */

/* Gives memory above `keep` bytes back when the buffer is empty. */
void buf_trim(struct buf *b, size_t keep);

#endif
