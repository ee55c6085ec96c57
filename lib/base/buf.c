/* SPDX-License-Identifier: MIT */
#include "lib/base/buf.h"

#include <errno.h>
#include <stdarg.h>

#define BUF_FIRST_BYTES 512

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
	free(b->data);
	buf_init(b, b->max);
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
	size_t size = buf_size(b), cap;

	if (n > b->max || size > b->max - n)
		return NULL;
	if (b->len + n <= b->cap && b->data)
		return b->data + b->len;
	if (b->head && (b->head >= size || size + n <= b->cap)) {
		memmove(b->data, b->data + b->head, size);
		b->head = 0;
		b->len = size;
	}
	if (b->len + n > b->cap || !b->data) {
		cap = b->cap ? b->cap : BUF_FIRST_BYTES;
		while (cap < b->len + n)
			cap *= 2;
		b->data = xrealloc(b->data, cap);
		b->cap = cap;
	}
	return b->data + b->len;
}

int buf_add_growing(struct buf *b, const void *p, size_t n)
{
	uint8_t *room = buf_reserve(b, n);

	if (!room)
		return -ENOBUFS;
	if (n)
		memcpy(room, p, n);
	b->len += n;
	return 0;
}

int buf_addi(struct buf *b, int64_t number)
{
	uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
	char digits[20];
	size_t at = sizeof digits;
	int rc;

	do {
		digits[--at] = (char)('0' + left % 10);
		left /= 10;
	} while (left);
	rc = number < 0 ? buf_add(b, "-", 1) : 0;
	return rc == 0 ? buf_add(b, digits + at, sizeof digits - at) : rc;
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	uint8_t *room;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	room = buf_reserve(b, (size_t)n + 1);
	if (!room)
		return -ENOBUFS;
	va_start(ap, fmt);
	vsnprintf((char *)room, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n > buf_size(b))
		BUG("consuming %zu of %zu bytes", n, buf_size(b));
	b->head += n;
	if (b->head == b->len)
		b->head = b->len = 0;
}

void buf_truncate(struct buf *b, size_t size)
{
	if (size > buf_size(b))
		BUG("truncating %zu bytes to %zu", buf_size(b), size);
	b->len = b->head + size;
}

void buf_clear(struct buf *b)
{
	b->head = b->len = 0;
}

void buf_trim(struct buf *b, size_t keep)
{
	if (buf_size(b) == 0 && b->cap > keep)
		buf_free(b);
}
