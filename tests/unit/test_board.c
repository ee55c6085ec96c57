/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "lib/base/clock.h"
#include "lib/board/board.h"

#define SLOTS 3

static struct board *made(void)
{
	struct err err = {0};
	struct board *b = board_create(SLOTS, 1, &err);

	if (!b)
		fail_msg("%s", err.text);
	return b;
}

static void test_a_slot_from_assignment_to_clearing(void **state)
{
	struct board *supervisor = made(), *worker, *gateway;
	struct board_slot identity = {.generation = 7, .role = 1}, seen;
	struct err err;
	int fd = board_fd_readonly(supervisor, &err);

	(void)state;
	slice_copy(identity.name, sizeof identity.name, slice_str("default/1"));
	assert_false(board_read(supervisor, 1, &seen));
	board_assign(supervisor, 1, &identity);
	worker = board_open(board_fd(supervisor), true, &err);
	gateway = board_open(fd, false, &err);
	assert_non_null(worker);
	assert_non_null(gateway);
	assert_int_equal(board_slots(gateway), SLOTS);
	assert_true(board_read(gateway, 1, &seen));
	assert_int_equal(seen.state, BOARD_STARTING);
	assert_int_equal(seen.generation, 7);
	assert_string_equal(seen.name, "default/1");

	board_draft(worker, 1)->state = BOARD_READY;
	board_draft(worker, 1)->done = 5;
	assert_true(board_read(gateway, 1, &seen));
	assert_int_equal(seen.done, 0); /* not published yet */
	board_publish(worker, 1);
	assert_true(board_read(gateway, 1, &seen));
	assert_int_equal(seen.done, 5);
	assert_int_equal(seen.state, BOARD_READY);
	assert_int_equal(seen.generation, 7);
	assert_false(board_read(gateway, 0, &seen));
	assert_false(board_read(gateway, 2, &seen));

	board_clear(supervisor, 1);
	assert_false(board_read(gateway, 1, &seen));
	board_close(gateway);
	board_close(worker);
	board_close(supervisor);
	close(fd);
}

static void test_the_memory_is_sealed(void **state)
{
	struct board *b = made();
	struct err err;
	int fd = board_fd_readonly(b, &err), seals = fcntl(board_fd(b), F_GET_SEALS);

	(void)state;
	assert_int_equal(seals, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_int_equal(ftruncate(board_fd(b), 0), -1);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	board_close(b);
}

static void test_what_is_no_board_is_refused(void **state)
{
	struct board *b = made();
	size_t bytes = (size_t)lseek(board_fd(b), 0, SEEK_END);
	uint8_t *copy = xmalloc(bytes);
	struct err err;

	(void)state;
	assert_int_equal(pread(board_fd(b), copy, bytes, 0), bytes);
	for (size_t i = 0; i <= 16; i += 4) {
		int fd = memfd_create("test", MFD_CLOEXEC);

		if (i < 16)
			copy[i] ^= 1; /* magic, layout, slots */
		assert_int_equal(
		    write(fd, copy, i < 16 ? bytes : bytes - 1), i < 16 ? bytes : bytes - 1);
		assert_null(board_open(fd, false, &err));
		assert_int_equal(err.code, -EINVAL);
		if (i < 16)
			copy[i] ^= 1;
		close(fd);
	}
	assert_null(board_open(-1, false, &err));
	free(copy);
	board_close(b);
}

/* Far faster than any process publishes: once per turn of its loop. */
static void pause_us(int64_t us)
{
	int64_t until = clock_mono_us() + us;

	while (clock_mono_us() < until)
		continue;
}

/* One process writes, the same number at both ends of its slot; no reader may see a mixture. */
static void test_readers_never_see_halves(void **state)
{
	struct board *b = made();
	struct board_slot seen;
	uint64_t last = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct board_slot *slot = board_draft(b, 0);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		slot->state = BOARD_READY;
		for (uint64_t i = 1;; i++) {
			slot->delivered = i;
			slot->parcels_delayed = i;
			slot->depths[BOARD_QUEUES_MAX - 1].at_wall_ms = (int64_t)i;
			board_publish(b, 0);
			pause_us(3);
		}
	}
	while (last < 20000) {
		if (!board_read(b, 0, &seen))
			continue;
		if (seen.delivered != seen.parcels_delayed ||
		    (int64_t)seen.delivered != seen.depths[BOARD_QUEUES_MAX - 1].at_wall_ms)
			fail_msg("torn at %llu", (unsigned long long)seen.delivered);
		assert_true(seen.delivered >= last);
		last = seen.delivered;
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* Killed wherever it was, it leaves a whole state, and a successor writes on. */
	assert_true(board_read(b, 0, &seen));
	assert_int_equal(seen.delivered, seen.parcels_delayed);
	board_draft(b, 0)->delivered = board_draft(b, 0)->parcels_delayed = 1;
	board_publish(b, 0);
	assert_true(board_read(b, 0, &seen));
	assert_int_equal(seen.delivered, 1);
	board_close(b);
}

static void test_a_pool_is_seen_by_others(void **state UNUSED)
{
	struct err err = {0};
	struct board *b = board_create(SLOTS, 2, &err), *other;
	struct board_pool pool = {.target = 3, .least = 1, .most = 8}, seen;

	assert_non_null(b);
	other = board_open(board_fd(b), false, &err);
	assert_non_null(other);
	assert_int_equal(board_pools(other), 2);
	slice_copy(pool.change[0].reason, sizeof pool.change[0].reason, slice_str("why"));
	pool.changes = 1;
	board_show_pool(b, 1, &pool);
	board_read_pool(other, 1, &seen);
	assert_memory_equal(&seen, &pool, sizeof pool);
	board_read_pool(other, 0, &seen);
	assert_int_equal(seen.target, 0);
	board_close(other);
	board_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_slot_from_assignment_to_clearing),
	    cmocka_unit_test(test_the_memory_is_sealed),
	    cmocka_unit_test(test_what_is_no_board_is_refused),
	    cmocka_unit_test(test_a_pool_is_seen_by_others),
	    cmocka_unit_test(test_readers_never_see_halves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
