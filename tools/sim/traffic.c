/* SPDX-License-Identifier: MIT */
#include "tools/sim/traffic.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TRACE_JOBS_MAX 10000000
#define HOUR 3600.0
#define TRACE_WINDOW_S 60.0 /* over which the "true" rate of a trace is taken */

enum shape { TAKES_EXPONENTIAL, TAKES_PARETO };

static uint64_t random_state;

/* splitmix64 (Steele, Lea, Flood 2014): small, and alike on every machine. */
static double uniform(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return ((double)((z ^ (z >> 31)) >> 11) + 0.5) / 9007199254740992.0;
}

static double exponential(double mean)
{
	return -mean * log(uniform());
}

/* Pareto with exponent 1.5, cut at 200 times its mean. */
static double heavy(double mean)
{
	return fmin(mean / 3 / pow(uniform(), 1 / 1.5), 200 * mean);
}

static double steady_rate(const struct sim_traffic *t UNUSED, double at UNUSED)
{
	return 20;
}

static double burst_rate(const struct sim_traffic *t UNUSED, double at UNUSED)
{
	return 5;
}

static double ramp_rate(const struct sim_traffic *t, double at)
{
	double half = t->length / 2;

	return at >= t->length ? 0 : 1 + 59 * (at < half ? at : t->length - at) / half;
}

static double wave_rate(const struct sim_traffic *t, double at)
{
	return at >= t->length ? 0 : 4.2 - 4 * cos(2 * M_PI * at / t->length);
}

static double tail_rate(const struct sim_traffic *t UNUSED, double at UNUSED)
{
	return 10;
}

static void grow(struct sim_traffic *t, size_t *room, double at, double takes)
{
	if (t->njobs == *room) {
		*room = *room ? *room * 2 : 1024;
		t->jobs = realloc(t->jobs, *room * sizeof *t->jobs);
		if (!t->jobs)
			abort();
	}
	t->jobs[t->njobs++] = (struct sim_job){.at = at, .takes = takes};
}

/* A Poisson process whose rate moves, by thinning (Lewis and Shedler 1979), and `many` jobs at once `every` seconds. */
static void generate(struct sim_traffic *t, double most, enum shape shape, double every, unsigned many)
{
	double at = 0, burst = every > 0 ? every : INFINITY;
	size_t room = 0;

	for (;;) {
		at += exponential(1 / most);
		for (; burst < t->length && burst <= at; burst += every) {
			for (unsigned i = 0; i < many; i++)
				grow(t, &room, burst, exponential(t->mean_takes));
		}
		if (at >= t->length)
			return;
		if (uniform() * most < t->rate(t, at))
			grow(t, &room, at, shape == TAKES_PARETO ? heavy(t->mean_takes) : exponential(t->mean_takes));
	}
}

static const struct {
	struct sim_traffic traffic;
	double most;
	enum shape shape;
	double every;
	unsigned many;
} made[] = {
    {{.name = "steady", .text = "20/s of 200 ms", .length = HOUR, .mean_takes = 0.2, .rate = steady_rate}, 20,
	TAKES_EXPONENTIAL, 0, 0},
    {{.name = "burst", .text = "5/s of 100 ms, and 500 at once every 5 min", .length = HOUR,
	 .mean_takes = 0.1, .rate = burst_rate}, 5, TAKES_EXPONENTIAL, 300, 500},
    {{.name = "ramp", .text = "1/s up to 60/s and back, of 200 ms", .length = HOUR, .mean_takes = 0.2,
	 .rate = ramp_rate}, 60, TAKES_EXPONENTIAL, 0, 0},
    {{.name = "wave", .text = "a day in 4 h: 0.2/s to 8.2/s of 1 s", .length = 4 * HOUR, .mean_takes = 1,
	 .rate = wave_rate}, 8.2, TAKES_EXPONENTIAL, 0, 0},
    {{.name = "tail", .text = "10/s of 300 ms, heavy-tailed", .length = HOUR, .mean_takes = 0.3,
	 .rate = tail_rate}, 10, TAKES_PARETO, 0, 0},
    {{.name = "slow", .text = "10/s of 200 ms; 8 times as slow for 5 min", .length = HOUR, .mean_takes = 0.2,
	 .rate = tail_rate, .slow_from = 1200, .slow_to = 1500, .slow_by = 8}, 10, TAKES_EXPONENTIAL, 0, 0},
    {{.name = "start", .text = "the ramp, with workers that take 3 s to start", .length = HOUR,
	 .mean_takes = 0.2, .start_s = 3, .rate = ramp_rate}, 60, TAKES_EXPONENTIAL, 0, 0},
};

