/* SPDX-License-Identifier: MIT */
#include "client/libskep/inbox.h"

struct letter {
	struct list link;
	char id[SKEP_ID_BYTES];
	bool arrived, lost;
	struct skep_result result;
};

void inbox_init(struct inbox *in)
{
	in->buckets = xcalloc(INBOX_BUCKETS, sizeof *in->buckets);
	for (size_t i = 0; i < INBOX_BUCKETS; i++)
		list_init(&in->buckets[i]);
	in->bytes = 0;
}

static void drop(struct letter *l)
{
	list_del(&l->link);
	skep_result_free(&l->result);
	free(l);
}

void inbox_free(struct inbox *in)
{
	for (size_t i = 0; i < INBOX_BUCKETS; i++) {
		list_each(struct letter, l, &in->buckets[i], link)
			drop(l);
	}
	free(in->buckets);
}

/* FNV-1a, 32 bits (draft-eastlake-fnv). */
static struct list *bucket(const struct inbox *in, struct slice id)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < id.n; i++)
		hash = (hash ^ id.p[i]) * 16777619u;
	return &in->buckets[hash % INBOX_BUCKETS];
}

static struct letter *find(const struct inbox *in, struct slice id)
{
	list_each(struct letter, l, bucket(in, id), link) {
		if (slice_is(id, l->id))
			return l;
	}
	return NULL;
}

void inbox_expect(struct inbox *in, const char *id)
{
	struct slice name = slice_str(id);
	struct letter *l;

	if (find(in, name))
		return;
	l = xcalloc(1, sizeof *l);
	slice_copy(l->id, sizeof l->id, name);
	list_add_tail(bucket(in, name), &l->link);
}

void inbox_forget(struct inbox *in, const char *id)
{
	struct letter *l = find(in, slice_str(id));

	if (l && !l->arrived)
		drop(l);
}

void inbox_put(struct inbox *in, struct slice id, enum skep_state state, struct slice body)
{
	struct letter *l = find(in, id);

	if (!l || l->arrived)
		return;
	l->arrived = true;
	l->result.state = state;
	if (state != SKEP_JOB_DONE) {
		l->result.error = slice_dup(body);
	} else if (body.p && body.n <= INBOX_BYTES_MAX - in->bytes) {
		l->result.data = slice_dup(body);
		l->result.bytes = body.n;
		in->bytes += body.n;
	}
}

void inbox_lost(struct inbox *in)
{
	for (size_t i = 0; i < INBOX_BUCKETS; i++) {
		list_each(struct letter, l, &in->buckets[i], link)
			l->lost = !l->arrived;
	}
}

enum inbox_found inbox_take(struct inbox *in, const char *id, struct skep_result *ret)
{
	struct letter *l = find(in, slice_str(id));

	if (!l)
		return INBOX_UNKNOWN;
	if (l->arrived) {
		*ret = l->result;
		in->bytes -= l->result.bytes;
		l->result = (struct skep_result){0};
		drop(l);
		return INBOX_TAKEN;
	}
	if (l->lost) {
		l->lost = false;
		return INBOX_LOST;
	}
	return INBOX_PENDING;
}
