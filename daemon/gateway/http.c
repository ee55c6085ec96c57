/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd runs without threads: its epoll descriptor is one of our loop's, its timeout one of
 * our timers, and http_turn() lets it work once per turn. It calls on_request() for the headers,
 * for each piece of the body and at the end; what has no answer by then is suspended, and resumed
 * by the answer.
 *
 * A request that is refused by its headers still has its body read and dropped, up to a bound: a
 * client that is cut off while it writes often does not read the reason.
 */
#include "daemon/gateway/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdarg.h>

#include "lib/base/log.h"

#define HTTP_MAGIC 0x68747470u
#define REQUEST_MAGIC 0x68726571u
#define HTTP_HEADERS_MAX 2
#define HTTP_DROP_BYTES (4u << 20) /* of a body that nobody wants; twice max_body if more */
#define HTTP_BODIES_FACTOR 2	   /* all bodies at a time, in largest bodies */
#define HTTP_CONNECTION_BYTES (32u << 10)
#define HTTP_JSON_MAX_BYTES (256u << 20)
#define HTTP_ERROR_BYTES 1024

struct http {
	unsigned magic;
	struct loop *loop;
	struct MHD_Daemon *mhd;
	struct loop_io epoll;
	struct loop_timer timeout;
	size_t max_body, bodies, active;
	bool ready;
	const struct http_ops *ops;
	void *arg;
};

struct http_request {
	unsigned magic;
	struct http *http;
	struct MHD_Connection *connection;
	struct target target;
	struct err unreadable;
	enum route_id route;
	struct buf body;
	size_t dropped;
	bool begun, ended, suspended, answered;
	unsigned status;
	const char *content_type;
	struct buf answer;
	struct {
		const char *name;
		char *value;
	} headers[HTTP_HEADERS_MAX];
	size_t nheaders;
	struct loop_io client;
	void (*gone)(void *arg);
	void *gone_arg;
};

/* --- a request -------------------------------------------------------------------------------- */

/* The first that libmicrohttpd says of a request; what is returned is its context from then on. */
static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
	OBJ(struct http, h, arg, HTTP_MAGIC);
	struct http_request *r = xcalloc(1, sizeof *r);

	r->magic = REQUEST_MAGIC;
	r->http = h;
	r->connection = connection;
	buf_init(&r->body, h->max_body);
	buf_init(&r->answer, HTTP_JSON_MAX_BYTES);
	target_parse(&r->target, uri, &r->unreadable);
	h->active++;
	return r;
}

static void on_completed(void *arg, struct MHD_Connection *connection UNUSED, void **context,
    enum MHD_RequestTerminationCode code UNUSED)
{
	OBJ(struct http, h, arg, HTTP_MAGIC);
	struct http_request *r = *context;

	if (!r)
		return;
	*context = NULL;
	loop_io_stop(&r->client);
	h->bodies -= buf_size(&r->body);
	target_free(&r->target);
	buf_free(&r->body);
	buf_free(&r->answer);
	for (size_t i = 0; i < r->nheaders; i++)
		free(r->headers[i].value);
	r->magic = 0;
	free(r);
	if (--h->active == 0)
		h->ops->idle(h->arg);
}

const struct target *http_target(const struct http_request *r)
{
	return &r->target;
}

struct slice http_body(const struct http_request *r)
{
	return buf_slice(&r->body);
}

struct slice http_header(const struct http_request *r, const char *name)
{
	return slice_str(MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name));
}

/* --- answering -------------------------------------------------------------------------------- */

void http_add_header(struct http_request *r, const char *name, const char *value)
{
	if (r->nheaders == HTTP_HEADERS_MAX)
		BUG("more than %d headers", HTTP_HEADERS_MAX);
	r->headers[r->nheaders].name = name;
	r->headers[r->nheaders++].value = xstrdup(value);
}

static void resume(struct http_request *r)
{
	loop_io_stop(&r->client);
	if (!r->suspended)
		return;
	r->suspended = false;
	MHD_resume_connection(r->connection);
	r->http->ready = true;
}

