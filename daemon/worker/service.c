/* SPDX-License-Identifier: MIT */
/*
 * `runs` is in the order in which they were given. No timer is set per run: one stands at the
 * earliest deadline there was when it was set, and looks at all runs when it fires.
 */
#include "daemon/worker/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "daemon/worker/chatter.h"
#include "daemon/worker/launch.h"
#include "daemon/worker/oom.h"
#include "daemon/worker/talk.h"
#include "daemon/worker/lines.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/job/exit.h"

#define SERVICE_MAGIC 0x73727663u
#define AHEAD_MAX 16
#define AHEAD_US 50000 /* of work that is sent ahead, as far as is known */
#define BACKLOG_BYTES (1u << 20) /* unsent: no further run until it is less */
#define LINE_EXTRA_BYTES (1u << 20)
#define LINE_SHOWN 120
#define REST_FIRST_MS 100
#define REST_LAST_MS 30000
#define CLOSED_GRACE_MS 1000 /* between the end of its descriptor 3 and its exit */
#define LEAVE_LEAST_MS 1000
#define RSS_EVERY_MS 200

enum service_state {
	SERVICE_OFF,
	SERVICE_STARTING, /* it has not said hello */
	SERVICE_READY,
	SERVICE_DRAINING, /* gets nothing more; leaves when its runs are over */
	SERVICE_LEAVING,  /* is being ended */
	SERVICE_SWEEPING, /* has exited */
	SERVICE_RESTING,
	SERVICE_STATE_COUNT
};

static const bool may_follow[SERVICE_STATE_COUNT][SERVICE_STATE_COUNT] = {
    [SERVICE_OFF] = {[SERVICE_STARTING] = true, [SERVICE_RESTING] = true},
    [SERVICE_STARTING] = {[SERVICE_READY] = true, [SERVICE_LEAVING] = true,
	[SERVICE_SWEEPING] = true},
    [SERVICE_READY] = {[SERVICE_DRAINING] = true, [SERVICE_LEAVING] = true,
	[SERVICE_SWEEPING] = true},
    [SERVICE_DRAINING] = {[SERVICE_LEAVING] = true, [SERVICE_SWEEPING] = true},
    [SERVICE_LEAVING] = {[SERVICE_SWEEPING] = true},
    [SERVICE_SWEEPING] = {[SERVICE_OFF] = true, [SERVICE_RESTING] = true},
    [SERVICE_RESTING] = {[SERVICE_OFF] = true},
};

struct service {
	unsigned magic;
	struct loop *loop;
	struct reaper *reaper;
	struct environment *environment;
	const struct conf_handler *h;
	const struct run_events *events;
	void *arg;
	struct oom oom;
	struct lines lines;
	struct chatter chatter;
	struct loop_timer life, deadline, ping; /* life: of the state */
	int64_t deadline_ms;                    /* INT64_MAX: the timer is not set */
	bool quitting;

	struct list runs;
	unsigned nruns, nbegun;
	int64_t mean_us; /* of a run, moving; 0: nothing is known */

	/* since the last start */
	enum service_state state;
	struct reap_child child;
	struct reap_sweep sweep;
	int status; /* of waitpid(2) */
	unsigned can;
	int64_t njobs, pings, rss_at_ms;
	bool hello, useful; /* it has said hello; it has answered a job */
	bool heard, pinged;
	bool deaf;   /* what it says does not count any more */
	bool fault;  /* it is to blame for its end */
	bool killed; /* the SIGKILL is ours */
	int64_t rest_ms;
	char why[ERR_TEXT_BYTES]; /* of its end, for runs with no reason of their own */
};

static void process_ready(struct service *s);
static void retire(struct service *s);

static void set_state(struct service *s, enum service_state state)
{
	if (!may_follow[s->state][state])
		BUG("service goes from state %d to %d", s->state, state);
	s->state = state;
}

/* --- ending it -------------------------------------------------------------------------------- */

static void kill_now(struct service *s)
{
	s->killed = true;
	kill(-s->child.pid, SIGKILL);
	kill(s->child.pid, SIGKILL);
}

/* The first reason stands, and the earlier SIGKILL. */
static void leave(struct service *s, bool fault, int64_t kill_after_ms, const char *why)
{
	if (s->state == SERVICE_LEAVING) {
		if (kill_after_ms == 0)
			kill_now(s);
		return;
	}
	set_state(s, SERVICE_LEAVING);
	snprintf(s->why, sizeof s->why, "%s", why);
	s->fault = fault;
	loop_timer_stop(&s->ping);
	if (kill_after_ms == 0) {
		kill_now(s);
		return;
	}
	kill(-s->child.pid, SIGTERM);
	loop_timer_set(&s->life, kill_after_ms);
}

