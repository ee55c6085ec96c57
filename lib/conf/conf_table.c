/* SPDX-License-Identifier: MIT */
#include "lib/conf/conf_table.h"

#define ROW(section, name, TYPE, fallback, least, most, doc)                                       \
	{#name, CONF_##TYPE, offsetof(struct conf_##section, name), fallback, least, most, doc},

static const struct conf_option daemon_options[] = {
#define DAEMON_OPTION(...) ROW(daemon, __VA_ARGS__)
#include "lib/conf/options.def"
};
static const struct conf_option broker_options[] = {
#define BROKER_OPTION(...) ROW(broker, __VA_ARGS__)
#include "lib/conf/options.def"
};
static const struct conf_option store_options[] = {
#define STORE_OPTION(...) ROW(store, __VA_ARGS__)
#include "lib/conf/options.def"
};
static const struct conf_option pool_options[] = {
#define POOL_OPTION(...) ROW(pool, __VA_ARGS__)
#include "lib/conf/options.def"
};
static const struct conf_option queue_options[] = {
#define QUEUE_OPTION(...) ROW(queue, __VA_ARGS__)
#include "lib/conf/options.def"
};
static const struct conf_option handler_options[] = {
#define HANDLER_OPTION(...) ROW(handler, __VA_ARGS__)
#include "lib/conf/options.def"
};

/* Named sections begin with their name. */
_Static_assert(offsetof(struct conf_pool, section) == 0, "the name of a pool is not first");
_Static_assert(offsetof(struct conf_queue, section) == 0, "the name of a queue is not first");
_Static_assert(offsetof(struct conf_handler, section) == 0, "the name of a handler is not first");

#define ONE(kind, about)                                                                           \
	{#kind, false, about, kind##_options, ARRAY_SIZE(kind##_options),                          \
	    sizeof(struct conf_##kind), offsetof(struct conf, kind), 0}
#define MANY(kind, about)                                                                          \
	{#kind, true, about, kind##_options, ARRAY_SIZE(kind##_options),                           \
	    sizeof(struct conf_##kind), offsetof(struct conf, kind##s),                            \
	    offsetof(struct conf, n##kind##s)}

const struct conf_kind conf_table_kinds[CONF_KINDS] = {
    ONE(daemon, "The node itself."),
    ONE(broker, "RabbitMQ."),
    ONE(store, "The node's database."),
    MANY(pool, "Worker processes that consume one or more queues. Any number of pools."),
    MANY(queue,
	"How a queue is declared and read; NAME is its exact AMQP name. Queues that only a pool "
	"names have these defaults."),
    MANY(handler, "How jobs of a type are run; NAME is the type. A handler needs a command or a service."),
};

const struct conf_kind *conf_table_kind(const char *word, size_t n)
{
	for (size_t i = 0; i < CONF_KINDS; i++) {
		if (slice_is(slice_of(word, n), conf_table_kinds[i].word))
			return &conf_table_kinds[i];
	}
	return NULL;
}

const struct conf_option *conf_table_option(const struct conf_kind *k, const char *name)
{
	for (size_t i = 0; i < k->noptions; i++) {
		if (strcmp(k->options[i].name, name) == 0)
			return &k->options[i];
	}
	return NULL;
}

/* Array and length are read and written by memcpy, since their types differ from kind to kind. */
static char *array_of(const struct conf *c, const struct conf_kind *k)
{
	char *array;

	memcpy(&array, (const char *)c + k->at, sizeof array);
	return array;
}

size_t conf_table_count(const struct conf *c, const struct conf_kind *k)
{
	size_t n;

	if (!k->named)
		return 1;
	memcpy(&n, (const char *)c + k->count, sizeof n);
	return n;
}

void *conf_table_section(const struct conf *c, const struct conf_kind *k, size_t i)
{
	return k->named ? array_of(c, k) + i * k->size : (char *)(uintptr_t)c + k->at;
}

static char **name_of(void *section)
{
	return section;
}

const char *conf_table_name(const struct conf *c, const struct conf_kind *k, size_t i)
{
	return k->named ? *name_of(conf_table_section(c, k, i)) : NULL;
}

static void fill_defaults(const struct conf_kind *k, void *section)
{
	struct err err;

	for (size_t i = 0; i < k->noptions; i++) {
		const struct conf_option *o = &k->options[i];

		if (conf_type_parse(o, conf_table_field(section, o), o->fallback, &err) < 0)
			BUG("default of %s: %s", o->name, err.text);
	}
}

void *conf_table_make(struct conf *c, const struct conf_kind *k, const char *name)
{
	size_t n = conf_table_count(c, k);
	char *array, *section;

	if (!k->named)
		return conf_table_section(c, k, 0);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(conf_table_name(c, k, i), name) == 0)
			return conf_table_section(c, k, i);
	}
	array = xrealloc(array_of(c, k), (n + 1) * k->size);
	section = array + n * k->size;
	memset(section, 0, k->size);
	n++;
	memcpy((char *)c + k->at, &array, sizeof array);
	memcpy((char *)c + k->count, &n, sizeof n);
	*name_of(section) = xstrdup(name);
	fill_defaults(k, section);
	return section;
}

void conf_table_init(struct conf *c)
{
	for (size_t i = 0; i < CONF_KINDS; i++) {
		if (!conf_table_kinds[i].named)
			fill_defaults(
			    &conf_table_kinds[i], conf_table_section(c, &conf_table_kinds[i], 0));
	}
}

static void free_section(const struct conf_kind *k, void *section)
{
	for (size_t i = 0; i < k->noptions; i++)
		conf_type_free(&k->options[i], conf_table_field(section, &k->options[i]));
	if (k->named)
		free(*name_of(section));
}

void conf_table_free(struct conf *c)
{
	for (size_t i = 0; i < CONF_KINDS; i++) {
		const struct conf_kind *k = &conf_table_kinds[i];

		for (size_t n = conf_table_count(c, k); n-- > 0;)
			free_section(k, conf_table_section(c, k, n));
		if (k->named)
			free(array_of(c, k));
	}
}
