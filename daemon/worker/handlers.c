/* SPDX-License-Identifier: MIT */
#include "daemon/worker/handlers.h"

#include "daemon/worker/runner.h"
#include "daemon/worker/service.h"

#define HANDLERS_MAGIC 0x686e646cu

struct handlers {
	unsigned magic;
	const struct conf *conf;
	const struct run_events *events;
	void *arg;
	struct reaper *reaper;
	struct runner *runner;
	struct run *commanded;     /* what the runner runs */
	struct service **services; /* by the handler's index; NULL for commands */
};

static struct service *service_of(const struct handlers *x, const struct conf_handler *h)
{
	return x->services[h - x->conf->handlers];
}

/* --- the runner's events ---------------------------------------------------------------------- */

static void on_progress(void *arg, int32_t percent, const char *note)
{
	OBJ(struct handlers, x, arg, HANDLERS_MAGIC);

	x->commanded->percent = percent;
	slice_copy(x->commanded->note, sizeof x->commanded->note, slice_str(note));
	x->events->progress(x->arg, x->commanded);
}

static void on_ended(void *arg, struct run_end *end)
{
	OBJ(struct handlers, x, arg, HANDLERS_MAGIC);
	struct run *run = x->commanded;

	x->commanded = NULL;
	x->events->ended(x->arg, run, end);
}

/* --- runs ------------------------------------------------------------------------------------- */

static bool is_serving(const struct handlers *x)
{
	for (size_t i = 0; i < x->conf->nhandlers; i++) {
		if (x->services[i] && service_is_busy(x->services[i]))
			return true;
	}
	return false;
}

enum run_room handlers_room(const struct handlers *x, const struct conf_handler *h)
{
	if (!runner_is_idle(x->runner))
		return RUN_ROOM_NONE;
	if (h->service.n)
		return service_room(service_of(x, h));
	return is_serving(x) ? RUN_ROOM_NONE : RUN_ROOM_NOW;
}

/* A command's next one: its verdict comes while the last one runs. */
unsigned handlers_clear_ahead(const struct handlers *x, const struct conf_handler *h)
{
	return h->service.n ? service_clear_ahead(service_of(x, h)) : 1;
}

int handlers_start(struct handlers *x, struct run *run, struct run_end *ret_end)
{
	int rc;

	if (run->spec.handler->service.n)
		return service_start(service_of(x, run->spec.handler), run, ret_end);
	run->percent = -1;
	run->note[0] = '\0';
	rc = runner_start(x->runner, &run->spec, ret_end);
	if (rc == 0)
		x->commanded = run;
	return rc;
}

void handlers_stop(struct handlers *x, struct run *run, enum run_stop why, int64_t kill_after_ms)
{
	if (run->spec.handler->service.n)
		service_stop(service_of(x, run->spec.handler), run, why, kill_after_ms);
	else
		runner_stop(x->runner, why, kill_after_ms);
}

pid_t handlers_pid(const struct handlers *x, const struct run *run)
{
	if (run->spec.handler->service.n)
		return service_pid(service_of(x, run->spec.handler));
	return runner_pid(x->runner);
}

void handlers_flush(struct handlers *x)
{
	for (size_t i = 0; i < x->conf->nhandlers; i++) {
		if (x->services[i])
			service_flush(x->services[i]);
	}
}

/* --- stopping --------------------------------------------------------------------------------- */

void handlers_quit(struct handlers *x)
{
	for (size_t i = 0; i < x->conf->nhandlers; i++) {
		if (x->services[i])
			service_quit(x->services[i]);
	}
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

void handlers_release(struct handlers *x, int64_t most_ms)
{
	if (x->commanded)
		runner_stop(x->runner, RUN_STOP_RELEASE,
		    least(x->commanded->spec.handler->kill_after, most_ms));
	for (size_t i = 0; i < x->conf->nhandlers; i++) {
		if (x->services[i])
			service_release(x->services[i],
			    least(x->conf->handlers[i].kill_after, most_ms));
	}
}

bool handlers_are_gone(const struct handlers *x)
{
	for (size_t i = 0; i < x->conf->nhandlers; i++) {
		if (x->services[i] && !service_is_gone(x->services[i]))
			return false;
	}
	return runner_is_idle(x->runner);
}

/* --- life ------------------------------------------------------------------------------------- */

struct handlers *handlers_new(struct loop *loop, const struct conf *conf,
    struct environment *environment, const struct run_events *events, void *arg)
{
	static const struct runner_events runner_events = {on_progress, on_ended};
	struct handlers *x = xcalloc(1, sizeof *x);

	x->magic = HANDLERS_MAGIC;
	x->conf = conf;
	x->events = events;
	x->arg = arg;
	x->reaper = reaper_new(loop);
	x->runner = runner_new(loop, x->reaper, environment, &runner_events, x);
	x->services = xcalloc(conf->nhandlers + 1, sizeof *x->services);
	for (size_t i = 0; i < conf->nhandlers; i++) {
		const struct conf_handler *h = &conf->handlers[i];

		if (h->service.n)
			x->services[i] = service_new(loop, x->reaper, environment, h, events, arg);
	}
	return x;
}

void handlers_free(struct handlers *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->conf->nhandlers; i++)
		service_free(x->services[i]);
	runner_free(x->runner);
	reaper_free(x->reaper);
	free(x->services);
	x->magic = 0;
	free(x);
}
