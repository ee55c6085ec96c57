/* SPDX-License-Identifier: MIT */
#include "daemon/supervisor/orphans.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>

typedef void each_fn(pid_t pid, void *arg);

/* The kernel's own list (CONFIG_PROC_CHILDREN). It is exact here: nobody but us takes entries out
 * of it, since a zombie stays in it until it is reaped. */
static bool list_children(each_fn *fn, void *arg)
{
	auto_free char *path = xasprintf("/proc/self/task/%d/children", (int)getpid());
	FILE *f = fopen(path, "re");
	int pid;

	if (!f)
		return false;
	while (fscanf(f, "%d", &pid) == 1)
		fn(pid, arg);
	fclose(f);
	return true;
}

/* The parent's pid is the second field after the name in parentheses, which may hold anything. */
static long parent_of(const char *pid)
{
	auto_free char *path = xasprintf("/proc/%s/stat", pid);
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[512], *after;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	after = strrchr(text, ')');
	return after && strlen(after) > 4 ? strtol(after + 4, NULL, 10) : -1;
}

static void scan_processes(each_fn *fn, void *arg)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && parent_of(e->d_name) == getpid())
			fn((pid_t)strtol(e->d_name, NULL, 10), arg);
	}
	closedir(dir);
}

static void each_child(each_fn *fn, void *arg)
{
	if (!list_children(fn, arg))
		scan_processes(fn, arg);
}

static void spare(pid_t pid, void *arg)
{
	struct orphans *o = arg;

	o->spared = xrealloc(o->spared, (o->nspared + 1) * sizeof *o->spared);
	o->spared[o->nspared++] = pid;
}

void orphans_adopt(struct orphans *o)
{
	*o = (struct orphans){0};
	each_child(spare, o);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

void orphans_free(struct orphans *o)
{
	free(o->spared);
	*o = (struct orphans){0};
}

struct hunt {
	const struct orphans *o;
	bool (*known)(pid_t pid, void *arg);
	void *arg;
	size_t doomed;
};

static void hunt_one(pid_t pid, void *arg)
{
	struct hunt *h = arg;

	for (size_t i = 0; i < h->o->nspared; i++) {
		if (h->o->spared[i] == pid)
			return;
	}
	/* One that has become another user (set-uid) is out of reach, however long we wait. */
	if (!h->known(pid, h->arg) && kill(pid, SIGKILL) == 0)
		h->doomed++;
}

size_t orphans_kill(struct orphans *o, bool (*known)(pid_t pid, void *arg), void *arg)
{
	struct hunt h = {o, known, arg, 0};

	each_child(hunt_one, &h);
	return h.doomed;
}
