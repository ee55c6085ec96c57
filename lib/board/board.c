/* SPDX-License-Identifier: MIT */
/*
 * The memory: a header, then per slot an index and two copies (shown.h), then the same per pool, then the series. The
 * owner of a slot writes into a private draft, which board_publish() shows.
 */
#include "lib/board/board.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/board/series.h"
#include "lib/board/shown.h"

#define BOARD_MAGIC 0x736b6264u

struct cell {
	_Atomic uint32_t shown; /* counts publishes; its lowest bit picks the copy */
	uint32_t pad;
	struct board_slot copy[2];
};

struct pool_cell {
	_Atomic uint32_t shown;
	uint32_t pad;
	struct board_pool copy[2];
};

struct memory {
	uint32_t magic, layout;
	uint64_t slots, pools;
	struct cell cell[]; /* then struct pool_cell */
};

struct board {
	struct memory *m;
	size_t bytes, slots, pools;
	int fd; /* -1 when it was handed down */
	bool writable;
	struct board_slot *draft; /* of the slot that this process owns */
	size_t draft_index;
};

static size_t board_bytes(size_t slots, size_t pools)
{
	return sizeof(struct memory) + slots * sizeof(struct cell) +
	       pools * sizeof(struct pool_cell) + series_bytes();
}

static struct board *board_map(int fd, size_t slots, size_t pools, bool writable, struct err *err)
{
	struct board *b = xcalloc(1, sizeof *b);

	b->fd = -1;
	b->slots = slots;
	b->pools = pools;
	b->bytes = board_bytes(slots, pools);
	b->writable = writable;
	b->m = mmap(NULL, b->bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
	if (b->m == MAP_FAILED) {
		err_sys(err, errno, "cannot map the board");
		free(b);
		return NULL;
	}
	return b;
}

struct board *board_create(size_t slots, size_t pools, struct err *err)
{
	auto_fd int fd = memfd_create("skep-board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct board *b;

	if (fd < 0 || ftruncate(fd, (off_t)board_bytes(slots, pools)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		err_sys(err, errno, "cannot make the board");
		return NULL;
	}
	b = board_map(fd, slots, pools, true, err);
	if (!b)
		return NULL;
	b->m->magic = BOARD_MAGIC;
	b->m->layout = BOARD_LAYOUT;
	b->m->slots = slots;
	b->m->pools = pools;
	series_made(b, clock_wall_ms());
	b->fd = take_fd(&fd);
	return b;
}

struct board *board_open(int fd, bool writable, struct err *err)
{
	struct memory head;
	struct stat st;

	if (fstat(fd, &st) < 0 || pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head ||
	    head.magic != BOARD_MAGIC || head.layout != BOARD_LAYOUT || head.slots > 65536 ||
	    head.pools > 65536 || (size_t)st.st_size != board_bytes(head.slots, head.pools)) {
		err_set(err, -EINVAL, "the board is of another version, or is none");
		return NULL;
	}
	return board_map(fd, head.slots, head.pools, writable, err);
}

void board_close(struct board *b)
{
	if (!b)
		return;
	munmap(b->m, b->bytes);
	if (b->fd >= 0)
		close(b->fd);
	free(b->draft);
	free(b);
}

int board_fd(const struct board *b)
{
	return b->fd;
}

int board_fd_readonly(const struct board *b, struct err *err)
{
	char path[40];
	int fd;

	snprintf(path, sizeof path, "/proc/self/fd/%d", b->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "cannot open the board for reading") : fd;
}

size_t board_slots(const struct board *b)
{
	return b->slots;
}

size_t board_pools(const struct board *b)
{
	return b->pools;
}

static struct cell *cell_of(const struct board *b, size_t i)
{
	if (i >= b->slots)
		BUG("slot %zu of a board of %zu", i, b->slots);
	return &b->m->cell[i];
}

static void show(struct cell *cell, const struct board_slot *slot)
{
	shown_put(&cell->shown, cell->copy, slot, sizeof *slot);
}

void board_assign(struct board *b, size_t i, const struct board_slot *identity)
{
	struct board_slot slot = *identity;

	slot.state = BOARD_STARTING;
	show(cell_of(b, i), &slot);
}

void board_clear(struct board *b, size_t i)
{
	static const struct board_slot nothing;

	show(cell_of(b, i), &nothing);
}

struct board_slot *board_draft(struct board *b, size_t i)
{
	if (!b->writable)
		BUG("a draft on a board that is read-only");
	if (!b->draft) {
		b->draft = xcalloc(1, sizeof *b->draft);
		b->draft_index = i;
		board_read(b, i, b->draft);
	}
	if (b->draft_index != i)
		BUG("a second slot, %zu beside %zu", i, b->draft_index);
	return b->draft;
}

void board_publish(struct board *b, size_t i)
{
	show(cell_of(b, i), board_draft(b, i));
}

bool board_read(const struct board *b, size_t i, struct board_slot *ret)
{
	struct cell *cell = cell_of(b, i);

	/* One that was never used has no memory yet, and gets none by being looked at. */
	if (atomic_load_explicit(&cell->shown, memory_order_acquire) == 0) {
		memset(ret, 0, sizeof *ret);
		return false;
	}
	shown_get(&cell->shown, cell->copy, ret, sizeof *ret);
	return ret->state != BOARD_FREE;
}

static struct pool_cell *pool_of(const struct board *b, size_t i)
{
	if (i >= b->pools)
		BUG("pool %zu of a board of %zu", i, b->pools);
	return (struct pool_cell *)(void *)&b->m->cell[b->slots] + i;
}

void board_show_pool(struct board *b, size_t i, const struct board_pool *pool)
{
	struct pool_cell *cell = pool_of(b, i);

	shown_put(&cell->shown, cell->copy, pool, sizeof *pool);
}

void board_read_pool(const struct board *b, size_t i, struct board_pool *ret)
{
	struct pool_cell *cell = pool_of(b, i);

	shown_get(&cell->shown, cell->copy, ret, sizeof *ret);
}

void *board_series(const struct board *b)
{
	return (char *)b->m + b->bytes - series_bytes();
}
