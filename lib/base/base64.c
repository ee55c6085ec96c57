/* SPDX-License-Identifier: MIT */
#include "lib/base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_write(struct slice bytes, uint8_t *out)
{
	for (size_t i = 0; i < bytes.n; i += 3) {
		size_t left = bytes.n - i;
		uint32_t v = (uint32_t)bytes.p[i] << 16;

		if (left > 1)
			v |= (uint32_t)bytes.p[i + 1] << 8;
		if (left > 2)
			v |= bytes.p[i + 2];
		*out++ = (uint8_t)alphabet[v >> 18];
		*out++ = (uint8_t)alphabet[v >> 12 & 63];
		*out++ = left > 1 ? (uint8_t)alphabet[v >> 6 & 63] : '=';
		*out++ = left > 2 ? (uint8_t)alphabet[v & 63] : '=';
	}
}

char *base64_encode(struct slice bytes)
{
	size_t n = base64_size(bytes.n);
	char *text = xmalloc(n + 1);

	base64_write(bytes, (uint8_t *)text);
	text[n] = '\0';
	return text;
}

static int sextet(uint8_t c)
{
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

uint8_t *base64_decode(struct slice text, size_t *ret_bytes)
{
	size_t pad = 0, n = 0;
	auto_free uint8_t *bytes = NULL;
	uint8_t *taken;

	if (text.n % 4)
		return NULL;
	while (pad < 2 && pad < text.n && text.p[text.n - 1 - pad] == '=')
		pad++;
	bytes = xmalloc(text.n / 4 * 3 + 1);
	for (size_t i = 0; i < text.n; i += 4) {
		size_t digits = i + 4 == text.n ? 4 - pad : 4;
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++) {
			int six = k < digits ? sextet(text.p[i + k]) : 0;

			if (six < 0)
				return NULL;
			v = v << 6 | (uint32_t)six;
		}
		/* Bits beyond the last byte must be zero, so that each value has one spelling. */
		if ((digits == 2 && v & 0xffff) || (digits == 3 && v & 0xff))
			return NULL;
		for (size_t k = 0; k + 1 < digits; k++)
			bytes[n++] = (uint8_t)(v >> (16 - 8 * k));
	}
	bytes[n] = '\0';
	*ret_bytes = n;
	taken = bytes;
	bytes = NULL;
	return taken;
}