static bool is_alive(const struct service *s)
{
	return s->state != SERVICE_OFF && s->state != SERVICE_RESTING &&
	       s->state != SERVICE_SWEEPING;
}

static void break_off(struct service *s, struct slice line, const char *fault)
{
	char why[ERR_TEXT_BYTES];

	s->deaf = true;
	snprintf(why, sizeof why, "its service wrote %.150s: %.*s%s", fault,
	    line.n < LINE_SHOWN ? (int)line.n : LINE_SHOWN, (const char *)line.p,
	    line.n < LINE_SHOWN ? "" : "...");
	leave(s, true, 0, why);
}

/* --- runs ------------------------------------------------------------------------------------- */

static void deadline_at(struct service *s, struct run *run, int64_t after_ms)
{
	int64_t now = loop_now_ms(s->loop);

	run->deadline_ms = now + after_ms;
	if (run->deadline_ms >= s->deadline_ms)
		return;
	s->deadline_ms = run->deadline_ms;
	loop_timer_set(&s->deadline, after_ms);
}

static void start_clock(struct service *s, struct run *run)
{
	run->begun_us = clock_mono_us();
	if (run->spec.timeout_ms > 0)
		deadline_at(s, run, run->spec.timeout_ms);
}

static void begin(struct service *s, struct run *run)
{
	run->begun = true;
	s->nbegun++;
	s->events->begun(s->arg, run);
	start_clock(s, run);
}

static void unlink_run(struct service *s, struct run *run)
{
	list_del(&run->link);
	s->nruns--;
	s->nbegun -= run->begun;
}

static void end_run(struct service *s, struct run *run, struct run_end *end)
{
	if (run->begun_us)
		end->wall_ms = (clock_mono_us() - run->begun_us + 500) / 1000;
	end->started_wall_ms = JOB_NOT_GIVEN;
	capture_finish(&run->logs);
	end->logs = run->logs.bytes;
	end->logs_cut = run->logs.cut;
	unlink_run(s, run);
	s->events->ended(s->arg, run, end);
}

/* What a run that was told to go comes to, or (why) one whose service has gone. */
static void end_unfinished(struct service *s, struct run *run, int status, const char *why)
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
	end_run(s, run, &end);
}

static struct run *find(struct service *s, struct id id)
{
	list_each(struct run, run, &s->runs, link) {
		if (id_eq(run->spec.run, id))
			return run->sent ? run : NULL;
	}
	return NULL;
}

static void send_run(struct service *s, struct run *run)
{
	talk_job(&s->lines.out, &run->spec);
	run->sent = true;
	if (run->begun)
		start_clock(s, run);
	s->njobs++;
	if (s->h->max_jobs && s->njobs >= s->h->max_jobs && s->state == SERVICE_READY)
		retire(s);
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
		retire(s);
	} else if (s->state == SERVICE_DRAINING && s->nruns == 0) {
		lines_end(&s->lines);
	}
}

static void give_time_to_leave(struct service *s)
{
	int64_t ms = s->h->kill_after;

	loop_timer_set(&s->life, ms > LEAVE_LEAST_MS ? ms : LEAVE_LEAST_MS);
}

static void retire(struct service *s)
{
	set_state(s, SERVICE_DRAINING);
	loop_timer_stop(&s->ping);
	talk_drain(&s->lines.out);
	if (s->nruns == 0) {
		lines_end(&s->lines);
		give_time_to_leave(s);
	}
}

/* --- what it says ----------------------------------------------------------------------------- */

static void on_hello(void *arg, unsigned can)
{
	OBJ(struct service, s, arg, SERVICE_MAGIC);

	if (s->state != SERVICE_STARTING)
		return;
	s->can = can;
	s->hello = true;
	set_state(s, SERVICE_READY);
	loop_timer_stop(&s->life);
	if ((can & TALK_CAN_PING) && s->h->ping > 0)
		loop_timer_every(&s->ping, s->h->ping);
	list_each(struct run, run, &s->runs, link)
		send_run(s, run);
	if (s->quitting && s->state == SERVICE_READY)
		retire(s);
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
	us = clock_mono_us() - run->begun_us;
	s->mean_us = s->useful ? s->mean_us + (us - s->mean_us) / 8 : us;
	s->useful = true;
	s->rest_ms = 0;
	return run;
}

