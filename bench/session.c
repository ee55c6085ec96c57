/* SPDX-License-Identifier: MIT */
#include "bench/session.h"

#include <amqp_tcp_socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/base/banned.h"

void session_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("bench: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static void check(amqp_rpc_reply_t r, const char *what)
{
	const amqp_channel_close_t *close = r.reply.decoded;

	if (r.reply_type == AMQP_RESPONSE_NORMAL)
		return;
	if (r.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && r.reply.id == AMQP_CHANNEL_CLOSE_METHOD)
		session_die("%s: %.*s", what, (int)close->reply_text.len,
		    (const char *)close->reply_text.bytes);
	session_die("%s: %s", what, amqp_error_string2(r.library_error));
}

void session_check(amqp_connection_state_t conn, const char *what)
{
	check(amqp_get_rpc_reply(conn), what);
}

amqp_connection_state_t session_open(const char *url)
{
	amqp_connection_state_t conn = amqp_new_connection();
	amqp_socket_t *sock = amqp_tcp_socket_new(conn);
	struct amqp_connection_info info;
	char *copy = strdup(url);
	const char *vhost;
	int one = 1;

	amqp_default_connection_info(&info);
	if (!sock || !copy || amqp_parse_url(copy, &info) != AMQP_STATUS_OK)
		session_die("cannot use '%s'", url);
	vhost = info.vhost[0] ? info.vhost : "/";
	if (amqp_socket_open(sock, info.host, info.port) != AMQP_STATUS_OK)
		session_die("cannot connect to %s:%d", info.host, info.port);
	setsockopt(amqp_get_sockfd(conn), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	check(amqp_login(conn, vhost, 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, info.user, info.password),
	    "login");
	amqp_channel_open(conn, SESSION_CHANNEL);
	session_check(conn, "channel.open");
	free(copy);
	return conn;
}

int64_t session_number(const char *text)
{
	char *end;
	long long n = strtoll(text, &end, 10);

	if (end == text || *end || n < 0)
		session_die("'%s' is no number", text);
	return n;
}

int64_t session_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}
