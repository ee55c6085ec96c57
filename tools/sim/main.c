/* SPDX-License-Identifier: MIT */
/*
 * skep-sim: how many workers skep's rule would keep for a traffic, how long jobs would wait, and how other rules do.
 * The rule is the daemon's own function (lib/scale).
 */
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/base/spawn.h"
#include "tools/sim/rules.h"
#include "tools/sim/traffic.h"

#define PLOT_POINTS 600 /* in a picture at most, about: the most of each span */
#define COST_PROMISED 1.3 /* of the causal oracle's worker-seconds */

struct options {
	bool json, check;
	const char *traffic, *trace, *plot;
	double target_s, start_s;
	unsigned min, max;
};

struct row {
	const char *name;
	struct sim_result result;
};

struct report {
	const struct sim_traffic *traffic;
	struct row rows[8];
	size_t nrows;
	bool possible; /* the oracle holds the target */
	char missed[512];
};

static const char help[] =
    "Usage: skep-sim [OPTION]...\n"
    "Runs skep's rule for the number of workers over simulated traffic, beside other rules.\n\n"
    "      --traffic NAME   one of steady, burst, ramp, wave, tail, slow, start (default: all)\n"
    "      --trace FILE     a traffic of your own: lines of SECONDS,MILLISECONDS (arrival, run time)\n"
    "      --target TIME    target_wait in seconds (default: 5)\n"
    "      --start TIME     seconds that a worker takes to start (default: 0.2; 3 for start)\n"
    "      --min N, --max N workers (default: 0, 64)\n"
    "      --plot FILE.svg  a picture of arrivals, backlog, workers and wait under skep's rule (needs gnuplot)\n"
    "      --check          exit 1 unless skep keeps what it promises beside the oracle and the other rules\n"
    "      --json           a JSON array, with an object for each traffic\n"
    "      --version, --help\n\n"
    "Exit status: 0, 1 (a promise is missed), 64 (usage), 66 (a trace that cannot be read), 73 (no picture),\n"
    "74 (output).\n";

/* --- promises --------------------------------------------------------------------------------- */

/* A wait within the target is a wait as good as any. */
static double beyond(const struct sim_traffic *t, const struct sim_result *r)
{
	return r->p99 <= t->target_s ? t->target_s : r->p99;
}

static PRINTF_LIKE(2, 3) void miss(struct report *p, const char *format, ...)
{
	size_t used = strlen(p->missed);
	va_list args;

	if (used)
		used += (size_t)snprintf(p->missed + used, sizeof p->missed - used, "; ");
	va_start(args, format);
	if (used < sizeof p->missed)
		vsnprintf(p->missed + used, sizeof p->missed - used, format, args);
	va_end(args);
}

static void judge(struct report *p, size_t oracle, size_t first_other)
{
	const struct sim_result *skep = &p->rows[0].result;
	double cost = skep->worker_s / p->rows[oracle].result.worker_s;

	if (p->possible && skep->p99 > p->traffic->target_s)
		miss(p, "p99 of %.2f s", skep->p99);
	if (p->possible && cost > COST_PROMISED)
		miss(p, "%.2f of the oracle's worker-seconds", cost);
	for (size_t i = first_other; i < p->nrows; i++) {
		double wait = beyond(p->traffic, skep) - beyond(p->traffic, &p->rows[i].result);
		double more = skep->worker_s - p->rows[i].result.worker_s;

		if (wait > 0)
			miss(p, "%s waits less", p->rows[i].name);
		else if (more > 0)
			miss(p, "%s needs %.0f worker-seconds less", p->rows[i].name, more);
	}
}

static void compare(const struct sim_traffic *t, struct report *p)
{
	*p = (struct report){.traffic = t};
	p->rows[p->nrows++] = (struct row){"skep", sim_run(t, &rule_skep, NULL, false)};
	p->rows[p->nrows].name = "oracle";
	p->possible = rule_oracle(t, &p->rows[p->nrows++].result);
	p->rows[p->nrows++] = (struct row){"clairvoyant", sim_run(t, &rule_clairvoyant, NULL, false)};
	for (size_t i = 0; i < rules_nothers; i++)
		p->rows[p->nrows++] = (struct row){rules_others[i].name, sim_run(t, &rules_others[i], NULL, false)};
	judge(p, 1, 3);
}

/* --- output ----------------------------------------------------------------------------------- */

