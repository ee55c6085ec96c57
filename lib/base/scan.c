/* SPDX-License-Identifier: MIT */
/* After a fault the position is the end, so that every loop over members ends by itself. */
#include "lib/base/scan.h"

static void fail(struct scan *s)
{
	s->failed = true;
	s->p = s->end;
}

static int peek(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || *s->p == '\n'))
		s->p++;
	return s->p < s->end ? (unsigned char)*s->p : -1;
}

static bool take(struct scan *s, char c)
{
	if (peek(s) != c)
		return false;
	s->p++;
	return true;
}

void scan_init(struct scan *s, char *text, size_t n)
{
	*s = (struct scan){.p = text, .end = text + n};
}

bool scan_failed(const struct scan *s)
{
	return s->failed;
}

bool scan_at_end(struct scan *s)
{
	return peek(s) < 0;
}

/* --- strings ---------------------------------------------------------------------------------- */

static int hex4(const char *p, const char *end)
{
	int value = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int c = (unsigned char)p[i] | 0x20, digit;

		digit = p[i] >= '0' && p[i] <= '9' ? p[i] - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

static char *put_utf8(char *out, int c)
{
	if (c < 0x80) {
		*out++ = (char)c;
		return out;
	}
	if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*out++ = (char)(0xe0 | c >> 12);
		} else {
			*out++ = (char)(0xf0 | c >> 18);
			*out++ = (char)(0x80 | (c >> 12 & 63));
		}
		*out++ = (char)(0x80 | (c >> 6 & 63));
	}
	*out++ = (char)(0x80 | (c & 63));
	return out;
}

/* Behind `\u`: one code point, of one escape or of two (RFC 8259, section 7). NULL: it is none. */
static const char *unescape_u(const char *p, const char *end, char **out)
{
	int c = hex4(p, end), low;

	if (c <= 0 || (c >= 0xdc00 && c <= 0xdfff))
		return NULL;
	p += 4;
	if (c >= 0xd800 && c <= 0xdbff) {
		if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
			return NULL;
		low = hex4(p + 2, end);
		if (low < 0xdc00 || low > 0xdfff)
			return NULL;
		c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
		p += 6;
	}
	*out = put_utf8(*out, c);
	return p;
}

/* Behind the backslash. */
static const char *unescape(const char *p, const char *end, char **out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (p == end)
		return NULL;
	if (*p == 'u')
		return unescape_u(p + 1, end, out);
	at = *p ? strchr(from, *p) : NULL;
	if (!at)
		return NULL;
	*(*out)++ = to[at - from];
	return p + 1;
}

bool scan_text(struct scan *s, struct slice *ret)
{
	char *start, *out;
	const char *p;

	if (!take(s, '"'))
		return false;
	start = out = s->p;
	for (p = s->p; p && p < s->end && *p != '"';) {
		if (*p == '\\')
			p = unescape(p + 1, s->end, &out);
		else if (*p == '\0')
			p = NULL;
		else
			*out++ = *p++;
	}
	if (!p || p == s->end) {
		fail(s);
		return false;
	}
	s->p += p + 1 - s->p;
	*out = '\0';
	*ret = slice_of(start, (size_t)(out - start));
	return true;
}

/* --- the rest --------------------------------------------------------------------------------- */

bool scan_enter(struct scan *s)
{
	if (!take(s, '{'))
		return false;
	s->first = true;
	return true;
}

bool scan_member(struct scan *s, struct slice *ret_name)
{
	bool first = s->first;

	s->first = false;
	if (s->failed || take(s, '}'))
		return false;
	if ((!first && !take(s, ',')) || peek(s) != '"' || !scan_text(s, ret_name) || !take(s, ':')) {
		fail(s);
		return false;
	}
	return true;
}

bool scan_int(struct scan *s, int64_t *ret)
{
	int c = peek(s);
	int64_t value = 0;
	char *p = s->p + (c == '-');

	if (c != '-' && (c < '0' || c > '9'))
		return false;
	for (; p < s->end && *p >= '0' && *p <= '9' && value < INT64_MAX / 10 - 1; p++)
		value = value * 10 + (*p - '0');
	if (p == s->p + (c == '-') || (p < s->end && strchr(".eE0123456789", *p) && *p))
		return false;
	s->p = p;
	*ret = c == '-' ? -value : value;
	return true;
}

/* A number or a word: up to what may follow one. */
static void skip_plain(struct scan *s)
{
	char *start = s->p;

	while (s->p < s->end && *s->p && !strchr(",]}: \t\r\n\"[{", *s->p))
		s->p++;
	if (s->p == start)
		fail(s);
}

/* Depth is counted, the kinds of brackets are not matched: what is skipped is of no interest. */
void scan_skip(struct scan *s)
{
	struct slice text;
	size_t depth = 0;

	do {
		int c = peek(s);

		if (c < 0) {
			fail(s);
			return;
		}
		if (c == '"') {
			scan_text(s, &text);
		} else if (c == '{' || c == '[') {
			depth++;
			s->p++;
		} else if ((c == '}' || c == ']') && depth) {
			depth--;
			s->p++;
		} else if ((c == ',' || c == ':') && depth) {
			s->p++;
		} else {
			skip_plain(s);
		}
	} while (depth && !s->failed);
	s->first = false;
}
