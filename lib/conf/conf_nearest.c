/* SPDX-License-Identifier: MIT */
#include "lib/conf/conf_nearest.h"

#define NEAREST_WORD_BYTES 40

static size_t least_of(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's distance, row by row. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NEAREST_WORD_BYTES + 1], na = strlen(a), nb = strlen(b);

	if (na > NEAREST_WORD_BYTES || nb > NEAREST_WORD_BYTES)
		return SIZE_MAX;
	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t above = row[j];

			row[j] =
			    least_of(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[nb];
}

const char *conf_nearest(const char *word, const char *const *words, size_t n)
{
	const char *best = NULL;
	size_t best_distance = 2 + strlen(word) / 4; /* farther is no typing error */

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(word, words[i]);

		if (d < best_distance || (d == best_distance && !best)) {
			best_distance = d;
			best = words[i];
		}
	}
	return best;
}
