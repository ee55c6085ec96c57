/* SPDX-License-Identifier: MIT */
#include "lib/conf/conf_words.h"

#include <ctype.h>
#include <errno.h>

void conf_words_add(struct conf_words *w, struct slice word)
{
	w->v = xrealloc(w->v, (w->n + 2) * sizeof *w->v);
	w->v[w->n++] = slice_dup(word);
	w->v[w->n] = NULL;
}

void conf_words_free(struct conf_words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	*w = (struct conf_words){0};
}

static bool is_separator(char c)
{
	return c == ',' || isspace((unsigned char)c);
}

int conf_words_list(const char *text, struct conf_words *ret, struct err *err)
{
	struct conf_words w = {0};
	const char *p = text;

	for (;;) {
		const char *start;

		while (*p && is_separator(*p))
			p++;
		if (!*p)
			break;
		if (*p == '"') {
			const char *end = strchr(p + 1, '"');

			if (!end || (end[1] && !is_separator(end[1]))) {
				conf_words_free(&w);
				return err_set(
				    err, -EINVAL, "a word in double quotes ends with one");
			}
			conf_words_add(&w, slice_of(p + 1, (size_t)(end - p - 1)));
			p = end + 1;
			continue;
		}
		for (start = p; *p && !is_separator(*p);)
			p++;
		conf_words_add(&w, slice_of(start, (size_t)(p - start)));
	}
	*ret = w;
	return 0;
}

/* Copies one quoted or plain stretch of a word to *out. NULL if its quote is not closed. */
static const char *shell_stretch(const char *p, char **out)
{
	char quote = *p;

	if (quote == '\'') {
		for (p++; *p && *p != '\''; p++)
			*(*out)++ = *p;
		return *p ? p + 1 : NULL;
	}
	if (quote == '"') {
		for (p++; *p && *p != '"'; p++) {
			if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
				p++;
			*(*out)++ = *p;
		}
		return *p ? p + 1 : NULL;
	}
	if (quote == '\\') {
		if (!p[1])
			return NULL;
		p++;
	}
	*(*out)++ = *p;
	return p + 1;
}

int conf_words_shell(const char *text, struct conf_words *ret, struct err *err)
{
	struct conf_words w = {0};
	auto_free char *word = xmalloc(strlen(text) + 1);
	const char *p = text;

	for (;;) {
		char *out = word;

		while (isspace((unsigned char)*p))
			p++;
		if (!*p)
			break;
		while (p && *p && !isspace((unsigned char)*p))
			p = shell_stretch(p, &out);
		if (!p) {
			conf_words_free(&w);
			return err_set(err, -EINVAL,
			    "a quote is not closed (a ; after a space begins a comment: write \\;)");
		}
		conf_words_add(&w, slice_of(word, (size_t)(out - word)));
	}
	*ret = w;
	return 0;
}

static bool has_control(const char *s)
{
	for (; *s; s++) {
		if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
			return true;
	}
	return false;
}

int conf_words_list_format(const struct conf_words *w, struct buf *out)
{
	int rc = 0;

	for (size_t i = 0; i < w->n && rc == 0; i++) {
		const char *word = w->v[i];
		bool quote = !*word || *word == '"' || *word == ';' || strpbrk(word, ", \t");

		if (has_control(word) || (quote && strchr(word, '"')) || strstr(word, " ;") ||
		    strstr(word, "\t;"))
			return -EINVAL;
		rc = buf_addf(
		    out, "%s%s%s%s", i ? ", " : "", quote ? "\"" : "", word, quote ? "\"" : "");
	}
	return rc;
}

/* Plain where that is safe, else in single quotes; a semicolon never follows a space, since it
 * would begin a comment. */
static int shell_word_format(const char *word, struct buf *out)
{
	static const char safe[] = "%+,-./:=@_^";
	bool plain = *word != '\0';
	int rc;

	for (const char *p = word; *p; p++)
		plain = plain && (isalnum((unsigned char)*p) || strchr(safe, *p));
	if (plain)
		return buf_adds(out, word);
	rc = buf_adds(out, "'");
	for (const char *p = word; *p && rc == 0; p++) {
		if (*p == '\'' || *p == ';')
			rc = buf_addf(out, "'\\%c'", *p);
		else
			rc = buf_add(out, p, 1);
	}
	return rc == 0 ? buf_adds(out, "'") : rc;
}

int conf_words_shell_format(const struct conf_words *w, struct buf *out)
{
	int rc = 0;

	for (size_t i = 0; i < w->n && rc == 0; i++) {
		if (has_control(w->v[i]))
			return -EINVAL;
		if (i)
			rc = buf_adds(out, " ");
		if (rc == 0)
			rc = shell_word_format(w->v[i], out);
	}
	return rc;
}
