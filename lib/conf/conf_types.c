/* SPDX-License-Identifier: MIT */
#include "lib/conf/conf_types.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>

#include "lib/base/clock.h"
#include "lib/conf/conf_url.h"
#include "lib/conf/conf_words.h"

struct type_ops {
	int (*parse)(const struct conf_option *o, void *field, const char *text, struct err *err);
	int (*format)(const void *field, struct buf *out);
	void (*clear)(void *field); /* NULL: nothing to free */
};

/* --- text ------------------------------------------------------------------------------------- */

static void text_clear(void *field)
{
	free(*(char **)field);
	*(char **)field = NULL;
}

static int text_parse(
    const struct conf_option *o UNUSED, void *field, const char *text, struct err *err)
{
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(err, -EINVAL, "there is a control character in it");
	}
	*(char **)field = xstrdup(text);
	return 0;
}

static int text_format(const void *field, struct buf *out)
{
	const char *text = *(char *const *)field;
	size_t n = strlen(text);

	if (*text == ';' || strstr(text, " ;") || strchr(text, '\n') ||
	    (n && (isspace((unsigned char)text[0]) || isspace((unsigned char)text[n - 1]))))
		return -EINVAL;
	return buf_adds(out, text);
}

/* --- words ------------------------------------------------------------------------------------ */

static void words_clear(void *field)
{
	conf_words_free(field);
}

static int words_parse(
    const struct conf_option *o UNUSED, void *field, const char *text, struct err *err)
{
	return conf_words_list(text, field, err);
}

static int words_format(const void *field, struct buf *out)
{
	return conf_words_list_format(field, out);
}

static int urls_parse(
    const struct conf_option *o UNUSED, void *field, const char *text, struct err *err)
{
	struct conf_words w;
	int rc = conf_words_list(text, &w, err);

	if (rc < 0)
		return rc;
	if (w.n == 0)
		rc = err_set(err, -EINVAL, "there must be one url at least");
	for (size_t i = 0; rc == 0 && i < w.n; i++) {
		rc = conf_url_check(w.v[i], err);
		if (rc == 0 && w.n > 1 && strcmp(w.v[i], CONF_URL_EMBEDDED) == 0)
			rc = err_set(err, -EINVAL, "embedded stands alone: it is no broker of a cluster");
	}
	if (rc < 0)
		conf_words_free(&w);
	else
		*(struct conf_words *)field = w;
	return rc;
}

static int urls_format_masked(const struct conf_words *urls, struct buf *out)
{
	struct conf_words masked = {0};
	int rc;

	for (size_t i = 0; i < urls->n; i++) {
		auto_free char *url = conf_url_mask(urls->v[i]);

		conf_words_add(&masked, slice_str(url));
	}
	rc = conf_words_list_format(&masked, out);
	conf_words_free(&masked);
	return rc;
}

static int command_parse(
    const struct conf_option *o UNUSED, void *field, const char *text, struct err *err)
{
	return conf_words_shell(text, field, err);
}

static int command_format(const void *field, struct buf *out)
{
	return conf_words_shell_format(field, out);
}

static int env_parse(
    const struct conf_option *o UNUSED, void *field, const char *text, struct err *err)
{
	struct conf_words w;
	int rc = conf_words_shell(text, &w, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < w.n; i++) {
		const char *equals = strchr(w.v[i], '=');

		if (equals && equals != w.v[i])
			continue;
		/* Not the word itself: it may be the half of a secret. */
		rc = err_set(err, -EINVAL, "word %zu is not NAME=value", i + 1);
		conf_words_free(&w);
		return rc;
	}
	*(struct conf_words *)field = w;
	return 0;
}

/* --- numbers ---------------------------------------------------------------------------------- */

static char *int_text(char *to, int64_t value)
{
	snprintf(to, 24, "%" PRId64, value);
	return to;
}

static const struct {
	char letter;
	int shift;
} size_units[] = {{'T', 40}, {'G', 30}, {'M', 20}, {'K', 10}};

