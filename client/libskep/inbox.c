/* SPDX-License-Identifier: MIT */
/* Two lists, since results come, and are asked for, roughly in the order of the jobs: both looks end early. */
#include "client/libskep/inbox.h"

struct letter {
	struct list link;
	char id[SKEP_ID_BYTES];
	bool lost;
	struct skep_result result;
};

void inbox_init(struct inbox *in)
{
	list_init(&in->pending);
	list_init(&in->arrived);
	in->bytes = 0;
}

static void drop(struct letter *l)
{
	list_del(&l->link);
	skep_result_free(&l->result);
	free(l);
}

static void drop_all(struct list *list)
{
	list_each(struct letter, l, list, link)
		drop(l);
}

void inbox_free(struct inbox *in)
{
	drop_all(&in->pending);
	drop_all(&in->arrived);
}

static struct letter *find(struct list *list, struct slice id)
{
	list_each(struct letter, l, list, link) {
		if (slice_is(id, l->id))
			return l;
	}
	return NULL;
}

void inbox_expect(struct inbox *in, const char *id)
{
	struct slice name = slice_str(id);
	struct letter *l;

	if (find(&in->arrived, name) || find(&in->pending, name))
		return;
	l = xcalloc(1, sizeof *l);
	slice_copy(l->id, sizeof l->id, name);
	list_add_tail(&in->pending, &l->link);
}

void inbox_forget(struct inbox *in, const char *id)
{
	struct letter *l = find(&in->pending, slice_str(id));

	if (l)
		drop(l);
}

void inbox_put(struct inbox *in, struct slice id, enum skep_state state, struct slice body)
{
	struct letter *l = find(&in->pending, id);

	if (!l)
		return;
	l->result.state = state;
	if (state != SKEP_JOB_DONE) {
		l->result.error = slice_dup(body);
	} else if (body.p && body.n <= INBOX_BYTES_MAX - in->bytes) {
		l->result.data = slice_dup(body);
		l->result.bytes = body.n;
		in->bytes += body.n;
	}
	list_del(&l->link);
	list_add_tail(&in->arrived, &l->link);
}

void inbox_lost(struct inbox *in)
{
	list_each(struct letter, l, &in->pending, link)
		l->lost = true;
}

enum inbox_found inbox_take(struct inbox *in, const char *id, struct skep_result *ret)
{
	struct letter *l = find(&in->arrived, slice_str(id));

	if (l) {
		*ret = l->result;
		in->bytes -= l->result.bytes;
		l->result = (struct skep_result){0};
		drop(l);
		return INBOX_TAKEN;
	}
	l = find(&in->pending, slice_str(id));
	if (l && l->lost) {
		l->lost = false;
		return INBOX_LOST;
	}
	return l ? INBOX_PENDING : INBOX_UNKNOWN;
}
