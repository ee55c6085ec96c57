/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/amqp/connection.h"
#include "lib/amqp/url.h"

static const struct {
	const char *text, *host;
	uint16_t port;
	const char *user, *password, *vhost;
} good[] = {
    {"amqp://h", "h", 5672, "guest", "guest", "/"},
    {"amqp://h/", "h", 5672, "guest", "guest", "/"},
    {"amqp://guest:guest@127.0.0.1:5672/", "127.0.0.1", 5672, "guest", "guest", "/"},
    {"amqp://u:p@h:1/v", "h", 1, "u", "p", "v"},
    {"amqp://u@h/v", "h", 5672, "u", "", "v"},
    {"amqp://u:@h", "h", 5672, "u", "", "/"},
    {"amqp://h/%2f", "h", 5672, "guest", "guest", "/"},
    {"amqp://h/%2Fa%2Fb", "h", 5672, "guest", "guest", "/a/b"},
    {"amqp://h/%41", "h", 5672, "guest", "guest", "A"},
    {"amqp://a%3ab:p%40ss%2Fw%25@h", "h", 5672, "a:b", "p@ss/w%", "/"},
    {"amqp://u:a@b@h", "h", 5672, "u", "a@b", "/"},
    {"amqp://u:a:b@h", "h", 5672, "u", "a:b", "/"},
    {"amqp://[::1]", "::1", 5672, "guest", "guest", "/"},
    {"amqp://u:p@[fe80::1%25eth0]:65535/v", "fe80::1%eth0", 65535, "u", "p", "v"},
    {"amqp://broker.example.org:5673/team-a", "broker.example.org", 5673, "guest", "guest", "team-a"},
};

static const struct {
	const char *text, *why;
} bad[] = {
    {"", "does not begin with amqp://"},
    {"h:5672", "does not begin with amqp://"},
    {"http://h", "does not begin with amqp://"},
    {"amqps://h", "amqps is not supported yet"},
    {"amqp://", "no host"},
    {"amqp:///v", "no host"},
    {"amqp://u:p@", "no host"},
    {"amqp://u:p@:5672", "no host"},
    {"amqp://h:0", "port"},
    {"amqp://h:65536", "port"},
    {"amqp://h:99999999999999999999", "port"},
    {"amqp://h:", "port"},
    {"amqp://h:56a", "port"},
    {"amqp://u:secret/word@h", "port"},
    {"amqp://[::1", "brackets"},
    {"amqp://[::1]5672", "brackets"},
    {"amqp://[]", "no host"},
    {"amqp://[::1]:", "port"},
    {"amqp://h/a/b", "%2f"},
    {"amqp://h/v?heartbeat=5", "parameters"},
    {"amqp://h/%", "two hex digits"},
    {"amqp://h/%4", "two hex digits"},
    {"amqp://h/%4g", "two hex digits"},
    {"amqp://u:secret%zz@h", "two hex digits"},
    {"amqp://u:secret%00@h", "NUL"},
};

static void urls_are_taken_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct amqp_url u = {0};
		struct err err = {0};

		if (amqp_url_parse(good[i].text, &u, &err) < 0)
			fail_msg("%s: %s", good[i].text, err.text);
		assert_string_equal(u.host, good[i].host);
		assert_int_equal(u.port, good[i].port);
		assert_string_equal(u.user, good[i].user);
		assert_string_equal(u.password, good[i].password);
		assert_string_equal(u.vhost, good[i].vhost);
	}
}

static void bad_urls_are_explained_without_their_secrets(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = {0};

		if (amqp_url_check(bad[i].text, &err) != -EINVAL)
			fail_msg("'%s' is accepted", bad[i].text);
		if (!strstr(err.text, bad[i].why))
			fail_msg("'%s': %s", bad[i].text, err.text);
		assert_null(strstr(err.text, "secret"));
	}
}

static void parts_are_bounded(void **state)
{
	char text[600] = "amqp://h/";
	struct amqp_url u;
	struct err err = {0};

	(void)state;
	memset(text + 9, 'v', 255);
	assert_int_equal(amqp_url_parse(text, &u, &err), 0);
	assert_int_equal(strlen(u.vhost), 255);
	text[9 + 255] = 'v';
	assert_int_equal(amqp_url_parse(text, &u, &err), -EINVAL);
	assert_non_null(strstr(err.text, "too long"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(urls_are_taken_apart),
	    cmocka_unit_test(bad_urls_are_explained_without_their_secrets),
	    cmocka_unit_test(parts_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
