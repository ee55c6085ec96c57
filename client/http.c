/* SPDX-License-Identifier: MIT */
#include "client/http.h"

#include <curl/curl.h>
#include <errno.h>

#define REPLY_BYTES_MAX (256UL << 20)
#define POLL_MS 1000

/* One easy handle of curl, for the time of a call. */
struct http_transfer {
	CURL *easy;
	struct curl_slist *headers;
};

struct http {
	char *socket;
	CURLM *multi;
};

struct http *http_open(const char *socket_path)
{
	struct http *h = xcalloc(1, sizeof *h);

	if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK || !(h->multi = curl_multi_init()))
		BUG("libcurl does not start");
	h->socket = xstrdup(socket_path);
	return h;
}

void http_close(struct http *h)
{
	if (!h)
		return;
	curl_multi_cleanup(h->multi);
	curl_global_cleanup();
	free(h->socket);
	free(h);
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;

	return buf_add(&call->body, data, size * n) < 0 ? 0 : size * n;
}

static void add_header(struct http_transfer *t, const char *name, const char *value)
{
	auto_free char *line = xasprintf("%s: %s", name, value);

	t->headers = curl_slist_append(t->headers, line);
	if (!t->headers)
		BUG("out of memory for a header");
}

void http_start(struct http *h, struct http_call *call)
{
	const struct http_request *r = &call->request;
	struct http_transfer *t = xcalloc(1, sizeof *t);
	auto_free char *url = xasprintf("http://skep%s", r->path);

	buf_init(&call->body, REPLY_BYTES_MAX);
	call->err = (struct err){0};
	call->status = 0;
	call->transfer = t;
	t->easy = curl_easy_init();
	if (!t->easy)
		BUG("libcurl gives no handle");
	curl_easy_setopt(t->easy, CURLOPT_UNIX_SOCKET_PATH, h->socket);
	curl_easy_setopt(t->easy, CURLOPT_URL, url);
	curl_easy_setopt(t->easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(t->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
	curl_easy_setopt(t->easy, CURLOPT_USERAGENT, "skep/" SKEP_VERSION);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, call);
	if (strcmp(r->method, "POST") == 0) {
		curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
		curl_easy_setopt(
		    t->easy, CURLOPT_POSTFIELDS, r->body.n ? (const char *)r->body.p : "");
		if (r->content_type)
			add_header(t, "Content-Type", r->content_type);
		/* curl would wait a second for leave to send a large body. */
		add_header(t, "Expect", "");
		curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
	}
	if (curl_multi_add_handle(h->multi, t->easy) != CURLM_OK)
		BUG("libcurl takes no handle");
}

static void end_transfer(struct http *h, struct http_call *call)
{
	curl_multi_remove_handle(h->multi, call->transfer->easy);
	curl_easy_cleanup(call->transfer->easy);
	curl_slist_free_all(call->transfer->headers);
	free(call->transfer);
	call->transfer = NULL;
}

/* The answer, or the error, of a transfer that curl is done with. */
static struct http_call *finish(struct http *h, CURL *easy, CURLcode code)
{
	struct http_call *call;
	char *private;
	long os_errno = 0;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	call = (struct http_call *)(void *)private;
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &call->status);
	curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_errno);
	if (code == CURLE_COULDNT_CONNECT)
		err_sys(&call->err, os_errno ? (int)os_errno : ECONNREFUSED,
		    "nothing answers on '%s'", h->socket);
	else if (code == CURLE_OPERATION_TIMEDOUT)
		err_set(&call->err, -ETIMEDOUT, "no answer on '%s' in time", h->socket);
	else if (code == CURLE_WRITE_ERROR)
		err_set(
		    &call->err, -EMSGSIZE, "the answer is larger than %lu bytes", REPLY_BYTES_MAX);
	else if (code != CURLE_OK)
		err_set(&call->err, -ECONNRESET, "the connection to '%s' broke: %s", h->socket,
		    curl_easy_strerror(code));
	end_transfer(h, call);
	if (call->err.code)
		buf_free(&call->body);
	return call;
}

/* Lets curl work; a call that is done, or NULL. */
static struct http_call *perform(struct http *h, int *ret_running)
{
	CURLMsg *msg;
	int left;

	if (curl_multi_perform(h->multi, ret_running) != CURLM_OK)
		BUG("libcurl does not perform");
	while ((msg = curl_multi_info_read(h->multi, &left))) {
		if (msg->msg == CURLMSG_DONE)
			return finish(h, msg->easy_handle, msg->data.result);
	}
	return NULL;
}

struct http_call *http_wait(struct http *h)
{
	for (;;) {
		int running;
		struct http_call *call = perform(h, &running);

		if (call || running == 0)
			return call;
		curl_multi_poll(h->multi, NULL, 0, POLL_MS, NULL);
	}
}

struct http_call *http_poll(struct http *h, int fd, int timeout_ms)
{
	struct curl_waitfd also = {.fd = fd, .events = CURL_WAIT_POLLIN};
	int running;
	struct http_call *call = perform(h, &running);

	if (call)
		return call;
	curl_multi_poll(h->multi, &also, 1, timeout_ms, NULL);
	return perform(h, &running);
}

void http_drop(struct http *h, struct http_call *call)
{
	end_transfer(h, call);
	buf_free(&call->body);
}

void http_call_free(struct http_call *call)
{
	buf_free(&call->body);
}

void http_encode(struct buf *out, struct slice text)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || (c && strchr("-._~", c));

		if (plain)
			buf_add(out, &c, 1);
		else
			buf_addf(out, "%%%c%c", hex[c >> 4], hex[c & 15]);
	}
}

void http_query(struct buf *path, const char *name, const char *value)
{
	if (!value)
		return;
	buf_addf(path, "%c%s=", memchr(path->data, '?', path->len) ? '&' : '?', name);
	http_encode(path, slice_str(value));
}
