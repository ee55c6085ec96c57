/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>

#include "lib/base/clock.h"
#include "lib/base/loop.h"

/* What happened, a letter each. */
static struct {
	struct loop *loop;
	char log[64];
	size_t n;
	size_t stop_at;
} seen;

static void note(char c)
{
	if (seen.n < sizeof seen.log - 1)
		seen.log[seen.n++] = c;
	if (seen.n == seen.stop_at)
		loop_stop(seen.loop);
}

static void begin(size_t stop_at)
{
	memset(&seen, 0, sizeof seen);
	seen.loop = loop_new();
	seen.stop_at = stop_at;
}

static void on_io(struct loop_io *io, unsigned events)
{
	char byte;

	if (events & LOOP_WRITE) {
		note('w');
		loop_io_set(io, LOOP_READ);
		return;
	}
	assert_int_equal(read(*(int *)io->arg, &byte, 1), 1);
	note(byte);
}

static void on_timer(struct loop_timer *t)
{
	note(*(const char *)t->arg);
}

static void on_hook(struct loop_hook *hook)
{
	note(*(const char *)hook->arg);
}

static void on_signal(struct loop_signal *s)
{
	assert_int_equal(s->signum, SIGUSR1);
	note('S');
}

static void test_hooks_come_after_what_is_ready_in_order(void **state)
{
	char first = '1', second = '2', timer_letter = 't';
	struct loop_hook hooks[2];
	struct loop_timer timer;
	int pipes[2];
	struct loop_io io;

	(void)state;
	begin(0);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	loop_hook_add(seen.loop, &hooks[0], on_hook, &first);
	loop_hook_add(seen.loop, &hooks[1], on_hook, &second);
	loop_io_init(&io, seen.loop, pipes[0], on_io, &pipes[0]);
	loop_io_set(&io, LOOP_READ);
	loop_timer_init(&timer, seen.loop, on_timer, &timer_letter);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	seen.stop_at = 5; /* 12 before the first sleep, x, 12 */
	loop_run(seen.loop);
	assert_string_equal(seen.log, "12x12");
	loop_hook_del(&hooks[0]);
	seen.stop_at = seen.n + 3;
	loop_timer_set(&timer, 1);
	loop_run(seen.loop);
	assert_string_equal(seen.log + 5, "2t2");
	loop_hook_del(&hooks[1]);
	loop_io_stop(&io);
	loop_free(seen.loop);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_watchers_stop_and_change(void **state)
{
	struct loop_io io, never = {0};
	int pipes[2];

	(void)state;
	begin(1);
	loop_io_stop(&never); /* never made */
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	loop_io_init(&io, seen.loop, pipes[1], on_io, &pipes[1]);
	assert_int_equal(loop_io_events(&io), 0);
	loop_io_set(&io, LOOP_WRITE);
	assert_int_equal(loop_io_events(&io), LOOP_WRITE);
	loop_run(seen.loop);
	assert_string_equal(seen.log, "w");
	assert_int_equal(loop_io_events(&io), LOOP_READ);
	loop_io_set(&io, LOOP_READ | LOOP_WRITE);
	assert_int_equal(loop_io_events(&io), LOOP_READ | LOOP_WRITE);
	loop_io_set(&io, 0);
	assert_int_equal(loop_io_events(&io), 0);
	loop_run(seen.loop); /* nothing is left: returns */
	assert_string_equal(seen.log, "w");
	loop_free(seen.loop);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_timers(void **state)
{
	char once = 'o', every = 'e', not = '!';
	struct loop_timer a, b, c, never = {0};
	int64_t start = clock_mono_ms();

	(void)state;
	begin(4);
	loop_timer_stop(&never);
	loop_timer_init(&a, seen.loop, on_timer, &once);
	loop_timer_init(&b, seen.loop, on_timer, &every);
	loop_timer_init(&c, seen.loop, on_timer, &not );
	loop_timer_set(&a, 3600000);
	loop_timer_set(&a, 0); /* replaces */
	loop_timer_every(&b, 15);
	loop_timer_set(&c, 5);
	loop_timer_stop(&c);
	assert_true(loop_timer_active(&a) && loop_timer_active(&b) && !loop_timer_active(&c));
	loop_run(seen.loop);
	assert_string_equal(seen.log, "oeee");
	assert_true(clock_mono_ms() - start >= 40);
	assert_false(loop_timer_active(&a));
	loop_timer_stop(&b);
	loop_free(seen.loop);
}

static void test_a_turn_that_does_not_sleep(void **state)
{
	char hook_letter = 'h', timer_letter = 't';
	struct loop_hook hook;
	struct loop_timer timer;
	int64_t start = clock_mono_ms();

	(void)state;
	begin(2);
	loop_hook_add(seen.loop, &hook, on_hook, &hook_letter);
	loop_timer_init(&timer, seen.loop, on_timer, &timer_letter);
	loop_timer_set(&timer, 20000); /* it would sleep so long */
	loop_again(seen.loop);
	loop_run(seen.loop);
	assert_string_equal(seen.log, "hh");
	assert_true(clock_mono_ms() - start < 10000);
	loop_timer_stop(&timer);
	loop_hook_del(&hook);
	loop_free(seen.loop);
}

static void test_signals(void **state)
{
	struct loop_signal s;

	(void)state;
	begin(1);
	loop_signal_start(&s, seen.loop, SIGUSR1, on_signal, NULL);
	raise(SIGUSR1);
	loop_run(seen.loop);
	assert_string_equal(seen.log, "S");
	loop_signal_stop(&s);
	loop_free(seen.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hooks_come_after_what_is_ready_in_order),
	    cmocka_unit_test(test_watchers_stop_and_change),
	    cmocka_unit_test(test_timers),
	    cmocka_unit_test(test_a_turn_that_does_not_sleep),
	    cmocka_unit_test(test_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
