/* SPDX-License-Identifier: MIT */
#include "daemon/gateway/items.h"

#include <errno.h>

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_space(struct slice text, size_t at)
{
	while (at < text.n && is_space(text.p[at]))
		at++;
	return at;
}

/* Past the closing quote of the string that begins at `at`. */
static int scan_string(struct slice text, size_t *at, struct err *err)
{
	for (size_t i = *at + 1; i < text.n; i++) {
		if (text.p[i] == '"') {
			*at = i + 1;
			return 0;
		}
		if (text.p[i] != '\\')
			continue;
		if (text.n - i > 5 && memcmp(text.p + i, "\\u0000", 6) == 0)
			return err_set(err, -EINVAL,
			    "\\u0000 at byte %zu: send such a body as body_base64", i);
		i++;
	}
	return err_set(
	    err, -EINVAL, "invalid JSON: the string that begins at byte %zu has no end", *at);
}

/* Past the value that begins at `at`. What is inside is only weighed: the parser judges it. */
static int scan_value(struct slice text, size_t *at, struct err *err)
{
	size_t i = *at, depth = 0, values = 1;

	if (i < text.n && strchr(",:]}", text.p[i]))
		return err_set(err, -EINVAL, "invalid JSON: expected a value at byte %zu", i);
	while (i < text.n) {
		uint8_t c = text.p[i];

		if (c == '"') {
			if (scan_string(text, &i, err) < 0)
				return -EINVAL;
			continue;
		}
		if (depth == 0 && (c == ',' || c == ']' || c == '}' || is_space(c)) && i > *at)
			break;
		values += c == ',' || c == '[' || c == '{';
		depth += c == '[' || c == '{';
		if (depth && (c == ']' || c == '}') && --depth == 0) {
			i++;
			break;
		}
		if (depth > ITEMS_DEPTH_MAX)
			return err_set(err, -EINVAL, "JSON nested deeper than %d at byte %zu",
			    ITEMS_DEPTH_MAX, i);
		if (values > ITEMS_VALUES_MAX)
			return err_set(err, -EINVAL,
			    "more than %d JSON values in one job: send its body as text",
			    ITEMS_VALUES_MAX);
		i++;
	}
	if (depth || i == *at)
		return err_set(
		    err, -EINVAL, "invalid JSON: it ends at byte %zu, within a value", i);
	*at = i;
	return 0;
}

/* From the end of an element to the begin of the next: past the comma. False at the closing
 * bracket. */
static int next_element(struct slice text, size_t *at, bool *ret_more, struct err *err)
{
	size_t i = skip_space(text, *at);

	if (i == text.n || (text.p[i] != ',' && text.p[i] != ']'))
		return err_set(err, -EINVAL, "invalid JSON: expected , or ] at byte %zu", i);
	*ret_more = text.p[i] == ',';
	*at = skip_space(text, i + 1);
	return 0;
}

static int check_array(struct slice text, size_t at, struct err *err)
{
	bool more = text.p[at] != ']';
	size_t count = 0;

	if (!more)
		at = skip_space(text, at + 1);
	while (more) {
		if (++count > ITEMS_MAX)
			return err_set(err, -E2BIG, "more than %d jobs in one request", ITEMS_MAX);
		if (scan_value(text, &at, err) < 0 || next_element(text, &at, &more, err) < 0)
			return -EINVAL;
	}
	if (at != text.n)
		return err_set(
		    err, -EINVAL, "invalid JSON: something follows the array at byte %zu", at);
	return 0;
}

static int check_lines(struct slice text, struct err *err)
{
	size_t count = 0;

	for (size_t i = 0; i < text.n; i++)
		count += text.p[i] == '\n';
	return count > ITEMS_MAX
		   ? err_set(err, -E2BIG, "more than %d lines in one request", ITEMS_MAX)
		   : 0;
}

int items_open(struct items *ret, bool lines, struct slice text, struct err *err)
{
	size_t at = skip_space(text, 0), end = at;
	int rc;

	*ret = (struct items){.form = ITEMS_LINES, .text = text};
	if (lines)
		return check_lines(text, err);
	if (at == text.n)
		return err_set(
		    err, -EINVAL, "the body is empty: send a JSON object, or another Content-Type");
	if (text.p[at] != '[') {
		ret->form = ITEMS_ONE;
		ret->at = at;
		rc = scan_value(text, &end, err);
		if (rc == 0 && skip_space(text, end) != text.n)
			rc = err_set(err, -EINVAL,
			    "invalid JSON: something follows the object at byte %zu", end);
		return rc;
	}
	ret->form = ITEMS_ARRAY;
	ret->at = skip_space(text, at + 1);
	if (ret->at == text.n)
		return err_set(err, -EINVAL, "invalid JSON: the array has no end");
	return check_array(text, ret->at, err);
}

static int next_line(struct items *it, struct slice *ret, struct err *err)
{
	while (it->at < it->text.n) {
		const uint8_t *from = it->text.p + it->at;
		const uint8_t *newline = memchr(from, '\n', it->text.n - it->at);
		struct slice line =
		    slice_of(from, newline ? (size_t)(newline - from) : it->text.n - it->at);
		size_t begin, end;

		it->at += line.n + 1;
		it->line++;
		begin = end = skip_space(line, 0);
		if (begin == line.n)
			continue;
		if (scan_value(line, &end, err) < 0)
			return -EINVAL;
		if (skip_space(line, end) != line.n)
			return err_set(err, -EINVAL,
			    "invalid JSON: something follows the object at byte %zu", end);
		*ret = slice_of(line.p + begin, end - begin);
		return 1;
	}
	return 0;
}

int items_next(struct items *it, struct slice *ret, struct err *err)
{
	size_t begin = it->at, end = it->at;
	bool more;

	if (it->form == ITEMS_LINES)
		return next_line(it, ret, err);
	if (it->at >= it->text.n || it->text.p[it->at] == ']')
		return 0;
	if (scan_value(it->text, &end, err) < 0)
		BUG("an array that was checked is broken: %s", err->text);
	*ret = slice_of(it->text.p + begin, end - begin);
	it->line++;
	it->at = it->text.n;
	if (it->form == ITEMS_ARRAY && next_element(it->text, &end, &more, err) == 0 && more)
		it->at = end;
	return 1;
}