const char *const traffic_names[] = {"steady", "burst", "ramp", "wave", "tail", "slow", "start", NULL};

static void complete(struct sim_traffic *t)
{
	t->start_s = t->start_s > 0 ? t->start_s : 0.2;
	t->target_s = 5;
	t->max = 64;
}

bool traffic_make(const char *name, struct sim_traffic *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		if (strcmp(made[i].traffic.name, name) != 0)
			continue;
		random_state = 1 + i;
		*ret = made[i].traffic;
		complete(ret);
		generate(ret, made[i].most, made[i].shape, made[i].every, made[i].many);
		return true;
	}
	return false;
}

/* The rate of a trace is nothing that is "true": what came within half a minute of now stands for it. */
static double trace_rate(const struct sim_traffic *t, double at)
{
	size_t low = 0, high = t->njobs, first;
	double from = at - TRACE_WINDOW_S / 2;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (t->jobs[middle].at < from)
			low = middle + 1;
		else
			high = middle;
	}
	for (first = low; low < t->njobs && t->jobs[low].at < from + TRACE_WINDOW_S;)
		low++;
	return (double)(low - first) / TRACE_WINDOW_S;
}

static int by_arrival(const void *a, const void *b)
{
	const struct sim_job *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

static bool read_line(const char *line, struct sim_job *ret)
{
	char *end;

	ret->at = strtod(line, &end);
	if (end == line || *end != ',' || !(ret->at >= 0) || !(ret->at < 1e9))
		return false;
	line = end + 1;
	ret->takes = strtod(line, &end) / 1000;
	return end != line && (*end == '\n' || *end == '\r' || *end == '\0') && ret->takes >= 0 && ret->takes < 1e6;
}

static bool read_jobs(FILE *file, struct sim_traffic *t, char error[static 256])
{
	char line[256];
	size_t room = 0, number = 0;
	struct sim_job job;

	while (fgets(line, sizeof line, file)) {
		number++;
		if (number == 1 && ((line[0] | 32) >= 'a' && (line[0] | 32) <= 'z'))
			continue;
		if (!read_line(line, &job) || t->njobs >= TRACE_JOBS_MAX) {
			snprintf(error, 256, "line %zu: expected SECONDS,MILLISECONDS%s", number,
			    t->njobs >= TRACE_JOBS_MAX ? ", at most 10000000 of them" : "");
			return false;
		}
		grow(t, &room, job.at, job.takes);
		t->mean_takes += job.takes;
	}
	if (ferror(file) || t->njobs == 0) {
		snprintf(error, 256, "%s", ferror(file) ? strerror(errno) : "no jobs in it");
		return false;
	}
	return true;
}

bool traffic_read(const char *path, struct sim_traffic *ret, char ret_error[static 256])
{
	FILE *file = fopen(path, "re");
	bool good;

	*ret = (struct sim_traffic){.name = "trace", .text = path, .rate = trace_rate};
	if (!file) {
		snprintf(ret_error, 256, "%s", strerror(errno));
		return false;
	}
	good = read_jobs(file, ret, ret_error);
	fclose(file);
	if (!good) {
		traffic_clear(ret);
		return false;
	}
	qsort(ret->jobs, ret->njobs, sizeof *ret->jobs, by_arrival);
	ret->mean_takes /= (double)ret->njobs;
	ret->length = ret->jobs[ret->njobs - 1].at + 60;
	complete(ret);
	return true;
}

void traffic_clear(struct sim_traffic *t)
{
	free(t->jobs);
	t->jobs = NULL;
	t->njobs = 0;
}