static char *size_text(char *to, int64_t bytes)
{
	for (size_t i = 0; i < ARRAY_SIZE(size_units); i++) {
		if (bytes && bytes % (INT64_C(1) << size_units[i].shift) == 0) {
			snprintf(to, 24, "%" PRId64 "%c", bytes >> size_units[i].shift,
			    size_units[i].letter);
			return to;
		}
	}
	return int_text(to, bytes);
}

static char *duration_text(char *to, int64_t ms)
{
	return clock_format_duration(to, ms);
}

static int bounded(const struct conf_option *o, int64_t value, char *(*show)(char *, int64_t),
    void *field, struct err *err)
{
	char least[24], most[24], given[24];

	if ((o->least || o->most) && (value < o->least || value > o->most))
		return err_set(err, -EINVAL, "%s is out of bounds: %s to %s", show(given, value),
		    show(least, o->least), show(most, o->most));
	*(int64_t *)field = value;
	return 0;
}

/* Digits only; *rest is what follows them. -EINVAL, -ERANGE. */
static int read_number(const char *text, int64_t *ret, const char **rest)
{
	char *end;
	long long value;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno == ERANGE)
		return -ERANGE;
	*ret = value;
	*rest = end;
	return 0;
}

static int int_parse(const struct conf_option *o, void *field, const char *text, struct err *err)
{
	const char *rest;
	int64_t value;

	if (read_number(text, &value, &rest) < 0 || *rest)
		return err_set(err, -EINVAL, "'%s' is no whole number", text);
	return bounded(o, value, int_text, field, err);
}

static int int_format(const void *field, struct buf *out)
{
	char text[24];

	return buf_adds(out, int_text(text, *(const int64_t *)field));
}

static int auto_parse(const struct conf_option *o, void *field, const char *text, struct err *err)
{
	const char *rest;
	int64_t value;

	if (strcmp(text, "auto") == 0) {
		*(conf_AUTO *)field = 0;
		return 0;
	}
	if (read_number(text, &value, &rest) < 0 || *rest)
		return err_set(err, -EINVAL, "'%s' is neither a whole number nor auto", text);
	return bounded(o, value, int_text, field, err);
}

static int auto_format(const void *field, struct buf *out)
{
	return *(const conf_AUTO *)field ? int_format(field, out) : buf_adds(out, "auto");
}

int conf_range_parse(const char *text, int64_t most, struct conf_range *ret, struct err *err)
{
	const char *rest;
	struct conf_range r;
	int rc = read_number(text, &r.least, &rest);

	r.most = r.least;
	if (rc == 0 && strncmp(rest, "..", 2) == 0)
		rc = read_number(rest + 2, &r.most, &rest);
	if (rc == -EINVAL || (rc == 0 && *rest))
		return err_set(err, -EINVAL, "'%s' is neither a whole number nor a range such as 2..16", text);
	if (rc < 0 || r.most > most)
		return err_set(err, -EINVAL, "%s is out of bounds: 0 to %lld", text, (long long)most);
	if (r.most < r.least)
		return err_set(err, -EINVAL, "'%s' ends before it begins", text);
	*ret = r;
	return 0;
}

static int range_parse(const struct conf_option *o, void *field, const char *text, struct err *err)
{
	return conf_range_parse(text, o->most, field, err);
}

static int range_format(const void *field, struct buf *out)
{
	char text[CONF_RANGE_TEXT];

	return buf_adds(out, conf_range_format(text, field));
}

const char *conf_range_format(char ret[static CONF_RANGE_TEXT], const struct conf_range *r)
{
	if (r->least == r->most)
		snprintf(ret, CONF_RANGE_TEXT, "%lld", (long long)r->least);
	else
		snprintf(ret, CONF_RANGE_TEXT, "%lld..%lld", (long long)r->least, (long long)r->most);
	return ret;
}

static int size_parse(const struct conf_option *o, void *field, const char *text, struct err *err)
{
	const char *rest;
	int64_t value;
	int shift = 0;

	if (read_number(text, &value, &rest) < 0)
		return err_set(err, -EINVAL, "'%s' is no size: bytes, or 64K, 16M, 1G", text);
	for (size_t i = 0; *rest && i < ARRAY_SIZE(size_units); i++) {
		if (toupper((unsigned char)*rest) == size_units[i].letter)
			shift = size_units[i].shift;
	}
	if ((*rest && (!shift || rest[1])) || value > INT64_MAX >> shift)
		return err_set(err, -EINVAL, "'%s' is no size: bytes, or 64K, 16M, 1G", text);
	return bounded(o, value << shift, size_text, field, err);
}

