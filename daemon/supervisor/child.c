/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "daemon/supervisor/supervisor.h"
#include "lib/base/clock.h"
#include "lib/base/fault.h"
#include "lib/board/series.h"

#define CHILD_LINGER_MS 2000 /* between the end of its control socket and its own */

#define TO(state) (1u << CHILD_##state)

static const unsigned transitions[CHILD_STATE_COUNT] = {
    [CHILD_OFF] = TO(WAITING) | TO(GONE),
    [CHILD_WAITING] = TO(SPAWNED) | TO(OFF) | TO(GONE),
    [CHILD_SPAWNED] = TO(STARTING) | TO(STOPPING) | TO(BURYING),
    [CHILD_STARTING] = TO(READY) | TO(STOPPING) | TO(BURYING),
    [CHILD_READY] = TO(STOPPING) | TO(BURYING),
    [CHILD_STOPPING] = TO(BURYING),
    [CHILD_BURYING] = TO(WAITING) | TO(OFF) | TO(GONE),
    [CHILD_GONE] = 0,
};

static void child_set_state(struct child *c, enum child_state state)
{
	if (!(transitions[c->state] & (1u << state)))
		BUG("%s goes from state %d to %d", c->name, c->state, state);
	c->state = state;
}

/* `what` goes behind the title: "[812] exited ...", " could not ...". */
static void log_wait(const struct child *c, const char *what)
{
	char wait[24];

	if (c->wait_ms == 0)
		log_warn("%s%s, restarting at once", c->title, what);
	else if (c->wait_ms == RESTART_PERMANENT_MS)
		log_error("%s%s: restarting cannot help before that is mended, next try in %s",
		    c->title, what, clock_format_duration(wait, c->wait_ms));
	else
		log_warn("%s%s, restarting in %s", c->title, what,
		    clock_format_duration(wait, c->wait_ms));
}

static void child_wait(struct child *c)
{
	c->s->restarts++;
	series_restarted(c->s->board, c->role);
	loop_timer_set(&c->timer, c->wait_ms);
}

/* --- start ------------------------------------------------------------------------------------ */

static void child_assign_slot(struct child *c, enum board_state state)
{
	struct board_slot identity = {.generation = c->generation,
	    .pid = c->pid,
	    .role = (uint8_t)c->role,
	    .state = (uint8_t)state,
	    .started_wall_ms = clock_wall_ms()};

	slice_copy(identity.pool, sizeof identity.pool, slice_str(child_pool(c)));
	slice_copy(identity.name, sizeof identity.name, slice_str(c->name));
	board_assign(c->s->board, c->slot, &identity);
}

static int on_frame(struct peer *peer UNUSED, struct frame *f, void *arg)
{
	OBJ(struct child, c, arg, CHILD_MAGIC);
	struct msg_scale scale;
	struct msg_ready m;

	if (f->type == MSG_SCALE && c->role == ROLE_GATEWAY)
		return msg_scale_decode(f, &scale) < 0 ? -EPROTO
						       : scaler_ask(&c->s->scaler, &scale);
	if (f->type != MSG_READY || msg_ready_decode(f, &m) < 0)
		return -EPROTO;
	log_debug("%s is ready: " SLICE_FMT, c->title, SLICE_ARG(m.text));
	if (c->state != CHILD_STARTING)
		return 0;
	child_set_state(c, CHILD_READY);
	if (c->crew)
		crew_came_up(c->crew, clock_mono_ms() - c->started_ms);
	if (c->role == ROLE_GATEWAY)
		child_assign_slot(c, BOARD_READY); /* it can only read the board */
	return 0;
}

/* Usually the child is about to end. One that stays could not be told anything any more. */
static void on_closed(struct peer *peer UNUSED, const char *why, void *arg)
{
	OBJ(struct child, c, arg, CHILD_MAGIC);

	c->control = NULL;
	log_debug("%s %s", c->title, why);
	loop_timer_set(&c->timer, CHILD_LINGER_MS);
}

static void on_timer(struct loop_timer *t)
{
	OBJ(struct child, c, t->arg, CHILD_MAGIC);

	if (!child_is_alive(c)) {
		child_start(c);
		return;
	}
	log_warn("%s has left its control socket and goes on, killing it", c->title);
	child_kill(c);
}

static void init(struct child *c, struct supervisor *s, enum role_id role)
{
	c->magic = CHILD_MAGIC;
	c->s = s;
	c->role = role;
	c->slot = (uint32_t)(c - s->children);
	loop_timer_init(&c->timer, s->loop, on_timer, c);
}

void child_init(struct child *c, struct supervisor *s, enum role_id role)
{
	init(c, s, role);
	c->account = &s->account;
	snprintf(c->name, sizeof c->name, "%s", role_word(role));
	snprintf(c->title, sizeof c->title, "%s", c->name);
}

