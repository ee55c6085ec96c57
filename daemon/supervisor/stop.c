/* SPDX-License-Identifier: MIT */
/*
 * Stopping: phase by phase in the order of roles.def, so that whoever produces is gone before those
 * that take it in. A role of a later phase that dies meanwhile is restarted as ever: the workers'
 * outcomes need the store. In a phase each process is asked, then told to hurry, then killed.
 */
#include "daemon/supervisor/supervisor.h"
#include "lib/base/clock.h"

#define STOP_OTHERS_MS 3000 /* for those that run no jobs */
#define STOP_HURRY_MS 7000 /* later: a worker gives handlers 5 s between TERM and KILL */
#define STOP_KILL_MS 3000 /* after that */

static const struct {
	unsigned count, order;
} roles[] = {
#define ROLE(NAME, program, count, secrets, board_writable, order, ...)                            \
	[ROLE_##NAME] = {count, order},
#include "daemon/roles.def"
#undef ROLE
};

#define STOP_LAST_PHASE 3

static int64_t within_ms(const struct supervisor *s, enum role_id role)
{
	return roles[role].count == 0 ? s->conf->daemon.stop_timeout : STOP_OTHERS_MS;
}

bool stop_reached(const struct supervisor *s, enum role_id role)
{
	return s->stop.on && roles[role].order <= s->stop.phase;
}

int64_t stop_longest_ms(const struct supervisor *s)
{
	return s->conf->daemon.stop_timeout + STOP_LAST_PHASE * STOP_OTHERS_MS +
	       (STOP_LAST_PHASE + 1) * (STOP_HURRY_MS + STOP_KILL_MS);
}

static bool phase_is_over(const struct supervisor *s)
{
	for (size_t i = 0; i < s->nchildren; i++) {
		if (stop_reached(s, s->children[i].role) && s->children[i].state != CHILD_GONE)
			return false;
	}
	return true;
}

static void phase_hurry(struct supervisor *s)
{
	s->stop.hurried = true;
	for (size_t i = 0; i < s->nchildren; i++) {
		if (stop_reached(s, s->children[i].role) && child_is_alive(&s->children[i]))
			child_stop(&s->children[i], true, 0);
	}
	loop_timer_set(&s->stop.timer, STOP_KILL_MS);
}

static void on_timer(struct loop_timer *t)
{
	OBJ(struct supervisor, s, t->arg, SUPERVISOR_MAGIC);

	if (!s->stop.hurried) {
		phase_hurry(s);
		return;
	}
	for (size_t i = 0; i < s->nchildren; i++) {
		struct child *c = &s->children[i];

		if (!stop_reached(s, c->role) || !child_is_alive(c))
			continue;
		log_error("%s does not stop, killing it", c->title);
		child_kill(c);
	}
}

static void phase_begin(struct supervisor *s)
{
	int64_t longest = 0;

	s->stop.hurried = false;
	for (size_t i = 0; i < s->nchildren; i++) {
		struct child *c = &s->children[i];
		int64_t within = within_ms(s, c->role);

		if (!stop_reached(s, c->role))
			continue;
		if (c->state == CHILD_WAITING || c->state == CHILD_OFF)
			child_give_up(c);
		if (!child_is_alive(c) || s->stop.hurry)
			continue;
		child_stop(c, false, within);
		longest = within > longest ? within : longest;
	}
	if (s->stop.hurry)
		phase_hurry(s);
	else
		loop_timer_set(&s->stop.timer, longest + STOP_HURRY_MS);
}

void stop_advance(struct supervisor *s)
{
	while (phase_is_over(s)) {
		if (s->stop.phase == STOP_LAST_PHASE) {
			loop_timer_stop(&s->stop.timer);
			loop_stop(s->loop);
			return;
		}
		s->stop.phase++;
		phase_begin(s);
	}
}

void stop_request(struct supervisor *s, const char *signal_name)
{
	char within[24];

	if (!s->stop.on) {
		s->stop.on = true;
		log_info("%s: stopping, running jobs may go on for %s", signal_name,
		    clock_format_duration(within, s->conf->daemon.stop_timeout));
		notify_stopping(&s->notify, stop_longest_ms(s));
		loop_timer_init(&s->stop.timer, s->loop, on_timer, s);
		scaler_stop(&s->scaler);
		phase_begin(s);
		stop_advance(s);
	} else if (!s->stop.hurry) {
		s->stop.hurry = true;
		log_info("%s again: hurrying", signal_name);
		phase_hurry(s);
	}
}