static int size_format(const void *field, struct buf *out)
{
	char text[24];

	return buf_adds(out, size_text(text, *(const int64_t *)field));
}

static int duration_parse(
    const struct conf_option *o, void *field, const char *text, struct err *err)
{
	int64_t ms;
	int rc = clock_parse_duration(slice_str(text), &ms);

	if (rc < 0)
		return err_set(err, -EINVAL,
		    rc == -ERANGE ? "'%s' is more than ten years"
				  : "'%s' is no duration: 250ms, 10s, 5m, 1h, 7d",
		    text);
	return bounded(o, ms, duration_text, field, err);
}

static int duration_format(const void *field, struct buf *out)
{
	char text[24];

	return buf_adds(out, duration_text(text, *(const int64_t *)field));
}

/* --- one word of some ------------------------------------------------------------------------- */

struct choice {
	const char *word;
	int value;
};

static int choose(const struct choice *of, size_t n, const char *text, int *ret, struct err *err)
{
	char all[120] = "";

	for (size_t i = 0; i < n; i++) {
		size_t used = strlen(all);

		if (strcmp(text, of[i].word) == 0) {
			*ret = of[i].value;
			return 0;
		}
		snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", of[i].word);
	}
	return err_set(err, -EINVAL, "'%s' is none of %s", text, all);
}

static int choice_format(const struct choice *of, size_t n, int value, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		if (of[i].value == value)
			return buf_adds(out, of[i].word);
	}
	BUG("no word for the value %d", value);
}

static const struct choice bools[] = {
    {"yes", true}, {"no", false}, {"true", true}, {"false", false}, {"on", true}, {"off", false}};
static const struct choice levels[] = {
    {"error", LOG_ERROR}, {"warn", LOG_WARN}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}};
static const struct choice topologies[] = {
    {"declare", TOPOLOGY_DECLARE}, {"passive", TOPOLOGY_PASSIVE}, {"none", TOPOLOGY_NONE}};
static const struct choice queue_types[] = {{"quorum", QUEUE_QUORUM}, {"classic", QUEUE_CLASSIC}};

static const struct choice scales[] = {{"target_wait", SCALE_BY_TARGET_WAIT},
    {"queue_depth", SCALE_BY_QUEUE_DEPTH}, {"fixed", SCALE_BY_NOTHING}};

#define CHOICE_TYPE(name, type, words)                                                             \
	static int name##_parse(                                                                   \
	    const struct conf_option *o UNUSED, void *field, const char *text, struct err *err)    \
	{                                                                                          \
		int value, rc = choose(words, ARRAY_SIZE(words), text, &value, err);               \
                                                                                                   \
		if (rc == 0)                                                                       \
			*(type *)field = (type)value;                                              \
		return rc;                                                                         \
	}                                                                                          \
	static int name##_format(const void *field, struct buf *out)                               \
	{                                                                                          \
		return choice_format(words, ARRAY_SIZE(words), (int)*(const type *)field, out);    \
	}

CHOICE_TYPE(bool, conf_BOOL, bools)
CHOICE_TYPE(level, conf_LEVEL, levels)
CHOICE_TYPE(topology, conf_TOPOLOGY, topologies)
CHOICE_TYPE(queue_type, conf_QUEUE_TYPE, queue_types)
CHOICE_TYPE(scale, conf_SCALE, scales)

/* --- what jobs need --------------------------------------------------------------------------- */

static int backoff_type_parse(
    const struct conf_option *o UNUSED, void *field, const char *text, struct err *err)
{
	return backoff_parse(slice_str(text), field, err);
}

static int backoff_type_format(const void *field, struct buf *out)
{
	char text[64];

	return buf_adds(out, backoff_format(text, field));
}

