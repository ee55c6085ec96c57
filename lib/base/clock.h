/* SPDX-License-Identifier: MIT */
/* Two clocks: monotonic for timeouts and backoff in memory, wall for what is stored and shown. */
#ifndef SKEP_BASE_CLOCK_H
#define SKEP_BASE_CLOCK_H

#include "lib/base/base.h"

#define CLOCK_RFC3339_BYTES sizeof("2026-11-23T19:12:03.412Z+") /* years up to 9999 */

int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
int64_t clock_wall_ms(void); /* since 1970, UTC */

/* Writes wall-clock milliseconds as RFC 3339 in UTC. Returns buf. */
char *clock_rfc3339(char buf[static CLOCK_RFC3339_BYTES], int64_t wall_ms);

/* Reads RFC 3339 / ISO 8601 (`2026-11-23T19:12:03[.412](Z|+01:00)`, a space for the T, no zone =
 * UTC). Returns 0, or -EINVAL. */
int clock_parse(struct slice text, int64_t *ret_wall_ms);

/* Reads a duration: `250ms`, `10s`, `5m`, `1h`, `7d`, or a bare number of seconds (`1.5` too).
 * Returns 0, -EINVAL, or -ERANGE (above 10 years). */
int clock_parse_duration(struct slice text, int64_t *ret_ms);

/* Writes a duration as that syntax has it, shortest exact unit: 90000 -> "90s". Returns buf. */
char *clock_format_duration(char buf[static 24], int64_t ms);

#endif
