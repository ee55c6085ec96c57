/* SPDX-License-Identifier: MIT */
/*
 * The deliveries of one session that are not settled, in the order of their tags, at most as many as were
 * allowed. Pure. Acks are only marked; tags_fold() says what to send for them: everything up to
 * the first tag without an ack by one `multiple`, the rest one by one.
 */
#ifndef SKEP_AMQP_TAGS_H
#define SKEP_AMQP_TAGS_H

#include "lib/base/base.h"

struct tags {
	struct tag_entry {
		uint64_t tag;
		bool acked;
	} *e;
	size_t n, most, cap, nacked; /* cap: how many `e` has room for */
	uint64_t last; /* greatest tag ever added */
};

void tags_init(struct tags *t);
void tags_free(struct tags *t);
void tags_allow(struct tags *t, size_t n); /* so many beside those that are there now */
void tags_reset(struct tags *t); /* a new session: tags begin at 1 again */

/* 0, -EPROTO (not greater than the last one) or -ENOBUFS (more than were allowed). */
int tags_add(struct tags *t, uint64_t tag);

/* Both are false for a tag that is not there or was acked already. */
bool tags_ack(struct tags *t, uint64_t tag);
bool tags_drop(struct tags *t, uint64_t tag); /* settled otherwise, by a nack or reject */

bool tags_has(const struct tags *t, uint64_t tag);
static inline size_t tags_unsettled(const struct tags *t)
{
	return t->n - t->nacked;
}

typedef void tags_emit_fn(void *arg, uint64_t tag, bool multiple);
void tags_fold(struct tags *t, tags_emit_fn *emit, void *arg);

#endif
