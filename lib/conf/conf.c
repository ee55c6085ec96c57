/* SPDX-License-Identifier: MIT */
/*
 * Reading goes: every file into settings (conf_settings.c), settings into fields by the table of
 * options.def (conf_table.c, conf_types.c), then what depends on the machine (conf_paths.c) and on
 * other sections (conf_check.c). A child reads what conf_write.c made of the result, where nothing
 * is left to a default.
 */
#include "lib/conf/conf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "lib/conf/conf_check.h"
#include "lib/conf/conf_paths.h"
#include "lib/conf/conf_settings.h"
#include "lib/conf/conf_url.h"
#include "lib/conf/conf_words.h"

#define CONF_FILE_MAX_BYTES (16u << 20)

static struct conf *conf_new(const char *file)
{
	struct conf *c = xcalloc(1, sizeof *c);

	c->file = file ? xstrdup(file) : NULL;
	conf_table_init(c);
	return c;
}

void conf_free(struct conf *c)
{
	if (!c)
		return;
	conf_table_free(c);
	conf_settings_free(c->origins);
	free(c->file);
	free(c);
}

/* Settings into fields, defaults, checks. Frees `c` on failure. */
static struct conf *finish(struct conf *c, int rc, struct err *err)
{
	if (rc == 0)
		rc = conf_settings_apply(c, err);
	if (rc == 0)
		rc = conf_paths_fill(c, err);
	if (rc == 0)
		rc = conf_check_names(c, err);
	if (rc == 0)
		return c;
	conf_free(c);
	return NULL;
}

struct conf *conf_parse(struct slice text, const char *file, struct err *err)
{
	struct conf *c = conf_new(file);

	return finish(c, conf_settings_read(c, text, file ? file : "configuration", err), err);
}

/* The whole file in `out`. */
static int read_fd(int fd, const char *name, struct buf *out, struct err *err)
{
	uint8_t *room;
	off_t at = 0;
	ssize_t n;

	do {
		room = buf_reserve(out, 4096);
		if (!room)
			return err_set(err, -EFBIG, "'%s' is larger than %u MiB", name,
			    CONF_FILE_MAX_BYTES >> 20);
		n = pread(fd, room, 4096, at);
		if (n < 0)
			return err_sys(err, errno, "cannot read '%s'", name);
		buf_added(out, (size_t)n);
		at += n;
	} while (n > 0);
	return 0;
}

struct conf *conf_from_fd(int fd, struct err *err)
{
	struct conf *c = NULL;
	struct buf text;

	buf_init(&text, CONF_FILE_MAX_BYTES);
	if (read_fd(fd, "configuration", &text, err) == 0)
		c = conf_parse(buf_slice(&text), NULL, err);
	buf_free(&text);
	return c;
}

static int read_file(struct conf *c, const char *path, struct err *err)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	struct buf text;
	int rc;

	if (fd < 0)
		return err_sys(err, errno, "cannot open '%s'", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "'%s' is no regular file", path);
	buf_init(&text, CONF_FILE_MAX_BYTES);
	rc = read_fd(fd, path, &text, err);
	if (rc == 0)
		rc = conf_settings_read(c, buf_slice(&text), path, err);
	buf_free(&text);
	return rc;
}

static int is_part(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 5 && d->d_name[0] != '.' && strcmp(d->d_name + n - 5, ".conf") == 0;
}

/* By bytes: the order must not depend on the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_parts(struct conf *c, struct err *err)
{
	auto_free char *dir =
	    xasprintf("%.*s/conf.d", (int)(strrchr(c->file, '/') - c->file), c->file);
	struct dirent **parts;
	int n = scandir(dir, &parts, is_part, by_name), rc = 0;

	if (n < 0)
		return errno == ENOENT ? 0
				       : err_sys(err, errno, "cannot read the directory '%s'", dir);
	for (int i = 0; i < n; i++) {
		auto_free char *path = xasprintf("%s/%s", dir, parts[i]->d_name);

		if (rc == 0)
			rc = read_file(c, path, err);
		free(parts[i]);
	}
	free(parts);
	return rc;
}

/* A client that may not read the secret does without it: see conf_check_start(). */
static int merge_password(struct conf *c, struct err *err)
{
	auto_free char *password = NULL;
	struct conf_words *urls = &c->broker.url;
	int rc;

	if (!*c->broker.password_file || conf_is_embedded(c))
		return 0;
	rc = conf_check_password(c, &password, err);
	if (rc < 0)
		return rc == -EACCES ? 0 : rc;
	for (size_t i = 0; i < urls->n; i++) {
		char *url = conf_url_with_password(urls->v[i], password);

		free(urls->v[i]);
		urls->v[i] = url;
	}
	return 0;
}

struct conf *conf_load(const char *file, struct err *err)
{
	auto_free char *path = realpath(file, NULL);
	struct conf *c;
	int rc;

	if (!path) {
		err_sys(err, errno, "cannot open '%s'", file);
		return NULL;
	}
	c = conf_new(path);
	rc = read_file(c, path, err);
	if (rc == 0)
		rc = read_parts(c, err);
	c = finish(c, rc, err);
	if (c && merge_password(c, err) < 0) {
		conf_free(c);
		return NULL;
	}
	return c;
}

int conf_set_broker(struct conf *c, const char *url, struct err *err)
{
	int rc = conf_url_check(url, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < c->broker.url.n; i++)
		free(c->broker.url.v[i]);
	free(c->broker.url.v);
	c->broker.url.v = xcalloc(2, sizeof *c->broker.url.v);
	c->broker.url.v[0] = xstrdup(url);
	c->broker.url.n = 1;
	return merge_password(c, err);
}

bool conf_is_embedded(const struct conf *c)
{
	return c->broker.url.n == 1 && strcmp(c->broker.url.v[0], CONF_URL_EMBEDDED) == 0;
}

const struct conf_pool *conf_pool(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->npools; i++) {
		if (strcmp(c->pools[i].section, name) == 0)
			return &c->pools[i];
	}
	return NULL;
}

const struct conf_queue *conf_queue(const struct conf *c, struct slice name)
{
	for (size_t i = 0; i < c->nqueues; i++) {
		if (slice_is(name, c->queues[i].section))
			return &c->queues[i];
	}
	return NULL;
}

const struct conf_handler *conf_handler(const struct conf *c, struct slice type)
{
	for (size_t i = 0; i < c->nhandlers; i++) {
		if (slice_is(type, c->handlers[i].section))
			return &c->handlers[i];
	}
	return NULL;
}

uint32_t conf_pool_slots(const struct conf *c, const struct conf_pool *p)
{
	int64_t slots = 1;

	for (size_t i = 0; i < p->queues.n; i++) {
		const struct conf_queue *queue = conf_queue(c, slice_str(p->queues.v[i]));
		const struct conf_handler *handler =
		    queue && queue->handler ? conf_handler(c, slice_str(queue->handler)) : NULL;

		if (handler && handler->concurrency > slots)
			slots = handler->concurrency;
	}
	return (uint32_t)slots;
}
