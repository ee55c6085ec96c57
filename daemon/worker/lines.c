/* SPDX-License-Identifier: MIT */
#include "daemon/worker/lines.h"

#include <errno.h>
#include <sys/socket.h>

#define LINES_MAGIC 0x6c696e65u
#define CHUNK_BYTES (64u << 10)
#define TURN_BYTES (512u << 10)
#define REST_BYTES (4u << 20) /* above what the socket can hold */
#define KEEP_BYTES (256u << 10)

void lines_init(struct lines *w, const struct lines_events *events, void *arg)
{
	*w = (struct lines){.magic = LINES_MAGIC, .fd = -1, .events = events, .arg = arg};
	buf_init(&w->in, 0);
	buf_init(&w->out, SIZE_MAX / 2);
}

static void watch(struct lines *w)
{
	unsigned events = w->ended ? 0 : LOOP_READ;

	if (w->fd >= 0)
		loop_io_set(&w->io, events | (buf_size(&w->out) ? LOOP_WRITE : 0u));
}

/* --- reading ---------------------------------------------------------------------------------- */

static void too_long(struct lines *w, size_t n)
{
	w->events->too_long(w->arg, slice_of(buf_head(&w->in), n));
	buf_clear(&w->in);
	w->scanned = 0;
}

static void take_lines(struct lines *w)
{
	for (;;) {
		const uint8_t *head = buf_head(&w->in), *lf = NULL;
		size_t size = buf_size(&w->in), n;

		if (size > w->scanned)
			lf = memchr(head + w->scanned, '\n', size - w->scanned);
		n = lf ? (size_t)(lf - head) : size;
		if (n > w->max_line) {
			too_long(w, n);
			return;
		}
		w->scanned = n;
		if (!lf)
			return;
		if (n)
			w->events->line(w->arg, slice_of(head, n));
		buf_consume(&w->in, n + 1);
		w->scanned = 0;
	}
}

static void read_some(struct lines *w, size_t budget)
{
	while (w->fd >= 0 && !w->ended && budget > 0) {
		ssize_t n = recv(w->fd, buf_reserve(&w->in, CHUNK_BYTES), CHUNK_BYTES, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			w->ended = true;
			watch(w);
			w->events->end(w->arg);
			return;
		}
		buf_added(&w->in, (size_t)n);
		budget -= (size_t)n < budget ? (size_t)n : budget;
		take_lines(w);
		if ((size_t)n < CHUNK_BYTES)
			break;
	}
	buf_trim(&w->in, KEEP_BYTES);
}

static void on_io(struct loop_io *io, unsigned events)
{
	OBJ(struct lines, w, io->arg, LINES_MAGIC);

	if (events & LOOP_WRITE)
		lines_flush(w);
	if (events & LOOP_READ)
		read_some(w, TURN_BYTES);
}

void lines_rest(struct lines *w)
{
	/* A read that brings little may be followed by more: only one that brings nothing is last. */
	for (size_t budget = REST_BYTES; !w->ended && w->fd >= 0; budget -= CHUNK_BYTES) {
		char byte;

		if (budget < CHUNK_BYTES || recv(w->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
			break;
		read_some(w, CHUNK_BYTES);
	}
	w->ended = true;
}

/* --- writing ---------------------------------------------------------------------------------- */

void lines_flush(struct lines *w)
{
	while (w->fd >= 0 && buf_size(&w->out)) {
		ssize_t n = send(w->fd, buf_head(&w->out), buf_size(&w->out),
		    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		/* Nobody reads any more: that end is seen by reading. */
		buf_consume(&w->out, n < 0 ? buf_size(&w->out) : (size_t)n);
	}
	if (w->fd >= 0 && w->ending && buf_size(&w->out) == 0)
		shutdown(w->fd, SHUT_WR);
	watch(w);
	buf_trim(&w->out, KEEP_BYTES);
}

void lines_end(struct lines *w)
{
	w->ending = true;
	lines_flush(w);
}

/* --- life ------------------------------------------------------------------------------------- */

void lines_open(struct lines *w, struct loop *loop, int fd, size_t max_line)
{
	w->fd = fd;
	w->max_line = max_line;
	w->scanned = 0;
	w->ending = w->ended = false;
	buf_init(&w->in, max_line + 2 * CHUNK_BYTES);
	loop_io_init(&w->io, loop, fd, on_io, w);
	watch(w);
}

void lines_close(struct lines *w)
{
	if (w->fd < 0)
		return;
	loop_io_stop(&w->io);
	close(w->fd);
	w->fd = -1;
	buf_free(&w->in);
	buf_free(&w->out);
}