static void after_answer(struct service *s)
{
	advance(s);
	if (s->state == SERVICE_DRAINING && s->nruns == 0)
		give_time_to_leave(s);
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
	end_run(s, run, &end);
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
		end_unfinished(s, run, -1, "");
	} else {
		slice_copy(end.error, sizeof end.error,
		    error.n ? error : slice_str("it failed, and its service did not say why"));
		end_run(s, run, &end);
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
	if (talk_read(line, &talk, s, &err) == 0)
		return;
	if (is_alive(s))
		break_off(s, line, err.text);
	s->deaf = true;
}

static void on_too_long(void *arg, struct slice begin)
{
	OBJ(struct service, s, arg, SERVICE_MAGIC);

	if (is_alive(s) && !s->deaf)
		break_off(s, begin, "a line that is too long");
	s->deaf = true;
}

/* It is exiting, as a rule: how is known in a moment. */
static void on_closed(void *arg)
{
	OBJ(struct service, s, arg, SERVICE_MAGIC);

	if (s->state == SERVICE_STARTING || s->state == SERVICE_READY ||
	    (s->state == SERVICE_DRAINING && s->nruns)) {
		set_state(s, SERVICE_LEAVING);
		s->fault = true;
		loop_timer_stop(&s->ping);
		loop_timer_set(&s->life, CLOSED_GRACE_MS);
	}
}

/* --- the end of its process ------------------------------------------------------------------- */

/* Why it is gone, for the runs that were begun. */
static void explain(struct service *s)
{
	struct exit_facts facts = {.wait_status = s->status};
	struct exit_reading reading;

	if (s->why[0])
		return;
	if (s->killed) {
		snprintf(s->why, sizeof s->why, "its service closed descriptor 3 and stayed");
		return;
	}
	if (WIFSIGNALED(s->status) && WTERMSIG(s->status) == SIGKILL)
		facts.oom = oom_check(&s->oom);
	exit_read(&facts, &reading);
	snprintf(s->why, sizeof s->why, "its service %s%s",
	    reading.error[0] ? reading.error : "exited with 0",
	    s->hello ? " before the job was over" : " before it said hello");
}

static void rest(struct service *s)
{
	s->rest_ms = s->rest_ms ? 2 * s->rest_ms : REST_FIRST_MS;
	if (s->rest_ms > REST_LAST_MS)
		s->rest_ms = REST_LAST_MS;
	set_state(s, SERVICE_RESTING);
	loop_timer_set(&s->life, s->quitting ? 0 : s->rest_ms);
}

static void end_runs(struct service *s)
{
	while (!list_empty(&s->runs)) {
		struct run *run = list_entry(s->runs.prev, struct run, link);

		if (run->begun)
			break;
		unlink_run(s, run);
		capture_free(&run->logs);
		s->events->returned(s->arg, run);
	}
	list_each(struct run, run, &s->runs, link)
		end_unfinished(s, run, s->status, s->why);
}

static void on_swept(void *arg)
{
	OBJ(struct service, s, arg, SERVICE_MAGIC);

	if (s->fault)
		log_warn("handler '%s' pid=%d: %s", s->h->section, (int)s->child.pid, s->why);
	end_runs(s);
	if (s->fault) {
		rest(s);
		return;
	}
	set_state(s, SERVICE_OFF);
	process_ready(s);
}

/* It is a zombie. What it wrote before still counts. */
static void on_exited(void *arg)
{
	OBJ(struct service, s, arg, SERVICE_MAGIC);
	bool expected = s->state == SERVICE_LEAVING ? !s->fault
						    : s->state == SERVICE_DRAINING;

	set_state(s, SERVICE_SWEEPING);
	loop_timer_stop(&s->life);
	loop_timer_stop(&s->deadline);
	loop_timer_stop(&s->ping);
	lines_rest(&s->lines);
	lines_close(&s->lines);
	kill(-s->child.pid, SIGKILL);
	chatter_close(&s->chatter);
	if (waitpid(s->child.pid, &s->status, WNOHANG) != s->child.pid)
		BUG("the end of a service was seen, and is not there");
	s->fault = !expected || (s->nruns > 0 && !s->why[0]);
	explain(s);
	reaper_sweep(s->reaper, &s->sweep);
}

/* --- timers ----------------------------------------------------------------------------------- */

static void on_life(struct loop_timer *t)
{
	OBJ(struct service, s, t->arg, SERVICE_MAGIC);
	char limit[24], why[ERR_TEXT_BYTES];

	if (s->state == SERVICE_RESTING) {
		set_state(s, SERVICE_OFF);
		process_ready(s);
	} else if (s->state == SERVICE_STARTING) {
		snprintf(why, sizeof why, "its service did not say hello within %s",
		    clock_format_duration(limit, s->h->start_timeout));
		leave(s, true, 0, why);
	} else if (is_alive(s)) {
		kill_now(s);
	}
}

