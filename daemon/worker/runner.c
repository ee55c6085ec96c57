/* SPDX-License-Identifier: MIT */
/*
 * The end of a run is the exit of the process that was started, not the end of its output: a
 * grandchild may hold the pipes open for ever. At SIGCHLD the dead process is left a zombie for a
 * moment, so that its number still names its group: what is in the pipes is read, the group killed,
 * the zombie collected with its resource usage, and then whatever else it left is killed and
 * collected (reap.h). Only after that is the run over, since a later sweep would hit the next run.
 */
#include "daemon/worker/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "daemon/worker/capture.h"
#include "daemon/worker/launch.h"
#include "daemon/worker/oom.h"
#include "lib/base/clock.h"
#include "lib/job/exit.h"

#define RUNNER_MAGIC 0x72756e72u
#define PIPE_CHUNK_BYTES (64u << 10)
#define PIPE_TURN_CHUNKS 4   /* read of one pipe per turn */
#define PIPE_LAST_CHUNKS 32  /* read of one pipe after the end: above any pipe's capacity */
#define BODY_TURN_BYTES (256u << 10)
#define WATCH_AFTER_MS 5

enum pipe_id { PIPE_BODY, PIPE_RESULT, PIPE_LOGS, PIPE_PROGRESS, PIPE_COUNT };

enum runner_state { RUNNER_IDLE, RUNNER_RUNNING, RUNNER_SWEEPING, RUNNER_STATE_COUNT };

static const bool may_follow[RUNNER_STATE_COUNT][RUNNER_STATE_COUNT] = {
    [RUNNER_IDLE] = {[RUNNER_RUNNING] = true},
    [RUNNER_RUNNING] = {[RUNNER_SWEEPING] = true},
    [RUNNER_SWEEPING] = {[RUNNER_IDLE] = true},
};

/* Our end of a pipe. */
struct pipe_end {
	unsigned magic;
	struct runner *r;
	enum pipe_id id;
	int fd; /* -1: closed */
	struct loop_io io;
};

struct runner {
	unsigned magic;
	struct loop *loop;
	struct reaper *reaper;
	struct environment *environment;
	const struct runner_events *events;
	void *arg;
	struct oom oom;
	int clear_refs; /* see forget_peak() */
	struct loop_timer timeout, kill, watch;

	enum runner_state state;
	struct run_spec spec;
	struct reap_child child;
	struct reap_sweep sweep;
	int64_t started_us;
	enum run_stop stop;
	int64_t kill_at_ms; /* while it is being stopped */
	bool killed; /* the SIGKILL is ours */
	struct slice body; /* what is left to write */
	struct pipe_end pipes[PIPE_COUNT];
	struct capture result, logs;
	struct progress progress;
	struct run_end end;
};

static void set_state(struct runner *r, enum runner_state state)
{
	if (!may_follow[r->state][state])
		BUG("runner goes from state %d to %d", r->state, state);
	r->state = state;
}

bool runner_is_idle(const struct runner *r)
{
	return r->state == RUNNER_IDLE;
}

pid_t runner_pid(const struct runner *r)
{
	return r->state == RUNNER_RUNNING ? r->child.pid : 0;
}

/* --- pipes ------------------------------------------------------------------------------------ */

static void pipe_close(struct pipe_end *p)
{
	if (p->fd < 0)
		return;
	loop_io_stop(&p->io);
	close(p->fd);
	p->fd = -1;
}

static void pipes_close(struct runner *r)
{
	for (int i = 0; i < PIPE_COUNT; i++)
		pipe_close(&r->pipes[i]);
}

static void take_bytes(struct runner *r, enum pipe_id id, const void *bytes, size_t n)
{
	switch (id) {
	case PIPE_RESULT:
		capture_add(&r->result, bytes, n);
		return;
	case PIPE_LOGS:
		capture_add(&r->logs, bytes, n);
		return;
	case PIPE_PROGRESS:
		if (progress_add(&r->progress, bytes, n))
			r->events->progress(r->arg, r->progress.percent, r->progress.note);
		return;
	case PIPE_BODY:
	case PIPE_COUNT:
		break;
	}
	BUG("pipe %d is not read", id);
}

