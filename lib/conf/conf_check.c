/* SPDX-License-Identifier: MIT */
#include "lib/conf/conf_check.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>

#include "lib/base/json.h"
#include "lib/conf/conf_settings.h"
#include "lib/conf/conf_words.h"
#include "lib/job/job.h"

#define POOL_NAME_BYTES 63   /* of the board and of process names */
#define QUEUE_NAME_BYTES 250 /* an AMQP name has 255, and NAME.dead must be one too */
#define PASSWORD_BYTES 8192  /* OAuth tokens are passwords */

/* Names that a section can have and a log line can show. */
static int check_name(const char *kind, const char *name, size_t most, struct err *err)
{
	size_t n = strlen(name);

	if (n > most)
		return err_set(
		    err, -EINVAL, "[%s %.40s...]: a name has at most %zu bytes", kind, name, most);
	for (const char *p = name; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == ']')
			return err_set(err, -EINVAL,
			    "[%s %s]: a name has no control characters and no ]", kind, name);
	}
	if (!json_utf8_valid(slice_str(name)))
		return err_set(err, -EINVAL, "[%s %s]: the name is not valid UTF-8", kind, name);
	if (!n || isspace((unsigned char)name[0]) || isspace((unsigned char)name[n - 1]))
		return err_set(err, -EINVAL,
		    "[%s %s]: a name is not empty and has no space at its ends", kind, name);
	return 0;
}

static int check_pool(struct conf *c, struct conf_pool *p, struct err *err)
{
	static const char allowed[] = "._-";
	char range[CONF_RANGE_TEXT];
	int rc = check_name("pool", p->section, POOL_NAME_BYTES, err);

	for (const char *s = p->section; *s && rc == 0; s++) {
		if (!isalnum((unsigned char)*s) && !strchr(allowed, *s))
			rc = err_set(err, -EINVAL,
			    "[pool %s]: the name of a pool has letters, digits and . _ -",
			    p->section);
	}
	if (rc == 0 && p->scale == SCALE_BY_NOTHING && p->workers.least != p->workers.most)
		rc = conf_settings_fail(c, "pool", p->section, "scale", err,
		    "fixed needs one number of workers, not %s", conf_range_format(range, &p->workers));
	if (rc < 0)
		return rc;
	if (p->queues.n == 0)
		conf_words_add(&p->queues, slice_str(p->section));
	if (!*p->user) {
		free(p->user);
		p->user = xstrdup(c->daemon.user);
	}
	for (size_t i = 0; i < p->queues.n && rc == 0; i++) {
		const char *name = p->queues.v[i];

		for (size_t j = 0; j < i; j++) {
			if (strcmp(name, p->queues.v[j]) == 0)
				return conf_settings_fail(c, "pool", p->section, "queues", err,
				    "'%s' is there twice", name);
		}
		rc = check_name("queue", name, QUEUE_NAME_BYTES, err);
		if (rc == 0)
			conf_table_make(c, conf_table_kind("queue", strlen("queue")), name);
	}
	return rc;
}

static int check_queue(const struct conf *c, const struct conf_queue *q, struct err *err)
{
	int rc = check_name("queue", q->section, QUEUE_NAME_BYTES, err);

	if (rc < 0)
		return rc;
	if (*q->handler && !conf_handler(c, slice_str(q->handler)))
		return conf_settings_fail(
		    c, "queue", q->section, "handler", err, "there is no [handler %s]", q->handler);
	if (q->max_priority && q->type != QUEUE_CLASSIC)
		return conf_settings_fail(c, "queue", q->section, "max_priority", err,
		    "only a classic queue has it: set type = classic");
	return 0;
}

static bool has_program(const struct conf_words *words)
{
	return words->n > 0 && *words->v[0];
}

