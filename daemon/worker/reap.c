/* SPDX-License-Identifier: MIT */
#include "daemon/worker/reap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "lib/base/log.h"

#define REAP_MAGIC 0x72656170u
#define REAP_PASSES 16 /* a generation of descendants each */
#define REAP_TURN 256
#define SWEEP_AGAIN_MS 20
#define SWEEP_LIMIT_MS 2000

struct reaper {
	unsigned magic;
	struct loop *loop;
	struct loop_signal child;
	struct loop_timer again;
	struct list watched, sweeps;
};

int reap_begin(struct err *err)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "cannot become a child subreaper");
	return 0;
}

/* The first child that has ended, left as a zombie. 0: none has; -1: there are no children. */
static pid_t peek(void)
{
	siginfo_t info = {0};

	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return -1;
	return info.si_pid;
}

static struct reap_child *watched(struct reaper *r, pid_t pid)
{
	list_each(struct reap_child, c, &r->watched, link) {
		if (c->pid == pid)
			return c;
	}
	return NULL;
}

/* --- strays ----------------------------------------------------------------------------------- */

static bool is_stray(struct reaper *r, pid_t pid)
{
	return pid > 1 && !watched(r, pid) && !watched(r, getpgid(pid));
}

/* Children of the main thread, which is the only one that starts any and the one that orphans go
 * to. More than fit are met in the next pass. Returns how many were killed. */
static unsigned kill_children(struct reaper *r)
{
	char path[64], list[4096], *at = list;
	auto_fd int fd = -1;
	unsigned killed = 0;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, list, sizeof list - 1);
	if (n <= 0)
		return 0;
	list[n] = '\0';
	/* A number that the end of the buffer has cut is no child's, or not this time: every
	 * number that counts is followed by a space. */
	for (char *end; (end = strchr(at, ' ')); at = end + 1) {
		pid_t pid = (pid_t)strtol(at, NULL, 10);

		if (!is_stray(r, pid))
			continue;
		kill(pid, SIGKILL);
		killed++;
	}
	return killed;
}

bool reaper_kill_strays(struct reaper *r)
{
	for (int pass = 0; pass < REAP_PASSES; pass++) {
		pid_t pid;

		while ((pid = peek()) > 0) {
			if (watched(r, pid))
				return false; /* its own end comes first */
			waitpid(pid, NULL, WNOHANG);
		}
		if (pid < 0)
			return true;
		if (kill_children(r) == 0 && !list_empty(&r->watched))
			return true;
	}
	return false;
}

static bool has_one_alone(const struct reaper *r)
{
	list_each(struct reap_child, c, &r->watched, link) {
		if (c->alone)
			return true;
	}
	return false;
}

static void sweep(struct reaper *r)
{
	bool clean = has_one_alone(r) || reaper_kill_strays(r);
	int64_t now = loop_now_ms(r->loop);

	list_each(struct reap_sweep, s, &r->sweeps, link) {
		if (!clean && now < s->until_ms)
			continue;
		if (!clean)
			log_warn("processes that a handler left behind do not die");
		list_del(&s->link);
		s->swept(s->arg);
	}
	if (list_empty(&r->sweeps))
		loop_timer_stop(&r->again); /* as a rule the end of a child has called this, before its time */
	else
		loop_timer_set(&r->again, SWEEP_AGAIN_MS);
}

void reaper_sweep(struct reaper *r, struct reap_sweep *s)
{
	s->until_ms = loop_now_ms(r->loop) + SWEEP_LIMIT_MS;
	list_add_tail(&r->sweeps, &s->link);
	loop_timer_set(&r->again, 0);
}

void reaper_sweep_stop(struct reap_sweep *s)
{
	if (s->link.next)
		list_del(&s->link);
}

/* --- ends ------------------------------------------------------------------------------------- */

/* Children end here in any order: handlers, and orphans that end while these run. */
static void collect(struct reaper *r)
{
	pid_t pid = 0;

	for (int i = 0; i < REAP_TURN && (pid = peek()) > 0; i++) {
		struct reap_child *c = watched(r, pid);

		if (!c) {
			waitpid(pid, NULL, WNOHANG);
			continue;
		}
		list_del(&c->link);
		c->exited(c->arg);
	}
	if (pid > 0)
		loop_timer_set(&r->again, 0); /* there are more, and no signal will say so */
	else if (!list_empty(&r->sweeps))
		sweep(r);
}

static void on_child(struct loop_signal *s)
{
	OBJ(struct reaper, r, s->arg, REAP_MAGIC);

	collect(r);
}

static void on_again(struct loop_timer *t)
{
	OBJ(struct reaper, r, t->arg, REAP_MAGIC);

	collect(r);
}

void reaper_watch(struct reaper *r, struct reap_child *c)
{
	list_add_tail(&r->watched, &c->link);
}

void reaper_forget(struct reap_child *c)
{
	if (c->link.next)
		list_del(&c->link);
}

struct reaper *reaper_new(struct loop *loop)
{
	struct reaper *r = xcalloc(1, sizeof *r);

	r->magic = REAP_MAGIC;
	r->loop = loop;
	list_init(&r->watched);
	list_init(&r->sweeps);
	loop_timer_init(&r->again, loop, on_again, r);
	loop_signal_start(&r->child, loop, SIGCHLD, on_child, r);
	return r;
}

void reaper_free(struct reaper *r)
{
	if (!r)
		return;
	loop_timer_stop(&r->again);
	loop_signal_stop(&r->child);
	r->magic = 0;
	free(r);
}