static void pipe_read(struct pipe_end *p, int chunks)
{
	static uint8_t chunk[PIPE_CHUNK_BYTES];

	while (chunks > 0 && p->fd >= 0) {
		ssize_t n = read(p->fd, chunk, sizeof chunk);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			pipe_close(p);
			return;
		}
		take_bytes(p->r, p->id, chunk, (size_t)n);
		chunks--;
	}
}

/* A handler need not read its body: EPIPE is as good as having written it all. */
static void body_write(struct runner *r)
{
	struct pipe_end *p = &r->pipes[PIPE_BODY];
	size_t budget = BODY_TURN_BYTES;

	while (r->body.n > 0 && budget > 0) {
		ssize_t n = write(p->fd, r->body.p, r->body.n < budget ? r->body.n : budget);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			r->body.n = 0;
		if (n <= 0)
			break;
		r->body = slice_of(r->body.p + n, r->body.n - (size_t)n);
		budget -= (size_t)n;
	}
	if (r->body.n == 0)
		pipe_close(p);
}

static void on_pipe(struct loop_io *io, unsigned events UNUSED)
{
	OBJ(struct pipe_end, p, io->arg, RUNNER_MAGIC);

	if (p->id == PIPE_BODY)
		body_write(p->r);
	else
		pipe_read(p, PIPE_TURN_CHUNKS);
}

/* Makes the four pipes; `theirs` are the handler's ends, which stay blocking. */
static int pipes_open(struct runner *r, int theirs[static PIPE_COUNT])
{
	for (int i = 0; i < PIPE_COUNT; i++) {
		struct pipe_end *p = &r->pipes[i];
		int fds[2], ours = i == PIPE_BODY ? 1 : 0;

		if (pipe2(fds, O_CLOEXEC) < 0)
			return -errno;
		theirs[i] = fds[1 - ours];
		p->fd = fds[ours];
		fcntl(p->fd, F_SETFL, O_NONBLOCK);
		loop_io_init(&p->io, r->loop, p->fd, on_pipe, p);
	}
	return 0;
}

static void pipes_watch(struct runner *r)
{
	loop_timer_stop(&r->watch);
	for (int i = 0; i < PIPE_COUNT; i++) {
		if (r->pipes[i].fd >= 0)
			loop_io_set(&r->pipes[i].io, i == PIPE_BODY ? LOOP_WRITE : LOOP_READ);
	}
}

/* Most handlers are over before their output has to be read, and then what is in the pipes is read at
 * their end: a watcher for each would be six system calls a run, and wake us for each pipe that is
 * closed just before the SIGCHLD comes. */
static void pipes_watch_soon(struct runner *r)
{
	if (r->pipes[PIPE_BODY].fd >= 0)
		pipes_watch(r);
	else
		loop_timer_set(&r->watch, WATCH_AFTER_MS);
}

static void on_watch(struct loop_timer *t)
{
	OBJ(struct runner, r, t->arg, RUNNER_MAGIC);

	pipes_watch(r);
}

/* --- the end ---------------------------------------------------------------------------------- */

static int64_t ms_of(struct timeval t)
{
	return (int64_t)t.tv_sec * 1000 + t.tv_usec / 1000;
}

static void read_status(struct runner *r, int status)
{
	struct exit_facts facts = {.wait_status = status,
	    .timed_out = r->stop == RUN_STOP_TIMEOUT,
	    .cancelled = r->stop == RUN_STOP_CANCEL,
	    .released = r->stop == RUN_STOP_RELEASE,
	    .timeout_ms = r->spec.timeout_ms,
	    .dead_exits = r->spec.handler->dead_exits.bits};
	struct exit_reading reading;

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !r->killed)
		facts.oom = oom_check(&r->oom);
	exit_read(&facts, &reading);
	r->end.outcome = reading.outcome;
	r->end.exit_code = reading.exit_code;
	r->end.signal = reading.signal;
	snprintf(r->end.error, sizeof r->end.error, "%s", reading.error);
}

