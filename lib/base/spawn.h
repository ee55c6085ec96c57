/* SPDX-License-Identifier: MIT */
/*
 * Starting a program: descriptors by number, process group, user, parent-death signal, in one call that
 * costs what posix_spawn does. Nothing is inherited that is not named: every descriptor of ours is
 * O_CLOEXEC, signal dispositions and the mask are reset.
 */
#ifndef SKEP_BASE_SPAWN_H
#define SKEP_BASE_SPAWN_H

#include <sys/types.h>

#include "lib/base/err.h"

#define SPAWN_FDS_MAX 16

struct spawn_fd {
	int from; /* a descriptor of the caller's */
	int to;   /* its number in the program */
};

/* Whom to become (root only). */
struct spawn_user {
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t ngroups;
};

struct spawn {
	const char *path;   /* no PATH search: see spawn_find() */
	char *const *argv;
	char *const *envp;
	const struct spawn_fd *fds;
	size_t nfds;
	const char *directory;         /* NULL: the caller's */
	const struct spawn_user *user; /* NULL: the caller's */
	bool new_group;                /* leads a process group of its own */
	int death_signal;              /* sent to it when the caller dies; 0: none */
	bool no_new_privs;
	bool sched_other;              /* scheduled as SCHED_OTHER, whatever the caller is */
	int oom_score_adj;             /* written if not 0 and permitted */
};

/* Starts it. Errors of the child before exec (no such file, no permission, no such directory) are
 * reported here, as the caller's errors: -errno, text in err. */
int spawn_process(const struct spawn *s, pid_t *ret_pid, struct err *err);

/* Resolves a command word as execvp would: a name with a slash stands for itself, others are looked
 * up in `path` (NULL: $PATH, or the system's default). Returns a fresh string, or NULL. */
char *spawn_find(const char *word, const char *path);

#endif
