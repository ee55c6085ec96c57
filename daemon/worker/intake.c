/* SPDX-License-Identifier: MIT */
#include "daemon/worker/intake.h"

struct source *intake_source(const struct intake *in, struct slice queue)
{
	for (size_t i = 0; i < in->nsources; i++) {
		if (slice_is(queue, in->sources[i]->queue->section))
			return in->sources[i];
	}
	return NULL;
}

void intake_ask_all(struct intake *in, bool ask)
{
	for (size_t i = 0; i < in->nsources; i++)
		in->sources[i]->ask = ask;
}
