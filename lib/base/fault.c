/* SPDX-License-Identifier: MIT */
#include "lib/base/fault.h"

#ifdef SKEP_FAULTS

#include <fcntl.h>
#include <signal.h>

#include "lib/base/base.h"

static const char *const names[] = {
#define FAULT_POINT(id, name, text) [FAULT_##id] = name,
#include "lib/base/faults.def"
#undef FAULT_POINT
};

enum action { ACTION_NONE, ACTION_KILL, ACTION_STOP };

static struct {
	bool read;
	struct {
		enum action action;
		unsigned after; /* passages still to let by, and this one */
	} point[FAULT_COUNT];
} plan;

/* One "name:action[@n]". Aborts on a wrong word, so that a typing error cannot pass for a pass. */
static void plan_one(char *word)
{
	char *action = strchr(word, ':'), *count = strchr(word, '@');
	unsigned long after = 1;

	if (!action)
		BUG("SKEP_FAULT: no action in '%s'", word);
	*action++ = '\0';
	if (count) {
		*count++ = '\0';
		after = strtoul(count, NULL, 10);
	}
	if ((strcmp(action, "stop") != 0 && strcmp(action, "kill") != 0) || after == 0)
		BUG("SKEP_FAULT: '%s' is none of kill, stop, kill@N, stop@N", action);
	for (size_t i = 0; i < FAULT_COUNT; i++) {
		if (strcmp(word, names[i]) != 0)
			continue;
		plan.point[i].action = strcmp(action, "stop") == 0 ? ACTION_STOP : ACTION_KILL;
		plan.point[i].after = (unsigned)after;
		return;
	}
	BUG("SKEP_FAULT: no fault point '%s'", word);
}

static void plan_read(void)
{
	const char *env = getenv("SKEP_FAULT");
	auto_free char *copy = xstrdup(env ? env : "");
	char *rest = copy, *word;

	plan.read = true;
	while ((word = strtok_r(rest, ",", &rest)))
		plan_one(word);
}

/* Only the first process to come here fires, where a directory is given. */
static bool first_of_all(enum fault_point point)
{
	const char *dir = getenv("SKEP_FAULT_DIR");
	auto_free char *path = NULL;
	int fd;

	if (!dir)
		return true;
	path = xasprintf("%s/%s", dir, names[point]);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

void fault_hit(enum fault_point point)
{
	if (!plan.read)
		plan_read();
	if (plan.point[point].action == ACTION_NONE || --plan.point[point].after > 0)
		return;
	if (first_of_all(point))
		raise(plan.point[point].action == ACTION_STOP ? SIGSTOP : SIGKILL);
	plan.point[point].action = ACTION_NONE;
}

#endif