static int exits_parse(
    const struct conf_option *o UNUSED, void *field, const char *text, struct err *err)
{
	conf_EXITS exits = {{0}};
	struct conf_words w = {0};
	int rc = conf_words_list(text, &w, err);

	for (size_t i = 0; rc == 0 && i < w.n; i++) {
		const char *rest;
		int64_t code;

		if (read_number(w.v[i], &code, &rest) < 0 || *rest || code < 1 || code > 255)
			rc = err_set(
			    err, -EINVAL, "'%s' is no exit code of a failure: 1 to 255", w.v[i]);
		else
			exits.bits[code / 8] |= (uint8_t)(1 << (code % 8));
	}
	if (rc == 0)
		*(conf_EXITS *)field = exits;
	conf_words_free(&w);
	return rc;
}

static int exits_format(const void *field, struct buf *out)
{
	bool first = true;
	int rc = 0;

	for (unsigned code = 0; code < 256 && rc == 0; code++) {
		if (!conf_exits_has(field, code))
			continue;
		rc = buf_addf(out, "%s%u", first ? "" : ", ", code);
		first = false;
	}
	return rc;
}

/* --- the table -------------------------------------------------------------------------------- */

static const struct type_ops types[CONF_TYPE_COUNT] = {
    [CONF_TEXT] = {text_parse, text_format, text_clear},
    [CONF_PATH] = {text_parse, text_format, text_clear},
    [CONF_WORDS] = {words_parse, words_format, words_clear},
    [CONF_URLS] = {urls_parse, words_format, words_clear},
    [CONF_COMMAND] = {command_parse, command_format, words_clear},
    [CONF_ENV] = {env_parse, command_format, words_clear},
    [CONF_INT] = {int_parse, int_format, NULL},
    [CONF_AUTO] = {auto_parse, auto_format, NULL},
    [CONF_RANGE] = {range_parse, range_format, NULL},
    [CONF_DURATION] = {duration_parse, duration_format, NULL},
    [CONF_SIZE] = {size_parse, size_format, NULL},
    [CONF_BOOL] = {bool_parse, bool_format, NULL},
    [CONF_LEVEL] = {level_parse, level_format, NULL},
    [CONF_TOPOLOGY] = {topology_parse, topology_format, NULL},
    [CONF_QUEUE_TYPE] = {queue_type_parse, queue_type_format, NULL},
    [CONF_SCALE] = {scale_parse, scale_format, NULL},
    [CONF_BACKOFF] = {backoff_type_parse, backoff_type_format, NULL},
    [CONF_EXITS] = {exits_parse, exits_format, NULL},
};

/* Large enough for a field of any type. */
union any_field {
	char *text;
	struct conf_words words;
	int64_t number;
	conf_RANGE range;
	conf_BACKOFF backoff;
	conf_EXITS exits;
};

static size_t field_size(enum conf_type type)
{
	static const size_t sizes[CONF_TYPE_COUNT] = {
#define SIZE_OF(TYPE) [CONF_##TYPE] = sizeof(conf_##TYPE)
	    SIZE_OF(TEXT), SIZE_OF(PATH), SIZE_OF(WORDS), SIZE_OF(URLS), SIZE_OF(COMMAND),
	    SIZE_OF(ENV), SIZE_OF(INT), SIZE_OF(AUTO), SIZE_OF(RANGE), SIZE_OF(DURATION), SIZE_OF(SIZE), SIZE_OF(BOOL),
	    SIZE_OF(LEVEL), SIZE_OF(TOPOLOGY), SIZE_OF(QUEUE_TYPE), SIZE_OF(SCALE),
	    SIZE_OF(BACKOFF), SIZE_OF(EXITS)};

	return sizes[type];
}

int conf_type_parse(const struct conf_option *o, void *field, const char *text, struct err *err)
{
	union any_field value = {0};
	int rc = types[o->type].parse(o, &value, text, err);

	if (rc < 0)
		return rc;
	conf_type_free(o, field);
	memcpy(field, &value, field_size(o->type));
	return 0;
}

int conf_type_format(const struct conf_option *o, const void *field, bool secrets, struct buf *out)
{
	if (o->type == CONF_URLS && !secrets)
		return urls_format_masked(field, out);
	return types[o->type].format(field, out);
}

void conf_type_free(const struct conf_option *o, void *field)
{
	if (types[o->type].clear)
		types[o->type].clear(field);
}
