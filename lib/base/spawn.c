/* SPDX-License-Identifier: MIT */
/*
 * vfork(2), since a fork copies the page tables of a parent that may be large: measured 86 starts a
 * second from a process of 200 MiB against 1.4k with vfork or posix_spawn; and posix_spawn itself can
 * set neither PR_SET_PDEATHSIG nor a uid. The child shares our memory until exec, so it only makes
 * system calls on what was prepared before, and hands its errno back through `failure`.
 */
#include "lib/base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct child {
	const struct spawn *s;
	pid_t parent;
	int moved[SPAWN_FDS_MAX];
	const char *oom_score; /* text, prepared by the parent */
	volatile int failure;
	const char *volatile doing;
};

#define SPAWN_HIGH_FD 200 /* above every `to` */

/* True when no descriptor stands where another one is to go. */
static bool all_above(const struct spawn *s)
{
	int lowest = SPAWN_HIGH_FD, highest = -1;

	for (size_t i = 0; i < s->nfds; i++) {
		lowest = s->fds[i].from < lowest ? s->fds[i].from : lowest;
		highest = s->fds[i].to > highest ? s->fds[i].to : highest;
	}
	return lowest > highest;
}

static bool child_place_fds(struct child *c)
{
	const struct spawn *s = c->s;
	bool move = !all_above(s);

	for (size_t i = 0; i < s->nfds; i++) {
		c->moved[i] = move ? fcntl(s->fds[i].from, F_DUPFD_CLOEXEC, SPAWN_HIGH_FD) : s->fds[i].from;
		if (c->moved[i] < 0)
			return false;
	}
	for (size_t i = 0; i < s->nfds; i++) {
		if (dup2(c->moved[i], s->fds[i].to) < 0)
			return false;
	}
	return true;
}

static bool child_become(const struct spawn_user *u)
{
	return !u || (setgroups(u->ngroups, u->groups) == 0 && setresgid(u->gid, u->gid, u->gid) == 0 &&
			 setresuid(u->uid, u->uid, u->uid) == 0);
}

/* Best effort: raising it is always allowed, lowering it is not. */
static void child_oom_score(const char *text)
{
	int fd = text ? open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		errno = 0;
	close(fd);
}

static void child_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	/* exec resets caught signals by itself, but not the ignored ones, ours or inherited. */
	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The death signal comes last, since a change of uid clears it; then the parent is checked, which may
 * have died before it was set. */
static void child_run(struct child *c)
{
	const struct spawn *s = c->s;

	c->doing = "cannot place descriptors for";
	if (!child_place_fds(c))
		return;
	if (s->new_group)
		setpgid(0, 0);
	child_oom_score(c->oom_score);
	if (s->sched_other)
		sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
	c->doing = "cannot change the user for";
	if (!child_become(s->user))
		return;
	c->doing = "cannot enter the directory for";
	if (s->directory && chdir(s->directory) < 0)
		return;
	if (s->no_new_privs)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (s->death_signal) {
		prctl(PR_SET_PDEATHSIG, s->death_signal, 0, 0, 0);
		c->doing = "parent died before the start of";
		errno = ESRCH;
		if (getppid() != c->parent)
			return;
	}
	child_signals();
	c->doing = "cannot start";
	execve(s->path, s->argv, s->envp);
}

int spawn_process(const struct spawn *s, pid_t *ret_pid, struct err *err)
{
	char oom_score[16];
	struct child c = {.s = s, .parent = getpid()};
	sigset_t all, old;
	pid_t pid;

	if (s->nfds > SPAWN_FDS_MAX)
		BUG("%zu descriptors for '%s'", s->nfds, s->path);
	if (s->oom_score_adj) {
		snprintf(oom_score, sizeof oom_score, "%d", s->oom_score_adj);
		c.oom_score = oom_score;
	}
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	pid = vfork();
	if (pid == 0) {
		child_run(&c);
		c.failure = errno;
		_exit(127);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return err_sys(err, errno, "cannot fork for '%s'", s->path);
	if (c.failure) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
		return err_sys(err, c.failure, "%s '%s'", c.doing, s->path);
	}
	*ret_pid = pid;
	return 0;
}

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *spawn_find(const char *word, const char *path)
{
	auto_free char *copy = NULL;
	char *rest, *dir;

	if (strchr(word, '/'))
		return xstrdup(word);
	if (!path)
		path = getenv("PATH");
	copy = xstrdup(path ? path : "/usr/local/bin:/usr/bin:/bin");
	rest = copy;
	while ((dir = strtok_r(rest, ":", &rest))) {
		char *full = xasprintf("%s/%s", dir, word);

		if (is_program(full))
			return full;
		free(full);
	}
	return NULL;
}
