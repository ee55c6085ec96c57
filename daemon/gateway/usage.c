/* SPDX-License-Identifier: MIT */
#include "daemon/gateway/usage.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#define STAT_BYTES 1024

/* The name of the program stands in parentheses and may hold anything, so that counting begins behind the last one:
 * state is field 3, utime 14, stime 15, rss (in pages) 24. */
bool usage_parse(const char *stat, uint64_t ticks_per_s, uint64_t page_bytes, struct usage *ret)
{
	const char *behind = strrchr(stat, ')');
	uint64_t user, system, pages;

	if (!behind ||
	    sscanf(behind + 1,
		" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
		" %*d %*d %*d %*d %*d %*d %*u %*u %" SCNu64,
		&user, &system, &pages) != 3)
		return false;
	ret->cpu_ms = (user + system) * 1000 / ticks_per_s;
	ret->resident = pages * page_bytes;
	return true;
}

bool usage_read(pid_t pid, struct usage *ret)
{
	char path[40], text[STAT_BYTES];
	auto_fd int fd = -1;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return usage_parse(
	    text, (uint64_t)sysconf(_SC_CLK_TCK), (uint64_t)sysconf(_SC_PAGESIZE), ret);
}
