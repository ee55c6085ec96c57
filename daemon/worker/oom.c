/* SPDX-License-Identifier: MIT */
#include "daemon/worker/oom.h"

#include <fcntl.h>

#define OOM_COUNTER "oom_kill " /* the same word in both files */

/* A small file of /proc or /sys as a C string. */
static bool read_text(const char *path, char *text, size_t cap)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t got;

	if (fd < 0)
		return false;
	while (n < cap - 1 && (got = read(fd, text + n, cap - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	return true;
}

static int64_t read_counter(const char *path)
{
	char text[16384];
	const char *line;

	if (!*path || !read_text(path, text, sizeof text))
		return -1;
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, OOM_COUNTER, strlen(OOM_COUNTER)) == 0)
			return strtoll(line + strlen(OOM_COUNTER), NULL, 10);
	}
	return -1;
}

/* The line `0::/path` of /proc/self/cgroup is the unified hierarchy's. */
static void cgroup_path(char *path, size_t cap)
{
	char text[4096];
	const char *line;

	*path = '\0';
	if (!read_text("/proc/self/cgroup", text, sizeof text))
		return;
	line = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
	if (!line)
		return;
	line = strchr(line, '/');
	snprintf(path, cap, "/sys/fs/cgroup%.*s/memory.events", (int)strcspn(line, "\n"), line);
}

void oom_init(struct oom *o)
{
	cgroup_path(o->path, sizeof o->path);
	o->seen = read_counter(o->path);
	if (o->seen >= 0)
		return;
	slice_copy(o->path, sizeof o->path, slice_str("/proc/vmstat"));
	o->seen = read_counter(o->path);
}

bool oom_check(struct oom *o)
{
	int64_t now = read_counter(o->path);
	bool moved = now > o->seen;

	o->seen = now;
	return moved;
}

/* --- the score of handlers -------------------------------------------------------------------- */

static struct {
	bool tried;
	int fd; /* of our own score; negative: it cannot be written */
	char own[16], lent[16];
} score = {.fd = -1};

static bool write_score(const char *text)
{
	return pwrite(score.fd, text, strlen(text), 0) == (ssize_t)strlen(text);
}

static void find_score(void)
{
	static const char path[] = "/proc/self/oom_score_adj";

	score.tried = true;
	snprintf(score.lent, sizeof score.lent, "%d", OOM_HANDLER_SCORE);
	if (read_text(path, score.own, sizeof score.own))
		score.fd = open(path, O_WRONLY | O_CLOEXEC);
}

bool oom_lend_score(void)
{
	if (!score.tried)
		find_score();
	return score.fd >= 0 && write_score(score.lent);
}

/* Who may raise a score may set it back: the least that is allowed does not move with it (proc(5)), save
 * for who may set any. Were it refused all the same, it would not be lent again. */
void oom_take_score_back(void)
{
	if (write_score(score.own))
		return;
	close(score.fd);
	score.fd = -1;
}
