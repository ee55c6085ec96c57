/* SPDX-License-Identifier: MIT */
/*
 * The few things that every file of skep needs: slices, the three kinds of failure that are not an
 * `err` (BUG and fatal; see err.h for the third), cleanup attributes, and the check that guards every
 * `void *` which crosses a callback.
 */
#ifndef SKEP_BASE_BASE_H
#define SKEP_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/banned.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define UNUSED __attribute__((unused))

/* Borrowed bytes: `p` points into somebody else's buffer. An absent value has p == NULL. */
struct slice {
	const uint8_t *p;
	size_t n;
};

static inline struct slice slice_of(const void *p, size_t n)
{
	return (struct slice){p, n};
}

static inline struct slice slice_str(const char *s)
{
	return (struct slice){(const uint8_t *)s, s ? strlen(s) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool slice_is(struct slice a, const char *s)
{
	return slice_eq(a, slice_str(s));
}

/* Copies a slice into `dst` of `cap` bytes as a C string, cut to fit. Returns dst. */
char *slice_copy(char *dst, size_t cap, struct slice s);

/* A fresh C string of the slice; the caller frees it. Never NULL. */
char *slice_dup(struct slice s);

/* For printf("%.*s"). */
#define SLICE_FMT "%.*s"
#define SLICE_ARG(s) (int)(s).n, (s).p ? (const char *)(s).p : ""

/* Our own fault: prints where and aborts. */
#define BUG(...) base_bug(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void base_bug(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Memory never runs out quietly: these abort instead of returning NULL. Sizes that come from
 * outside are bounded before they get here. */
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Takes `arg` out of a callback as `type *name`, and aborts if it is not one (`magic` differs). */
#define OBJ(type, name, arg, MAGIC)                                                                \
	type *name = (arg);                                                                        \
	do {                                                                                       \
		if (!name || name->magic != (MAGIC))                                               \
			BUG("callback argument is no " #type);                                     \
	} while (0)

static inline void base_free_cleanup(void *p)
{
	free(*(void **)p);
}

static inline void base_close_cleanup(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define auto_free __attribute__((cleanup(base_free_cleanup)))
#define auto_fd __attribute__((cleanup(base_close_cleanup)))

/* Hands an auto_fd or auto_free variable over to somebody else. */
static inline int take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

/* Exit codes are a contract between a child and the supervisor. */
enum exit_code {
	EXIT_DRAINED = 0,     /* did what it was asked and left */
	EXIT_PERMANENT = 100, /* restarting cannot help: configuration, version, permission */
	EXIT_TEMPORARY = 111, /* restart with backoff */
};

#endif
