/* SPDX-License-Identifier: MIT */
/* The start of a handler's program, the same for commands and services. */
#ifndef SKEP_WORKER_LAUNCH_H
#define SKEP_WORKER_LAUNCH_H

#include "daemon/worker/run.h"
#include "lib/base/spawn.h"

/* `words` (the handler's command or service) in a process group of its own, with the descriptors
 * alone that `fds` names; SIGKILL when this process dies. Negative errno with err. The program is
 * looked up for each start, so that a handler may be repaired under a running worker. A relative
 * path with a slash is taken from `directory`, by being executed there. */
int launch(const struct conf_handler *h, const struct conf_words *words, char *const *envp,
    const struct spawn_fd *fds, size_t nfds, pid_t *ret_pid, struct err *err);

/* Why it could not be started, as the end of a run: exit code 127: no such program, 126: it cannot
 * be executed; -1: this machine lacks something for it. */
void launch_failed(int rc, const char *text, struct run_end *end);

#endif
