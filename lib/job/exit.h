/* SPDX-License-Identifier: MIT */
/*
 * What the end of a `command` handler means: pure. Exit 0 done; 75 (EX_TEMPFAIL of sysexits) retry; one
 * of `dead_exits` dead; 126/127: the handler itself is broken (retried, and said so); a signal, a
 * timeout, a kill by the kernel's OOM killer: retried, told apart in the error.
 */
#ifndef SKEP_JOB_EXIT_H
#define SKEP_JOB_EXIT_H

#include "lib/job/job.h"

#define EXIT_RETRY 75

struct exit_facts {
	int wait_status; /* of waitpid(2) */
	bool timed_out;  /* we ended it for its timeout */
	bool cancelled;  /* we ended it on request */
	bool released;   /* we ended it for a shutdown */
	bool oom;        /* SIGKILL, not ours, and the kernel counted an OOM kill meanwhile */
	int64_t timeout_ms;
	const uint8_t *dead_exits; /* bitmap of 256 exit codes */
};

struct exit_reading {
	enum outcome outcome;
	int exit_code; /* -1 if ended by a signal */
	int signal;    /* 0 if it exited */
	char error[200]; /* empty when done */
};

void exit_read(const struct exit_facts *facts, struct exit_reading *ret);

#endif
