/* SPDX-License-Identifier: MIT */
#include "daemon/worker/chatter.h"

#include <errno.h>

#include "lib/base/log.h"

#define CHATTER_MAGIC 0x63686174u
#define CHUNK_BYTES (16u << 10)
#define TURN_CHUNKS 4
#define LAST_CHUNKS 128 /* above any pipe's capacity */

static void say_dropped(struct chatter *c)
{
	if (c->dropped)
		log_warn("handler '%s': %u lines of its output are not shown", c->name, c->dropped);
	c->dropped = 0;
}

static void end_line(struct chatter *c)
{
	int64_t second = loop_now_ms(c->loop) / 1000;

	if (second != c->second) {
		say_dropped(c);
		c->second = second;
		c->lines = 0;
	}
	if (c->lines++ < CHATTER_LINES_A_SECOND)
		log_info("handler '%s': %.*s", c->name, (int)c->n, c->line);
	else
		c->dropped++;
	c->n = 0;
}

static void add(struct chatter *c, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n')
			end_line(c);
		else if (c->n < sizeof c->line)
			c->line[c->n++] = p[i];
	}
}

static void stop(struct chatter *c)
{
	loop_io_stop(&c->io);
	close(c->fd);
	c->fd = -1;
	if (c->n)
		end_line(c);
	say_dropped(c);
}

static void read_some(struct chatter *c, int chunks)
{
	char chunk[CHUNK_BYTES];

	while (chunks-- > 0 && c->fd >= 0) {
		ssize_t n = read(c->fd, chunk, sizeof chunk);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			stop(c);
		else
			add(c, chunk, (size_t)n);
	}
}

static void on_io(struct loop_io *io, unsigned events UNUSED)
{
	OBJ(struct chatter, c, io->arg, CHATTER_MAGIC);

	read_some(c, TURN_CHUNKS);
}

void chatter_init(struct chatter *c, struct loop *loop, const char *name)
{
	*c = (struct chatter){.magic = CHATTER_MAGIC, .loop = loop, .name = name, .fd = -1};
}

void chatter_open(struct chatter *c, int fd)
{
	c->fd = fd;
	c->n = 0;
	loop_io_init(&c->io, c->loop, fd, on_io, c);
	loop_io_set(&c->io, LOOP_READ);
}

void chatter_close(struct chatter *c)
{
	read_some(c, LAST_CHUNKS);
	if (c->fd >= 0)
		stop(c);
}
