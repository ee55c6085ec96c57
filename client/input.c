/* SPDX-License-Identifier: MIT */
#include "client/input.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>

#define READ_BYTES 65536

void input_open(struct input *in, int fd)
{
	struct stat st;

	*in = (struct input){.fd = fd, .size = -1};
	buf_init(&in->buf, INPUT_LINE_BYTES_MAX + READ_BYTES);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		in->size = st.st_size;
}

void input_close(struct input *in)
{
	buf_free(&in->buf);
	close(in->fd);
}

static int take(struct input *in, size_t line, size_t taken, struct slice *ret_line)
{
	*ret_line = slice_of(buf_head(&in->buf), line);
	in->taken = taken;
	in->looked = 0;
	return 1;
}

/* 0, or negative. Sets `end` at the end of the file. */
static int fill(struct input *in, bool wait, struct err *err)
{
	struct pollfd p = {.fd = in->fd, .events = POLLIN};
	uint8_t *room = buf_reserve(&in->buf, READ_BYTES);
	ssize_t n;

	if (!room)
		return err_set(
		    err, -EMSGSIZE, "a line is longer than %lu bytes", INPUT_LINE_BYTES_MAX);
	if (!wait && poll(&p, 1, 0) == 0)
		return -EAGAIN;
	n = read(in->fd, room, READ_BYTES);
	if (n < 0 && errno != EINTR && errno != EAGAIN)
		return err_sys(err, errno, "cannot read the lines");
	if (n == 0)
		in->end = true;
	if (n > 0) {
		buf_added(&in->buf, (size_t)n);
		in->bytes += (uint64_t)n;
	}
	return 0;
}

int input_line(struct input *in, bool wait, struct slice *ret_line, struct err *err)
{
	int rc;

	buf_consume(&in->buf, in->taken);
	in->taken = 0;
	for (;;) {
		size_t size = buf_size(&in->buf);
		uint8_t *head = size ? buf_head(&in->buf) : NULL;
		uint8_t *nl =
		    size > in->looked ? memchr(head + in->looked, '\n', size - in->looked) : NULL;

		if (nl)
			return take(in, (size_t)(nl - head), (size_t)(nl - head) + 1, ret_line);
		in->looked = size;
		if (in->end)
			return size ? take(in, size, size, ret_line) : 0;
		rc = fill(in, wait, err);
		if (rc < 0)
			return rc;
	}
}
