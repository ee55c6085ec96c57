/* SPDX-License-Identifier: MIT */
/*
 * Writes metrics as text: the OpenMetrics format, version 1.0.0, or the text format 0.0.4 of Prometheus, which is
 * the same but for the names of counters, the unit, `_created` and the last line. What is known of a metric stands in
 * lib/board/metrics.def. Pure.
 *
 * One metric after the other: exposition_metric(), then its samples. One without samples is left out.
 */
#ifndef SKEP_GATEWAY_EXPOSITION_H
#define SKEP_GATEWAY_EXPOSITION_H

#include "lib/base/buf.h"
#include "lib/board/series.h"

enum exposition_format { EXPOSITION_OPENMETRICS, EXPOSITION_PROMETHEUS };

struct exposition {
	struct buf *out;
	enum exposition_format format;
	enum metric_id metric;
	bool headed; /* the lines above its first sample are written */
	bool full;   /* the buffer's bound was met */
};

void exposition_begin(struct exposition *x, struct buf *out, enum exposition_format format);
void exposition_metric(struct exposition *x, enum metric_id metric);

/* A gauge, or an info (whose value is 1). `labels`: values in the order of metrics.def. The value is `value / scale`;
 * scale is a power of ten. */
void exposition_gauge(
    struct exposition *x, const struct slice *labels, uint64_t value, uint64_t scale);

/* A counter that was 0 at since_wall_ms. */
void exposition_counter(struct exposition *x, const struct slice *labels, uint64_t value,
    uint64_t scale, int64_t since_wall_ms);
void exposition_histogram(struct exposition *x, const struct slice *labels,
    const struct series_histogram *h, const struct series_bounds *bounds, int64_t since_wall_ms);

/* The last line. 0, or -ENOBUFS: the buffer was too small for all of it. */
int exposition_end(struct exposition *x);

const char *exposition_content_type(enum exposition_format format);

/* What a client asks for by its header Accept (absent: p == NULL): OpenMetrics, unless it names text/plain and not
 * that. */
enum exposition_format exposition_format_of(struct slice accept);

#endif
