/* SPDX-License-Identifier: MIT */
/*
 * The language of services (docs/PROTOCOL.md, "Services"): one JSON object a line, both ways. Only
 * the lines: what they do to a run is service.h's.
 */
#ifndef SKEP_WORKER_TALK_H
#define SKEP_WORKER_TALK_H

#include "daemon/worker/run.h"

#define TALK_VERSION 1

/* What a service says it can do, beyond running jobs. */
enum talk_can { TALK_CAN_CANCEL = 1, TALK_CAN_PING = 2 };

/* Lines to the service, appended with their line feed. 0, or -ENOBUFS with nothing appended. */
int talk_hello(struct buf *out, const struct conf_handler *h, const char *worker, size_t max_line);
int talk_job(struct buf *out, const struct run_spec *spec);
int talk_cancel(struct buf *out, struct id run);
int talk_ping(struct buf *out, int64_t number);
int talk_drain(struct buf *out);

/* What a line of the service says; all slices are borrowed for the call. Those of done and failed
 * return false when the service was not given that run. */
struct talk_events {
	void (*hello)(void *arg, unsigned can);
	bool (*done)(void *arg, struct id run, struct slice result);
	bool (*failed)(void *arg, struct id run, struct slice error, bool retry);
	void (*progress)(void *arg, struct id run, int32_t percent, struct slice text);
	void (*log)(void *arg, struct id run, struct slice text);
	void (*pong)(void *arg);
};

/* One line, without its line feed. Members and messages that are not known are passed over. -EPROTO
 * with err when it is not of the language. */
int talk_read(struct slice line, const struct talk_events *on, void *arg, struct err *err);

#endif
