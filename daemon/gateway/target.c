/* SPDX-License-Identifier: MIT */
#include "daemon/gateway/target.h"

#include <errno.h>

static int hex(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes in place what lies between two separators; only a query has + for a space. */
static int decode(char *text, size_t n, bool query, struct slice *ret)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] == '%') {
			int high = i + 2 < n ? hex((unsigned char)text[i + 1]) : -1;
			int low = i + 2 < n ? hex((unsigned char)text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -EINVAL;
			text[out++] = (char)(high << 4 | low);
			i += 2;
		} else {
			text[out++] = query && text[i] == '+' ? ' ' : text[i];
		}
	}
	*ret = slice_of(text, out);
	return 0;
}

static int parse_path(struct target *t, char *path, struct err *err)
{
	if (*path != '/')
		return err_set(err, -EINVAL, "the path must begin with a slash");
	while (path) {
		char *next = strchr(++path, '/');
		size_t n = next ? (size_t)(next - path) : strlen(path);

		if (t->nsegments == TARGET_SEGMENTS_MAX)
			return err_set(err, -EINVAL, "the path has too many parts");
		if (decode(path, n, false, &t->segments[t->nsegments]) < 0)
			return err_set(err, -EINVAL, "the path has an invalid %%-escape");
		t->nsegments++;
		path = next;
	}
	return 0;
}

static int parse_param(struct target *t, char *text, size_t n, struct err *err)
{
	char *equals = memchr(text, '=', n);
	size_t name_n = equals ? (size_t)(equals - text) : n;
	struct target_param *p = &t->params[t->nparams];

	if (t->nparams == TARGET_PARAMS_MAX)
		return err_set(err, -EINVAL, "the query has too many parameters");
	p->value = slice_of(text + n, 0);
	if (decode(text, name_n, true, &p->name) < 0 ||
	    (equals && decode(equals + 1, n - name_n - 1, true, &p->value) < 0))
		return err_set(err, -EINVAL, "the query has an invalid %%-escape");
	for (size_t i = 0; i < t->nparams; i++) {
		if (slice_eq(t->params[i].name, p->name))
			return err_set(err, -EINVAL, "'%.*s' is given twice",
			    p->name.n < 60 ? (int)p->name.n : 60, (const char *)p->name.p);
	}
	t->nparams++;
	return 0;
}

static int parse_query(struct target *t, char *query, struct err *err)
{
	while (query) {
		char *next = strchr(query, '&');
		size_t n = next ? (size_t)(next - query) : strlen(query);

		if (n && parse_param(t, query, n, err) < 0)
			return -EINVAL;
		query = next ? next + 1 : NULL;
	}
	return 0;
}

int target_parse(struct target *ret, const char *uri, struct err *err)
{
	char *query;

	*ret = (struct target){.text = xstrdup(uri)};
	query = strchr(ret->text, '?');
	if (query)
		*query++ = '\0';
	if (parse_path(ret, ret->text, err) < 0)
		return -EINVAL;
	return parse_query(ret, query, err);
}

void target_free(struct target *t)
{
	free(t->text);
	*t = (struct target){0};
}

struct slice target_param(const struct target *t, const char *name)
{
	for (size_t i = 0; i < t->nparams; i++) {
		if (slice_is(t->params[i].name, name))
			return t->params[i].value;
	}
	return (struct slice){NULL, 0};
}
