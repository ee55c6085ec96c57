/* SPDX-License-Identifier: MIT */
#include "daemon/store/pauses.h"

int pauses_open(struct pauses *p, struct batch *batch, struct err *err)
{
	static const char *const names[] = {"pause_insert", "pause_delete", "pause_list"};
	struct db_stmt *s[ARRAY_SIZE(names)];
	int rc = batch_prepare(batch, names, ARRAY_SIZE(names), s, err);

	if (rc < 0)
		return rc;
	*p = (struct pauses){.batch = batch, .insert = s[0], .drop = s[1]};
	while (batch_row(batch, s[2]))
		conf_words_add(&p->names, db_text(s[2], 0));
	return 0;
}

void pauses_close(struct pauses *p)
{
	conf_words_free(&p->names);
}

static size_t find(const struct pauses *p, struct slice queue)
{
	size_t i = 0;

	while (i < p->names.n && !slice_is(queue, p->names.v[i]))
		i++;
	return i;
}

bool pauses_has(const struct pauses *p, struct slice queue)
{
	return find(p, queue) < p->names.n;
}

bool pauses_set(struct pauses *p, struct slice queue, bool paused)
{
	struct db_stmt *s = paused ? p->insert : p->drop;
	size_t at = find(p, queue);

	if ((at < p->names.n) == paused)
		return false;
	db_bind_text(s, 1, queue);
	batch_write(p->batch, s, 0);
	if (paused) {
		conf_words_add(&p->names, queue);
		return true;
	}
	free(p->names.v[at]);
	p->names.v[at] = p->names.v[--p->names.n];
	p->names.v[p->names.n] = NULL;
	return true;
}
