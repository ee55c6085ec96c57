/* SPDX-License-Identifier: MIT */
#include "daemon/worker/launch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "daemon/worker/environment.h"
#include "daemon/worker/oom.h"
#include "daemon/worker/scheduling.h"

#define CODE_NOT_EXECUTABLE 126
#define CODE_NOT_FOUND 127

int launch(const struct conf_handler *h, const struct conf_words *words, char *const *envp,
    const struct spawn_fd *fds, size_t nfds, pid_t *ret_pid, struct err *err)
{
	auto_free char *program = NULL;
	struct spawn s = {.argv = words->v,
	    .envp = envp,
	    .fds = fds,
	    .nfds = nfds,
	    .directory = h->directory && *h->directory ? h->directory : NULL,
	    .new_group = true,
	    .sched_other = scheduling_is_batch(),
	    .death_signal = SIGKILL};
	bool lent;
	int rc;

	if (words->n == 0)
		return err_set(err, -ENOENT, "it has no program");
	program = spawn_find(words->v[0], environment_value(envp, "PATH"));
	if (!program)
		return err_set(err, -ENOENT, "cannot find the program '%s' in PATH", words->v[0]);
	s.path = program;
	lent = oom_lend_score();
	s.oom_score_adj = lent ? 0 : OOM_HANDLER_SCORE;
	rc = spawn_process(&s, ret_pid, err);
	if (lent)
		oom_take_score_back();
	return rc;
}

void launch_failed(int rc, const char *text, struct run_end *end)
{
	static const int not_executable[] = {
	    EACCES, ENOEXEC, ENOTDIR, EISDIR, EPERM, ELOOP, ETXTBSY};

	end->outcome = OUTCOME_RETRY;
	end->exit_code = rc == -ENOENT ? CODE_NOT_FOUND : -1;
	for (size_t i = 0; i < ARRAY_SIZE(not_executable); i++) {
		if (rc == -not_executable[i])
			end->exit_code = CODE_NOT_EXECUTABLE;
	}
	snprintf(end->error, sizeof end->error, "%s%.*s",
	    end->exit_code < 0 ? "" : "the handler is broken: ", ERR_TEXT_BYTES - 40, text);
}
