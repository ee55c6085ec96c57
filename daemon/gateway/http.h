/* SPDX-License-Identifier: MIT */
/*
 * HTTP on the listening socket: libmicrohttpd, driven by our loop through its epoll descriptor.
 * Requests are parsed, matched with routes.def and collected whole; then one function is called,
 * which answers at once or later. While it has not, the connection is suspended and costs nothing.
 *
 * Bounds: connections, bytes of headers (within libmicrohttpd's pool of a connection), bytes of one
 * body, bytes of all bodies, idle time.
 */
#ifndef SKEP_GATEWAY_HTTP_H
#define SKEP_GATEWAY_HTTP_H

#include "daemon/gateway/routes.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/loop.h"

#define HTTP_CONNECTIONS_MAX 256
#define HTTP_IDLE_S 60

struct http;
struct http_request;

struct http_ops {
	/* A whole request. It lives until http_reply*() or http_error() was called for it. */
	void (*request)(struct http_request *r, enum route_id route, void *arg);
	/* The last request that was under way has been answered to the end. */
	void (*idle)(void *arg);
};

/* Serves `listen_fd`, which stays the caller's. NULL with err. */
struct http *http_new(struct loop *loop, int listen_fd, size_t max_body, const struct http_ops *ops,
    void *arg, struct err *err);

/* Does what has become possible: to be called once per loop turn, in a hook. */
void http_turn(struct http *h);

/* Accepts nothing any more; connections that ask nothing are left alone. */
void http_quiesce(struct http *h);

size_t http_active(const struct http *h); /* requests under way */

/* Of a request; all borrowed. */
const struct target *http_target(const struct http_request *r);
struct slice http_body(const struct http_request *r);
struct slice http_header(const struct http_request *r, const char *name); /* p == NULL: absent */

/* Calls `gone` if the client hangs up while the answer is still to come. The request is over then:
 * it must not be answered. */
void http_watch_client(struct http_request *r, void (*gone)(void *arg), void *arg);

/* A header of the answer; `name` is a literal, the value is copied. At most 2. */
void http_add_header(struct http_request *r, const char *name, const char *value);

/* The answer, once. The body's memory is taken over. */
void http_reply(
    struct http_request *r, unsigned status, const char *content_type, struct buf *body_take);
void http_reply_json(struct http_request *r, unsigned status, struct json *take);

/* {"error": text} */
void http_error(struct http_request *r, unsigned status, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
