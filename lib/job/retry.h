/* SPDX-License-Identifier: MIT */
/*
 * When a failed job runs again: pure, no clock and no randomness of its own.
 *
 *   sidekiq            n^4 + 15 + rand(10 * (n + 1)) seconds, n = retries so far, from 0 (Sidekiq,
 *                      lib/sidekiq/job_retry.rb)
 *   exponential A..B   min(B, A * 2^n), then 50 to 100 % of it by `random` ("equal jitter")
 *   fixed D            D
 *   none               at once
 */
#ifndef SKEP_JOB_RETRY_H
#define SKEP_JOB_RETRY_H

#include "lib/base/err.h"

enum backoff_kind { BACKOFF_SIDEKIQ, BACKOFF_EXPONENTIAL, BACKOFF_FIXED, BACKOFF_NONE };

struct backoff {
	enum backoff_kind kind;
	int64_t first_ms; /* exponential: A; fixed: D */
	int64_t last_ms;  /* exponential: B */
};

/* Reads `sidekiq | exponential 1s..1h | fixed 10s | none`. -EINVAL with what is wrong. */
int backoff_parse(struct slice text, struct backoff *ret, struct err *err);
char *backoff_format(char buf[static 64], const struct backoff *b);

/* The wait before the next attempt. `attempt` is the number of the one that failed, from 1; `random` is
 * uniform over all 32-bit values. Milliseconds, 0 to 10 years. */
int64_t backoff_delay_ms(const struct backoff *b, unsigned attempt, uint32_t random);

enum retry_verdict { RETRY_AGAIN, RETRY_EXHAUSTED };

/* May attempt `attempt` (from 1), which has just failed, be followed by another? `retries` is how many
 * attempts may follow the first. */
enum retry_verdict retry_decide(unsigned attempt, int64_t retries);

#endif
