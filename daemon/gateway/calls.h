/* SPDX-License-Identifier: MIT */
/*
 * What is asked of the store and not answered yet. Every call has a number; the answer names it.
 * When the store goes away, whatever is unanswered is sent again to the next one, in the same
 * order: a submit carries its id, and the others say what is to be, so a second copy changes
 * nothing.
 */
#ifndef SKEP_GATEWAY_CALLS_H
#define SKEP_GATEWAY_CALLS_H

#include "daemon/gateway/submit.h"
#include "daemon/process.h"

#define CALLS_LIMIT_MS 30000

struct call;
struct calls;

struct call_answer {
	unsigned status; /* of HTTP; 0: none came within CALLS_LIMIT_MS */
	bool existing;
	struct slice state, text; /* borrowed for the callback */
};

/* The call is gone when this returns. */
typedef void call_fn(const struct call_answer *answer, void *arg);

/* `up` is called each time the store becomes reachable. */
struct calls *calls_new(struct process *p, void (*up)(void *arg), void *arg);

/* Sends what can be sent: to be called before the hub writes. */
void calls_turn(struct calls *c);

bool calls_store_is_up(const struct calls *c);

/* A new job; `s` is borrowed until the answer. */
struct call *calls_submit(struct calls *c, const struct submit *s, call_fn *fn, void *arg);

/* RETRY, ABORT or WATCH for a job, PAUSE or RESUME for a queue (no id); the names are copied. A watch
 * has no time limit. */
struct call *calls_ask(struct calls *c, enum message_type type, struct slice queue, struct slice id,
    call_fn *fn, void *arg);

/* Nobody waits for it any more: its callback is not called. NULL is fine. */
void calls_drop(struct call *call);

#endif
