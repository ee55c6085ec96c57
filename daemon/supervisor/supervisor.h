/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's state, shared by its own modules: the table of children, what the store is told
 * of them (peers.c), and how everything stops (stop.c). supervisor.c builds it, reaps and runs.
 *
 *   WAITING --start--> SPAWNED --START sent--> STARTING --READY--> READY --STOP sent--> STOPPING
 *      ^                  |                        |                 |                     |
 *      |                  +------------------------+---- it ends ----+---------------------+
 *      |                                                                                   v
 *      +---- after a wait (restart.h), unless it is to stay away: GONE <------------ BURYING
 *
 * A child is BURYING from its reaping until nothing that it left behind lives any more. A worker that
 * its pool does not need (crew.h) is OFF, before WAITING and after BURYING.
 */
#ifndef SKEP_DAEMON_SUPERVISOR_SUPERVISOR_H
#define SKEP_DAEMON_SUPERVISOR_SUPERVISOR_H

#include "daemon/supervisor/crew.h"
#include "daemon/supervisor/instance.h"
#include "daemon/supervisor/launch.h"
#include "daemon/supervisor/move.h"
#include "daemon/supervisor/notify.h"
#include "daemon/supervisor/orphans.h"
#include "daemon/supervisor/restart.h"
#include "daemon/supervisor/scaler.h"

#define SUPERVISOR_MAGIC 0x73757076u
#define CHILD_MAGIC 0x6368696cu

enum child_state {
	CHILD_OFF,
	CHILD_WAITING,
	CHILD_SPAWNED,
	CHILD_STARTING,
	CHILD_READY,
	CHILD_STOPPING,
	CHILD_BURYING,
	CHILD_GONE,
	CHILD_STATE_COUNT
};

struct child {
	unsigned magic;
	struct supervisor *s;
	enum role_id role;
	struct crew *crew; /* NULL for those that are one per node */
	unsigned number;   /* in its crew, from 1 */
	char name[80], title[96]; /* "default/1", "worker default/1" */
	const struct account *account;
	uint32_t slot, generation;
	enum child_state state;
	pid_t pid; /* 0: no process */
	struct peer *control;
	bool asked; /* it was told to stop */
	bool leaving; /* because its pool does not need it any more: then it is OFF */
	int64_t started_ms, wait_ms;
	struct restart restart;
	struct loop_timer timer; /* WAITING: start it; else it should have ended by now */

	/* The last process that ended here, until a store has been told so. */
	struct {
		bool open;
		pid_t pid;
		uint32_t generation;
		bool asked;
	} grave;
};

struct stop {
	bool on, hurry;
	unsigned phase; /* stop order (roles.def) that is under way */
	bool hurried; /* this phase has been told to hurry */
	struct loop_timer timer;
};

struct supervisor {
	unsigned magic;
	const struct conf *conf;
	struct loop *loop;
	struct peer_hub *hub;
	struct board *board;
	struct account account; /* of store, courier, gateway, and of pools that name no user */
	struct account *pool_accounts;
	struct instance instance;
	struct listeners listeners;
	struct launch launch;
	struct notify notify;
	struct orphans orphans;
	struct child *children;
	size_t nchildren;
	struct crew *crews; /* by the pool's index in the configuration */
	struct scaler scaler;
	struct child *store;
	struct stop stop;
	struct move *move; /* NULL: a node that runs jobs */
	struct loop_hook turn;
	struct loop_timer burial; /* looks again at what will not die */
	struct loop_signal term, intr, hup, chld;
	bool ready;
	unsigned restarts;
};

/* Runs the node until it is told to stop, or all is moved. The exit code of skepd. */
int supervisor_run(const struct conf *conf, struct move *move);

/* child.c */
void child_init(struct child *c, struct supervisor *s, enum role_id role);
void child_init_worker(struct child *c, struct supervisor *s, struct crew *crew, unsigned number);
const char *child_pool(const struct child *c); /* "" for those that are one per node */
void child_start(struct child *c); /* OFF or WAITING: now */
void child_introduce(struct child *c); /* SPAWNED: send START */
void child_stop(struct child *c, bool hurry, int64_t within_ms); /* with a process: send STOP */
void child_kill(struct child *c);
void child_ended(struct child *c, int wait_status); /* it was reaped */
void child_buried(struct child *c);  /* nothing of it is left: wait for a restart, or be gone */
void child_put_away(struct child *c); /* WAITING -> OFF */
void child_give_up(struct child *c); /* OFF or WAITING -> GONE */
static inline bool child_is_alive(const struct child *c)
{
	return c->pid != 0;
}

/* peers.c: what the store knows of the others. */
bool peers_store_listens(const struct supervisor *s);
void peers_tell_all(struct supervisor *s); /* to a store that has just been started */
void peers_tell_started(struct child *c);  /* before it is introduced */
void peers_tell_buried(struct child *c);
bool peers_store_caught_up(struct supervisor *s); /* has taken everything that it was told */

/* stop.c */
void stop_request(struct supervisor *s, const char *signal_name); /* again: hurry */
void stop_advance(struct supervisor *s); /* a child is gone */
bool stop_reached(const struct supervisor *s, enum role_id role); /* that role is to stay away */
int64_t stop_longest_ms(const struct supervisor *s);

#endif
