/* SPDX-License-Identifier: MIT */
/* Lines of a file, a pipe or a terminal, of any bytes; can tell whether the next one is there
 * already. */
#ifndef SKEP_CLIENT_INPUT_H
#define SKEP_CLIENT_INPUT_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

#define INPUT_LINE_BYTES_MAX (64UL << 20)

struct input {
	int fd;
	struct buf buf;
	size_t looked;	/* bytes of buf that hold no end of line */
	size_t taken;	/* bytes of the line that was given last, to be dropped */
	uint64_t bytes; /* read so far */
	int64_t size;	/* of a regular file, else -1 */
	bool end;
};

void input_open(struct input *in, int fd); /* takes fd over */
void input_close(struct input *in);

/* The next line, without its end, until the next call. 1; 0 at the end; -EAGAIN if it is not there
 * yet and `wait` is false; other negative codes with err. */
int input_line(struct input *in, bool wait, struct slice *ret_line, struct err *err);

#endif
