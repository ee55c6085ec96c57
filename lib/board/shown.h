/* SPDX-License-Identifier: MIT */
/*
 * How one process shows others a struct in shared memory: two copies and a count of publishes, whose lowest bit
 * picks the copy that is shown. The writer fills the other one and then flips, so that a writer that dies half
 * way leaves the last whole state. A reader copies and looks at the count again: when it moved, the copy may be
 * torn, and it reads once more. One that is overtaken again and again gives up after a few tries with the last
 * copy, which is only for seeing.
 */
#ifndef SKEP_BOARD_SHOWN_H
#define SKEP_BOARD_SHOWN_H

#include <stdatomic.h>

#include "lib/base/base.h"

#define SHOWN_READ_TRIES 8

/* `copies`: two values of `bytes` each, side by side. */
static inline void shown_put(
    _Atomic uint32_t *shown, void *copies, const void *value, size_t bytes)
{
	uint32_t next = atomic_load_explicit(shown, memory_order_relaxed) + 1;

	/* The flip before this one comes first: a reader of the copy that is overwritten now must see it. */
	atomic_thread_fence(memory_order_release);
	memcpy((char *)copies + (next & 1) * bytes, value, bytes);
	atomic_store_explicit(shown, next, memory_order_release);
}

static inline void shown_get(
    const _Atomic uint32_t *shown, const void *copies, void *ret, size_t bytes)
{
	uint32_t before, after;
	int tries = 0;

	do {
		before = atomic_load_explicit(shown, memory_order_acquire);
		memcpy(ret, (const char *)copies + (before & 1) * bytes, bytes);
		atomic_thread_fence(memory_order_acquire);
		after = atomic_load_explicit(shown, memory_order_relaxed);
		/* Once the count has moved, the owner may be filling the copy that was read. */
	} while (after != before && ++tries < SHOWN_READ_TRIES);
}

#endif
