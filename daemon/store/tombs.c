/* SPDX-License-Identifier: MIT */
#include "daemon/store/tombs.h"

#include "lib/job/job.h"

struct tomb_queue {
	struct map_node node;
	int64_t n;
	struct slice name; /* in `text` */
	uint8_t text[];
};

static struct tomb_queue *find(const struct tombs *t, struct slice queue)
{
	struct map_node *node = map_first(&t->by_queue, map_hash(MAP_SEED, queue.p, queue.n));

	for (; node; node = map_next(node)) {
		struct tomb_queue *q = map_entry(node, struct tomb_queue, node);

		if (slice_eq(q->name, queue))
			return q;
	}
	return NULL;
}

static void count(struct tombs *t, struct slice queue, int64_t n)
{
	struct tomb_queue *q = find(t, queue);

	if (!q) {
		q = xcalloc(1, sizeof *q + queue.n);
		if (queue.n)
			memcpy(q->text, queue.p, queue.n);
		q->name = slice_of(q->text, queue.n);
		map_add(&t->by_queue, &q->node, map_hash(MAP_SEED, queue.p, queue.n));
		if (t->changed)
			t->changed(t->arg, q->name, true);
	}
	q->n += n;
	if (q->n > 0)
		return;
	if (t->changed)
		t->changed(t->arg, q->name, false);
	map_del(&t->by_queue, &q->node);
	free(q);
}

int tombs_open(struct tombs *t, struct batch *batch, struct err *err)
{
	static const char *const names[] = {
	    "tomb_insert", "tomb_find", "tomb_delete", "tomb_expired", "tomb_counts"};
	struct db_stmt *s[ARRAY_SIZE(names)];
	int rc = batch_prepare(batch, names, ARRAY_SIZE(names), s, err);

	if (rc < 0)
		return rc;
	*t = (struct tombs){
	    .batch = batch, .insert = s[0], .find = s[1], .drop = s[2], .expired = s[3]};
	while (batch_row(batch, s[4]))
		count(t, db_text(s[4], 0), db_int(s[4], 1));
	return 0;
}

void tombs_close(struct tombs *t)
{
	for (size_t i = 0; i < t->by_queue.nbuckets; i++) {
		while (t->by_queue.buckets[i]) {
			struct tomb_queue *q =
			    map_entry(t->by_queue.buckets[i], struct tomb_queue, node);

			map_del(&t->by_queue, &q->node);
			free(q);
		}
	}
	map_free(&t->by_queue);
}

bool tombs_any(const struct tombs *t, struct slice queue)
{
	return t->by_queue.n > 0 && find(t, queue);
}

void tombs_each(const struct tombs *t, void (*each)(void *arg, struct slice queue), void *arg)
{
	for (size_t i = 0; i < t->by_queue.nbuckets; i++) {
		for (struct map_node *node = t->by_queue.buckets[i]; node; node = node->next)
			each(arg, map_entry(node, struct tomb_queue, node)->name);
	}
}

bool tombs_has(struct tombs *t, int64_t job, struct slice queue)
{
	if (!tombs_any(t, queue))
		return false;
	db_bind_int(t->find, 1, job);
	return batch_number(t->batch, t->find, 0) != 0;
}

void tombs_add(struct tombs *t, int64_t job, struct slice queue, int64_t until_wall_ms)
{
	bool known = tombs_has(t, job, queue);

	db_bind_int(t->insert, 1, job);
	db_bind_text(t->insert, 2, queue);
	db_bind_int(t->insert, 3, until_wall_ms);
	batch_write(t->batch, t->insert, 0);
	if (!known)
		count(t, queue, 1);
}

void tombs_remove(struct tombs *t, int64_t job, struct slice queue)
{
	if (!tombs_any(t, queue))
		return;
	db_bind_int(t->drop, 1, job);
	if (batch_write(t->batch, t->drop, 0) > 0)
		count(t, queue, -1);
}

size_t tombs_expire(struct tombs *t, int64_t now_wall_ms, size_t most)
{
	size_t n = 0;

	for (; n < most; n++) {
		char queue[JOB_NAME_BYTES + 1];
		struct slice name;
		int64_t job;

		db_bind_int(t->expired, 1, now_wall_ms);
		db_bind_int(t->expired, 2, 1);
		if (!batch_row(t->batch, t->expired))
			break;
		job = db_int(t->expired, 0);
		name = db_text(t->expired, 1);
		name.n = name.n < JOB_NAME_BYTES ? name.n : JOB_NAME_BYTES;
		memcpy(queue, name.p, name.n);
		db_reset(t->expired);
		tombs_remove(t, job, slice_of(queue, name.n));
	}
	return n;
}