static void on_swept(void *arg)
{
	OBJ(struct runner, r, arg, RUNNER_MAGIC);
	struct run_end *end = &r->end;

	capture_finish(&r->result);
	capture_finish(&r->logs);
	end->result = r->result.bytes;
	end->result_cut = r->result.cut;
	end->logs = r->logs.bytes;
	end->logs_cut = r->logs.cut;
	set_state(r, RUNNER_IDLE);
	r->events->ended(r->arg, end);
}

/* The handler is a zombie. */
static void on_exited(void *arg)
{
	OBJ(struct runner, r, arg, RUNNER_MAGIC);
	pid_t pid = r->child.pid;
	struct rusage usage = {0};
	int status = 0;

	loop_timer_stop(&r->timeout);
	loop_timer_stop(&r->kill);
	loop_timer_stop(&r->watch);
	r->end.wall_us = clock_mono_us() - r->started_us;
	r->end.wall_ms = (r->end.wall_us + 500) / 1000;
	for (int i = PIPE_RESULT; i <= PIPE_PROGRESS; i++)
		pipe_read(&r->pipes[i], PIPE_LAST_CHUNKS);
	pipes_close(r);
	kill(-pid, SIGKILL);
	if (wait4(pid, &status, WNOHANG, &usage) != pid)
		BUG("the handler's end was seen, and is not there");
	r->end.cpu_ms = ms_of(usage.ru_utime) + ms_of(usage.ru_stime);
	r->end.max_rss_kb = usage.ru_maxrss;
	read_status(r, status);
	set_state(r, RUNNER_SWEEPING);
	reaper_sweep(r->reaper, &r->sweep);
}

/* The handler itself may have left its group. */
static void stop_with_signal(struct runner *r, int sig)
{
	int rc = kill(-r->child.pid, sig);

	if (rc < 0 || sig == SIGKILL)
		kill(r->child.pid, sig);
	if (sig == SIGKILL)
		r->killed = true;
}

static void on_kill(struct loop_timer *t)
{
	OBJ(struct runner, r, t->arg, RUNNER_MAGIC);

	stop_with_signal(r, SIGKILL);
}

void runner_stop(struct runner *r, enum run_stop why, int64_t kill_after_ms)
{
	int64_t kill_at_ms = loop_now_ms(r->loop) + kill_after_ms;

	if (r->state != RUNNER_RUNNING)
		return;
	if (r->stop == RUN_STOP_NONE) {
		r->stop = why;
		r->kill_at_ms = INT64_MAX;
		loop_timer_stop(&r->timeout);
		stop_with_signal(r, SIGTERM);
	}
	if (kill_at_ms >= r->kill_at_ms)
		return;
	r->kill_at_ms = kill_at_ms;
	if (kill_after_ms > 0)
		loop_timer_set(&r->kill, kill_after_ms);
	else
		stop_with_signal(r, SIGKILL);
}

static void on_timeout(struct loop_timer *t)
{
	OBJ(struct runner, r, t->arg, RUNNER_MAGIC);

	runner_stop(r, RUN_STOP_TIMEOUT, r->spec.handler->kill_after);
}

/* --- the beginning ---------------------------------------------------------------------------- */

/* A started process inherits its parent's peak of resident memory, as of exec, into its own
 * ru_maxrss: one large body would show in the usage of every later run. proc_pid_clear_refs(5):
 * "5" sets the peak back to what is resident now. Best effort; what is left is a floor of a few
 * MiB. */
static void forget_peak(struct runner *r)
{
	if (r->clear_refs >= 0 && pwrite(r->clear_refs, "5", 1, 0) < 0) {
		close(r->clear_refs);
		r->clear_refs = -1;
	}
}

