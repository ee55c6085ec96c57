/* SPDX-License-Identifier: MIT */
#include "lib/conf/conf_url.h"

#include <ctype.h>
#include <errno.h>

#define SCHEME "amqp://"
#define MASK "***"

/* Behind "scheme://", or the whole text. */
static const char *after_scheme(const char *url)
{
	const char *mark = strstr(url, "://");

	return mark ? mark + 3 : url;
}

/* The last @ of the whole text rather than of the host's part: a password with a raw / in it must
 * not show. */
char *conf_url_mask(const char *url)
{
	const char *user = after_scheme(url), *at = strrchr(user, '@');
	const char *colon = strchr(user, ':');

	if (!at || !colon || colon > at)
		return xstrdup(url);
	return xasprintf("%.*s" MASK "%s", (int)(colon + 1 - url), url, at);
}

bool conf_url_has_password(const char *url)
{
	const char *user = after_scheme(url), *at = strrchr(user, '@');
	const char *colon = strchr(user, ':');

	return at && colon && colon < at && strncmp(user, "guest:guest@", 12) != 0;
}

char *conf_url_public(const char *url)
{
	const char *user = after_scheme(url), *at = strrchr(user, '@');

	if (!conf_url_has_password(url))
		return xstrdup(url);
	return xasprintf("%.*s%s", (int)(strchr(user, ':') - url), url, at);
}

/* Host and port, `n` bytes: name:1, 10.0.0.1, [::1]:5672. */
static int check_host(const char *host, size_t n, const char *shown, struct err *err)
{
	const char *end = host + n, *colon, *name_end;
	long port;

	name_end = *host == '[' ? memchr(host, ']', n) : memchr(host, ':', n);
	if (*host == '[' && !name_end)
		return err_set(
		    err, -EINVAL, "'%s': an address that begins with [ ends with ]", shown);
	if (!name_end)
		name_end = end;
	if (name_end == host)
		return err_set(err, -EINVAL, "'%s' has no host", shown);
	colon = *host == '[' ? name_end + 1 : name_end;
	if (colon >= end)
		return 0;
	port = isdigit((unsigned char)colon[1]) ? strtol(colon + 1, NULL, 10) : 0;
	if (*colon != ':' || port < 1 || port > 65535 ||
	    strspn(colon + 1, "0123456789") != (size_t)(end - colon - 1))
		return err_set(err, -EINVAL, "'%s': the port is a number from 1 to 65535", shown);
	return 0;
}

int conf_url_check(const char *url, struct err *err)
{
	auto_free char *shown = conf_url_mask(url);
	const char *host, *path, *at;

	if (strncmp(url, "amqps:", 6) == 0)
		return err_set(err, -EINVAL, "'%s': TLS is not supported by this version", shown);
	if (strcmp(url, CONF_URL_EMBEDDED) == 0)
		return 0;
	if (strncmp(url, SCHEME, strlen(SCHEME)) != 0)
		return err_set(
		    err, -EINVAL, "'%s' is neither amqp://user:password@host:port/vhost nor embedded", shown);
	host = url + strlen(SCHEME);
	path = host + strcspn(host, "/?#");
	if (strpbrk(path, "@?#"))
		return err_set(err, -EINVAL,
		    "'%s': / ? # @ in user, password or vhost are written %%2f %%3f %%23 %%40",
		    shown);
	for (at = path; at > host && at[-1] != '@';)
		at--;
	return check_host(at, (size_t)(path - at), shown, err);
}

char *conf_url_with_password(const char *url, const char *password)
{
	const char *user = url + strlen(SCHEME), *at = strrchr(user, '@');
	size_t user_bytes = at ? strcspn(user, ":@") : 0;
	auto_free char *encoded = xmalloc(strlen(password) * 3 + 1);
	char *out = encoded;

	for (const char *p = password; *p; p++) {
		if (isalnum((unsigned char)*p) || strchr("-._~", *p))
			*out++ = *p;
		else
			out += snprintf(out, 4, "%%%02X", (unsigned char)*p);
	}
	*out = '\0';
	return xasprintf(SCHEME "%.*s:%s@%s", user_bytes ? (int)user_bytes : 5,
	    user_bytes ? user : "guest", encoded, at ? at + 1 : user);
}
