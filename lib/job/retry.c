/* SPDX-License-Identifier: MIT */
#include "lib/job/retry.h"

#include <errno.h>

#include "lib/base/clock.h"

#define LONGEST_MS                                                                                 \
	(INT64_C(3653) * 24 * 3600 * 1000) /* ten years, the longest duration of clock.h */

/* Cuts the next word off `text`; separated by spaces. */
static struct slice next_word(struct slice *text)
{
	struct slice word;

	while (text->n && *text->p == ' ')
		*text = slice_of(text->p + 1, text->n - 1);
	word = slice_of(text->p, 0);
	while (text->n && *text->p != ' ') {
		*text = slice_of(text->p + 1, text->n - 1);
		word.n++;
	}
	return word;
}

/* "1s..1h" */
static int parse_range(struct slice text, struct backoff *ret)
{
	const uint8_t *dots = text.n ? memmem(text.p, text.n, "..", 2) : NULL;
	struct slice first, last;

	if (!dots)
		return -EINVAL;
	first = slice_of(text.p, (size_t)(dots - text.p));
	last = slice_of(dots + 2, text.n - first.n - 2);
	if (clock_parse_duration(first, &ret->first_ms) < 0 ||
	    clock_parse_duration(last, &ret->last_ms) < 0)
		return -EINVAL;
	return ret->first_ms > 0 && ret->first_ms <= ret->last_ms ? 0 : -EINVAL;
}

int backoff_parse(struct slice text, struct backoff *ret, struct err *err)
{
	struct slice rest = text, word = next_word(&rest), range = next_word(&rest);
	struct backoff b = {0};
	int rc = next_word(&rest).n ? -EINVAL : 0;

	if (slice_is(word, "sidekiq")) {
		b.kind = BACKOFF_SIDEKIQ;
		rc = range.n ? -EINVAL : rc;
	} else if (slice_is(word, "none")) {
		b.kind = BACKOFF_NONE;
		rc = range.n ? -EINVAL : rc;
	} else if (slice_is(word, "fixed")) {
		b.kind = BACKOFF_FIXED;
		if (clock_parse_duration(range, &b.first_ms) < 0)
			rc = -EINVAL;
	} else if (slice_is(word, "exponential")) {
		b.kind = BACKOFF_EXPONENTIAL;
		if (parse_range(range, &b) < 0)
			rc = -EINVAL;
	} else {
		rc = -EINVAL;
	}
	if (rc < 0)
		return err_set(err, rc,
		    "'" SLICE_FMT "' is none of sidekiq, exponential 1s..1h, fixed 10s, none",
		    SLICE_ARG(text));
	*ret = b;
	return 0;
}

char *backoff_format(char buf[static 64], const struct backoff *b)
{
	char first[24], last[24];

	switch (b->kind) {
	case BACKOFF_SIDEKIQ:
		snprintf(buf, 64, "sidekiq");
		break;
	case BACKOFF_EXPONENTIAL:
		snprintf(buf, 64, "exponential %s..%s", clock_format_duration(first, b->first_ms),
		    clock_format_duration(last, b->last_ms));
		break;
	case BACKOFF_FIXED:
		snprintf(buf, 64, "fixed %s", clock_format_duration(first, b->first_ms));
		break;
	case BACKOFF_NONE:
		snprintf(buf, 64, "none");
		break;
	}
	return buf;
}

static int64_t bounded(int64_t ms)
{
	return ms < LONGEST_MS ? ms : LONGEST_MS;
}

static int64_t sidekiq_ms(int64_t n, uint32_t random)
{
	/* Above n = 200 the sum is past ten years in any case (200^4 s = 50 years). */
	int64_t m = n < 200 ? n : 200;
	int64_t spread = 10 * (m + 1);

	return bounded((m * m * m * m + 15) * 1000 +
		       (int64_t)((uint64_t)random * (uint64_t)spread >> 32) * 1000);
}

static int64_t exponential_ms(const struct backoff *b, int64_t n, uint32_t random)
{
	int64_t wait = b->first_ms;

	for (; n > 0 && wait < b->last_ms; n--)
		wait *= 2;
	if (wait > b->last_ms)
		wait = b->last_ms;
	return bounded(wait - (int64_t)((double)(wait / 2) * ((double)random / 4294967296.0)));
}

int64_t backoff_delay_ms(const struct backoff *b, unsigned attempt, uint32_t random)
{
	int64_t n = attempt > 0 ? (int64_t)attempt - 1 : 0;

	switch (b->kind) {
	case BACKOFF_SIDEKIQ:
		return sidekiq_ms(n, random);
	case BACKOFF_EXPONENTIAL:
		return exponential_ms(b, n, random);
	case BACKOFF_FIXED:
		return bounded(b->first_ms);
	case BACKOFF_NONE:
		return 0;
	}
	BUG("backoff of kind %d", (int)b->kind);
}

enum retry_verdict retry_decide(unsigned attempt, int64_t retries)
{
	return (int64_t)attempt <= retries ? RETRY_AGAIN : RETRY_EXHAUSTED;
}