static void run_reset(struct runner *r, const struct run_spec *spec)
{
	r->spec = *spec;
	r->stop = RUN_STOP_NONE;
	r->killed = false;
	r->body = spec->job->body;
	r->end = (struct run_end){.exit_code = -1, .started_wall_ms = clock_wall_ms()};
	r->started_us = clock_mono_us();
	capture_init(&r->result, (size_t)spec->handler->max_result, false);
	capture_init(&r->logs, (size_t)spec->handler->max_logs, true);
	progress_init(&r->progress);
}

/*~ 5. The handler: a process group of its own, the body on its standard input, nothing that
 * waits. Its end is read by exit_read() (lib/job/exit.c). Next: report.c. */
int runner_start(struct runner *r, const struct run_spec *spec, struct run_end *ret_end)
{
	static const int numbers[PIPE_COUNT] = {[PIPE_BODY] = STDIN_FILENO,
	    [PIPE_RESULT] = STDOUT_FILENO,
	    [PIPE_LOGS] = STDERR_FILENO,
	    [PIPE_PROGRESS] = 3};
	int theirs[PIPE_COUNT] = {-1, -1, -1, -1}, rc;
	struct spawn_fd fds[PIPE_COUNT];
	struct err err = {0};

	if (r->state != RUNNER_IDLE)
		BUG("a run is started while another goes on");
	run_reset(r, spec);
	rc = pipes_open(r, theirs);
	if (rc < 0) {
		err_sys(&err, -rc, "cannot make pipes for a handler");
	} else {
		for (int i = 0; i < PIPE_COUNT; i++)
			fds[i] = (struct spawn_fd){.from = theirs[i], .to = numbers[i]};
		forget_peak(r);
		/* A body that fits the pipe is there before anybody reads, and needs no watcher. */
		body_write(r);
		rc = launch(spec->handler, &spec->handler->command,
		    environment_for(r->environment, spec), fds, PIPE_COUNT, &r->child.pid, &err);
	}
	for (int i = 0; i < PIPE_COUNT; i++) {
		if (theirs[i] >= 0)
			close(theirs[i]);
	}
	if (rc < 0) {
		*ret_end = r->end;
		launch_failed(rc, err.text, ret_end);
		pipes_close(r);
		return rc;
	}
	set_state(r, RUNNER_RUNNING);
	reaper_watch(r->reaper, &r->child);
	pipes_watch_soon(r);
	if (spec->timeout_ms > 0)
		loop_timer_set(&r->timeout, spec->timeout_ms);
	return 0;
}

struct runner *runner_new(struct loop *loop, struct reaper *reaper,
    struct environment *environment, const struct runner_events *events, void *arg)
{
	struct runner *r = xcalloc(1, sizeof *r);

	r->magic = RUNNER_MAGIC;
	r->loop = loop;
	r->reaper = reaper;
	r->environment = environment;
	r->child = (struct reap_child){.alone = true, .exited = on_exited, .arg = r};
	r->sweep = (struct reap_sweep){.swept = on_swept, .arg = r};
	r->events = events;
	r->arg = arg;
	oom_init(&r->oom);
	r->clear_refs = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	for (int i = 0; i < PIPE_COUNT; i++)
		r->pipes[i] = (struct pipe_end){RUNNER_MAGIC, r, (enum pipe_id)i, .fd = -1};
	loop_timer_init(&r->timeout, loop, on_timeout, r);
	loop_timer_init(&r->kill, loop, on_kill, r);
	loop_timer_init(&r->watch, loop, on_watch, r);
	return r;
}

void runner_free(struct runner *r)
{
	if (!r)
		return;
	if (r->state == RUNNER_RUNNING)
		stop_with_signal(r, SIGKILL);
	loop_timer_stop(&r->timeout);
	loop_timer_stop(&r->kill);
	loop_timer_stop(&r->watch);
	reaper_forget(&r->child);
	reaper_sweep_stop(&r->sweep);
	pipes_close(r);
	if (r->clear_refs >= 0)
		close(r->clear_refs);
	if (r->state != RUNNER_IDLE) {
		capture_free(&r->result);
		capture_free(&r->logs);
	}
	r->magic = 0;
	free(r);
}