void http_reply(
    struct http_request *r, unsigned status, const char *content_type, struct buf *body_take)
{
	if (r->magic != REQUEST_MAGIC || r->answered || body_take->head)
		BUG("a request is answered twice, or with a buffer that was read from");
	r->answered = true;
	r->status = status;
	r->content_type = content_type;
	buf_free(&r->answer);
	r->answer = *body_take;
	buf_init(body_take, body_take->max);
	resume(r);
}

void http_reply_json(struct http_request *r, unsigned status, struct json *take)
{
	struct buf text;

	buf_init(&text, HTTP_JSON_MAX_BYTES);
	if (json_print(take, false, &text) < 0 || buf_adds(&text, "\n") < 0) {
		buf_free(&text);
		status = 500;
		buf_adds(&text, "{\"error\":\"the answer is too large: ask for less\"}\n");
	}
	json_free(take);
	http_reply(r, status, "application/json", &text);
}

void http_error(struct http_request *r, unsigned status, const char *fmt, ...)
{
	struct json *j = json_object();
	char text[HTTP_ERROR_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_add_strz(j, "error", text);
	http_reply_json(r, status, j);
}

/* Gives the answer to libmicrohttpd. */
static enum MHD_Result deliver(struct http_request *r)
{
	size_t n = buf_size(&r->answer);
	struct MHD_Response *m =
	    n ? MHD_create_response_from_buffer(n, buf_head(&r->answer), MHD_RESPMEM_MUST_FREE)
	      : MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
	enum MHD_Result rc;

	if (!m)
		return MHD_NO;
	if (n)
		r->answer = (struct buf){.max = r->answer.max}; /* it belongs to the response now */
	MHD_add_response_header(m, MHD_HTTP_HEADER_CONTENT_TYPE, r->content_type);
	for (size_t i = 0; i < r->nheaders; i++)
		MHD_add_response_header(m, r->headers[i].name, r->headers[i].value);
	rc = MHD_queue_response(r->connection, r->status, m);
	MHD_destroy_response(m);
	return rc;
}

/* --- reading ---------------------------------------------------------------------------------- */

static size_t declared_length(const struct http_request *r)
{
	struct slice text = http_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return text.p ? (size_t)strtoull((const char *)text.p, NULL, 10) : 0;
}

static void begin(struct http_request *r, const char *method)
{
	char allow[ROUTES_ALLOW_BYTES];
	struct err err = r->unreadable;
	int rc;

	if (err.code < 0) {
		http_error(r, 400, "%s", err.text);
		return;
	}
	rc = routes_find(method, &r->target, &r->route, allow);
	if (rc == 404) {
		http_error(
		    r, 404, "no such path: see GET /v1/jobs, /v1/queues, /v1/pools, /healthz, /metrics");
	} else if (rc == 405) {
		http_add_header(r, MHD_HTTP_HEADER_ALLOW, allow);
		http_error(r, 405, "not by %.20s: this path takes %s", method, allow);
	} else if (routes_check_params(r->route, &r->target, &err) < 0) {
		http_error(r, 400, "%s", err.text);
	} else if (routes_takes_body(r->route) && declared_length(r) > r->http->max_body) {
		http_error(r, 413, "a body has at most %zu bytes here (max_body of the pools)",
		    r->http->max_body);
	}
}

static size_t drop_max(const struct http *h)
{
	return h->max_body > HTTP_DROP_BYTES / 2 ? h->max_body * 2 : HTTP_DROP_BYTES;
}

/* False when the client goes on sending what is not wanted. */
static bool take_body(struct http_request *r, const char *data, size_t n)
{
	struct http *h = r->http;

	if (r->answered || !routes_takes_body(r->route)) {
		r->dropped += n;
		return r->dropped <= drop_max(h);
	}
	if (h->bodies + n > h->max_body * HTTP_BODIES_FACTOR) {
		http_error(r, 503, "too many large bodies at a time: try again");
	} else if (buf_add(&r->body, data, n) < 0) {
		http_error(r, 413, "a body has at most %zu bytes here (max_body of the pools)",
		    h->max_body);
	} else {
		h->bodies += n;
		return true;
	}
	h->bodies -= buf_size(&r->body);
	buf_free(&r->body);
	return true;
}

static bool client_waits_for_leave(const struct http_request *r)
{
	return http_header(r, MHD_HTTP_HEADER_EXPECT).p || declared_length(r) > drop_max(r->http);
}

static enum MHD_Result on_request(void *arg UNUSED, struct MHD_Connection *connection,
    const char *url UNUSED, const char *method, const char *version UNUSED, const char *data,
    size_t *size, void **context)
{
	OBJ(struct http_request, r, *context, REQUEST_MAGIC);

	if (!r->begun) {
		r->begun = true;
		begin(r, method);
		return r->answered && client_waits_for_leave(r) ? deliver(r) : MHD_YES;
	}
	if (*size) {
		bool wanted = take_body(r, data, *size);

		*size = 0;
		return wanted ? MHD_YES : MHD_NO;
	}
	if (!r->ended) {
		r->ended = true;
		if (!r->answered)
			r->http->ops->request(r, r->route, r->http->arg);
	}
	if (r->answered)
		return deliver(r);
	r->suspended = true;
	MHD_suspend_connection(connection);
	return MHD_YES;
}

/* --- a client that hangs up ------------------------------------------------------------------- */

static void on_client(struct loop_io *io, unsigned events UNUSED)
{
	OBJ(struct http_request, r, io->arg, REQUEST_MAGIC);
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct pollfd p = {.fd = info->connect_fd};
	struct buf nothing;

	/* Without a hang-up it is the next request, or half a close. Both can wait. */
	loop_io_stop(&r->client);
	if (poll(&p, 1, 0) <= 0 || !(p.revents & (POLLHUP | POLLERR)))
		return;
	r->gone(r->gone_arg);
	buf_init(&nothing, 0);
	http_reply(r, 503, "application/json", &nothing);
}

void http_watch_client(struct http_request *r, void (*gone)(void *arg), void *arg)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	r->gone = gone;
	r->gone_arg = arg;
	loop_io_init(&r->client, r->http->loop, info->connect_fd, on_client, r);
	loop_io_set(&r->client, LOOP_READ);
}