static void end_for(struct service *s, enum run_stop why, int64_t kill_after_ms)
{
	leave(s, false, kill_after_ms,
	    why == RUN_STOP_TIMEOUT ? "its service was ended for another job, which had timed out"
				    : "its service was ended for another job, which was cancelled");
}

void service_stop(struct service *s, struct run *run, enum run_stop why, int64_t kill_after_ms)
{
	if (run->stop != RUN_STOP_NONE)
		return;
	run->stop = why;
	if (!run->sent) {
		end_unfinished(s, run, -1, "");
	} else if (s->state == SERVICE_READY || s->state == SERVICE_DRAINING) {
		if ((s->can & TALK_CAN_CANCEL) && kill_after_ms > 0) {
			talk_cancel(&s->lines.out, run->spec.run);
			deadline_at(s, run, kill_after_ms);
		} else {
			end_for(s, why, kill_after_ms);
		}
	}
}

static void on_deadline(struct loop_timer *t)
{
	OBJ(struct service, s, t->arg, SERVICE_MAGIC);
	int64_t now = loop_now_ms(s->loop);

	s->deadline_ms = INT64_MAX;
	list_each(struct run, run, &s->runs, link) {
		if (run->deadline_ms > now)
			continue;
		run->deadline_ms = INT64_MAX;
		if (run->stop == RUN_STOP_NONE)
			service_stop(s, run, RUN_STOP_TIMEOUT, s->h->kill_after);
		else if (is_alive(s))
			end_for(s, run->stop, 0);
	}
	list_each(struct run, run, &s->runs, link) {
		if (run->deadline_ms < s->deadline_ms)
			s->deadline_ms = run->deadline_ms;
	}
	if (s->deadline_ms != INT64_MAX)
		loop_timer_set(&s->deadline, s->deadline_ms - now);
}

static void on_ping(struct loop_timer *t)
{
	OBJ(struct service, s, t->arg, SERVICE_MAGIC);
	char limit[24], why[ERR_TEXT_BYTES];

	if (s->pinged && !s->heard) {
		s->deaf = true;
		snprintf(why, sizeof why, "its service did not answer a ping within %s",
		    clock_format_duration(limit, s->h->ping));
		leave(s, true, 0, why);
		return;
	}
	s->pinged = !s->heard;
	s->heard = false;
	if (s->pinged)
		talk_ping(&s->lines.out, ++s->pings);
}

/* --- the beginning ---------------------------------------------------------------------------- */

