/* SPDX-License-Identifier: MIT */
#include "lib/base/base.h"

#include <stdarg.h>
#include <stdio.h>

char *slice_copy(char *dst, size_t cap, struct slice s)
{
	size_t n = s.n < cap - 1 ? s.n : cap - 1;

	if (n)
		memcpy(dst, s.p, n);
	dst[n] = '\0';
	return dst;
}

char *slice_dup(struct slice s)
{
	char *copy = xmalloc(s.n + 1);

	return slice_copy(copy, s.n + 1, s);
}

_Noreturn void base_bug(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "BUG at %s:%d: ", file, line);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	abort();
}

void *xmalloc(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (!p)
		BUG("out of memory for %zu bytes", n);
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		BUG("out of memory for %zu times %zu bytes", n, size);
	return p;
}

void *xrealloc(void *old, size_t n)
{
	void *p = realloc(old, n ? n : 1);

	if (!p)
		BUG("out of memory for %zu bytes", n);
	return p;
}

char *xstrdup(const char *s)
{
	return slice_dup(slice_str(s));
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		BUG("out of memory for a formatted string");
	va_end(ap);
	return text;
}
