/* SPDX-License-Identifier: MIT */
#include "client/text.h"

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <wchar.h>

#define REPLACEMENT "\xef\xbf\xbd"

void text_init(void)
{
	setlocale(LC_CTYPE, "");
	if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		setlocale(LC_CTYPE, "C.UTF-8");
}

/* The character at the front: its bytes (at least 1 unless empty) and columns, -1 if it cannot be
 * shown. */
static size_t next_character(struct slice s, int *ret_columns)
{
	mbstate_t state = {0};
	wchar_t wide;
	size_t n = s.n ? mbrtowc(&wide, (const char *)s.p, s.n, &state) : 0;

	if (n == 0 || n == (size_t)-1 || n == (size_t)-2) {
		*ret_columns = -1;
		return s.n ? 1 : 0;
	}
	*ret_columns = wcwidth(wide);
	return n;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

void text_add_clean(struct buf *out, struct slice s)
{
	for (size_t i = 0, n; i < s.n; i += n) {
		int columns;

		n = next_character(slice_of(s.p + i, s.n - i), &columns);
		if (is_blank(s.p[i])) {
			while (i + n < s.n && is_blank(s.p[i + n]))
				n++;
			buf_adds(out, " ");
		} else if (columns < 0) {
			buf_adds(out, REPLACEMENT);
		} else {
			buf_add(out, s.p + i, n);
		}
	}
}

size_t text_columns(struct slice s)
{
	size_t columns = 0;

	for (size_t i = 0; i < s.n;) {
		int width;

		i += next_character(slice_of(s.p + i, s.n - i), &width);
		columns += width > 0 ? (size_t)width : 0;
	}
	return columns;
}

size_t text_fit(struct slice s, size_t columns)
{
	size_t used = 0, i = 0;

	while (i < s.n) {
		int width;
		size_t n = next_character(slice_of(s.p + i, s.n - i), &width);

		used += width > 0 ? (size_t)width : 0;
		if (used > columns)
			break;
		i += n;
	}
	return i;
}

char *text_bytes(char buf[static TEXT_SHORT], double bytes)
{
	static const char units[] = "BKMGTP";
	size_t u = 0;

	while (bytes >= 999.5 && u + 2 < sizeof units) {
		bytes /= 1024;
		u++;
	}
	snprintf(buf, TEXT_SHORT, u && bytes < 9.95 ? "%.1f %c" : "%.0f %c", bytes, units[u]);
	return buf;
}

char *text_ms(char buf[static TEXT_SHORT], double ms)
{
	long long s = (long long)(ms / 1000);

	if (ms < 999.5)
		snprintf(buf, TEXT_SHORT, "%.0f ms", ms);
	else if (ms < 59950)
		snprintf(buf, TEXT_SHORT, "%.1f s", ms / 1000);
	else if (s < 3600)
		snprintf(buf, TEXT_SHORT, "%lldm%02llds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, TEXT_SHORT, "%lldh%02lldm", s / 3600, s / 60 % 60);
	else
		snprintf(buf, TEXT_SHORT, "%lldd%lldh", s / 86400, s / 3600 % 24);
	return buf;
}

char *text_ago(char buf[static TEXT_SHORT], int64_t then_ms, int64_t now_ms)
{
	static const struct {
		int64_t ms;
		char unit;
	} units[] = {{86400000, 'd'}, {3600000, 'h'}, {60000, 'm'}, {1000, 's'}};
	int64_t apart = now_ms > then_ms ? now_ms - then_ms : then_ms - now_ms;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (apart < units[i].ms)
			continue;
		snprintf(buf, TEXT_SHORT, now_ms > then_ms ? "%lld%c ago" : "in %lld%c",
		    (long long)(apart / units[i].ms), units[i].unit);
		return buf;
	}
	snprintf(buf, TEXT_SHORT, "now");
	return buf;
}