static void print_table(const struct report *p)
{
	const struct sim_traffic *t = p->traffic;
	double oracle = p->rows[1].result.worker_s;

	printf("%s: %s; %zu jobs, target %.3g s, workers %u..%u, start %.3g s\n", t->name, t->text, t->njobs,
	    t->target_s, t->min, t->max, t->start_s);
	printf("  %-12s %8s %8s %8s %10s %7s %8s %5s\n", "rule", "p50 s", "p95 s", "p99 s", "worker-s", "ratio",
	    "changes", "most");
	for (size_t i = 0; i < p->nrows; i++) {
		const struct sim_result *r = &p->rows[i].result;

		printf("  %-12s %8.2f %8.2f %8.2f %10.0f %7.2f %8u %5u%s\n", p->rows[i].name, r->p50, r->p95, r->p99,
		    r->worker_s, r->worker_s / oracle, r->changes, r->most, r->p99 > t->target_s ? "  late" : "");
	}
	if (!p->possible)
		printf("  (the oracle cannot hold the target here either)\n");
	printf("  %s%s\n\n", p->missed[0] ? "MISSED: " : "kept", p->missed);
}

static void print_json(const struct report *p, bool first)
{
	const struct sim_traffic *t = p->traffic;

	printf("%s{\"traffic\":\"%s\",\"jobs\":%zu,\"target_s\":%g,\"min\":%u,\"max\":%u,\"start_s\":%g,"
	       "\"possible\":%s,\"kept\":%s,\"rules\":{",
	    first ? "[" : ",\n ", t->name, t->njobs, t->target_s, t->min, t->max, t->start_s,
	    p->possible ? "true" : "false", p->missed[0] ? "false" : "true");
	for (size_t i = 0; i < p->nrows; i++) {
		const struct sim_result *r = &p->rows[i].result;

		printf("%s\n  \"%s\":{\"p50_s\":%.3f,\"p95_s\":%.3f,\"p99_s\":%.3f,\"worker_s\":%.1f,"
		       "\"ratio\":%.3f,\"changes\":%u,\"most\":%u}",
		    i ? "," : "", p->rows[i].name, r->p50, r->p95, r->p99, r->worker_s,
		    r->worker_s / p->rows[1].result.worker_s, r->changes, r->most);
	}
	printf("}}");
}

static void plot_script(FILE *to, const struct sim_traffic *t, const struct sim_result *r, const char *path)
{
	static const char *const titles[] = {"arrivals a second", "backlog", "workers", "wait, s"};
	size_t job = 0, every = r->nsamples / PLOT_POINTS + 1;

	fprintf(to, "set terminal svg size 900,900 font 'sans-serif,12' background '#ffffff'\nset output '");
	for (const char *c = path; *c; c++)
		fprintf(to, *c == '\'' ? "''" : "%c", *c);
	fprintf(to, "'\n$d << EOD\n");
	for (size_t i = 0; i < r->nsamples; i += every) {
		struct sim_sample most = r->samples[i];
		size_t first = job;

		for (size_t k = i; k < i + every && k < r->nsamples; k++) {
			most.ready = fmax(most.ready, r->samples[k].ready);
			most.workers = fmax(most.workers, r->samples[k].workers);
			most.wait = fmax(most.wait, r->samples[k].wait);
		}
		while (job < t->njobs && t->jobs[job].at < most.at + (double)every)
			job++;
		fprintf(to, "%g %g %g %g %g\n", most.at, (double)(job - first) / (double)every, most.ready,
		    most.workers, most.wait);
	}
	fprintf(to, "EOD\nset multiplot layout 4,1 title 'skep: %s' noenhanced\nset xlabel 's'\nunset key\n"
		    "set grid lc '#dddddd'\nset yrange [0:*]\nset lmargin 9\nset xrange [0:%g]\n",
	    t->name, t->length);
	for (int i = 0; i < 4; i++)
		fprintf(to, "set ylabel '%s'\nplot $d using 1:%d with steps lc '#2a6f97'\n", titles[i], i + 2);
	fprintf(to, "unset multiplot\n");
}

