/* SPDX-License-Identifier: MIT */
/*
 * JSON, over cJSON (json.c is its only includer). A `struct json` is a cJSON item under another name.
 * Parsing is bounded by the caller's limit on the text and by a nesting limit. Strings that go out are
 * made valid UTF-8: bytes that are not become U+FFFD, so that a job cannot break its own report.
 */
#ifndef SKEP_BASE_JSON_H
#define SKEP_BASE_JSON_H

#include "lib/base/base.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct json;

/* Parses one value that must be the whole text. NULL on error, with the offset in `err`. Strings never hold a NUL
 * byte: one that does, also as \u0000, is an error. */
struct json *json_parse(struct slice text, struct err *err);
void json_free(struct json *j);

/* Readers. Each returns false or NULL when the key is absent or of another type. */
bool json_is_object(const struct json *j);
bool json_is_array(const struct json *j);
const struct json *json_get(const struct json *object, const char *key);
const char *json_get_str(const struct json *object, const char *key);
bool json_get_num(const struct json *object, const char *key, double *ret);
bool json_get_int(const struct json *object, const char *key, int64_t *ret);
bool json_get_bool(const struct json *object, const char *key, bool *ret);
const char *json_str(const struct json *j); /* the text of a string value, or NULL */
bool json_num(const struct json *j, double *ret);
bool json_is_null(const struct json *j);
const char *json_key(const struct json *j); /* of a member of an object */
size_t json_count(const struct json *array);
const struct json *json_first(const struct json *container);
const struct json *json_next(const struct json *item);

/* Builders. Adding to a container hands the child over. */
struct json *json_object(void);
struct json *json_array(void);
void json_add(struct json *object, const char *key, struct json *child);
void json_push(struct json *array, struct json *child);
void json_add_str(struct json *object, const char *key, struct slice text);
void json_add_strz(struct json *object, const char *key, const char *text); /* NULL -> null */
void json_add_int(struct json *object, const char *key, int64_t value);     /* exact */
void json_add_num(struct json *object, const char *key, double value);
void json_add_bool(struct json *object, const char *key, bool value);
void json_add_null(struct json *object, const char *key);
void json_push_str(struct json *array, struct slice text);
/* Wall-clock milliseconds as RFC 3339; null when 0. */
void json_add_time(struct json *object, const char *key, int64_t wall_ms);

/* Appends the text, compact or indented. 0, or -ENOBUFS. */
int json_print(const struct json *j, bool pretty, struct buf *out);

/* Appends `text` as a JSON string, quotes included. 0, or -ENOBUFS with part of it added. */
int json_quote(struct slice text, struct buf *out);

/* True if the bytes are valid UTF-8 without NUL (RFC 3629). */
bool json_utf8_valid(struct slice text);

#endif