static int spawn(struct service *s, struct err *err)
{
	char *const *envp = environment_of(s->environment, s->h);
	size_t max_line = 2 * (size_t)s->h->max_result + LINE_EXTRA_BYTES;
	auto_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int pair[2], out[2], rc;

	if (null < 0 || pipe2(out, O_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot make a pipe for a service");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		rc = err_sys(err, errno, "cannot make a socket for a service");
		close(out[0]);
		close(out[1]);
		return rc;
	}
	rc = launch(s->h, &s->h->service, envp,
	    (struct spawn_fd[]){{null, 0}, {out[1], 1}, {out[1], 2}, {pair[1], 3}}, 4,
	    &s->child.pid, err);
	close(out[1]);
	close(pair[1]);
	if (rc < 0) {
		close(out[0]);
		close(pair[0]);
		return rc;
	}
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	chatter_open(&s->chatter, out[0]);
	lines_open(&s->lines, s->loop, pair[0], max_line);
	talk_hello(&s->lines.out, s->h, environment_value(envp, "SKEP_WORKER"), max_line);
	return 0;
}

static int start_process(struct service *s, struct err *err)
{
	int rc = spawn(s, err);

	if (rc < 0) {
		rest(s);
		return rc;
	}
	s->can = 0;
	s->njobs = s->pings = s->rss_at_ms = 0;
	s->hello = s->useful = s->deaf = s->fault = s->killed = s->pinged = false;
	s->heard = true;
	s->why[0] = '\0';
	set_state(s, SERVICE_STARTING);
	reaper_watch(s->reaper, &s->child);
	loop_timer_set(&s->life, s->h->start_timeout);
	lines_flush(&s->lines);
	return 0;
}

/* It is off, and may have to be started without waiting for a job. */
static void process_ready(struct service *s)
{
	struct err err = {0};

	if (s->h->warmup && !s->quitting && start_process(s, &err) < 0)
		log_warn("handler '%s': %s", s->h->section, err.text);
}

static unsigned depth(const struct service *s)
{
	if (s->h->concurrency > 1 || !s->useful)
		return 1;
	if (s->mean_us * AHEAD_MAX <= AHEAD_US)
		return AHEAD_MAX;
	return 1 + (unsigned)(AHEAD_US / s->mean_us);
}

enum run_room service_room(const struct service *s)
{
	switch (s->state) {
	case SERVICE_OFF:
		return s->quitting ? RUN_ROOM_PAUSED : RUN_ROOM_NOW;
	case SERVICE_STARTING:
		return s->nruns ? RUN_ROOM_PAUSED : RUN_ROOM_NOW;
	case SERVICE_READY:
		if (buf_size(&s->lines.out) > BACKLOG_BYTES)
			return RUN_ROOM_NONE;
		if (s->nbegun < s->h->concurrency)
			return RUN_ROOM_NOW;
		return s->nruns < depth(s) ? RUN_ROOM_AHEAD : RUN_ROOM_NONE;
	case SERVICE_DRAINING:
	case SERVICE_LEAVING:
	case SERVICE_SWEEPING:
	case SERVICE_RESTING:
		return RUN_ROOM_PAUSED;
	case SERVICE_STATE_COUNT:
		break;
	}
	BUG("service in state %d", s->state);
}

int service_start(struct service *s, struct run *run, struct run_end *ret_end)
{
	struct err err = {0};
	int rc = s->state == SERVICE_OFF ? start_process(s, &err) : 0;

	if (rc < 0) {
		*ret_end = (struct run_end){0};
		launch_failed(rc, err.text, ret_end);
		return rc;
	}
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
	if (s->state == SERVICE_READY)
		send_run(s, run);
	return 0;
}

bool service_is_busy(const struct service *s)
{
	return s->nruns > 0;
}

bool service_is_gone(const struct service *s)
{
	return s->state == SERVICE_OFF || s->state == SERVICE_RESTING;
}

pid_t service_pid(const struct service *s)
{
	return is_alive(s) ? s->child.pid : 0;
}

void service_quit(struct service *s)
{
	s->quitting = true;
	if (s->state == SERVICE_READY)
		retire(s);
	else if (s->state == SERVICE_STARTING && s->nruns == 0)
		leave(s, false, 0, "");
}

void service_release(struct service *s, int64_t kill_after_ms)
{
	if (!is_alive(s))
		return;
	list_each(struct run, run, &s->runs, link) {
		if (run->stop == RUN_STOP_NONE)
			run->stop = RUN_STOP_RELEASE;
	}
	leave(s, false, kill_after_ms, "its worker stopped");
}

void service_flush(struct service *s)
{
	if (buf_size(&s->lines.out))
		lines_flush(&s->lines);
}

struct service *service_new(struct loop *loop, struct reaper *reaper,
    struct environment *environment, const struct conf_handler *handler,
    const struct run_events *events, void *arg)
{
	static const struct lines_events lines_events = {on_line, on_too_long, on_closed};
	struct service *s = xcalloc(1, sizeof *s);

	s->magic = SERVICE_MAGIC;
	s->loop = loop;
	s->reaper = reaper;
	s->environment = environment;
	s->h = handler;
	s->events = events;
	s->arg = arg;
	s->deadline_ms = INT64_MAX;
	s->child = (struct reap_child){.exited = on_exited, .arg = s};
	s->sweep = (struct reap_sweep){.swept = on_swept, .arg = s};
	list_init(&s->runs);
	oom_init(&s->oom);
	lines_init(&s->lines, &lines_events, s);
	chatter_init(&s->chatter, loop, handler->section);
	loop_timer_init(&s->life, loop, on_life, s);
	loop_timer_init(&s->deadline, loop, on_deadline, s);
	loop_timer_init(&s->ping, loop, on_ping, s);
	process_ready(s);
	return s;
}

void service_free(struct service *s)
{
	if (!s)
		return;
	if (is_alive(s)) {
		kill_now(s);
		lines_close(&s->lines);
		chatter_close(&s->chatter);
	}
	list_each(struct run, run, &s->runs, link)
		capture_free(&run->logs);
	reaper_forget(&s->child);
	reaper_sweep_stop(&s->sweep);
	loop_timer_stop(&s->life);
	loop_timer_stop(&s->deadline);
	loop_timer_stop(&s->ping);
	s->magic = 0;
	free(s);
}
