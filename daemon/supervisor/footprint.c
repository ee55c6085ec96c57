/* SPDX-License-Identifier: MIT */
#include "daemon/supervisor/footprint.h"

#include <fcntl.h>
#include <unistd.h>

#define TEXT_BYTES 8192
#define TREE_MAX 512 /* processes of a tree that are looked at */
#define GROUPS_MAX 32

static const char *root = "";

void footprint_root(const char *other)
{
	root = other;
}

/* What a small file of the kernel says; false if there is none. */
static bool read_text(const char *path, char ret[static TEXT_BYTES])
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, TEXT_BYTES - 1);

	ret[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

static bool read_system(const char *path, char ret[static TEXT_BYTES])
{
	auto_free char *full = xasprintf("%s%s", root, path);

	return read_text(full, ret);
}

/* --- processes -------------------------------------------------------------------------------- */

int64_t footprint_rss(pid_t pid)
{
	auto_free char *path = xasprintf("/proc/%d/statm", (int)pid);
	char text[TEXT_BYTES];
	long long size, resident;

	if (!read_text(path, text) || sscanf(text, "%lld %lld", &size, &resident) != 2)
		return -1;
	return resident * sysconf(_SC_PAGESIZE);
}

/* Appends the children of a process (of its main thread: those that we look at start none in others). */
static size_t add_children(pid_t pid, pid_t *pids, size_t n)
{
	auto_free char *path = xasprintf("/proc/%d/task/%d/children", (int)pid, (int)pid);
	char text[TEXT_BYTES], *at = text, *end;

	if (!read_text(path, text))
		return n;
	while (n < TREE_MAX) {
		long child = strtol(at, &end, 10);

		if (end == at || (*end != ' ' && *end != '\0'))
			break;
		pids[n++] = (pid_t)child;
		at = end;
	}
	return n;
}

int64_t footprint_tree(pid_t pid)
{
	pid_t pids[TREE_MAX] = {pid};
	int64_t sum = footprint_rss(pid);
	size_t n = 1;

	if (sum < 0)
		return sum;
	for (size_t i = 0; i < n; i++) {
		int64_t rss = i ? footprint_rss(pids[i]) : 0;

		sum += rss > 0 ? rss : 0;
		n = add_children(pids[i], pids, n);
	}
	return sum;
}

/* --- the machine ------------------------------------------------------------------------------ */

/* The number behind `key` at the start of a line; -1: there is none. */
static int64_t number_of(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, n) == 0)
			return strtoll(line + n, NULL, 10);
	}
	return -1;
}

static int64_t meminfo(const char *key)
{
	char text[TEXT_BYTES];
	int64_t kib = read_system("/proc/meminfo", text) ? number_of(text, key) : -1;

	return kib < 0 ? -1 : kib * 1024;
}

/* The path of our control group below the mount of version 2; false if there is none. */
static bool own_group(char ret[static TEXT_BYTES])
{
	char text[TEXT_BYTES], *path, *end;

	if (!read_system("/proc/self/cgroup", text))
		return false;
	path = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
	if (!path)
		return false;
	path = strchr(path, '/');
	end = strchr(path, '\n');
	if (end)
		*end = '\0';
	snprintf(ret, TEXT_BYTES, "%s", path);
	return true;
}

static bool read_group(const char *group, const char *file, char ret[static TEXT_BYTES])
{
	auto_free char *path =
	    xasprintf("/sys/fs/cgroup%s/%s", strcmp(group, "/") == 0 ? "" : group, file);

	return read_system(path, ret);
}

/* "max" is no number. */
static int64_t group_number(const char *group, const char *file)
{
	char text[TEXT_BYTES], *end;
	long long value;

	if (!read_group(group, file, text))
		return -1;
	value = strtoll(text, &end, 10);
	return end == text ? -1 : value;
}

static int64_t group_left(const char *group, int64_t limit)
{
	int64_t current = group_number(group, "memory.current"), cache = -1, left;
	char text[TEXT_BYTES];

	if (current < 0)
		return limit;
	if (read_group(group, "memory.stat", text))
		cache = number_of(text, "inactive_file ");
	left = limit - current + (cache > 0 ? cache : 0);
	return left < 0 ? 0 : left < limit ? left : limit;
}

static int64_t lesser(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* The least of a figure over our group and those above it that have a limit. */
static int64_t least_of_groups(int64_t start, bool left)
{
	char group[TEXT_BYTES];

	if (!own_group(group))
		return start;
	for (int i = 0; i < GROUPS_MAX && *group; i++) {
		int64_t limit = group_number(group, "memory.max");

		if (limit >= 0)
			start = lesser(start, left ? group_left(group, limit) : limit);
		*strrchr(group, '/') = '\0';
	}
	return start;
}

int64_t footprint_available(void)
{
	return least_of_groups(meminfo("MemAvailable:"), true);
}

int64_t footprint_limit(void)
{
	return least_of_groups(meminfo("MemTotal:"), false);
}

static double pressure(const char *of)
{
	auto_free char *system = xasprintf("/proc/pressure/%s", of);
	auto_free char *file = xasprintf("%s.pressure", of);
	char group[TEXT_BYTES], text[TEXT_BYTES];
	const char *at;

	if ((!own_group(group) || !read_group(group, file, text)) && !read_system(system, text))
		return -1;
	at = strstr(text, "some avg10=");
	return at ? strtod(at + strlen("some avg10="), NULL) : -1;
}

double footprint_memory_pressure(void)
{
	return pressure("memory");
}

double footprint_cpu_pressure(void)
{
	return pressure("cpu");
}
