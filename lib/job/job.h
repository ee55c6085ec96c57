/* SPDX-License-Identifier: MIT */
/*
 * One unit of work: what a message or a submit says of it, after reading and clamping. All slices are
 * borrowed. The wire forms are in envelope.h.
 */
#ifndef SKEP_JOB_JOB_H
#define SKEP_JOB_JOB_H

#include "lib/base/base.h"

#define JOB_ID_BYTES 255 /* an AMQP short string */
#define JOB_NAME_BYTES 255
#define JOB_NOT_GIVEN (-1)

struct job {
	struct slice queue;
	struct slice id;   /* empty: nameless */
	struct slice type; /* empty: the queue's default handler */
	struct slice correlation_id, reply_to;
	struct slice content_type, content_encoding;
	struct slice app_id, user_id;
	int64_t timestamp_s; /* JOB_NOT_GIVEN */
	uint8_t priority;    /* 0..255, 0 when not given */
	bool has_priority;

	/* limits and times from `job-*` headers; JOB_NOT_GIVEN when absent */
	int64_t retries;         /* attempts after the first that may follow a failure */
	int64_t timeout_ms;      /* of one attempt */
	int64_t at_wall_ms;      /* not before (job-at, or job-delay from now) */
	int64_t expires_wall_ms; /* not started after */
	struct slice key;        /* reserved for limits and uniqueness */
	struct slice home;       /* reserved: the node that hears of the end */
	struct slice traceparent;

	/* where this copy comes from */
	uint64_t parcel;     /* `skep-parcel`: id of the parcel it was published from; 0: foreign */
	struct slice node;   /* `skep-node`: whose parcel */
	int64_t ready_wall_ms; /* since when it could have run, of a first delivery that says so; JOB_NOT_GIVEN */
	bool redelivered;
	uint32_t deliveries; /* x-delivery-count of quorum queues; 0 when absent */

	struct slice headers; /* the message's headers as AMQP encodes them (u32 length first) */
	struct slice body;
};

enum job_state {
#define JOB_STATE(NAME, text, over) JOB_##NAME,
#include "lib/job/states.def"
#undef JOB_STATE
	JOB_STATE_COUNT
};

enum outcome {
#define OUTCOME(NAME, text, counts) OUTCOME_##NAME,
#include "lib/job/outcomes.def"
#undef OUTCOME
	OUTCOME_COUNT
};

const char *job_state_name(enum job_state state);
int job_state_parse(const char *text, enum job_state *ret); /* 0 or -EINVAL */
bool job_state_over(enum job_state state);                  /* nothing more will happen */

const char *outcome_name(enum outcome outcome);
bool outcome_counts(enum outcome outcome); /* is an attempt */

#endif
