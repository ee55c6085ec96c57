/* SPDX-License-Identifier: MIT */
/*
 * The generated half of the codec. Every read is checked against the end of its frame; a frame must be
 * used up exactly, so that two builds that disagree about a message notice it at once.
 */
#include "lib/ipc/codec.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SEALS_WANTED (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

enum blob_form { BLOB_ABSENT, BLOB_INLINE, BLOB_MEMFD };

static const char *const names[] = {
    [MSG_NONE] = "NONE",
#define MESSAGE(NAME, name, from, to, meaning) [MSG_##NAME] = #NAME,
#include "lib/ipc/messages.def"
#undef MESSAGE
};

const char *message_name(enum message_type type)
{
	return (unsigned)type < MSG_COUNT ? names[type] : "unknown";
}

/* --- writing ------------------------------------------------------------------------------------ */

static void put(struct frame_writer *w, const void *p, size_t n)
{
	if (w->rc == 0)
		w->rc = buf_add(w->out, p, n);
}

static void put_u8(struct frame_writer *w, uint8_t v)
{
	put(w, &v, sizeof v);
}

static void put_u16(struct frame_writer *w, uint16_t v)
{
	put(w, &v, sizeof v);
}

static void put_u32(struct frame_writer *w, uint32_t v)
{
	put(w, &v, sizeof v);
}

static void put_u64(struct frame_writer *w, uint64_t v)
{
	put(w, &v, sizeof v);
}

static void put_i64(struct frame_writer *w, int64_t v)
{
	put(w, &v, sizeof v);
}

static void put_id(struct frame_writer *w, struct id v)
{
	put(w, v.b, sizeof v.b);
}

/* Over-long text is cut: only messages for people can be that long, names are bounded earlier. */
static void put_str(struct frame_writer *w, struct slice v)
{
	uint16_t n = (uint16_t)(v.n < FRAME_STR_BYTES ? v.n : FRAME_STR_BYTES);

	put_u16(w, n);
	put(w, v.p, n);
}

static int memfd_of(struct slice v)
{
	auto_fd int fd = memfd_create("skep-blob", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t done = 0;

	if (fd < 0)
		return -errno;
	while (done < v.n) {
		ssize_t n = write(fd, v.p + done, v.n - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS, SEALS_WANTED | F_SEAL_SEAL) < 0)
		return -errno;
	return take_fd(&fd);
}

static void put_blob(struct frame_writer *w, struct slice v)
{
	int fd;

	put_u8(w, v.p == NULL ? BLOB_ABSENT : v.n <= FRAME_INLINE_BYTES ? BLOB_INLINE : BLOB_MEMFD);
	put_u32(w, (uint32_t)v.n);
	if (v.n <= FRAME_INLINE_BYTES) {
		put(w, v.p, v.n);
		return;
	}
	if (w->rc < 0)
		return;
	fd = v.n <= FRAME_BLOB_MAX_BYTES ? memfd_of(v) : -EMSGSIZE;
	if (fd < 0) {
		w->rc = fd;
		return;
	}
	w->fds[w->nfds++] = fd;
	w->blob_bytes += v.n;
}

static void writer_begin(struct frame_writer *w, enum message_type type)
{
	w->start = buf_size(w->out);
	w->nfds = 0;
	w->blob_bytes = 0;
	w->rc = 0;
	put_u32(w, 0);
	put_u16(w, (uint16_t)type);
	put_u16(w, 0);
}

/* Fills in the length; on failure nothing of the frame is left. */
static int writer_end(struct frame_writer *w)
{
	size_t length = buf_size(w->out) - w->start;
	uint8_t *head;

	if (w->rc == 0 && length > FRAME_MAX_BYTES)
		w->rc = -EMSGSIZE;
	if (w->rc < 0) {
		buf_truncate(w->out, w->start);
		while (w->nfds)
			close(w->fds[--w->nfds]);
		return w->rc;
	}
	head = buf_head(w->out) + w->start;
	memcpy(head, &(uint32_t){(uint32_t)length}, 4);
	head[6] = (uint8_t)w->nfds;
	return 0;
}

/* --- reading ------------------------------------------------------------------------------------ */

static int get(struct frame *f, void *ret, size_t n)
{
	if ((size_t)(f->end - f->p) < n)
		return -EPROTO;
	memcpy(ret, f->p, n);
	f->p += n;
	return 0;
}

static int get_u8(struct frame *f, uint8_t *ret)
{
	return get(f, ret, sizeof *ret);
}

static int get_u16(struct frame *f, uint16_t *ret)
{
	return get(f, ret, sizeof *ret);
}

static int get_u32(struct frame *f, uint32_t *ret)
{
	return get(f, ret, sizeof *ret);
}

static int get_u64(struct frame *f, uint64_t *ret)
{
	return get(f, ret, sizeof *ret);
}

static int get_i64(struct frame *f, int64_t *ret)
{
	return get(f, ret, sizeof *ret);
}

static int get_id(struct frame *f, struct id *ret)
{
	return get(f, ret->b, sizeof ret->b);
}

static int get_bytes(struct frame *f, size_t n, struct slice *ret)
{
	if ((size_t)(f->end - f->p) < n)
		return -EPROTO;
	*ret = slice_of(f->p, n);
	f->p += n;
	return 0;
}

static int get_str(struct frame *f, struct slice *ret)
{
	uint16_t n;

	if (get_u16(f, &n) < 0 || n > FRAME_STR_BYTES)
		return -EPROTO;
	return get_bytes(f, n, ret);
}

static int map_blob(struct frame *f, size_t n, struct slice *ret)
{
	struct stat st;
	int fd, seals;
	void *p;

	if (f->fds_used >= f->nfds || n > FRAME_BLOB_MAX_BYTES || n <= FRAME_INLINE_BYTES)
		return -EPROTO;
	fd = f->fds[f->fds_used++];
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS_WANTED) != SEALS_WANTED || fstat(fd, &st) < 0 ||
	    (size_t)st.st_size != n)
		return -EPROTO;
	p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	f->maps[f->nmaps].p = p;
	f->maps[f->nmaps++].n = n;
	*ret = slice_of(p, n);
	return 0;
}

