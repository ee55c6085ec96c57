/* SPDX-License-Identifier: MIT */
#include "lib/conf/conf_settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>

#include "lib/conf/conf_ini.h"
#include "lib/conf/conf_nearest.h"

/* One file while it is read. */
struct reading {
	struct conf *c;
	const char *file;
	const struct conf_kind *kind; /* of the section we are in; NULL: none yet */
	char *section;
	size_t current; /* the setting that a further line would continue */
};

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static struct conf_setting *find(const struct conf *c, const struct conf_kind *kind,
    const char *section, const struct conf_option *option)
{
	for (size_t i = 0; c->origins && i < c->origins->n; i++) {
		struct conf_setting *s = &c->origins->v[i];

		if (s->kind == kind && s->option == option && same_text(s->section, section))
			return s;
	}
	return NULL;
}

static int unknown_section(
    const struct reading *r, int line, const char *text, size_t word, struct err *err)
{
	const char *words[CONF_KINDS], *near;
	auto_free char *given = slice_dup(slice_of(text, word));

	for (size_t i = 0; i < CONF_KINDS; i++)
		words[i] = conf_table_kinds[i].word;
	near = conf_nearest(given, words, CONF_KINDS);
	if (!near)
		return err_set(err, -EINVAL,
		    "%s:%d: unknown section [%s]: there are daemon, broker, store, pool NAME, queue NAME, "
		    "handler TYPE",
		    r->file, line, text);
	return err_set(err, -EINVAL, "%s:%d: unknown section [%s]: did you mean [%s%s]?", r->file,
	    line, text, near, conf_table_kind(near, strlen(near))->named ? " NAME" : "");
}

static int on_section(void *arg, const char *text, int line, struct err *err)
{
	struct reading *r = arg;
	size_t word = strcspn(text, " \t");
	const char *name = text + word + strspn(text + word, " \t");
	const struct conf_kind *kind = conf_table_kind(text, word);

	if (!kind)
		return unknown_section(r, line, text, word, err);
	if (kind->named && !*name)
		return err_set(err, -EINVAL, "%s:%d: section [%s] needs a name: [%s NAME]", r->file,
		    line, kind->word, kind->word);
	if (!kind->named && *name)
		return err_set(err, -EINVAL, "%s:%d: section [%s] has no name: write [%s]", r->file,
		    line, text, kind->word);
	r->kind = kind;
	free(r->section);
	r->section = kind->named ? xstrdup(name) : NULL;
	conf_table_make(r->c, kind, name);
	return 0;
}

static int unknown_option(const struct reading *r, int line, const char *name, struct err *err)
{
	const char *words[64], *near;
	size_t n = 0;

	for (size_t i = 0; i < CONF_KINDS; i++) {
		const struct conf_kind *other = &conf_table_kinds[i];

		if (other != r->kind && conf_table_option(other, name))
			return err_set(err, -EINVAL,
			    "%s:%d: option '%s' belongs in [%s%s], not in [%s%s%s]", r->file, line,
			    name, other->word, other->named ? " NAME" : "", r->kind->word,
			    r->section ? " " : "", r->section ? r->section : "");
	}
	for (size_t i = 0; i < r->kind->noptions && n < ARRAY_SIZE(words); i++)
		words[n++] = r->kind->options[i].name;
	near = conf_nearest(name, words, n);
	if (near)
		return err_set(err, -EINVAL,
		    "%s:%d: unknown option '%s' in [%s]: did you mean '%s'?", r->file, line, name,
		    r->kind->word, near);
	return err_set(
	    err, -EINVAL, "%s:%d: unknown option '%s' in [%s]", r->file, line, name, r->kind->word);
}

static struct conf_setting *setting_make(struct reading *r, const struct conf_option *option)
{
	struct conf_origin *o = r->c->origins;
	struct conf_setting *s = find(r->c, r->kind, r->section, option);

	if (s)
		return s;
	o->v = xrealloc(o->v, (o->n + 1) * sizeof *o->v);
	s = &o->v[o->n++];
	*s = (struct conf_setting){.kind = r->kind, .option = option};
	s->section = r->section ? xstrdup(r->section) : NULL;
	return s;
}

static int on_entry(
    void *arg, const char *name, const char *value, bool continues, int line, struct err *err)
{
	struct reading *r = arg;
	const struct conf_option *option;
	struct conf_setting *s;

	if (!r->kind)
		return err_set(err, -EINVAL, "%s:%d: option '%s' stands before the first [section]",
		    r->file, line, name);
	if (continues) {
		char *joined;

		s = &r->c->origins->v[r->current];
		joined = xasprintf("%s%s%s", s->text, *s->text ? " " : "", value);
		free(s->text);
		s->text = joined;
		return 0;
	}
	option = conf_table_option(r->kind, name);
	if (!option)
		return unknown_option(r, line, name, err);
	s = setting_make(r, option);
	r->current = (size_t)(s - r->c->origins->v);
	free(s->text);
	free(s->file);
	s->text = xstrdup(value);
	s->file = xstrdup(r->file);
	s->line = line;
	return 0;
}

int conf_settings_read(struct conf *c, struct slice text, const char *file, struct err *err)
{
	static const struct conf_ini_ops ops = {on_section, on_entry};
	struct reading r = {.c = c, .file = file};
	int rc;

	if (!c->origins)
		c->origins = xcalloc(1, sizeof *c->origins);
	rc = conf_ini_read(text, file, &ops, &r, err);
	free(r.section);
	return rc;
}

int conf_settings_apply(struct conf *c, struct err *err)
{
	for (size_t i = 0; i < c->origins->n; i++) {
		const struct conf_setting *s = &c->origins->v[i];
		void *section = conf_table_make(c, s->kind, s->section);

		if (conf_type_parse(s->option, conf_table_field(section, s->option), s->text, err) <
		    0)
			return err_prefix(err, "%s:%d: %s", s->file, s->line, s->option->name);
	}
	return 0;
}

const struct conf_setting *conf_settings_find(
    const struct conf *c, const char *kind, const char *section, const char *option)
{
	const struct conf_kind *k = conf_table_kind(kind, strlen(kind));

	return find(c, k, section, conf_table_option(k, option));
}

int conf_settings_fail(const struct conf *c, const char *kind, const char *section,
    const char *option, struct err *err, const char *fmt, ...)
{
	const struct conf_setting *s = conf_settings_find(c, kind, section, option);
	char text[ERR_TEXT_BYTES], where[ERR_TEXT_BYTES] = "";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (s)
		snprintf(where, sizeof where, "%s:%d: ", s->file, s->line);
	else if (c->file)
		snprintf(where, sizeof where, "%s: ", c->file);
	return err_set(err, -EINVAL, "%s[%s%s%s] %s: %s", where, kind, section ? " " : "",
	    section ? section : "", option, text);
}

void conf_settings_free(struct conf_origin *o)
{
	for (size_t i = 0; o && i < o->n; i++) {
		free(o->v[i].section);
		free(o->v[i].text);
		free(o->v[i].file);
	}
	if (o)
		free(o->v);
	free(o);
}
