/* SPDX-License-Identifier: MIT */
/* What the system says of a process: /proc/PID/stat. */
#ifndef SKEP_GATEWAY_USAGE_H
#define SKEP_GATEWAY_USAGE_H

#include "lib/base/base.h"

struct usage {
	uint64_t cpu_ms;   /* of user and system */
	uint64_t resident; /* bytes */
};

/* False: there is no such process, or the system hides it from this user. */
bool usage_read(pid_t pid, struct usage *ret);

/* The same from the text of that file. */
bool usage_parse(const char *stat, uint64_t ticks_per_s, uint64_t page_bytes, struct usage *ret);

#endif
