/* SPDX-License-Identifier: MIT */
/*
 * One delivery, from its arrival until its source is told what became of it. What it says of its
 * job is copied once, into the same piece of memory, but a large body is taken over in the buffer in which it arrived.
 * Nothing is done here: shelf.h has the steps, dispatch.h decides, report.h tells the store.
 *
 *        .--------------------.
 *        |                    v
 *     WAITING -> ASKING -> CLEARED -> AHEAD -> RUNNING -> RECORDING -> OVER
 *        |          |         |                              ^
 *        |----------+---------+------------------------------'  buried, expired, released
 *        |----------+---------'---> TAKING -> OVER              the store's parcel now
 *        '----------'-------------> OVER                        dropped, handed back, forgotten
 *
 * One that must ask is CLEARED by the verdict, and a job of the embedded queue comes CLEARED; any
 * other goes from WAITING straight to AHEAD, or to RUNNING, which is where CLEARED may go as well.
 * AHEAD goes back to where it came from when its handler ends before it was its turn.
 */
#ifndef SKEP_WORKER_DELIVERY_H
#define SKEP_WORKER_DELIVERY_H

#include "daemon/worker/run.h"
#include "daemon/worker/source.h"
#include "lib/base/list.h"
#include "lib/ipc/codec.h"
#include "lib/job/envelope.h"

#define DELIVERY_MANY 5 /* x-delivery-count from which the store is asked in any case */

enum delivery_state {
	DELIVERY_WAITING,   /* held; nobody was told of it */
	DELIVERY_ASKING,    /* CLAIM is sent, and the verdict decides */
	DELIVERY_CLEARED,   /* verdict RUN: it starts when it is its turn */
	DELIVERY_AHEAD,     /* its service has it, behind another run; it has not begun */
	DELIVERY_RUNNING,   /* its handler runs, and the store was told so */
	DELIVERY_TAKING,    /* TAKE is sent: TAKEN settles it */
	DELIVERY_RECORDING, /* OUTCOME is sent: RECORDED settles it */
	DELIVERY_OVER,
	DELIVERY_STATE_COUNT
};

/* Frames that the store has not been sent yet, or must be sent again. */
enum delivery_owes {
	OWES_CLAIM = 1, /* one that asks */
	OWES_BEGUN = 2, /* the CLAIM that says that it began; an OUTCOME says so too */
	OWES_TAKE = 4,
	OWES_OUTCOME = 8
};

struct delivery {
	struct list link;
	enum delivery_state state;
	struct source *source;
	struct source_tag tag;
	bool settled;  /* the source needs no word (any more): acked, dealt, or it has it again by itself */
	const struct conf_handler *handler; /* of `type`; NULL: there is none */
	bool nameless; /* the message had no id: job.id was made here, a redelivery gets another */
	bool urgent;   /* a copy of the job that runs here: asks without waiting for its turn */
	bool ran;      /* a handler was started, or failed to */
	bool taken;    /* TAKE is sent or to be sent; TAKEN lets go of the source */
	unsigned owes;
	int64_t arrived_ms; /* monotonic */
	uint64_t order;     /* of arrival in this worker */

	struct id run;
	uint8_t verdict; /* enum verdict, of the claim; VERDICT_NONE for one that did not ask */
	uint32_t attempt;
	bool alone;
	bool begun; /* from RUNNING on: whatever becomes of it, it counts */
	struct job job;     /* borrows from the end of this object */
	struct slice type;  /* the job's, or its queue's default */
	char *fault;        /* why the message cannot be read; NULL: it can */
	char reason[200];   /* of a take-over */
	struct run live;    /* while its handler has it */
	struct run_end end; /* from RECORDING on; started_wall_ms from RUNNING on */
	bool buried;        /* `end` is not the end of a run: no handler was started */
	struct buf body; /* a large one */
	char own_id[JOB_ID_BYTES + 1];
	uint8_t bytes[];
};

/* Copies and reads a message, or takes a large body over. Never fails: an unreadable one has a `fault`. */
struct delivery *delivery_new(struct source *source, struct source_tag tag, const struct message *m,
    int64_t now_wall_ms, int64_t now_ms);

/* A job of the embedded queue, cleared to run. NULL: its envelope is none. */
struct delivery *delivery_dealt(
    struct source *source, const struct msg_deal *m, int64_t now_ms, struct err *err);

void delivery_free(struct delivery *d); /* unlinks */

void delivery_set_state(struct delivery *d, enum delivery_state state);
const char *delivery_state_name(enum delivery_state state);

/* The run is done: nobody will need the body again. */
void delivery_drop_body(struct delivery *d);

/* The store gave the job an id. */
void delivery_rename(struct delivery *d, struct slice id);

/* May it start only on the store's word? */
bool delivery_must_ask(const struct delivery *d);

/* When it may start, for a message whose delay nobody has served yet, or which was sent ahead of its time;
 * JOB_NOT_GIVEN: at once. */
int64_t delivery_due_wall_ms(const struct delivery *d);

/* The limit on its run: the smaller of what the job asks for and what its handler allows;
 * 0: none. It has a handler. */
int64_t delivery_timeout_ms(const struct delivery *d);

bool delivery_same_job(const struct delivery *a, const struct delivery *b);

/* May the store know this run as open? Then a new store is told of it by HOLD, also where the
 * answer to its CLAIM is still out: the last store may have granted it without living to say so. */
bool delivery_is_held(const struct delivery *d);

#endif
