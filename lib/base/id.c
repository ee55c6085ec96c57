/* SPDX-License-Identifier: MIT */
#include "lib/base/id.h"

#include <errno.h>
#include <sys/random.h>

#include "lib/base/clock.h"

/* The 12 bits after the version are a counter within the millisecond (RFC 9562, 6.2 method 1); when it
 * runs over, the millisecond is advanced ahead of the clock. */
#define ID_COUNTER_MAX 0xfff
#define ID_SUPPLY_BYTES 256 /* what getrandom(2) gives whole, whatever happens */

/* From a supply, since a system call per id would cost more than all the rest of it. */
static void take_random(uint8_t *to, size_t n)
{
	static _Thread_local uint8_t supply[ID_SUPPLY_BYTES];
	static _Thread_local size_t left;

	if (left < n) {
		if (getrandom(supply, sizeof supply, 0) != (ssize_t)sizeof supply)
			BUG("getrandom failed");
		left = sizeof supply;
	}
	left -= n;
	memcpy(to, supply + left, n);
}

struct id id_new(void)
{
	static _Thread_local int64_t last_ms; /* libskep mints them in its users' threads */
	static _Thread_local unsigned counter;
	int64_t now = clock_wall_ms();
	struct id id;

	if (now > last_ms) {
		last_ms = now;
		counter = 0;
	} else if (counter++ == ID_COUNTER_MAX) {
		last_ms++;
		counter = 0;
	}
	take_random(id.b + 8, sizeof id.b - 8);
	for (int i = 0; i < 6; i++)
		id.b[i] = (uint8_t)((uint64_t)last_ms >> (40 - 8 * i));
	id.b[6] = (uint8_t)(0x70 | counter >> 8);
	id.b[7] = (uint8_t)counter;
	id.b[8] = (uint8_t)(0x80 | (id.b[8] & 0x3f));
	return id;
}

char *id_format(char buf[static ID_TEXT_BYTES], struct id id)
{
	static const char hex[] = "0123456789abcdef";
	char *p = buf;

	for (int i = 0; i < ID_BYTES; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = hex[id.b[i] >> 4];
		*p++ = hex[id.b[i] & 15];
	}
	*p = '\0';
	return buf;
}

static int hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int id_parse(struct slice text, struct id *ret_id)
{
	struct id id;
	size_t at = 0;

	if (text.n != ID_TEXT_BYTES - 1)
		return -EINVAL;
	for (int i = 0; i < ID_BYTES; i++) {
		int high, low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && text.p[at++] != '-')
			return -EINVAL;
		high = hex_digit(text.p[at]);
		low = hex_digit(text.p[at + 1]);
		if (high < 0 || low < 0)
			return -EINVAL;
		id.b[i] = (uint8_t)(high << 4 | low);
		at += 2;
	}
	*ret_id = id;
	return 0;
}
