/* SPDX-License-Identifier: MIT */
#include "lib/base/json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "lib/base/clock.h"

#define CJSON_EXACT INT64_C(1000000000000000)

static cJSON *item(const struct json *j)
{
	return (cJSON *)(uintptr_t)j;
}

static struct json *wrap(const cJSON *c)
{
	return (struct json *)(uintptr_t)c;
}

/* A NUL byte, or the escape of one: cJSON would end the string there and say nothing. */
static bool has_nul(struct slice text)
{
	if (text.n == 0)
		return false;
	if (memchr(text.p, '\0', text.n))
		return true;
	for (size_t i = 0; i + 5 < text.n; i++) {
		if (text.p[i] != '\\')
			continue;
		if (memcmp(text.p + i, "\\u0000", 6) == 0)
			return true;
		i++; /* what is escaped is no backslash that escapes */
	}
	return false;
}

struct json *json_parse(struct slice text, struct err *err)
{
	const char *start = text.p ? (const char *)text.p : "", *end = NULL;
	cJSON *c;

	if (has_nul(text)) {
		err_set(err, -EINVAL, "JSON with a NUL byte in it: send such bytes in base64");
		return NULL;
	}
	c = cJSON_ParseWithLengthOpts(start, text.n, &end, false);
	if (c) {
		while (end < start + text.n && strchr(" \t\r\n", *end) && *end)
			end++;
		if (end == start + text.n)
			return wrap(c);
		cJSON_Delete(c);
	}
	err_set(err, -EINVAL, "invalid JSON at byte %zu", end ? (size_t)(end - start) : 0);
	return NULL;
}

void json_free(struct json *j)
{
	cJSON_Delete(item(j));
}

bool json_is_object(const struct json *j)
{
	return cJSON_IsObject(item(j));
}

bool json_is_array(const struct json *j)
{
	return cJSON_IsArray(item(j));
}

bool json_is_null(const struct json *j)
{
	return cJSON_IsNull(item(j));
}

const struct json *json_get(const struct json *object, const char *key)
{
	return wrap(cJSON_GetObjectItemCaseSensitive(item(object), key));
}

const char *json_str(const struct json *j)
{
	return cJSON_GetStringValue(item(j));
}

bool json_num(const struct json *j, double *ret)
{
	if (!cJSON_IsNumber(item(j)))
		return false;
	*ret = cJSON_GetNumberValue(item(j));
	return true;
}

const char *json_get_str(const struct json *object, const char *key)
{
	return json_str(json_get(object, key));
}

bool json_get_num(const struct json *object, const char *key, double *ret)
{
	return json_num(json_get(object, key), ret);
}

bool json_get_int(const struct json *object, const char *key, int64_t *ret)
{
	double value;

	if (!json_get_num(object, key, &value) || value != floor(value) || fabs(value) > 9.007e15)
		return false;
	*ret = (int64_t)value;
	return true;
}

bool json_get_bool(const struct json *object, const char *key, bool *ret)
{
	const cJSON *c = item(json_get(object, key));

	if (!cJSON_IsBool(c))
		return false;
	*ret = cJSON_IsTrue(c);
	return true;
}

const char *json_key(const struct json *j)
{
	return item(j)->string;
}

size_t json_count(const struct json *array)
{
	return (size_t)cJSON_GetArraySize(item(array));
}

const struct json *json_first(const struct json *container)
{
	return container ? wrap(item(container)->child) : NULL;
}

const struct json *json_next(const struct json *j)
{
	return wrap(item(j)->next);
}

static cJSON *made(cJSON *c)
{
	if (!c)
		BUG("out of memory for JSON");
	return c;
}

struct json *json_object(void)
{
	return wrap(made(cJSON_CreateObject()));
}

struct json *json_array(void)
{
	return wrap(made(cJSON_CreateArray()));
}

void json_add(struct json *object, const char *key, struct json *child)
{
	cJSON_AddItemToObject(item(object), key, item(child));
}

void json_push(struct json *array, struct json *child)
{
	cJSON_AddItemToArray(item(array), item(child));
}

/* The length of the valid UTF-8 sequence at p, or 0 (RFC 3629, section 4). */
static size_t utf8_sequence(const uint8_t *p, size_t n)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return p[0] != 0;
	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		len = 2;
	} else if (p[0] >= 0xe0 && p[0] <= 0xef) {
		len = 3;
		low = p[0] == 0xe0 ? 0xa0 : 0x80;
		high = p[0] == 0xed ? 0x9f : 0xbf;
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		len = 4;
		low = p[0] == 0xf0 ? 0x90 : 0x80;
		high = p[0] == 0xf4 ? 0x8f : 0xbf;
	} else {
		return 0;
	}
	if (n < len || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	}
	return len;
}

/* Eight bytes at a time, each of which is looked at by one and the same operation. */
#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
#define HIGHS EACH(0x80)

static uint64_t eight(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof word);
	return word;
}

/* Not 0 if any byte of the word is below `least`, which is at most 0x80. */
static uint64_t any_below(uint64_t word, uint8_t least)
{
	return (word - EACH(least)) & ~word & HIGHS;
}

static uint64_t any_is(uint64_t word, uint8_t byte)
{
	return any_below(word ^ EACH(byte), 1);
}

