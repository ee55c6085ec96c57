/* SPDX-License-Identifier: MIT */
/* The queues from which nothing is started, by a person's word: in a table, so that a restart does
 * not set off what was stopped on purpose, and in memory. */
#ifndef SKEP_STORE_PAUSES_H
#define SKEP_STORE_PAUSES_H

#include "daemon/store/batch.h"
#include "lib/conf/conf_words.h"

struct pauses {
	struct batch *batch;
	struct db_stmt *insert, *drop;
	struct conf_words names;
};

int pauses_open(struct pauses *p, struct batch *batch, struct err *err);
void pauses_close(struct pauses *p);

bool pauses_has(const struct pauses *p, struct slice queue);

/* False: it was so already. */
bool pauses_set(struct pauses *p, struct slice queue, bool paused);

#endif
