/* SPDX-License-Identifier: MIT */
#include "daemon/supervisor/restart.h"

static const int64_t waits_ms[] = {0, 500, 1000, 2000, 4000, 8000, 16000, RESTART_MAX_MS};

int64_t restart_delay_ms(struct restart *memory, const struct restart_facts *facts)
{
	unsigned strikes = memory->strikes;

	if (facts->permanent)
		return RESTART_PERMANENT_MS;
	if (facts->lived_ms >= RESTART_LONG_MS)
		strikes = 0;
	else if (facts->lived_ms >= RESTART_SHORT_MS)
		strikes /= 2;
	memory->strikes = strikes < ARRAY_SIZE(waits_ms) - 1 ? strikes + 1 : strikes;
	return waits_ms[strikes];
}
