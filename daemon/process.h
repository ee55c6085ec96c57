/* SPDX-License-Identifier: MIT */
/*
 * What every child of the supervisor is made of: descriptors by number (inherit.h), the configuration, the
 * board, the control socket. A role is a table of four functions; its main() is one line.
 */
#ifndef SKEP_DAEMON_PROCESS_H
#define SKEP_DAEMON_PROCESS_H

#include "lib/base/loop.h"
#include "lib/board/board.h"
#include "lib/conf/conf.h"
#include "lib/ipc/peer.h"

enum role_id {
#define ROLE(NAME, ...) ROLE_##NAME,
#include "daemon/roles.def"
#undef ROLE
	ROLE_COUNT
};

/* What this node is for: to run jobs, or only to carry what waits from one queue to the other (supervisor/move.h). */
enum node_move {
	MOVE_NOT,
	MOVE_OUT, /* from the embedded queue to the broker */
	MOVE_IN,  /* from the broker to the embedded queue */
	MOVE_COUNT
};

const char *role_program(enum role_id role); /* "skep-store" */
const char *role_word(enum role_id role);    /* "store" */

struct process;

struct role {
	enum role_id id;
	/* START has come: build the role's state (returned in p->role) and begin. Negative: the text in
	 * err is logged and the process exits EXIT_PERMANENT (code -EINVAL, -EPERM, -ENOENT, -EACCES) or
	 * EXIT_TEMPORARY. Calls process_ready() now or later. */
	int (*start)(struct process *p, struct err *err);
	/* Take nothing new, finish within the time, then process_exit(EXIT_DRAINED). May be called
	 * again with hurry: leave now. Called with hurry as well when the supervisor is gone. */
	void (*stop)(struct process *p, bool hurry, int64_t within_ms);
	/* A frame on the control socket beyond START and STOP (the store has some). May be NULL. */
	int (*control)(struct process *p, struct frame *f);
	/* Called by process_before_hub(): register hooks that must run before the hub writes. May be
	 * NULL. */
	void (*before_hub)(struct process *p);
};

struct process {
	const struct role *role_ops;
	void *role; /* the role's own state */
	struct loop *loop;
	struct peer_hub *hub;
	struct conf *conf;
	struct board *board;
	struct board_slot *slot; /* draft of this process's own slot; NULL for the gateway */
	uint32_t slot_index, generation;
	struct peer *control;
	char pool[64], name[80]; /* "default", "default/1" */
	enum node_move move;
	int exit_code;
	bool stopping;
};

/* Runs a role until process_exit(). Returns the exit code. */
int process_main(const struct role *role, int argc, char **argv);

void process_ready(struct process *p, const char *status);

/* Publishes the slot at the end of this loop turn (cheap, may be called often). */
void process_board_changed(struct process *p);

/* Leaves the loop; peers are flushed first. */
void process_exit(struct process *p, int code);

#endif
