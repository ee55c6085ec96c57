/* SPDX-License-Identifier: MIT */
/*
 * Due times are wall-clock times, timers run on the monotonic clock. Between two steps of the wall
 * clock the two agree (but for its slewing: hence DUE_LOOK_MS), and a step is told by
 * timerfd_create(2), TFD_TIMER_CANCEL_ON_SET.
 */
#include "daemon/store/due.h"

#include <errno.h>
#include <sys/timerfd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"

#define DUE_MAGIC 0x64756521u
#define DUE_BATCH 1000
#define DUE_LOOK_MS (60 * 60 * 1000)
#define NEVER_S (INT64_C(1) << 33) /* 2242; what has passed would fire again and again */

static void on_due(struct loop_timer *t)
{
	OBJ(struct due, d, t->arg, DUE_MAGIC);

	d->armed_ms = INT64_MAX;
	parcels_promote(&d->ledger->parcels, clock_wall_ms(), DUE_BATCH);
}

void due_turn(struct due *d)
{
	int64_t next = d->ledger->parcels.next_due_ms, wait;

	if (d->ledger->parcels.early || next == d->armed_ms)
		return;
	d->armed_ms = next;
	if (next == INT64_MAX) {
		loop_timer_stop(&d->timer);
		return;
	}
	wait = next - clock_wall_ms();
	loop_timer_set(&d->timer, wait < 0 ? 0 : wait < DUE_LOOK_MS ? wait : DUE_LOOK_MS);
}

static void watch_clock(struct due *d)
{
	struct itimerspec never = {.it_value.tv_sec = NEVER_S};

	timerfd_settime(d->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static void on_step(struct loop_io *io, unsigned events UNUSED)
{
	OBJ(struct due, d, io->arg, DUE_MAGIC);
	uint64_t expirations;

	if (read(d->fd, &expirations, sizeof expirations) < 0 && errno == ECANCELED) {
		log_info("the clock was set, looking at what is due");
		parcels_clamp(&d->ledger->parcels, clock_wall_ms());
		d->armed_ms = -1;
	}
	watch_clock(d);
}

void due_start(struct due *d, struct loop *loop, struct ledger *ledger)
{
	*d = (struct due){.magic = DUE_MAGIC, .ledger = ledger, .armed_ms = INT64_MAX};
	loop_timer_init(&d->timer, loop, on_due, d);
	d->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (d->fd < 0) {
		log_warn("cannot watch the clock for being set: %s", strerror(errno));
		return;
	}
	loop_io_init(&d->step, loop, d->fd, on_step, d);
	loop_io_set(&d->step, LOOP_READ);
	watch_clock(d);
}

void due_stop(struct due *d)
{
	loop_timer_stop(&d->timer);
	if (d->fd < 0)
		return;
	loop_io_stop(&d->step);
	close(d->fd);
	d->fd = -1;
}
