/* SPDX-License-Identifier: MIT */
/*
 * inih keeps a line in 200 bytes and a section's name in 50 and cuts what is longer without a word,
 * reports no line numbers and no empty sections. So it decides what a line is, and the texts are
 * taken from the line itself, which its reader function (ours) keeps; a section line is handed to
 * it as "[s]".
 */
#include "lib/conf/conf_ini.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>

struct reader {
	const uint8_t *at, *end;
	const char *file;
	int line;
	char *text;    /* the line, whole */
	bool indented; /* it begins with white space */
	bool open;     /* an entry has begun that it may continue */
	const struct conf_ini_ops *ops;
	void *arg;
	struct err *err;
	int rc;
};

static int reader_fail(struct reader *r, const char *what)
{
	if (r->rc == 0)
		r->rc = err_set(r->err, -EINVAL, "%s:%d: %s", r->file, r->line, what);
	return r->rc;
}

static char *trim(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	n = strlen(s);
	while (n && isspace((unsigned char)s[n - 1]))
		s[--n] = '\0';
	return s;
}

/* inih's rule for a comment behind a value: a semicolon after white space. */
static char *cut_comment(char *s)
{
	for (char *p = s + 1; *s && *p; p++) {
		if (*p == ';' && isspace((unsigned char)p[-1])) {
			*p = '\0';
			break;
		}
	}
	return s;
}

static int read_section(struct reader *r, const char *start)
{
	auto_free char *copy = xstrdup(start + 1);
	char *end = strchr(copy, ']'), *rest;

	if (!end)
		return reader_fail(r, "a section ends with ]");
	*end = '\0';
	rest = trim(end + 1);
	if (*rest && !strchr("#;", *rest))
		return reader_fail(r, "there is text after the ] of a section");
	r->open = false;
	r->rc = r->ops->section(r->arg, trim(copy), r->line, r->err);
	return r->rc;
}

/* Takes the next physical line out of the text into r->text. */
static bool take_line(struct reader *r)
{
	const uint8_t *newline;
	size_t n;

	if (r->at == r->end)
		return false;
	newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
	n = (size_t)((newline ? newline : r->end) - r->at);
	free(r->text);
	r->text = slice_dup(slice_of(r->at, n));
	r->at += n + (newline ? 1 : 0);
	r->line++;
	if (strlen(r->text) != n)
		reader_fail(r, "a NUL byte; is this a text file?");
	return r->rc == 0;
}

/* What inih calls for its next line. */
static char *next_line(char *to, int size, void *stream)
{
	struct reader *r = stream;
	const char *start;

	if (r->rc < 0 || !take_line(r))
		return NULL;
	start = r->text + strspn(r->text, " \t\r\v\f");
	r->indented = start > r->text;
	if (*start == '[' && !(r->indented && r->open)) {
		if (read_section(r, start) < 0)
			return NULL;
		snprintf(to, (size_t)size, "[s]\n");
	} else {
		snprintf(to, (size_t)size, "%s", r->text);
	}
	return to;
}

/* What inih calls for an entry: its value is cut, so take ours. */
static int on_entry(
    void *user, const char *section UNUSED, const char *name, const char *value UNUSED)
{
	struct reader *r = user;
	bool continues = r->indented && r->open;
	char *start = continues ? r->text : strpbrk(r->text, "=:") + 1;

	r->open = true;
	if (r->rc == 0)
		r->rc = r->ops->entry(
		    r->arg, name, trim(cut_comment(start)), continues, r->line, r->err);
	return r->rc == 0;
}

int conf_ini_read(
    struct slice text, const char *file, const struct conf_ini_ops *ops, void *arg, struct err *err)
{
	struct reader r = {.at = text.p, .end = text.p + text.n, .file = file};
	int bad;

	r.ops = ops;
	r.arg = arg;
	r.err = err;
	if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
		r.at += 3;
	bad = ini_parse_stream(next_line, &r, on_entry, &r);
	if (bad > 0 && (r.rc == 0 || bad < r.line)) {
		r.line = bad;
		r.rc = 0;
		reader_fail(&r, "neither a [section] nor name = value");
	}
	free(r.text);
	return r.rc;
}
