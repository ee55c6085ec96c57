/* SPDX-License-Identifier: MIT */
#include "daemon/worker/reap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define REAP_PASSES 16 /* a generation of descendants each */

int reap_begin(struct err *err)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "cannot become a child subreaper");
	return 0;
}

pid_t reap_peek(void)
{
	siginfo_t info = {0};

	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return 0;
	return info.si_pid;
}

/* Children of the main thread, which is the only one that starts any and the one that orphans go
 * to. More than fit are met in the next pass. */
static void kill_children(void)
{
	char path[64], list[4096], *at = list;
	auto_fd int fd = -1;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, list, sizeof list - 1);
	if (n <= 0)
		return;
	list[n] = '\0';
	/* A number that the end of the buffer has cut is no child's, or not this time: every
	 * number that counts is followed by a space. */
	for (char *end; (end = strchr(at, ' ')); at = end + 1) {
		pid_t pid = (pid_t)strtol(at, NULL, 10);

		if (pid > 1)
			kill(pid, SIGKILL);
	}
}

bool reap_all(void)
{
	for (int pass = 0; pass < REAP_PASSES; pass++) {
		pid_t pid;

		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			continue;
		if (pid < 0)
			return errno == ECHILD;
		kill_children();
	}
	return false;
}
