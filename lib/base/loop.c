/* SPDX-License-Identifier: MIT */
#include "lib/base/loop.h"

#include <ev.h>

#include "lib/base/clock.h"

_Static_assert(sizeof(ev_io) <= LOOP_WATCHER_BYTES, "ev_io outgrew its place");
_Static_assert(sizeof(ev_timer) <= LOOP_WATCHER_BYTES, "ev_timer outgrew its place");
_Static_assert(sizeof(ev_signal) <= LOOP_WATCHER_BYTES, "ev_signal outgrew its place");

struct loop {
	struct ev_loop *ev;
	struct list hooks;
	ev_prepare prepare;
	ev_idle idle; /* active for one turn after loop_again() */
};

static ev_io *io_of(const struct loop_io *io)
{
	return (ev_io *)(void *)io->ev;
}

static ev_timer *timer_of(const struct loop_timer *t)
{
	return (ev_timer *)(void *)t->ev;
}

static ev_signal *signal_of(const struct loop_signal *s)
{
	return (ev_signal *)(void *)s->ev;
}

static void on_prepare(struct ev_loop *ev, ev_prepare *w, int revents UNUSED)
{
	struct loop *loop = w->data;

	(void)ev;
	list_each(struct loop_hook, hook, &loop->hooks, link)
		hook->fn(hook);
}

static void on_idle(struct ev_loop *ev, ev_idle *w, int revents UNUSED)
{
	ev_idle_stop(ev, w);
}

struct loop *loop_new(void)
{
	struct loop *loop = xcalloc(1, sizeof *loop);

	/* signalfd(2): a signal interrupts no system call, and costs one, not four. What is exec'd from here has its
	 * signal mask emptied by spawn.c. */
	loop->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV | EVFLAG_SIGNALFD);
	if (!loop->ev)
		BUG("cannot make an event loop");
	list_init(&loop->hooks);
	ev_prepare_init(&loop->prepare, on_prepare);
	loop->prepare.data = loop;
	ev_prepare_start(loop->ev, &loop->prepare);
	ev_unref(loop->ev);
	ev_idle_init(&loop->idle, on_idle);
	return loop;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	ev_loop_destroy(loop->ev);
	free(loop);
}

void loop_run(struct loop *loop)
{
	ev_run(loop->ev, 0);
}

void loop_stop(struct loop *loop)
{
	ev_break(loop->ev, EVBREAK_ALL);
}

int64_t loop_now_ms(struct loop *loop)
{
	(void)loop;
	return clock_mono_ms();
}

void loop_again(struct loop *loop)
{
	ev_idle_start(loop->ev, &loop->idle);
}

static void on_io(struct ev_loop *ev, ev_io *w, int revents)
{
	struct loop_io *io = w->data;
	unsigned events = 0;

	(void)ev;
	if (revents & (EV_READ | EV_ERROR))
		events |= LOOP_READ;
	if (revents & EV_WRITE)
		events |= LOOP_WRITE;
	io->fn(io, events);
}

void loop_io_init(struct loop_io *io, struct loop *loop, int fd, loop_io_fn *fn, void *arg)
{
	io->loop = loop;
	io->fn = fn;
	io->arg = arg;
	ev_io_init(io_of(io), on_io, fd, EV_READ);
	io_of(io)->data = io;
}

void loop_io_set(struct loop_io *io, unsigned events)
{
	int wanted = ((events & LOOP_READ) ? EV_READ : 0) | ((events & LOOP_WRITE) ? EV_WRITE : 0);
	ev_io *w = io_of(io);

	if (ev_is_active(w) && (w->events & (EV_READ | EV_WRITE)) == wanted)
		return;
	ev_io_stop(io->loop->ev, w);
	if (!wanted)
		return;
	ev_io_set(w, w->fd, wanted);
	ev_io_start(io->loop->ev, w);
}

void loop_io_stop(struct loop_io *io)
{
	if (io->loop)
		ev_io_stop(io->loop->ev, io_of(io));
}

unsigned loop_io_events(const struct loop_io *io)
{
	ev_io *w = io_of(io);

	if (!ev_is_active(w))
		return 0;
	return ((w->events & EV_READ) ? LOOP_READ : 0u) | ((w->events & EV_WRITE) ? LOOP_WRITE : 0u);
}

static void on_timer(struct ev_loop *ev, ev_timer *w, int revents UNUSED)
{
	struct loop_timer *t = w->data;

	(void)ev;
	t->fn(t);
}

void loop_timer_init(struct loop_timer *t, struct loop *loop, loop_timer_fn *fn, void *arg)
{
	t->loop = loop;
	t->fn = fn;
	t->arg = arg;
	ev_timer_init(timer_of(t), on_timer, 0, 0);
	timer_of(t)->data = t;
}

void loop_timer_set(struct loop_timer *t, int64_t after_ms)
{
	ev_timer *w = timer_of(t);

	ev_timer_stop(t->loop->ev, w);
	ev_now_update(t->loop->ev);
	ev_timer_set(w, after_ms > 0 ? (double)after_ms / 1000.0 : 0.0, 0.0);
	ev_timer_start(t->loop->ev, w);
}

void loop_timer_every(struct loop_timer *t, int64_t period_ms)
{
	ev_timer *w = timer_of(t);

	ev_timer_stop(t->loop->ev, w);
	ev_timer_set(w, (double)period_ms / 1000.0, (double)period_ms / 1000.0);
	ev_timer_start(t->loop->ev, w);
}

void loop_timer_stop(struct loop_timer *t)
{
	if (t->loop)
		ev_timer_stop(t->loop->ev, timer_of(t));
}

bool loop_timer_active(const struct loop_timer *t)
{
	return ev_is_active(timer_of(t));
}

static void on_signal(struct ev_loop *ev, ev_signal *w, int revents UNUSED)
{
	struct loop_signal *s = w->data;

	(void)ev;
	s->fn(s);
}

void loop_signal_start(struct loop_signal *s, struct loop *loop, int signum, loop_signal_fn *fn,
    void *arg)
{
	s->loop = loop;
	s->fn = fn;
	s->arg = arg;
	s->signum = signum;
	ev_signal_init(signal_of(s), on_signal, signum);
	signal_of(s)->data = s;
	ev_signal_start(loop->ev, signal_of(s));
}

void loop_signal_stop(struct loop_signal *s)
{
	if (s->loop)
		ev_signal_stop(s->loop->ev, signal_of(s));
}

void loop_hook_add(struct loop *loop, struct loop_hook *hook, loop_hook_fn *fn, void *arg)
{
	hook->fn = fn;
	hook->arg = arg;
	list_add_tail(&loop->hooks, &hook->link);
}

void loop_hook_del(struct loop_hook *hook)
{
	list_del(&hook->link);
}
