/* SPDX-License-Identifier: MIT */
/*
 * The store process: who is connected, what each may say, and the order of a turn (store.c). What
 * is written in the books is decided by the modules on ledger.h; the files that include this one
 * turn frames into calls of them and their results into answers.
 */
#ifndef SKEP_STORE_STORE_H
#define SKEP_STORE_STORE_H

#include "daemon/inherit.h"
#include "daemon/process.h"
#include "daemon/store/disk.h"
#include "daemon/store/due.h"
#include "daemon/store/ledger.h"
#include "daemon/store/pace.h"
#include "daemon/store/sweep.h"
#include "daemon/store/waits.h"
#include "daemon/store/watches.h"

enum member_phase {
	MEMBER_EXPECTED, /* not connected, or no HELLO yet */
	MEMBER_HOLDING,	 /* a worker that still names the runs it holds */
	MEMBER_WAITING,	 /* has said all; the store has not recovered yet */
	MEMBER_WELCOMED,
};

/* A process of the node that may connect, as the supervisor has named it. */
struct member {
	unsigned magic;
	struct list link;
	struct store *s;
	pid_t pid;
	enum role_id role;
	char name[80];
	enum member_phase phase;
	struct peer *peer; /* NULL: not connected */
	uint32_t holds;	   /* HOLD frames still to come */
	struct claim_owner claims;
	uint32_t slot; /* on the board */
	const struct conf_pool *pool; /* a worker's; NULL: not configured (any more) */
	uint32_t want;	 /* the embedded queue: so many open runs at most */
	size_t turn;	 /* ...which of its pool's queues is served next */
	bool starved;	 /* ...none of them had anything in this turn */
	bool reported; /* an outcome of it is in this batch */
	bool early;	    /* was alive before this store: recovery waits for it */
	bool buried, asked; /* BURIED has come; to be judged at the end of this turn */
};

struct store {
	unsigned magic;
	struct process *p;
	struct ledger ledger;
	struct loop_hook turn;
	struct loop_timer sweep_timer, disk_timer;
	struct sweep sweep;
	struct due due;
	struct disk disk;
	struct watches watches;
	struct waits waits;
	struct loop_timer waits_timer;
	struct pace pace;
	struct loop_timer pace_timer;

	struct list members;
	struct loop_io listeners[INHERIT_LISTEN_MAX];
	int listener_fds[INHERIT_LISTEN_MAX];
	size_t nlisteners;
	bool peers_end; /* the supervisor has named all that were alive */
	bool recovered; /* ...and each was heard or buried: answers may be given */

	bool running;	 /* the database is open */
	bool stop_asked; /* this turn is the last */
	bool throttled;	 /* the batch is full: nobody is read before the commit */
	bool resting;	 /* workers are not read until pace_timer ends it */
	bool verdicts;	 /* this batch has some */

	struct member *courier; /* welcomed and connected, or NULL */
	uint32_t credit;
	struct loop_timer deal_timer; /* a lane's backoff ends */
};

#define STORE_MAGIC 0x73746f72u

extern const struct role store_role;

/* A frame of a welcomed member. -EPROTO closes its connection. */
typedef int member_frame_fn(struct member *m, struct frame *f);

/* What each role may say, by message type: workers.c, courier.c, gateway.c. */
extern member_frame_fn *const workers_frames[MSG_COUNT];
extern member_frame_fn *const courier_frames[MSG_COUNT];
extern member_frame_fn *const gateway_frames[MSG_COUNT];

/* courier.c: hands out what is ready, as far as the courier has room. */
void courier_deal(struct store *s);
void courier_begin(struct store *s, struct member *m);
void courier_gone(struct store *s);

/* gateway.c: a job is over, a gateway has gone. */
void gateway_job_over(struct store *s, const struct job_names *job, enum job_state state);

/* workers.c */
int workers_hold(struct member *m, struct frame *f);
void workers_welcome(struct member *m); /* after WELCOME: what it must know before it begins */
void workers_turn(struct store *s);	/* verdicts that had to wait */
void workers_dropped(
    struct member *m, struct claim *claim); /* a run that its worker knows nothing of */
void workers_not_received(struct member *m); /* what the last store could not tell it any more */

#endif
