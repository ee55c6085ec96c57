/* SPDX-License-Identifier: MIT */
/*
 * What the gateway asks for on behalf of people: submit, retry by hand, cancel, watch. Each is
 * answered by an HTTP status, the job's state, and a text where it could not be done.
 */
#ifndef SKEP_STORE_REQUESTS_H
#define SKEP_STORE_REQUESTS_H

#include "daemon/store/ledger.h"

struct request_answer {
	uint16_t status;
	bool existing;	   /* SUBMIT: it was known before */
	const char *state; /* a word of states.def, or "" */
	char text[200];	   /* of an error */
};

struct request_answer requests_submit(
    struct ledger *l, const struct msg_submit *m, int64_t now_wall_ms);

/* Only jobs that ended otherwise than done, and whose body is kept. */
struct request_answer requests_retry(
    struct ledger *l, const struct msg_retry *m, int64_t now_wall_ms);

/* Cancels a job wherever it is. 202: its run is told to end. */
struct request_answer requests_abort(
    struct ledger *l, const struct msg_abort *m, int64_t now_wall_ms);

/* 200 with the state when it is over; 202 when it is not: then `ret_queue` (JOB_NAME_BYTES) is its
 * queue. */
struct request_answer requests_watch(
    struct ledger *l, const struct msg_watch *m, uint8_t *queue_text, struct slice *ret_queue);

#endif
