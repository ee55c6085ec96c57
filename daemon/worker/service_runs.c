/* SPDX-License-Identifier: MIT */
/*
 * `runs` is in the order in which they were given. No timer is set per run: one stands at the
 * earliest deadline there was when it was set, and looks at all runs when it fires.
 */
#include <fcntl.h>
#include <stdio.h>

#include "daemon/worker/service_in.h"
#include "daemon/worker/talk.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/job/exit.h"

#define LINE_SHOWN 120
#define CLOSED_GRACE_MS 1000 /* between the end of its descriptor 3 and its exit */
#define RSS_EVERY_MS 200

/* --- runs ------------------------------------------------------------------------------------- */

void service_runs_deadline(struct service *s, struct run *run, int64_t after_ms)
{
	int64_t now = loop_now_ms(s->loop);

	run->deadline_ms = now + after_ms;
	if (run->deadline_ms >= s->deadline_ms)
		return;
	s->deadline_ms = run->deadline_ms;
	loop_timer_set(&s->deadline, after_ms);
}

static void start_clock(struct service *s, struct run *run, int64_t now_us)
{
	run->begun_us = now_us;
	if (run->spec.timeout_ms > 0)
		service_runs_deadline(s, run, run->spec.timeout_ms);
}

static void begin(struct service *s, struct run *run)
{
	run->begun = true;
	s->nbegun++;
	s->events->begun(s->arg, run);
	start_clock(s, run, s->now_us);
}

void service_runs_unlink(struct service *s, struct run *run)
{
	list_del(&run->link);
	s->nruns--;
	s->nbegun -= run->begun;
}

static void end_run(struct service *s, struct run *run, struct run_end *end, int64_t now_us)
{
	if (run->begun_us)
		end->wall_us = now_us - run->begun_us;
	end->wall_ms = (end->wall_us + 500) / 1000;
	end->started_wall_ms = JOB_NOT_GIVEN;
	capture_finish(&run->logs);
	end->logs = run->logs.bytes;
	end->logs_cut = run->logs.cut;
	service_runs_unlink(s, run);
	s->events->ended(s->arg, run, end);
}

/* What a run that was told to go comes to, or (why) one whose service has gone. */
void service_runs_end(struct service *s, struct run *run, int status, const char *why)
{
	struct exit_facts facts = {.wait_status = status,
	    .timed_out = run->stop == RUN_STOP_TIMEOUT,
	    .cancelled = run->stop == RUN_STOP_CANCEL,
	    .released = run->stop == RUN_STOP_RELEASE,
	    .timeout_ms = run->spec.timeout_ms};
	struct exit_reading reading;
	struct run_end end = {0};

	exit_read(&facts, &reading);
	end.outcome = run->stop == RUN_STOP_NONE ? OUTCOME_RETRY : reading.outcome;
	end.exit_code = status < 0 ? -1 : reading.exit_code;
	end.signal = status < 0 ? 0 : reading.signal;
	snprintf(end.error, sizeof end.error, "%s",
	    run->stop == RUN_STOP_NONE ? why : reading.error);
	end_run(s, run, &end, clock_mono_us());
}

void service_runs_add(struct service *s, struct run *run)
{
	run->percent = -1;
	run->note[0] = '\0';
	run->begun = s->nbegun < s->h->concurrency;
	run->sent = false;
	run->stop = RUN_STOP_NONE;
	run->begun_us = 0;
	run->deadline_ms = INT64_MAX;
	capture_init(&run->logs, (size_t)s->h->max_logs, true);
	list_add_tail(&s->runs, &run->link);
	s->nruns++;
	s->nbegun += run->begun;
}

static struct run *find(struct service *s, struct id id)
{
	list_each(struct run, run, &s->runs, link) {
		if (id_eq(run->spec.run, id))
			return run->sent ? run : NULL;
	}
	return NULL;
}

void service_runs_send(struct service *s, struct run *run)
{
	talk_job(&s->lines.out, &run->spec);
	run->sent = true;
	if (run->begun)
		start_clock(s, run, clock_mono_us());
	s->njobs++;
	if (s->h->max_jobs && s->njobs >= s->h->max_jobs && s->state == SERVICE_READY)
		service_retire(s);
}

