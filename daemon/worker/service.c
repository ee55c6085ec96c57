/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "daemon/worker/launch.h"
#include "daemon/worker/service_in.h"
#include "daemon/worker/talk.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/job/exit.h"

#define AHEAD_MAX 64 /* a burst: what its two switches of context cost is shared by so many */
#define AHEAD_US 50000 /* of work that is sent ahead, as far as is known */
#define CLEAR_MAX 256
#define CLEAR_US 100000 /* of work that is cleared ahead: more than a commit takes */
#define BACKLOG_BYTES (1u << 20) /* unsent: no further run until it is less */
#define LINE_EXTRA_BYTES (1u << 20)
#define REST_FIRST_MS 100
#define REST_LAST_MS 30000
#define LEAVE_LEAST_MS 1000

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

static void process_ready(struct service *s);

void service_set_state(struct service *s, enum service_state state)
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
void service_leave(struct service *s, bool fault, int64_t kill_after_ms, const char *why)
{
	if (s->state == SERVICE_LEAVING) {
		if (kill_after_ms == 0)
			kill_now(s);
		return;
	}
	service_set_state(s, SERVICE_LEAVING);
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

bool service_is_alive(const struct service *s)
{
	return s->state != SERVICE_OFF && s->state != SERVICE_RESTING &&
	       s->state != SERVICE_SWEEPING;
}

void service_last_moments(struct service *s)
{
	int64_t ms = s->h->kill_after;

	loop_timer_set(&s->life, ms > LEAVE_LEAST_MS ? ms : LEAVE_LEAST_MS);
}

void service_retire(struct service *s)
{
	service_set_state(s, SERVICE_DRAINING);
	loop_timer_stop(&s->ping);
	talk_drain(&s->lines.out);
	if (s->nruns == 0) {
		lines_end(&s->lines);
		service_last_moments(s);
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
	service_set_state(s, SERVICE_RESTING);
	loop_timer_set(&s->life, s->quitting ? 0 : s->rest_ms);
}

static void end_runs(struct service *s)
{
	while (!list_empty(&s->runs)) {
		struct run *run = list_entry(s->runs.prev, struct run, link);

		if (run->begun)
			break;
		service_runs_unlink(s, run);
		capture_free(&run->logs);
		s->events->returned(s->arg, run);
	}
	list_each(struct run, run, &s->runs, link)
		service_runs_end(s, run, s->status, s->why);
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
	service_set_state(s, SERVICE_OFF);
	process_ready(s);
}

/* It is a zombie. What it wrote before still counts. */
static void on_exited(void *arg)
{
	OBJ(struct service, s, arg, SERVICE_MAGIC);
	bool expected = s->state == SERVICE_LEAVING ? !s->fault
						    : s->state == SERVICE_DRAINING;

	service_set_state(s, SERVICE_SWEEPING);
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
		service_set_state(s, SERVICE_OFF);
		process_ready(s);
	} else if (s->state == SERVICE_STARTING) {
		snprintf(why, sizeof why, "its service did not say hello within %s",
		    clock_format_duration(limit, s->h->start_timeout));
		service_leave(s, true, 0, why);
	} else if (service_is_alive(s)) {
		kill_now(s);
	}
}

static void end_for(struct service *s, enum run_stop why, int64_t kill_after_ms)
{
	service_leave(s, false, kill_after_ms,
	    why == RUN_STOP_TIMEOUT ? "its service was ended for another job, which had timed out"
				    : "its service was ended for another job, which was cancelled");
}

void service_stop(struct service *s, struct run *run, enum run_stop why, int64_t kill_after_ms)
{
	if (run->stop != RUN_STOP_NONE)
		return;
	run->stop = why;
	if (!run->sent) {
		service_runs_end(s, run, -1, "");
	} else if (s->state == SERVICE_READY || s->state == SERVICE_DRAINING) {
		if ((s->can & TALK_CAN_CANCEL) && kill_after_ms > 0) {
			talk_cancel(&s->lines.out, run->spec.run);
			service_runs_deadline(s, run, kill_after_ms);
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
		else if (service_is_alive(s))
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
		service_leave(s, true, 0, why);
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
	s->deadline_ms = INT64_MAX;
	s->why[0] = '\0';
	service_set_state(s, SERVICE_STARTING);
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

unsigned service_clear_ahead(const struct service *s)
{
	int64_t n = s->useful && s->mean_us < CLEAR_US
			? CLEAR_US / (s->mean_us + 1) * s->h->concurrency
			: 0;

	return (unsigned)(n < CLEAR_MAX ? n : CLEAR_MAX) + (unsigned)s->h->concurrency;
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
	service_runs_add(s, run);
	if (s->state == SERVICE_READY)
		service_runs_send(s, run);
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
	return service_is_alive(s) ? s->child.pid : 0;
}

void service_quit(struct service *s)
{
	s->quitting = true;
	if (s->state == SERVICE_READY)
		service_retire(s);
	else if (s->state == SERVICE_STARTING && s->nruns == 0)
		service_leave(s, false, 0, "");
}

void service_release(struct service *s, int64_t kill_after_ms)
{
	if (!service_is_alive(s))
		return;
	list_each(struct run, run, &s->runs, link) {
		if (run->stop == RUN_STOP_NONE)
			run->stop = RUN_STOP_RELEASE;
	}
	service_leave(s, false, kill_after_ms, "its worker stopped");
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
	lines_init(&s->lines, &service_runs_lines, s);
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
	if (service_is_alive(s)) {
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