/* --- the daemon ------------------------------------------------------------------------------- */

static void on_epoll(struct loop_io *io, unsigned events UNUSED)
{
	OBJ(struct http, h, io->arg, HTTP_MAGIC);

	h->ready = true;
}

static void on_timeout(struct loop_timer *t)
{
	OBJ(struct http, h, t->arg, HTTP_MAGIC);

	h->ready = true;
}

void http_turn(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	if (!h->ready)
		return;
	h->ready = false;
	MHD_run(h->mhd);
	if (MHD_get_timeout(h->mhd, &timeout_ms) != MHD_YES)
		loop_timer_stop(&h->timeout);
	else
		loop_timer_set(&h->timeout, (int64_t)timeout_ms);
}

static void on_log(void *arg UNUSED, const char *fmt, va_list ap)
{
	char text[400];
	size_t n;

	vsnprintf(text, sizeof text, fmt, ap);
	n = strlen(text);
	while (n && text[n - 1] == '\n')
		text[--n] = '\0';
	log_debug("http: %s", text);
}

struct http *http_new(struct loop *loop, int listen_fd, size_t max_body, const struct http_ops *ops,
    void *arg, struct err *err)
{
	struct http *h = xcalloc(1, sizeof *h);
	const union MHD_DaemonInfo *info;

	h->magic = HTTP_MAGIC;
	h->loop = loop;
	h->max_body = max_body;
	h->ops = ops;
	h->arg = arg;
	h->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
	    NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_log, h,
	    MHD_OPTION_LISTEN_SOCKET, (MHD_socket)listen_fd, MHD_OPTION_CONNECTION_LIMIT,
	    (unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_CONNECTION_BYTES,
	    MHD_OPTION_URI_LOG_CALLBACK, on_uri, h, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
	    MHD_OPTION_END);
	info = h->mhd ? MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		err_set(err, -EIO, "cannot start the HTTP server on descriptor %d", listen_fd);
		free(h);
		return NULL;
	}
	loop_timer_init(&h->timeout, loop, on_timeout, h);
	loop_io_init(&h->epoll, loop, info->epoll_fd, on_epoll, h);
	loop_io_set(&h->epoll, LOOP_READ);
	return h;
}

void http_quiesce(struct http *h)
{
	MHD_quiesce_daemon(h->mhd);
}

size_t http_active(const struct http *h)
{
	return h->active;
}
