/* SPDX-License-Identifier: MIT */
#include "client/toprate.h"

static void drop_first(struct toprate *r)
{
	r->n--;
	memmove(&r->samples[0], &r->samples[1], r->n * sizeof r->samples[0]);
}

void toprate_add(struct toprate *r, int64_t at_ms, int64_t done, int64_t failed)
{
	const struct toprate_sample *last = r->n ? &r->samples[r->n - 1] : NULL;

	if (last && (done < last->done || failed < last->failed || at_ms <= last->at_ms))
		r->n = 0;
	/* The one that began the window stays, as long as it is the only one at its beginning. */
	while (r->n > 1 && r->samples[1].at_ms <= at_ms - TOPRATE_WINDOW_MS)
		drop_first(r);
	if (r->n == TOPRATE_SAMPLES)
		drop_first(r);
	r->samples[r->n++] = (struct toprate_sample){at_ms, done, failed};
}

bool toprate_of(const struct toprate *r, double *ret_done, double *ret_failed)
{
	const struct toprate_sample *first = &r->samples[0], *last;
	double seconds;

	if (r->n < 2)
		return false;
	last = &r->samples[r->n - 1];
	seconds = (double)(last->at_ms - first->at_ms) / 1000;
	*ret_done = (double)(last->done - first->done) / seconds;
	*ret_failed = (double)(last->failed - first->failed) / seconds;
	return true;
}

struct toprate *toprate_named(struct toprate_book *book, const char *name)
{
	for (size_t i = 0; i < book->n; i++) {
		if (strcmp(book->entries[i].name, name) == 0)
			return &book->entries[i].rate;
	}
	book->entries = xrealloc(book->entries, (book->n + 1) * sizeof *book->entries);
	book->entries[book->n] = (struct toprate_entry){.name = xstrdup(name)};
	return &book->entries[book->n++].rate;
}

void toprate_forget(struct toprate_book *book)
{
	for (size_t i = 0; i < book->n; i++)
		free(book->entries[i].name);
	free(book->entries);
	*book = (struct toprate_book){0};
}
