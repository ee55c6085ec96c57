/* SPDX-License-Identifier: MIT */
#include "daemon/store/scalings.h"

int scalings_open(struct scalings *s, struct batch *batch, struct err *err)
{
	static const char *const names[] = {"scaling_insert", "scaling_trim"};
	struct db_stmt *found[ARRAY_SIZE(names)];
	int rc = batch_prepare(batch, names, ARRAY_SIZE(names), found, err);

	if (rc == 0)
		*s = (struct scalings){batch, found[0], found[1]};
	return rc;
}

void scalings_add(struct scalings *s, const struct msg_scaled *m)
{
	db_bind_text(s->insert, 1, m->pool);
	db_bind_int(s->insert, 2, m->at_wall_ms);
	db_bind_int(s->insert, 3, m->from);
	db_bind_int(s->insert, 4, m->to);
	db_bind_text(s->insert, 5, m->reason);
	batch_write(s->batch, s->insert, 0);
	db_bind_int(s->trim, 1, SCALINGS_KEPT);
	batch_write(s->batch, s->trim, 0);
}