static int get_blob(struct frame *f, struct slice *ret)
{
	uint8_t form;
	uint32_t n;

	if (get_u8(f, &form) < 0 || get_u32(f, &n) < 0)
		return -EPROTO;
	*ret = (struct slice){NULL, 0};
	if (form == BLOB_ABSENT)
		return n == 0 ? 0 : -EPROTO;
	if (form == BLOB_INLINE)
		return get_bytes(f, n, ret);
	return form == BLOB_MEMFD ? map_blob(f, n, ret) : -EPROTO;
}

int frame_peek(struct slice in, struct frame *ret)
{
	uint32_t length;
	uint16_t type;

	if (in.n < FRAME_HEADER_BYTES)
		return 0;
	memcpy(&length, in.p, 4);
	memcpy(&type, in.p + 4, 2);
	if (length < FRAME_HEADER_BYTES || length > FRAME_MAX_BYTES || in.p[6] > FRAME_FDS_MAX ||
	    type == MSG_NONE || type >= MSG_COUNT)
		return -EPROTO;
	if (in.n < length)
		return 0;
	*ret = (struct frame){
	    .type = type, .p = in.p + FRAME_HEADER_BYTES, .end = in.p + length};
	return (int)length;
}

size_t frame_fds(struct slice in)
{
	return in.p[6];
}

void frame_release(struct frame *f)
{
	for (size_t i = 0; i < f->nmaps; i++)
		munmap(f->maps[i].p, f->maps[i].n);
	for (size_t i = 0; i < f->nfds; i++)
		close(f->fds[i]);
	f->nmaps = f->nfds = 0;
}

/* --- one pair per message ------------------------------------------------------------------------ */

#define ENCODE_FIELD(type, name) put_##type(w, m->name);
#define DECODE_FIELD(type, name)                                                                   \
	if ((rc = get_##type(f, &m.name)) < 0)                                                     \
		return rc;

#define MESSAGE(NAME, name, from, to, meaning)                                                     \
	int msg_##name##_encode(struct frame_writer *w, const struct msg_##name *m)                \
	{                                                                                          \
		writer_begin(w, MSG_##NAME);                                                       \
		MSG_##NAME##_FIELDS(ENCODE_FIELD);                                                 \
		return writer_end(w);                                                              \
	}                                                                                          \
	int msg_##name##_decode(struct frame *f, struct msg_##name *ret)                           \
	{                                                                                          \
		struct msg_##name m;                                                               \
		int rc;                                                                            \
                                                                                                   \
		if (f->type != MSG_##NAME)                                                         \
			return -EPROTO;                                                            \
		MSG_##NAME##_FIELDS(DECODE_FIELD);                                                 \
		if (f->p != f->end || f->fds_used != f->nfds)                                      \
			return -EPROTO;                                                            \
		*ret = m;                                                                          \
		return 0;                                                                          \
	}
#include "lib/ipc/messages.def"
