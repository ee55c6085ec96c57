/* SPDX-License-Identifier: MIT */
#include "daemon/gateway/exposition.h"

#include <errno.h>
#include <inttypes.h>

#include "lib/base/json.h"

enum metric_type { GAUGE, COUNTER, HISTOGRAM, INFO };

static const struct {
	const char *name;
	enum metric_type type;
	const char *unit, *labels, *help;
} metrics[METRIC_COUNT] = {
#define METRIC(NAME, name, type, unit, labels, help)                                               \
	[METRIC_##NAME] = {name, type, unit, labels, help},
#include "lib/board/metrics.def"
#undef METRIC
};

static const char *const types[] = {
    [GAUGE] = "gauge",
    [COUNTER] = "counter",
    [HISTOGRAM] = "histogram",
    [INFO] = "info",
};

/* What stands behind the name in a sample. */
static const char *const suffixes[] = {
    [GAUGE] = "",
    [COUNTER] = "_total",
    [HISTOGRAM] = "",
    [INFO] = "_info",
};

void exposition_begin(struct exposition *x, struct buf *out, enum exposition_format format)
{
	*x = (struct exposition){.out = out, .format = format};
}

void exposition_metric(struct exposition *x, enum metric_id metric)
{
	x->metric = metric;
	x->headed = false;
}

/* --- pieces ----------------------------------------------------------------------------------- */

static void put(struct exposition *x, struct slice text)
{
	x->full |= buf_add(x->out, text.p, text.n) < 0;
}

static void put_text(struct exposition *x, const char *text)
{
	put(x, slice_str(text));
}

static void put_quoted(struct exposition *x, struct slice text)
{
	bool valid = json_utf8_valid(text);

	put_text(x, "\"");
	for (size_t i = 0; i < text.n; i++) {
		uint8_t byte = text.p[i];

		if (byte == '\n')
			put_text(x, "\\n");
		else if (byte == '"' || byte == '\\')
			put(x, slice_of((char[]){'\\', (char)byte}, 2));
		else
			put(x, slice_of(!valid && byte >= 0x80 ? "?" : (const char *)&byte, 1));
	}
	put_text(x, "\"");
}

static void put_number(struct exposition *x, uint64_t value, uint64_t scale)
{
	int digits = 0;

	for (uint64_t left = scale; left > 1; left /= 10)
		digits++;
	x->full |= buf_addf(x->out, "%" PRIu64, value / scale) < 0;
	if (digits)
		x->full |= buf_addf(x->out, ".%0*" PRIu64, digits, value % scale) < 0;
}

/* `le`: of a bucket; NULL: none. */
static void put_labels(struct exposition *x, const struct slice *values, const char *le)
{
	const char *names = metrics[x->metric].labels;
	const char *before = "{";

	while (*names) {
		size_t n = strcspn(names, " ");

		put_text(x, before);
		put(x, slice_of(names, n));
		put_text(x, "=");
		put_quoted(x, *values++);
		before = ",";
		names += n + (names[n] == ' ');
	}
	if (le) {
		put_text(x, before);
		put_text(x, "le=");
		put_quoted(x, slice_str(le));
		before = ",";
	}
	if (*before == ',')
		put_text(x, "}");
}

/* In the older format a counter or an info is called by the name of its samples, and there is no type info. */
static void head(struct exposition *x)
{
	bool open = x->format == EXPOSITION_OPENMETRICS;
	enum metric_type type = metrics[x->metric].type;
	const char *name = metrics[x->metric].name, *suffix = open ? "" : suffixes[type];
	const char *word = types[!open && type == INFO ? GAUGE : type];

	if (x->headed)
		return;
	x->headed = true;
	x->full |= buf_addf(x->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix,
		       metrics[x->metric].help, name, suffix, word) < 0;
	if (open && metrics[x->metric].unit[0])
		x->full |= buf_addf(x->out, "# UNIT %s %s\n", name, metrics[x->metric].unit) < 0;
}

static void sample(struct exposition *x, const char *suffix, const struct slice *labels,
    const char *le, uint64_t value, uint64_t scale)
{
	head(x);
	put_text(x, metrics[x->metric].name);
	put_text(x, suffix);
	put_labels(x, labels, le);
	put_text(x, " ");
	put_number(x, value, scale);
	put_text(x, "\n");
}

static void created(struct exposition *x, const struct slice *labels, int64_t since_wall_ms)
{
	if (x->format == EXPOSITION_OPENMETRICS && since_wall_ms > 0)
		sample(x, "_created", labels, NULL, (uint64_t)since_wall_ms, 1000);
}

/* --- samples ---------------------------------------------------------------------------------- */

void exposition_gauge(
    struct exposition *x, const struct slice *labels, uint64_t value, uint64_t scale)
{
	sample(x, suffixes[metrics[x->metric].type], labels, NULL, value, scale);
}

void exposition_counter(struct exposition *x, const struct slice *labels, uint64_t value,
    uint64_t scale, int64_t since_wall_ms)
{
	sample(x, "_total", labels, NULL, value, scale);
	created(x, labels, since_wall_ms);
}

void exposition_histogram(struct exposition *x, const struct slice *labels,
    const struct series_histogram *h, const struct series_bounds *bounds, int64_t since_wall_ms)
{
	uint64_t count = 0;

	for (size_t i = 0; i <= bounds->n; i++) {
		count += h->in[i];
		sample(x, "_bucket", labels, i < bounds->n ? bounds->text[i] : "+Inf", count, 1);
	}
	sample(x, "_count", labels, NULL, count, 1);
	sample(x, "_sum", labels, NULL, h->sum, bounds->scale);
	created(x, labels, since_wall_ms);
}

int exposition_end(struct exposition *x)
{
	if (x->format == EXPOSITION_OPENMETRICS)
		put_text(x, "# EOF\n");
	return x->full ? -ENOBUFS : 0;
}

/* --- which format ----------------------------------------------------------------------------- */

const char *exposition_content_type(enum exposition_format format)
{
	static const char *const content_types[] = {
	    [EXPOSITION_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
	    [EXPOSITION_PROMETHEUS] = "text/plain; version=0.0.4; charset=utf-8",
	};

	return content_types[format];
}

enum exposition_format exposition_format_of(struct slice accept)
{
	auto_free char *text = slice_dup(accept);

	if (strcasestr(text, "text/plain") && !strcasestr(text, "application/openmetrics-text"))
		return EXPOSITION_PROMETHEUS;
	return EXPOSITION_OPENMETRICS;
}
