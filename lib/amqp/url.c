/* SPDX-License-Identifier: MIT */
#include "lib/amqp/url.h"

#include <errno.h>

#include "lib/amqp/connection.h"

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Percent-decodes `s` into `dst`. `what` names the part in errors. */
static int decode_part(char dst[static AMQP_URL_PART_BYTES], struct slice s, const char *what,
    struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c == '%') {
			int high = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
			int low = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;

			if (high < 0 || low < 0) {
				return err_set(err, -EINVAL, "the %s has a %% without two hex digits",
				    what);
			}
			c = (uint8_t)(high << 4 | low);
			i += 2;
		}
		if (c == 0)
			return err_set(err, -EINVAL, "the %s has a NUL character", what);
		if (n + 1 == AMQP_URL_PART_BYTES)
			return err_set(err, -EINVAL, "the %s is too long", what);
		dst[n++] = (char)c;
	}
	dst[n] = '\0';
	return 0;
}

/* Splits `s` at the first (or last) `c`. Without one, *before is all of `s` and *after is absent. */
static void split(struct slice s, char c, bool last, struct slice *before, struct slice *after)
{
	const uint8_t *at = s.n == 0 ? NULL : last ? memrchr(s.p, c, s.n) : memchr(s.p, c, s.n);

	*before = s;
	*after = slice_of(NULL, 0);
	if (!at)
		return;
	*before = slice_of(s.p, (size_t)(at - s.p));
	*after = slice_of(at + 1, s.n - before->n - 1);
}

static int parse_port(struct slice digits, uint16_t *ret, struct err *err)
{
	unsigned port = 0;

	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9')
			port = 65536;
		if (port <= 65535)
			port = port * 10 + (unsigned)(digits.p[i] - '0');
	}
	if (port == 0 || port > 65535) {
		return err_set(err, -EINVAL, "the port is not a number from 1 to 65535 (special "
		    "characters in a password are written %%XX)");
	}
	*ret = (uint16_t)port;
	return 0;
}

static int parse_host(struct amqp_url *u, struct slice s, struct err *err)
{
	struct slice host, port;

	if (s.n && s.p[0] == '[') {
		split(slice_of(s.p + 1, s.n - 1), ']', false, &host, &port);
		if (!port.p || (port.n && port.p[0] != ':'))
			return err_set(err, -EINVAL, "the address in brackets does not end well");
		port = port.n ? slice_of(port.p + 1, port.n - 1) : slice_of(NULL, 0);
	} else {
		split(s, ':', false, &host, &port);
	}
	if (host.n == 0)
		return err_set(err, -EINVAL, "there is no host");
	u->port = AMQP_PORT;
	if (port.p && parse_port(port, &u->port, err) < 0)
		return -EINVAL;
	return decode_part(u->host, host, "host", err);
}

static int parse_login(struct amqp_url *u, struct slice s, struct err *err)
{
	struct slice user, password;

	split(s, ':', false, &user, &password);
	if (decode_part(u->user, user, "user", err) < 0)
		return -EINVAL;
	return decode_part(u->password, password, "password", err);
}

static int parse_vhost(struct amqp_url *u, struct slice s, struct err *err)
{
	if (s.n && memchr(s.p, '?', s.n))
		return err_set(err, -EINVAL, "parameters after a ? are not supported");
	if (s.n && memchr(s.p, '/', s.n))
		return err_set(err, -EINVAL, "a / inside the vhost is written %%2f");
	if (decode_part(u->vhost, s, "vhost", err) < 0)
		return -EINVAL;
	if (u->vhost[0] == '\0')
		memcpy(u->vhost, "/", sizeof "/");
	return 0;
}

int amqp_url_parse(const char *text, struct amqp_url *ret, struct err *err)
{
	static const char plain[] = "amqp://", tls[] = "amqps://";
	struct slice rest, authority, path, login, host;
	struct amqp_url u = {.user = "guest", .password = "guest"};

	/* The one place that turns TLS away; its handshake belongs between CONNECT and HANDSHAKE. */
	if (strncmp(text, tls, sizeof tls - 1) == 0)
		return err_set(err, -EINVAL, "amqps is not supported yet");
	if (strncmp(text, plain, sizeof plain - 1) != 0)
		return err_set(err, -EINVAL, "the url does not begin with amqp://");
	rest = slice_str(text + sizeof plain - 1);
	split(rest, '/', false, &authority, &path);
	split(authority, '@', true, &login, &host);
	if (!host.p)
		host = authority;
	else if (parse_login(&u, login, err) < 0)
		return -EINVAL;
	if (parse_host(&u, host, err) < 0 || parse_vhost(&u, path, err) < 0)
		return -EINVAL;
	*ret = u;
	return 0;
}

int amqp_url_check(const char *url, struct err *err)
{
	struct amqp_url u;

	return amqp_url_parse(url, &u, err);
}
