/* SPDX-License-Identifier: MIT */
/*
 * Whoever ended the run decides first: a handler that was told to go may exit with anything, also
 * with 0 from a trap, so its exit code proves nothing about the work. Running such a job again is
 * safe, taking it for done is not.
 */
#include "lib/job/exit.h"

#include <signal.h>
#include <sys/wait.h>

#include "lib/base/clock.h"

#define EXIT_NOT_EXECUTABLE 126 /* of the shell, and what we record for an exec that failed */
#define EXIT_NOT_FOUND 127

#define SAY(ret, ...) (void)snprintf((ret)->error, sizeof(ret)->error, __VA_ARGS__)

static void read_code(const struct exit_facts *f, struct exit_reading *ret)
{
	unsigned code = (unsigned)ret->exit_code;

	ret->outcome = OUTCOME_RETRY;
	if (code == 0) {
		ret->outcome = OUTCOME_DONE;
	} else if (f->dead_exits && (f->dead_exits[code / 8] >> (code % 8) & 1)) {
		ret->outcome = OUTCOME_DEAD;
		SAY(ret, "exited with %u, which is one of dead_exits", code);
	} else if (code == EXIT_RETRY) {
		SAY(ret, "asked for another attempt (exit %u)", code);
	} else if (code == EXIT_NOT_EXECUTABLE) {
		SAY(ret, "the handler is broken: a command in it cannot be executed (exit %u)",
		    code);
	} else if (code == EXIT_NOT_FOUND) {
		SAY(ret, "the handler is broken: a command in it was not found (exit %u)", code);
	} else {
		SAY(ret, "exited with %u", code);
	}
}

static void read_signal(const struct exit_facts *f, struct exit_reading *ret)
{
	const char *name = sigabbrev_np(ret->signal);
	const char *core = WCOREDUMP(f->wait_status) ? ", core dumped" : "";

	ret->outcome = OUTCOME_RETRY;
	if (f->oom)
		SAY(ret, "killed by the kernel: out of memory");
	else if (name)
		SAY(ret, "killed by signal %d (SIG%s)%s", ret->signal, name, core);
	else
		SAY(ret, "killed by signal %d%s", ret->signal, core);
}

void exit_read(const struct exit_facts *f, struct exit_reading *ret)
{
	char limit[24];

	*ret = (struct exit_reading){.exit_code = -1};
	if (WIFSIGNALED(f->wait_status))
		ret->signal = WTERMSIG(f->wait_status);
	else
		ret->exit_code = WEXITSTATUS(f->wait_status);
	if (f->cancelled) {
		ret->outcome = OUTCOME_CANCELLED;
		SAY(ret, "cancelled while it ran");
	} else if (f->timed_out) {
		ret->outcome = OUTCOME_RETRY;
		SAY(ret, "timed out after %s", clock_format_duration(limit, f->timeout_ms));
	} else if (f->released) {
		ret->outcome = OUTCOME_RELEASED;
		SAY(ret, "stopped by a shutdown and handed back");
	} else if (ret->signal) {
		read_signal(f, ret);
	} else {
		read_code(f, ret);
	}
}