/* What means nothing for this kind of handler is a mistake, unless it has its default. */
static int check_kind(const struct conf *c, const struct conf_handler *h, struct err *err)
{
	const struct {
		const char *option;
		bool given;
	} of_service[] = {{"concurrency", h->concurrency != 1}, {"warmup", h->warmup},
	    {"max_jobs", h->max_jobs}, {"max_rss", h->max_rss}};
	static const conf_EXITS none;

	if (h->service.n) {
		if (memcmp(&h->dead_exits, &none, sizeof none) != 0)
			return conf_settings_fail(c, "handler", h->section, "dead_exits", err,
			    "only a command has it: a service says in \"failed\" whether to retry");
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(of_service); i++) {
		if (of_service[i].given)
			return conf_settings_fail(c, "handler", h->section, of_service[i].option,
			    err, "only a service has it");
	}
	return 0;
}

static int check_handler(const struct conf *c, const struct conf_handler *h, struct err *err)
{
	int rc = check_name("handler", h->section, JOB_NAME_BYTES, err);

	if (rc == 0 && h->command.n && h->service.n)
		return conf_settings_fail(c, "handler", h->section, "service", err,
		    "a handler is either a command or a service, not both");
	if (rc == 0 && !has_program(&h->command) && !has_program(&h->service))
		return conf_settings_fail(c, "handler", h->section,
		    h->service.n ? "service" : "command", err,
		    "a handler needs a command or a service: the program and its arguments");
	return rc == 0 ? check_kind(c, h, err) : rc;
}

static int check_socket_mode(const struct conf *c, struct err *err)
{
	const char *mode = c->daemon.socket_mode;
	size_t n = strlen(mode);

	if (n < 3 || n > 4 || strspn(mode, "01234567") != n || (n == 4 && *mode != '0'))
		return conf_settings_fail(c, "daemon", NULL, "socket_mode", err,
		    "'%s' is no octal mode such as 0660", mode);
	return 0;
}

int conf_check_names(struct conf *c, struct err *err)
{
	int rc = check_name("daemon", c->daemon.name, JOB_NAME_BYTES, err);

	if (rc == 0)
		rc = check_socket_mode(c, err);
	for (size_t i = 0; i < c->npools && rc == 0; i++)
		rc = check_pool(c, &c->pools[i], err);
	for (size_t i = 0; i < c->nqueues && rc == 0; i++)
		rc = check_queue(c, &c->queues[i], err);
	for (size_t i = 0; i < c->nhandlers && rc == 0; i++)
		rc = check_handler(c, &c->handlers[i], err);
	return rc;
}

int conf_check_password(const struct conf *c, char **ret, struct err *err)
{
	const char *path = c->broker.password_file;
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char text[PASSWORD_BYTES + 1];
	ssize_t n;

	if (fd < 0)
		return err_sys(err, errno, "cannot open the password file '%s'", path);
	n = read(fd, text, sizeof text - 1);
	if (n < 0)
		return err_sys(err, errno, "cannot read the password file '%s'", path);
	text[n] = '\0';
	n = (ssize_t)strcspn(text, "\r\n");
	if (n == 0 || n == PASSWORD_BYTES)
		return err_set(err, -EINVAL, "the first line of the password file '%s' is %s", path,
		    n ? "too long" : "empty");
	*ret = slice_dup(slice_of(text, (size_t)n));
	return 0;
}

static int check_user(
    const struct conf *c, const char *kind, const char *section, const char *user, struct err *err)
{
	const struct passwd *pw;

	if (!*user)
		return 0;
	pw = getpwnam(user);
	if (!pw)
		return conf_settings_fail(
		    c, kind, section, "user", err, "there is no user '%s'", user);
	if (geteuid() != 0 && pw->pw_uid != geteuid())
		return conf_settings_fail(c, kind, section, "user", err,
		    "only root can become '%s': start skepd as root, or leave `user` out", user);
	return 0;
}

int conf_check_start(const struct conf *c, struct err *err)
{
	auto_free char *password = NULL;
	int rc = check_user(c, "daemon", NULL, c->daemon.user, err);

	for (size_t i = 0; i < c->npools && rc == 0; i++)
		rc = check_user(c, "pool", c->pools[i].section, c->pools[i].user, err);
	if (rc == 0 && *c->broker.password_file)
		rc = conf_check_password(c, &password, err);
	return rc;
}
