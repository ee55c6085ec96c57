/* SPDX-License-Identifier: MIT */
/*
 * HTTP requests to one unix socket, several at a time, over libcurl (http.c is its only includer).
 * What goes wrong below HTTP is an err: -ENOENT, -ECONNREFUSED, -EACCES when nothing answers on the
 * socket, -ECONNRESET when the connection broke before the answer was complete, -ETIMEDOUT.
 */
#ifndef SKEP_CLIENT_HTTP_H
#define SKEP_CLIENT_HTTP_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

struct http;

struct http_request {
	const char *method;	  /* "GET" or "POST" */
	const char *path;	  /* with the query, encoded */
	const char *content_type; /* NULL: no body */
	struct slice body;	  /* borrowed until the call is done */
	int64_t timeout_ms;	  /* 0: none */
};

struct http_call {
	struct http_request request;
	void *arg;			/* the caller's */
	struct err err;			/* code 0 when there is an answer: */
	long status;			/* of HTTP */
	struct buf body;		/* of the answer */
	struct http_transfer *transfer; /* private */
};

struct http *http_open(const char *socket_path);
void http_close(struct http *h);

/* Starts a call; request.path and request.content_type are borrowed too. A call that is done may be
 * started again. */
void http_start(struct http *h, struct http_call *call);

/* Waits until any call is done and returns it; NULL when none is under way. */
struct http_call *http_wait(struct http *h);

/* Waits until any call is done and returns it, or until `fd` can be read or the time is over: NULL.
 */
struct http_call *http_poll(struct http *h, int fd, int timeout_ms);

/* Gives up a call that is under way; there will be no answer to free. */
void http_drop(struct http *h, struct http_call *call);

void http_call_free(struct http_call *call); /* of a call that is done: its answer */

/* Percent-encodes (RFC 3986, 2.1) everything but unreserved characters. */
void http_encode(struct buf *out, struct slice text);

/* Adds `name=value` to the query of a path that is being built; nothing when value is NULL. */
void http_query(struct buf *path, const char *name, const char *value);

#endif
