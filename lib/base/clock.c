/* SPDX-License-Identifier: MIT */
#include "lib/base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#define TEN_YEARS_MS (INT64_C(3653) * 24 * 3600 * 1000)

static int64_t now_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
	return now_us(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
	return now_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_wall_ms(void)
{
	return now_us(CLOCK_REALTIME) / 1000;
}

char *clock_rfc3339(char buf[static CLOCK_RFC3339_BYTES], int64_t wall_ms)
{
	static const int64_t last = INT64_C(253402300799999); /* 9999-12-31T23:59:59.999Z */
	int64_t ms = wall_ms < 0 ? 0 : wall_ms > last ? last : wall_ms;
	time_t sec = ms / 1000;
	struct tm tm;
	size_t n;

	gmtime_r(&sec, &tm);
	n = strftime(buf, CLOCK_RFC3339_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, CLOCK_RFC3339_BYTES - n, ".%03dZ", (int)(ms % 1000));
	return buf;
}

/* Reads exactly `digits` digits; -1 if they are not there. */
static int read_digits(const char **p, int digits)
{
	int value = 0;

	for (int i = 0; i < digits; i++, (*p)++) {
		if (!isdigit((unsigned char)**p))
			return -1;
		value = value * 10 + (**p - '0');
	}
	return value;
}

static bool read_char(const char **p, const char *any_of)
{
	if (!**p || !strchr(any_of, **p))
		return false;
	(*p)++;
	return true;
}

static int read_fraction_ms(const char **p)
{
	int ms = 0, unit = 100;

	for (; isdigit((unsigned char)**p); (*p)++, unit /= 10)
		ms += (**p - '0') * unit;
	return ms;
}

/* "Z", "", "+hh:mm", "-hhmm". */
static int read_zone_s(const char **p, int *ret_offset_s)
{
	int sign, hours, minutes;

	*ret_offset_s = 0;
	if (!**p || read_char(p, "Zz"))
		return 0;
	sign = **p == '-' ? -1 : 1;
	if (!read_char(p, "+-"))
		return -EINVAL;
	hours = read_digits(p, 2);
	read_char(p, ":");
	minutes = **p ? read_digits(p, 2) : 0;
	if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return -EINVAL;
	*ret_offset_s = sign * (hours * 3600 + minutes * 60);
	return 0;
}

static int days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month] + (month == 1 && leap);
}

int clock_parse(struct slice text, int64_t *ret_wall_ms)
{
	char copy[40];
	const char *p = slice_copy(copy, sizeof copy, text);
	struct tm tm = {0};
	int ms = 0, offset_s, year;
	time_t at;

	if (text.n >= sizeof copy)
		return -EINVAL;
	year = read_digits(&p, 4);
	if (year < 1970 || !read_char(&p, "-") || (tm.tm_mon = read_digits(&p, 2)) < 1 ||
	    tm.tm_mon > 12 || !read_char(&p, "-") || (tm.tm_mday = read_digits(&p, 2)) < 1 ||
	    tm.tm_mday > 31 || !read_char(&p, "Tt ") || (tm.tm_hour = read_digits(&p, 2)) < 0 ||
	    tm.tm_hour > 23 || !read_char(&p, ":") || (tm.tm_min = read_digits(&p, 2)) < 0 ||
	    tm.tm_min > 59)
		return -EINVAL;
	if (read_char(&p, ":") && ((tm.tm_sec = read_digits(&p, 2)) < 0 || tm.tm_sec > 60))
		return -EINVAL;
	if (read_char(&p, ".,"))
		ms = read_fraction_ms(&p);
	if (read_zone_s(&p, &offset_s) < 0 || *p)
		return -EINVAL;
	tm.tm_year = year - 1900;
	tm.tm_mon -= 1;
	if (tm.tm_mday > days_in_month(year, tm.tm_mon))
		return -EINVAL;
	at = timegm(&tm);
	if (at < offset_s)
		return -EINVAL;
	*ret_wall_ms = ((int64_t)at - offset_s) * 1000 + ms;
	return 0;
}

static const struct {
	const char *name;
	int64_t ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

int clock_parse_duration(struct slice text, int64_t *ret_ms)
{
	char copy[40], *end;
	double value, scale = 1000;

	if (text.n == 0 || text.n >= sizeof copy)
		return -EINVAL;
	slice_copy(copy, sizeof copy, text);
	if (!isdigit((unsigned char)copy[0]))
		return -EINVAL;
	value = strtod(copy, &end);
	if (*end) {
		scale = 0;
		for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
			if (strcmp(end, units[i].name) == 0)
				scale = (double)units[i].ms;
		}
	}
	if (scale == 0 || strpbrk(copy, "xXeEpP"))
		return -EINVAL;
	value *= scale;
	if (!(value <= (double)TEN_YEARS_MS))
		return -ERANGE;
	*ret_ms = (int64_t)(value + 0.5);
	return 0;
}

char *clock_format_duration(char buf[static 24], int64_t ms)
{
	size_t best = 0;

	for (size_t i = 1; i < ARRAY_SIZE(units); i++) {
		if (ms && ms % units[i].ms == 0)
			best = i;
	}
	if (ms == 0)
		best = 1;
	snprintf(buf, 24, "%" PRId64 "%s", ms / units[best].ms, units[best].name);
	return buf;
}
