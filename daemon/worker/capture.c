/* SPDX-License-Identifier: MIT */
/*
 * The tail lets twice its bound gather and then drops down to the bound, so that a handler which
 * writes a line at a time costs one move of memory per `max` bytes and not one per line.
 */
#include "daemon/worker/capture.h"

void capture_init(struct capture *c, size_t max_bytes, bool tail)
{
	*c = (struct capture){.max = max_bytes, .tail = tail};
	buf_init(&c->bytes, tail ? 2 * max_bytes : max_bytes);
}

void capture_free(struct capture *c)
{
	buf_free(&c->bytes);
}

static void keep_last(struct capture *c, size_t keep)
{
	size_t size = buf_size(&c->bytes);

	if (size <= keep)
		return;
	buf_consume(&c->bytes, size - keep);
	c->cut = true;
}

static void add_tail(struct capture *c, const uint8_t *p, size_t n)
{
	if (n > c->max) {
		p += n - c->max;
		n = c->max;
		c->cut = true;
	}
	if (buf_size(&c->bytes) + n > 2 * c->max)
		keep_last(c, c->max - n);
	buf_add(&c->bytes, p, n);
}

void capture_add(struct capture *c, const void *p, size_t n)
{
	size_t room = c->max - buf_size(&c->bytes);

	if (c->tail) {
		add_tail(c, p, n);
		return;
	}
	if (n > room)
		c->cut = true;
	buf_add(&c->bytes, p, n < room ? n : room);
}

void capture_finish(struct capture *c)
{
	keep_last(c, c->max);
}

void progress_init(struct progress *p)
{
	*p = (struct progress){.percent = -1};
}

static bool read_line(struct progress *p)
{
	struct slice text;
	char *end;
	long percent;

	p->line[p->n] = '\0';
	percent = strtol(p->line, &end, 10);
	if (end == p->line || percent < 0 || percent > 100)
		return false;
	/* 12.5 is read as 12, 50% as 50 */
	end += strcspn(end, " \t");
	end += strspn(end, " \t");
	text = slice_str(end);
	p->percent = (int32_t)percent;
	slice_copy(p->note, sizeof p->note, text);
	return true;
}

bool progress_add(struct progress *p, const void *bytes, size_t n)
{
	const char *at = bytes;
	bool changed = false;

	for (size_t i = 0; i < n; i++) {
		if (at[i] == '\n') {
			changed = read_line(p) || changed;
			p->n = 0;
		} else if (p->n < sizeof p->line - 1) {
			p->line[p->n++] = at[i];
		}
	}
	return changed;
}