/* How many bytes from p on are ASCII, but NUL, which no text of ours holds. */
static size_t ascii_run(const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (n - i >= 8 && !(eight(p + i) & HIGHS) && !any_is(eight(p + i), 0))
		i += 8;
	while (i < n && p[i] - 1u < 0x7f)
		i++;
	return i;
}

bool json_utf8_valid(struct slice text)
{
	for (size_t i = 0, n; i < text.n; i += n) {
		n = ascii_run(text.p + i, text.n - i);
		if (n == 0)
			n = utf8_sequence(text.p + i, text.n - i);
		if (n == 0)
			return false;
	}
	return true;
}

static cJSON *string_of(struct slice text)
{
	auto_free char *clean = xmalloc(text.n * 3 + 1);
	char *out = clean;

	for (size_t i = 0; i < text.n;) {
		size_t n = utf8_sequence(text.p + i, text.n - i);

		memcpy(out, n ? (const char *)text.p + i : "\xef\xbf\xbd", n ? n : 3);
		out += n ? n : 3;
		i += n ? n : 1;
	}
	*out = '\0';
	return made(cJSON_CreateString(clean));
}

void json_add_str(struct json *object, const char *key, struct slice text)
{
	json_add(object, key, wrap(string_of(text)));
}

void json_add_strz(struct json *object, const char *key, const char *text)
{
	if (text)
		json_add_str(object, key, slice_str(text));
	else
		json_add_null(object, key);
}

void json_push_str(struct json *array, struct slice text)
{
	json_push(array, wrap(string_of(text)));
}

void json_add_num(struct json *object, const char *key, double value)
{
	json_add(object, key, wrap(made(cJSON_CreateNumber(value))));
}

void json_add_int(struct json *object, const char *key, int64_t value)
{
	char digits[24];

	/* cJSON prints a double with 15 digits if that is nearly the same. */
	if (value > -CJSON_EXACT && value < CJSON_EXACT) {
		json_add_num(object, key, (double)value);
		return;
	}
	snprintf(digits, sizeof digits, "%" PRId64, value);
	json_add(object, key, wrap(made(cJSON_CreateRaw(digits))));
}

void json_add_bool(struct json *object, const char *key, bool value)
{
	json_add(object, key, wrap(made(cJSON_CreateBool(value))));
}

void json_add_null(struct json *object, const char *key)
{
	json_add(object, key, wrap(made(cJSON_CreateNull())));
}

void json_add_time(struct json *object, const char *key, int64_t wall_ms)
{
	char stamp[CLOCK_RFC3339_BYTES];

	if (wall_ms)
		json_add_strz(object, key, clock_rfc3339(stamp, wall_ms));
	else
		json_add_null(object, key);
}

int json_print(const struct json *j, bool pretty, struct buf *out)
{
	char *text = pretty ? cJSON_Print(item(j)) : cJSON_PrintUnformatted(item(j));
	int rc;

	if (!text)
		BUG("out of memory for JSON text");
	rc = buf_adds(out, text);
	cJSON_free(text);
	return rc;
}

/* How many bytes from p on may stand in a JSON string as they are: ASCII but controls, quote and backslash. */
static size_t plain_run(const uint8_t *p, size_t n)
{
	size_t i = 0;

	for (uint64_t word; n - i >= 8; i += 8) {
		word = eight(p + i);
		if ((word & HIGHS) | any_below(word, 0x20) | any_is(word, '"') | any_is(word, '\\'))
			break;
	}
	while (i < n && p[i] >= 0x20 && p[i] < 0x80 && p[i] != '"' && p[i] != '\\')
		i++;
	return i;
}

#define ESCAPE_BYTES 6 /* the longest of them: \u00XX */

/* ASCII that is not plain; returns how many bytes it became. */
static size_t escape(uint8_t c, uint8_t to[static ESCAPE_BYTES])
{
	static const char hex[] = "0123456789abcdef";

	to[0] = '\\';
	to[1] = c == '\n' ? 'n' : c;
	if (c >= 0x20 || c == '\n')
		return 2;
	memcpy(to + 1, "u00", 3);
	to[4] = (uint8_t)hex[c >> 4];
	to[5] = (uint8_t)hex[c & 15];
	return ESCAPE_BYTES;
}

/* What is not plain: escaped, or a sequence of UTF-8; NUL and what is none become U+FFFD, byte by byte.
 * Returns how many bytes of the text were read. */
static size_t quote_other(const uint8_t *p, size_t left, struct buf *out, int *rc)
{
	size_t n = utf8_sequence(p, left);
	uint8_t escaped[ESCAPE_BYTES];

	if (n == 1)
		*rc = buf_add(out, escaped, escape(p[0], escaped));
	else
		*rc = n ? buf_add(out, p, n) : buf_adds(out, "\xef\xbf\xbd");
	return n ? n : 1;
}

int json_quote(struct slice text, struct buf *out)
{
	int rc = buf_add(out, "\"", 1);

	for (size_t i = 0, n; i < text.n && rc == 0; i += n) {
		n = plain_run(text.p + i, text.n - i);
		if (n)
			rc = buf_add(out, text.p + i, n);
		else
			n = quote_other(text.p + i, text.n - i, out, &rc);
	}
	return rc == 0 ? buf_add(out, "\"", 1) : rc;
}
