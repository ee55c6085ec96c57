/* SPDX-License-Identifier: MIT */
/*
 * The configuration: one INI file and the files of `conf.d/` beside it (*.conf, in order of their names;
 * later values win), checked against options.def. The supervisor reads it once; its children get what
 * they need through a sealed memfd, with secrets only for those that connect to the broker.
 */
#ifndef SKEP_CONF_CONF_H
#define SKEP_CONF_CONF_H

#include <sys/types.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/job/retry.h"

struct conf_words {
	char **v; /* NULL-terminated */
	size_t n;
};

enum conf_topology { TOPOLOGY_DECLARE, TOPOLOGY_PASSIVE, TOPOLOGY_NONE };
enum conf_queue_type { QUEUE_QUORUM, QUEUE_CLASSIC };

enum conf_scale { SCALE_BY_TARGET_WAIT, SCALE_BY_QUEUE_DEPTH, SCALE_BY_NOTHING };

typedef char *conf_TEXT;
typedef char *conf_PATH;
typedef struct conf_words conf_WORDS, conf_URLS, conf_COMMAND, conf_ENV;
typedef int64_t conf_INT, conf_AUTO, conf_DURATION, conf_SIZE;
typedef bool conf_BOOL;
typedef enum log_level conf_LEVEL;
typedef enum conf_topology conf_TOPOLOGY;
typedef enum conf_queue_type conf_QUEUE_TYPE;
typedef enum conf_scale conf_SCALE;
typedef struct backoff conf_BACKOFF;
typedef struct conf_range {
	int64_t least, most;
} conf_RANGE;
typedef struct {
	uint8_t bits[32]; /* one bit per exit code */
} conf_EXITS;

#define CONF_FIELD(name, TYPE, ...) conf_##TYPE name;

struct conf_daemon {
#define DAEMON_OPTION CONF_FIELD
#include "lib/conf/options.def"
};
struct conf_broker {
#define BROKER_OPTION CONF_FIELD
#include "lib/conf/options.def"
};
struct conf_store {
#define STORE_OPTION CONF_FIELD
#include "lib/conf/options.def"
};
struct conf_pool {
	char *section; /* the NAME of [pool NAME] */
#define POOL_OPTION CONF_FIELD
#include "lib/conf/options.def"
};
struct conf_queue {
	char *section;
#define QUEUE_OPTION CONF_FIELD
#include "lib/conf/options.def"
};
struct conf_handler {
	char *section;
#define HANDLER_OPTION CONF_FIELD
#include "lib/conf/options.def"
};

struct conf_origin; /* where each value came from */

struct conf {
	struct conf_daemon daemon;
	struct conf_broker broker;
	struct conf_store store;
	struct conf_pool *pools;
	size_t npools;
	/* Every queue that a pool consumes or a section names; index = position here, the same in every
	 * process of the node. */
	struct conf_queue *queues;
	size_t nqueues;
	struct conf_handler *handlers;
	size_t nhandlers;
	char *file; /* absolute path, NULL for none */
	struct conf_origin *origins;
};

/* Where skepd and skep look when no -c is given: $SKEP_CONFIG, then $XDG_CONFIG_HOME/skep/skep.conf or
 * ~/.config/skep/skep.conf (not for root), then /etc/skep/skep.conf. A fresh string, NULL if none is there. */
char *conf_default_file(void);

/* Reads FILE and its conf.d, applies defaults (directories, queues), checks that names resolve. NULL
 * with the file, line, option and what to do about it in `err`. The password of password_file becomes part of the
 * urls where this process may read that file; a client that may not gets the rest all the same. */
struct conf *conf_load(const char *file, struct err *err);

/* What only the process that starts the node can know: that the users of the pools exist and it may become them, and
 * that the password file can be read. 0, or negative with err. */
int conf_check_start(const struct conf *c, struct err *err);

/* From text (tests, and the memfd of a child). */
struct conf *conf_parse(struct slice text, const char *file, struct err *err);
struct conf *conf_from_fd(int fd, struct err *err);

/* Writes the configuration back as INI that can be read again; without `secrets` passwords become ***, with
 * `origins` a comment behind each value says where it came from. -EINVAL if a value cannot be written (a directory
 * with a line break in the environment), -ENOBUFS. */
int conf_write(const struct conf *c, bool secrets, bool origins, struct buf *out);

/* A sealed memfd of conf_write() for a child. Negative errno with err. */
int conf_memfd(const struct conf *c, bool secrets, struct err *err);

/* The sample file: every option, explained and commented out. */
int conf_sample(struct buf *out);

void conf_free(struct conf *c);

/* Puts another broker in the place of the configured one, in memory. -EINVAL for what is no url, or what
 * is wrong with the password file; the password is not in err. */
int conf_set_broker(struct conf *c, const char *url, struct err *err);

/* Is the embedded queue its broker? */
bool conf_is_embedded(const struct conf *c);

const struct conf_pool *conf_pool(const struct conf *c, const char *name);
const struct conf_queue *conf_queue(const struct conf *c, struct slice name);
const struct conf_handler *conf_handler(const struct conf *c, struct slice type);

/* The most workers that `skep scale` may ask for while the node runs: what is configured, and CONF_POOL_ROOM at
 * least. */
#define CONF_POOL_ROOM 64
static inline int64_t conf_pool_most(const struct conf_pool *p)
{
	return p->workers.most > CONF_POOL_ROOM ? p->workers.most : CONF_POOL_ROOM;
}

/* Runs that go on at a time in one of its workers, as far as the handlers of its queues tell: 1 to 64. */
uint32_t conf_pool_slots(const struct conf *c, const struct conf_pool *p);

static inline size_t conf_queue_index(const struct conf *c, const struct conf_queue *q)
{
	return (size_t)(q - c->queues);
}
static inline bool conf_exits_has(const conf_EXITS *e, unsigned code)
{
	return code < 256 && (e->bits[code / 8] >> (code % 8) & 1);
}

/* A whole number, or LEAST..MOST of 0 to `most`. -EINVAL with what is wrong. */
int conf_range_parse(const char *text, int64_t most, struct conf_range *ret, struct err *err);

#define CONF_RANGE_TEXT 48
const char *conf_range_format(char ret[static CONF_RANGE_TEXT], const struct conf_range *r);

/* Paths below the directories. Fresh strings. */
char *conf_database(const struct conf *c);     /* state_dir/skep.db */
char *conf_store_socket(const struct conf *c, uid_t uid); /* runtime_dir/store-UID.sock */

#endif
