/* SPDX-License-Identifier: MIT */
#include "daemon/supervisor/check.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "daemon/process.h"
#include "daemon/supervisor/launch.h"
#include "lib/conf/conf_url.h"

typedef void say_fn(const char *text);

static void sayf(say_fn *say, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void sayf(say_fn *say, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	say(text);
}

int check_errors(const struct conf *conf, struct err *err)
{
	char *paths[ROLE_COUNT];
	int rc = conf_check_start(conf, err);

	if (rc == 0)
		rc = launch_find_programs(paths, err);
	for (size_t i = 0; rc == 0 && i < ROLE_COUNT; i++)
		free(paths[i]);
	return rc;
}

static void warn_users(const struct conf *conf, say_fn *say)
{
	for (size_t i = 0; i < conf->npools; i++) {
		struct account account = {0};

		if (geteuid() == 0 && account_find(conf->pools[i].user, &account, NULL) == 0 &&
		    account.ids.uid == 0)
			sayf(say,
			    "handlers of pool '%s' run as root: set `user` in [pool %s] or [daemon]",
			    conf->pools[i].section, conf->pools[i].section);
		account_free(&account);
	}
}

static void warn_file(const struct conf *conf, say_fn *say)
{
	struct stat st;

	if (!conf->file || stat(conf->file, &st) < 0 || !(st.st_mode & S_IROTH) ||
	    *conf->broker.password_file)
		return;
	for (size_t i = 0; i < conf->broker.url.n; i++) {
		if (conf_url_has_password(conf->broker.url.v[i])) {
			sayf(say,
			    "everybody can read '%s', which holds a password: run `chmod o-r` on it, or use "
			    "password_file",
			    conf->file);
			return;
		}
	}
}

static void warn_socket(const struct conf *conf, say_fn *say)
{
	if (listeners_mode(conf) & S_IWOTH)
		sayf(say,
		    "socket_mode %s lets every user of this machine submit, read and cancel jobs",
		    conf->daemon.socket_mode);
}

static const char *handler_program(const struct conf_handler *h)
{
	return h->service.n ? h->service.v[0] : h->command.v[0];
}

static bool program_exists(const struct conf_handler *h)
{
	const char *word = handler_program(h);
	auto_free char *path = word[0] != '/' && strchr(word, '/')
				   ? xasprintf("%s/%s", h->directory, word)
				   : spawn_find(word, NULL);

	return path && access(path, X_OK) == 0;
}

static void warn_handlers(const struct conf *conf, say_fn *say)
{
	if (conf->nhandlers == 0)
		sayf(say, "no [handler TYPE] is configured: every job will be dead");
	for (size_t i = 0; i < conf->nhandlers; i++) {
		const struct conf_handler *h = &conf->handlers[i];

		if (!program_exists(h))
			sayf(say, "handler '%s': there is no executable '%s'", h->section,
			    handler_program(h));
	}
}

void check_warnings(const struct conf *conf, void (*say)(const char *text))
{
	warn_users(conf, say);
	warn_file(conf, say);
	warn_socket(conf, say);
	warn_handlers(conf, say);
	if (conf->npools == 0)
		sayf(say, "no [pool NAME] is configured: no job will run here");
}