static bool is_too_large(struct service *s)
{
	int64_t now, pages = 0;
	char path[48], text[64];
	auto_fd int fd = -1;
	ssize_t n;

	if (s->h->max_rss == 0)
		return false;
	now = loop_now_ms(s->loop);
	if (now < s->rss_at_ms)
		return false;
	s->rss_at_ms = now + RSS_EVERY_MS;
	snprintf(path, sizeof path, "/proc/%d/statm", (int)s->child.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	pages = strtoll(text + strcspn(text, " "), NULL, 10);
	return pages * sysconf(_SC_PAGESIZE) > s->h->max_rss;
}

/* A run is over: who is next in line? */
static void advance(struct service *s)
{
	if (s->state != SERVICE_READY && s->state != SERVICE_DRAINING)
		return;
	list_each(struct run, run, &s->runs, link) {
		if (s->nbegun >= s->h->concurrency)
			break;
		if (!run->begun)
			begin(s, run);
	}
	if (s->state == SERVICE_READY && is_too_large(s)) {
		log_info("handler '%s': its service has more than max_rss and is replaced",
		    s->h->section);
		service_retire(s);
	} else if (s->state == SERVICE_DRAINING && s->nruns == 0) {
		lines_end(&s->lines);
	}
}

/* --- what it says ----------------------------------------------------------------------------- */

static void break_off(struct service *s, struct slice line, const char *fault)
{
	char why[ERR_TEXT_BYTES];

	s->deaf = true;
	snprintf(why, sizeof why, "its service wrote %.150s: %.*s%s", fault,
	    line.n < LINE_SHOWN ? (int)line.n : LINE_SHOWN, (const char *)line.p,
	    line.n < LINE_SHOWN ? "" : "...");
	service_leave(s, true, 0, why);
}

static void on_hello(void *arg, unsigned can)
{
	OBJ(struct service, s, arg, SERVICE_MAGIC);

	if (s->state != SERVICE_STARTING)
		return;
	s->can = can;
	s->hello = true;
	service_set_state(s, SERVICE_READY);
	loop_timer_stop(&s->life);
	if ((can & TALK_CAN_PING) && s->h->ping > 0)
		loop_timer_every(&s->ping, s->h->ping);
	list_each(struct run, run, &s->runs, link)
		service_runs_send(s, run);
	if (s->quitting && s->state == SERVICE_READY)
		service_retire(s);
	lines_flush(&s->lines);
}

/* The run that it has answered; one that was not next in line is so by being over. */
static struct run *answered(struct service *s, struct id id)
{
	struct run *run = find(s, id);
	int64_t us;

	if (!run)
		return NULL;
	if (!run->begun)
		begin(s, run);
	us = s->now_us - run->begun_us;
	s->mean_us = s->useful ? s->mean_us + (us - s->mean_us) / 8 : us;
	s->useful = true;
	s->rest_ms = 0;
	return run;
}

static void after_answer(struct service *s)
{
	advance(s);
	if (s->state == SERVICE_DRAINING && s->nruns == 0)
		service_last_moments(s);
}

static bool on_done(void *arg, struct id id, struct slice result)
{
	OBJ(struct service, s, arg, SERVICE_MAGIC);
	struct run *run = answered(s, id);
	struct run_end end = {.outcome = OUTCOME_DONE};
	struct capture kept;

	if (!run)
		return false;
	capture_init(&kept, (size_t)s->h->max_result, false);
	capture_add(&kept, result.p, result.n);
	end.result = kept.bytes;
	end.result_cut = kept.cut;
	end_run(s, run, &end, s->now_us);
	after_answer(s);
	return true;
}

static bool on_failed(void *arg, struct id id, struct slice error, bool retry)
{
	OBJ(struct service, s, arg, SERVICE_MAGIC);
	struct run *run = answered(s, id);
	struct run_end end = {.outcome = retry ? OUTCOME_RETRY : OUTCOME_DEAD, .exit_code = -1};

	if (!run)
		return false;
	if (run->stop != RUN_STOP_NONE) {
		service_runs_end(s, run, -1, "");
	} else {
		slice_copy(end.error, sizeof end.error,
		    error.n ? error : slice_str("it failed, and its service did not say why"));
		end_run(s, run, &end, s->now_us);
	}
	after_answer(s);
	return true;
}

static void on_progress(void *arg, struct id id, int32_t percent, struct slice text)
{
	OBJ(struct service, s, arg, SERVICE_MAGIC);
	struct run *run = find(s, id);

	if (!run)
		return;
	run->percent = percent;
	slice_copy(run->note, sizeof run->note, text);
	s->events->progress(s->arg, run);
}

static void on_log(void *arg, struct id id, struct slice text)
{
	OBJ(struct service, s, arg, SERVICE_MAGIC);
	struct run *run = find(s, id);

	if (!run || text.n == 0)
		return;
	capture_add(&run->logs, text.p, text.n);
	if (text.p[text.n - 1] != '\n')
		capture_add(&run->logs, "\n", 1);
}

static void on_pong(void *arg UNUSED)
{
	/* that it said anything is what counts */
}

static void on_line(void *arg, struct slice line)
{
	static const struct talk_events talk = {
	    on_hello, on_done, on_failed, on_progress, on_log, on_pong};
	OBJ(struct service, s, arg, SERVICE_MAGIC);
	struct err err = {0};

	if (s->deaf)
		return;
	s->heard = true;
	s->now_us = clock_mono_us();
	if (talk_read(line, &talk, s, &err) == 0)
		return;
	if (service_is_alive(s))
		break_off(s, line, err.text);
	s->deaf = true;
}

static void on_too_long(void *arg, struct slice begin)
{
	OBJ(struct service, s, arg, SERVICE_MAGIC);

	if (service_is_alive(s) && !s->deaf)
		break_off(s, begin, "a line that is too long");
	s->deaf = true;
}

/* It is exiting, as a rule: how is known in a moment. */
static void on_closed(void *arg)
{
	OBJ(struct service, s, arg, SERVICE_MAGIC);

	if (s->state == SERVICE_STARTING || s->state == SERVICE_READY ||
	    (s->state == SERVICE_DRAINING && s->nruns)) {
		service_set_state(s, SERVICE_LEAVING);
		s->fault = true;
		loop_timer_stop(&s->ping);
		loop_timer_set(&s->life, CLOSED_GRACE_MS);
	}
}

const struct lines_events service_runs_lines = {on_line, on_too_long, on_closed};
