/* SPDX-License-Identifier: MIT */
/*
 * options.def as data: the kinds of section, their options, and the sections of a configuration by
 * kind and index, so that defaults, parsing, writing and freeing are each one loop.
 */
#ifndef SKEP_CONF_CONF_TABLE_H
#define SKEP_CONF_CONF_TABLE_H

#include "lib/conf/conf_types.h"

struct conf_kind {
	const char *word; /* "pool" */
	bool named;	  /* [pool NAME], any number of them */
	const char *about;
	const struct conf_option *options;
	size_t noptions;
	size_t size;	  /* of its struct */
	size_t at, count; /* in struct conf: the struct, or the array and its length */
};

#define CONF_KINDS 6
extern const struct conf_kind conf_table_kinds[CONF_KINDS];

const struct conf_kind *conf_table_kind(const char *word, size_t n); /* NULL if there is none */
const struct conf_option *conf_table_option(const struct conf_kind *k, const char *name);

size_t conf_table_count(const struct conf *c, const struct conf_kind *k);
void *conf_table_section(const struct conf *c, const struct conf_kind *k, size_t i);
/* NULL if it has none. */
const char *conf_table_name(const struct conf *c, const struct conf_kind *k, size_t i);

/* The section of that name, made with all defaults if it is not there. */
void *conf_table_make(struct conf *c, const struct conf_kind *k, const char *name);

static inline void *conf_table_field(const void *section, const struct conf_option *o)
{
	return (char *)(uintptr_t)section + o->offset;
}

/* Defaults for the sections without names; those with one get theirs when they are made. */
void conf_table_init(struct conf *c);
void conf_table_free(struct conf *c);

#endif