/* gnuplot reads the script as its standard input, from a file without a name. */
static bool draw(int script)
{
	auto_free char *path = spawn_find("gnuplot", NULL);
	char *argv[] = {(char *)"gnuplot", NULL};
	struct spawn spawn = {.path = path, .argv = argv, .envp = environ, .death_signal = SIGTERM};
	struct spawn_fd fds[] = {{.from = script, .to = STDIN_FILENO}, {.from = STDERR_FILENO, .to = STDERR_FILENO}};
	struct err err = {0};
	pid_t pid;
	int status;

	if (!path)
		return false;
	spawn.fds = fds;
	spawn.nfds = ARRAY_SIZE(fds);
	if (spawn_process(&spawn, &pid, &err) < 0)
		return false;
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static bool plot(const struct sim_traffic *t, const char *path)
{
	struct sim_result r = sim_run(t, &rule_skep, NULL, true);
	auto_fd int script = memfd_create("skep-sim", MFD_CLOEXEC);
	FILE *to = script >= 0 ? fdopen(dup(script), "w") : NULL;
	bool good = false;

	if (to) {
		plot_script(to, t, &r, path);
		good = fclose(to) == 0 && lseek(script, 0, SEEK_SET) == 0 && draw(script);
	}
	free(r.samples);
	if (!good)
		fprintf(stderr, "skep-sim: no picture in '%s': gnuplot failed (is gnuplot-nox installed?)\n", path);
	return good;
}

/* --- options ---------------------------------------------------------------------------------- */

static bool number(const char *text, double least, double most, double *ret)
{
	char *end;

	*ret = strtod(text, &end);
	return end != text && *end == '\0' && *ret >= least && *ret <= most;
}

static bool set(struct options *o, int option, const char *value)
{
	double n = 0;
	bool good = true;

	switch (option) {
	case 't': o->traffic = value; break;
	case 'r': o->trace = value; break;
	case 'p': o->plot = value; break;
	case 'c': o->check = true; break;
	case 'j': o->json = true; break;
	case 'T': good = number(value, 0.001, 86400, &o->target_s); break;
	case 's': good = number(value, 0.001, 3600, &o->start_s); break;
	case 'm': good = number(value, 0, 128, &n); o->min = (unsigned)n; break;
	case 'M': good = number(value, 1, 128, &n); o->max = (unsigned)n; break;
	case 'h': fputs(help, stdout); exit(EX_OK);
	case 'v': puts("skep-sim " SKEP_VERSION); exit(EX_OK);
	default: exit(EX_USAGE);
	}
	if (!good)
		fprintf(stderr, "skep-sim: '%s' is not a number in the range of its option (see --help)\n", value);
	return good;
}

static struct options parse(int argc, char **argv)
{
	static const struct option known[] = {{"traffic", required_argument, NULL, 't'},
	    {"trace", required_argument, NULL, 'r'}, {"target", required_argument, NULL, 'T'},
	    {"start", required_argument, NULL, 's'}, {"min", required_argument, NULL, 'm'},
	    {"max", required_argument, NULL, 'M'}, {"plot", required_argument, NULL, 'p'},
	    {"check", no_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'},
	    {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'v'}, {0}};
	struct options o = {.max = 64};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) >= 0) {
		if (!set(&o, option, optarg))
			exit(EX_USAGE);
	}
	if (optind < argc || (o.traffic && o.trace) || o.min > o.max || (o.plot && !o.traffic && !o.trace)) {
		fprintf(stderr, "skep-sim: %s\n",
		    optind < argc ? "it takes options only (see --help)"
		    : o.min > o.max ? "--min is above --max"
		    : o.plot ? "--plot needs --traffic or --trace" : "--traffic and --trace exclude each other");
		exit(EX_USAGE);
	}
	return o;
}

static bool show(struct sim_traffic *t, const struct options *o, bool first)
{
	static struct report report;

	t->min = o->min;
	t->max = o->max;
	t->target_s = o->target_s > 0 ? o->target_s : t->target_s;
	t->start_s = o->start_s > 0 ? o->start_s : t->start_s;
	if (o->plot && !plot(t, o->plot))
		exit(EX_CANTCREAT);
	compare(t, &report);
	if (o->json)
		print_json(&report, first);
	else
		print_table(&report);
	fflush(stdout);
	return report.missed[0] == '\0';
}

static bool show_trace(const struct options *o)
{
	struct sim_traffic t;
	char error[256];
	bool kept;

	if (!traffic_read(o->trace, &t, error)) {
		fprintf(stderr, "skep-sim: '%s': %s\n", o->trace, error);
		exit(EX_NOINPUT);
	}
	kept = show(&t, o, true);
	traffic_clear(&t);
	return kept;
}

static bool show_made(const struct options *o)
{
	struct sim_traffic t;
	bool kept = true, first = true;

	for (size_t i = 0; traffic_names[i]; i++) {
		if (o->traffic && strcmp(o->traffic, traffic_names[i]) != 0)
			continue;
		traffic_make(traffic_names[i], &t);
		kept &= show(&t, o, first);
		traffic_clear(&t);
		first = false;
	}
	if (first) {
		fprintf(stderr, "skep-sim: there is no traffic '%s' (see --help)\n", o->traffic);
		exit(EX_USAGE);
	}
	return kept;
}

int main(int argc, char **argv)
{
	struct options o = parse(argc, argv);
	bool kept = o.trace ? show_trace(&o) : show_made(&o);

	if (o.json)
		printf("]\n");
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "skep-sim: cannot write to standard output\n");
		return EX_IOERR;
	}
	return o.check && !kept;
}
