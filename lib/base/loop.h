/* SPDX-License-Identifier: MIT */
/*
 * The event loop of every process: descriptors, timers, signals, and hooks that run just before the
 * loop would sleep. A thin cover over libev (loop.c is its only includer). Watchers are embedded in
 * their owners and must be stopped before the owner is freed. A stopped watcher never fires.
 *
 * The order of one turn is a promise that others build on: ready descriptors and timers first, then the
 * hooks in the order of their registration. The store commits in the first hook and the peers write in
 * the second, so nothing is answered before it is durable.
 */
#ifndef SKEP_BASE_LOOP_H
#define SKEP_BASE_LOOP_H

#include "lib/base/base.h"
#include "lib/base/list.h"

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

#define LOOP_WATCHER_BYTES 64

struct loop;
struct loop_io;
struct loop_timer;
struct loop_signal;
struct loop_hook;

typedef void loop_io_fn(struct loop_io *io, unsigned events);
typedef void loop_timer_fn(struct loop_timer *timer);
typedef void loop_signal_fn(struct loop_signal *sig);
typedef void loop_hook_fn(struct loop_hook *hook);

struct loop_io {
	struct loop *loop;
	loop_io_fn *fn;
	void *arg;
	_Alignas(8) unsigned char ev[LOOP_WATCHER_BYTES];
};

struct loop_timer {
	struct loop *loop;
	loop_timer_fn *fn;
	void *arg;
	_Alignas(8) unsigned char ev[LOOP_WATCHER_BYTES];
};

struct loop_signal {
	struct loop *loop;
	loop_signal_fn *fn;
	void *arg;
	int signum;
	_Alignas(8) unsigned char ev[LOOP_WATCHER_BYTES];
};

struct loop_hook {
	loop_hook_fn *fn;
	void *arg;
	struct list link;
};

struct loop *loop_new(void);
void loop_free(struct loop *loop);
void loop_run(struct loop *loop); /* until loop_stop() */
void loop_stop(struct loop *loop);

/* CLOCK_MONOTONIC in milliseconds. */
int64_t loop_now_ms(struct loop *loop);

/* Makes the next turn poll without sleeping: there is work left that no descriptor will report. */
void loop_again(struct loop *loop);

void loop_io_init(struct loop_io *io, struct loop *loop, int fd, loop_io_fn *fn, void *arg);
void loop_io_set(struct loop_io *io, unsigned events); /* LOOP_READ | LOOP_WRITE; 0 stops */
void loop_io_stop(struct loop_io *io);                 /* before the descriptor is closed */
unsigned loop_io_events(const struct loop_io *io);

void loop_timer_init(struct loop_timer *t, struct loop *loop, loop_timer_fn *fn, void *arg);
void loop_timer_set(struct loop_timer *t, int64_t after_ms);   /* once; replaces what was set */
void loop_timer_every(struct loop_timer *t, int64_t period_ms); /* first after one period */
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_active(const struct loop_timer *t);

void loop_signal_start(struct loop_signal *s, struct loop *loop, int signum, loop_signal_fn *fn,
    void *arg);
void loop_signal_stop(struct loop_signal *s);

void loop_hook_add(struct loop *loop, struct loop_hook *hook, loop_hook_fn *fn, void *arg);
void loop_hook_del(struct loop_hook *hook);

#endif