void child_init_worker(struct child *c, struct supervisor *s, struct crew *crew, unsigned number)
{
	init(c, s, ROLE_WORKER);
	c->crew = crew;
	c->number = number;
	c->account = &s->pool_accounts[crew - s->crews];
	snprintf(c->name, sizeof c->name, "%.64s/%u", crew->pool->section, number);
	snprintf(c->title, sizeof c->title, "worker %s", c->name);
}

const char *child_pool(const struct child *c)
{
	return c->crew ? c->crew->pool->section : "";
}

void child_start(struct child *c)
{
	static const struct peer_ops ops = {on_frame, on_closed};
	struct supervisor *s = c->s;
	struct err err = {0};
	int control;

	if (c->state == CHILD_OFF)
		child_set_state(c, CHILD_WAITING);
	c->generation++;
	child_assign_slot(c, BOARD_STARTING);
	if (launch_process(&s->launch, c->role, c->name, c->account, &s->listeners, &c->pid,
		&control, &err) < 0) {
		board_clear(s->board, c->slot);
		c->wait_ms = restart_delay_ms(&c->restart, &(struct restart_facts){0});
		log_error("%s", err.text);
		log_wait(c, " could not be started");
		child_wait(c);
		return;
	}
	FAULT(supervisor_spawned);
	c->started_ms = clock_mono_ms();
	c->asked = false;
	c->control = peer_new(s->hub, control, &ops, c);
	child_set_state(c, CHILD_SPAWNED);
	log_debug("started %s[%d]", c->title, (int)c->pid);
	if (c == s->store)
		child_introduce(c);
	else
		peers_tell_started(c);
}

void child_introduce(struct child *c)
{
	if (!c->control)
		return;
	peer_send_start(c->control, &(struct msg_start){.protocol = IPC_PROTOCOL,
					.layout = BOARD_LAYOUT,
					.slot = c->slot,
					.generation = c->generation,
					.move = (uint8_t)move_how(c->s->move),
					.pool = slice_str(child_pool(c)),
					.name = slice_str(c->name)});
	child_set_state(c, CHILD_STARTING);
	if (c == c->s->store)
		peers_tell_all(c->s);
}

/* --- stop and end ----------------------------------------------------------------------------- */

void child_stop(struct child *c, bool hurry, int64_t within_ms)
{
	c->asked = true;
	if (c->control)
		peer_send_stop(
		    c->control, &(struct msg_stop){.hurry = hurry, .within_ms = within_ms});
	if (c->state != CHILD_STOPPING)
		child_set_state(c, CHILD_STOPPING);
}

void child_kill(struct child *c)
{
	if (child_is_alive(c))
		kill(c->pid, SIGKILL);
}

static void describe_end(const struct child *c, int status, char *ret, size_t size)
{
	double lived_s = (double)(clock_mono_ms() - c->started_ms) / 1000;

	if (WIFSIGNALED(status))
		snprintf(ret, size, "[%d] was killed by SIG%s%s after %.1f s", (int)c->pid,
		    sigabbrev_np(WTERMSIG(status)) ?: "RT",
		    WCOREDUMP(status) ? " (core dumped)" : "", lived_s);
	else
		snprintf(ret, size, "[%d] exited with code %d after %.1f s", (int)c->pid,
		    WEXITSTATUS(status), lived_s);
}

void child_ended(struct child *c, int wait_status)
{
	struct restart_facts facts = {.lived_ms = clock_mono_ms() - c->started_ms,
	    .permanent = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == EXIT_PERMANENT};
	char how[120];

	FAULT(supervisor_reaped);
	describe_end(c, wait_status, how, sizeof how);
	peer_free(c->control);
	c->control = NULL;
	loop_timer_stop(&c->timer);
	board_clear(c->s->board, c->slot);
	c->grave.open = c != c->s->store;
	c->grave.pid = c->pid;
	c->grave.generation = c->generation;
	c->grave.asked = c->asked;
	c->pid = 0;
	child_set_state(c, CHILD_BURYING);
	if (!stop_reached(c->s, c->role) && !c->leaving) {
		c->wait_ms = restart_delay_ms(&c->restart, &facts);
		log_wait(c, how);
	} else if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == EXIT_DRAINED) {
		log_debug("%s%s", c->title, how);
	} else {
		log_warn("%s%s while it was to stop", c->title, how);
	}
}

void child_buried(struct child *c)
{
	peers_tell_buried(c);
	if (stop_reached(c->s, c->role)) {
		child_set_state(c, CHILD_GONE);
		stop_advance(c->s);
	} else if (c->leaving) {
		c->leaving = false;
		child_set_state(c, CHILD_OFF);
	} else {
		child_set_state(c, CHILD_WAITING);
		child_wait(c);
	}
	if (c->crew)
		crew_advance(c->crew);
}

void child_put_away(struct child *c)
{
	loop_timer_stop(&c->timer);
	child_set_state(c, CHILD_OFF);
}

void child_give_up(struct child *c)
{
	loop_timer_stop(&c->timer);
	child_set_state(c, CHILD_GONE);
}
