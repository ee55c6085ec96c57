/* SPDX-License-Identifier: MIT */
/*
 * Descriptors ride on the first byte of their frame: the kernel never merges bytes that carry
 * descriptors with those before them, so a queue of (position in the stream, descriptor) on the way out
 * and a plain queue on the way in keep each with its frame.
 */
#include "lib/ipc/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define PEER_MAGIC 0x70656572u
#define PEER_CROWDED_MS 10
#define PEER_CALM_BYTES (64u << 10) /* kept of a buffer that has grown */

struct fd_queue {
	struct {
		uint64_t at; /* position in the stream; unused on the way in */
		int fd;
	} e[PEER_FDS_MAX];
	size_t n;
};

struct peer {
	unsigned magic;
	struct peer_hub *hub;
	int fd;
	pid_t pid;
	const struct peer_ops *ops;
	void *arg;
	struct loop_io io;
	struct loop_timer resume; /* next turn: dispatches what a pause left behind, tells of a failure */
	struct loop_timer crowded; /* writes again, see write_out() */
	struct buf in, out;
	struct fd_queue *fds_in, *fds_out; /* made when first needed */
	size_t blob_bytes;                 /* in memfds, sent since all was last seen to be read */
	uint64_t written;                  /* bytes of the stream written so far */
	struct list dirty;
	bool paused, busy, dead;
	bool draining; /* a pause waits until everything is read */
	char why[120];
};

struct peer_hub {
	struct loop *loop;
	struct loop_hook flush;
	struct list dirty;
};

static void peer_mark(struct peer *p)
{
	list_del(&p->dirty);
	list_add_tail(&p->hub->dirty, &p->dirty);
}

static void hub_flush(struct loop_hook *hook)
{
	struct peer_hub *hub = hook->arg;
	struct list now;

	/* A peer that dies here calls `closed`, which may send to others: take the list over first. */
	list_init(&now);
	while (!list_empty(&hub->dirty)) {
		struct list *node = hub->dirty.next;

		list_del(node);
		list_add_tail(&now, node);
	}
	while (!list_empty(&now)) {
		struct peer *p = list_entry(now.next, struct peer, dirty);

		list_del(&p->dirty);
		peer_flush(p);
	}
}

struct peer_hub *peer_hub_new(struct loop *loop)
{
	struct peer_hub *hub = xcalloc(1, sizeof *hub);

	hub->loop = loop;
	list_init(&hub->dirty);
	loop_hook_add(loop, &hub->flush, hub_flush, hub);
	return hub;
}

void peer_hub_free(struct peer_hub *hub)
{
	if (!hub)
		return;
	loop_hook_del(&hub->flush);
	free(hub);
}

static void fd_queue_free(struct fd_queue *q)
{
	for (size_t i = 0; q && i < q->n; i++)
		close(q->e[i].fd);
	free(q);
}

static int fd_queue_add(struct fd_queue **q, uint64_t at, int fd)
{
	if (!*q)
		*q = xcalloc(1, sizeof **q);
	if ((*q)->n == PEER_FDS_MAX)
		return -ENOBUFS;
	(*q)->e[(*q)->n].at = at;
	(*q)->e[(*q)->n++].fd = fd;
	return 0;
}

static void fd_queue_drop(struct fd_queue *q, size_t n)
{
	q->n -= n;
	memmove(q->e, q->e + n, q->n * sizeof q->e[0]);
}

static void peer_destroy(struct peer *p)
{
	p->magic = 0;
	buf_free(&p->in);
	buf_free(&p->out);
	free(p);
}

static void peer_shut(struct peer *p)
{
	if (p->dead)
		return;
	p->dead = true;
	loop_io_stop(&p->io);
	loop_timer_stop(&p->resume);
	loop_timer_stop(&p->crowded);
	list_del(&p->dirty);
	close(p->fd);
	p->fd = -1;
	fd_queue_free(p->fds_in);
	fd_queue_free(p->fds_out);
	p->fds_in = p->fds_out = NULL;
}

void peer_free(struct peer *p)
{
	if (!p)
		return;
	peer_shut(p);
	loop_timer_stop(&p->resume);
	p->ops = NULL;
	if (!p->busy)
		peer_destroy(p);
}

/* The other side is gone or has broken the protocol: told once, from the top of the call chain, or next turn when
 * that is the chain of somebody who only sends and goes on to use the peer. */
static void peer_fail(struct peer *p, const char *why)
{
	snprintf(p->why, sizeof p->why, "%s", why);
	peer_shut(p);
	if (!p->busy)
		loop_timer_set(&p->resume, 0);
}

static void peer_enter(struct peer *p)
{
	p->busy = true;
}

static void peer_leave(struct peer *p)
{
	p->busy = false;
	if (!p->dead)
		return;
	if (p->ops) {
		const struct peer_ops *ops = p->ops;

		p->ops = NULL;
		p->busy = true;
		ops->closed(p, p->why, p->arg);
	}
	peer_destroy(p);
}

/* --- out ------------------------------------------------------------------------------------------ */

/* How many bytes may go before the next descriptor's frame begins, and which descriptors go with them. */
static size_t next_chunk(struct peer *p, size_t *ret_nfds)
{
	size_t size = buf_size(&p->out), with = 0;
	struct fd_queue *q = p->fds_out;

	while (q && with < q->n && with < FRAME_FDS_MAX && q->e[with].at == p->written)
		with++;
	*ret_nfds = with;
	if (q && with < q->n && q->e[with].at - p->written < size)
		size = (size_t)(q->e[with].at - p->written);
	return size;
}

static ssize_t write_chunk(struct peer *p)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))];
	} control = {0};
	size_t nfds, size = next_chunk(p, &nfds);
	struct iovec iov = {buf_head(&p->out), size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (nfds) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		for (size_t i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &p->fds_out->e[i].fd, sizeof(int));
	}
	n = sendmsg(p->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n <= 0)
		return n < 0 ? -errno : -EPIPE;
	for (size_t i = 0; i < nfds; i++)
		close(p->fds_out->e[i].fd);
	if (nfds)
		fd_queue_drop(p->fds_out, nfds);
	p->written += (uint64_t)n;
	buf_consume(&p->out, (size_t)n);
	return n;
}

static void watch(struct peer *p)
{
	bool writes = buf_size(&p->out) && !loop_timer_active(&p->crowded);

	loop_io_set(&p->io, (p->paused ? 0u : LOOP_READ) | (writes ? (unsigned)LOOP_WRITE : 0u));
}

/* A peer that is gone is noticed by the reader, after its last frames are read. */
static void drop_output(struct peer *p)
{
	buf_clear(&p->out);
	fd_queue_free(p->fds_out);
	p->fds_out = NULL;
	loop_again(p->hub->loop);
}

/* unix(7): a user may have no more descriptors on their way in sockets, in all, than RLIMIT_NOFILE; readers of other
 * sockets make room again, and nobody tells. */
static void wait_in_crowd(struct peer *p)
{
	loop_timer_set(&p->crowded, PEER_CROWDED_MS);
}

static bool write_out(struct peer *p)
{
	loop_timer_stop(&p->crowded);
	while (!p->dead && buf_size(&p->out)) {
		ssize_t n = write_chunk(p);

		if (n == -EINTR)
			continue;
		if (n == -ETOOMANYREFS)
			wait_in_crowd(p);
		if (n == -EAGAIN || n == -ETOOMANYREFS)
			break;
		if (n < 0) {
			drop_output(p);
			break;
		}
	}
	if (p->dead)
		return false;
	buf_trim(&p->out, PEER_CALM_BYTES);
	watch(p);
	return buf_size(&p->out) == 0;
}

bool peer_flush(struct peer *p)
{
	return p->dead ? false : write_out(p);
}

/* After an encoder has appended a frame: keep its descriptors, remember to write. */
static int peer_sent(struct peer *p, struct frame_writer *w, int rc)
{
	if (rc == -ENOBUFS) {
		peer_fail(p, "does not read what it is sent");
		return 0; /* the same to the sender as a peer that has just died */
	}
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < w->nfds; i++) {
		if (fd_queue_add(&p->fds_out, p->written + w->start, w->fds[i]) < 0)
			BUG("more than %d descriptors wait for peer %d", PEER_FDS_MAX, (int)p->pid);
	}
	p->blob_bytes += w->blob_bytes;
	peer_mark(p);
	return 0;
}

#define MESSAGE(NAME, name, from, to, meaning)                                                     \
	int peer_send_##name(struct peer *p, const struct msg_##name *m)                           \
	{                                                                                          \
		struct frame_writer w = {.out = &p->out};                                          \
                                                                                                   \
		if (p->dead)                                                                       \
			return 0;                                                                  \
		return peer_sent(p, &w, msg_##name##_encode(&w, m));                               \
	}
#include "lib/ipc/messages.def"
#undef MESSAGE

/* --- in ------------------------------------------------------------------------------------------- */

/* One recvmsg. Bytes read, 0 at the end of the stream, negative errno. */
static ssize_t read_chunk(struct peer *p, size_t room)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(16 * sizeof(int))];
	} control;
	struct iovec iov = {buf_reserve(&p->in, room), room};
	struct msghdr msg = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof control.bytes};
	ssize_t n = recvmsg(p->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int rc = 0;

	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
			if (rc < 0 || (rc = fd_queue_add(&p->fds_in, 0, fd)) < 0)
				close(fd);
		}
	}
	if (rc < 0 || (msg.msg_flags & MSG_CTRUNC))
		return -EPROTO;
	buf_added(&p->in, (size_t)n);
	return n;
}

static int attach_fds(struct peer *p, struct frame *f, size_t want)
{
	if (want == 0)
		return 0;
	if (!p->fds_in || p->fds_in->n < want)
		return -EPROTO;
	for (size_t i = 0; i < want; i++)
		f->fds[f->nfds++] = p->fds_in->e[i].fd;
	fd_queue_drop(p->fds_in, want);
	return 0;
}

static bool may_read(const struct peer *p)
{
	return !p->dead && (!p->paused || p->draining);
}

static void dispatch(struct peer *p)
{
	while (may_read(p)) {
		struct slice in = buf_slice(&p->in);
		struct frame f;
		int length = frame_peek(in, &f), rc;
		char why[80];

		if (length == 0)
			return;
		rc = length < 0 ? length : attach_fds(p, &f, frame_fds(in));
		if (rc == 0) {
			rc = p->ops->frame(p, &f, p->arg);
			frame_release(&f);
		}
		if (p->dead)
			return;
		if (rc < 0) {
			snprintf(why, sizeof why, "broke the protocol with a frame %s",
			    length < 0 ? "that is none" : message_name(f.type));
			peer_fail(p, why);
			return;
		}
		buf_consume(&p->in, (size_t)length);
	}
}

/* A short read says that no more is there yet, and saves the call that would find out; not so when it
 * brought descriptors, at which the kernel ends each read, or when everything to the end is wanted. */
static void read_in(struct peer *p, size_t budget, bool to_the_end)
{
	const size_t room = FRAME_MAX_BYTES;

	dispatch(p); /* what a pause left behind, so that the buffer never holds more than one read beside a frame */
	while (may_read(p) && budget > 0) {
		ssize_t n = read_chunk(p, room);
		bool brought = p->fds_in && p->fds_in->n > 0;

		if (n == -EINTR)
			continue;
		if (n == -EAGAIN)
			break;
		if (n <= 0) {
			peer_fail(p, n == 0 || n == -ECONNRESET ? "closed the connection" : strerror((int)-n));
			break;
		}
		budget -= (size_t)n < budget ? (size_t)n : budget;
		dispatch(p);
		if ((size_t)n < room / 2 && !brought && !to_the_end)
			break;
	}
	if (!p->dead)
		buf_trim(&p->in, PEER_CALM_BYTES);
}

static void on_io(struct loop_io *io, unsigned events)
{
	OBJ(struct peer, p, io->arg, PEER_MAGIC);

	peer_enter(p);
	if (events & LOOP_WRITE)
		peer_mark(p); /* the hub's hook writes, after whatever must come before */
	if ((events & LOOP_READ) && !p->dead)
		read_in(p, PEER_TURN_BYTES, false);
	peer_leave(p);
}

static void on_crowded(struct loop_timer *t)
{
	OBJ(struct peer, p, t->arg, PEER_MAGIC);

	peer_mark(p);
}

static void on_resume(struct loop_timer *t)
{
	OBJ(struct peer, p, t->arg, PEER_MAGIC);

	peer_enter(p);
	dispatch(p);
	peer_leave(p);
}

void peer_drain(struct peer *p)
{
	if (p->busy || p->dead)
		return;
	p->draining = true;
	peer_enter(p);
	read_in(p, SIZE_MAX, true);
	p->draining = false;
	peer_leave(p);
}

void peer_pause(struct peer *p, bool paused)
{
	if (p->dead || p->paused == paused)
		return;
	p->paused = paused;
	watch(p);
	if (!paused && buf_size(&p->in))
		loop_timer_set(&p->resume, 0);
}

/* A stream socket counts what was sent and not yet read by the other side. */
static bool all_is_read(const struct peer *p)
{
	int unread = 0;

	return buf_size(&p->out) == 0 && ioctl(p->fd, SIOCOUTQ, &unread) == 0 && unread == 0;
}

bool peer_has_room(struct peer *p)
{
	if (p->dead || buf_size(&p->out) >= PEER_OUT_HIGH_BYTES ||
	    (p->fds_out && p->fds_out->n >= PEER_FDS_MAX / 2))
		return false;
	if (p->blob_bytes >= PEER_BLOBS_HIGH_BYTES && all_is_read(p))
		p->blob_bytes = 0;
	return p->blob_bytes < PEER_BLOBS_HIGH_BYTES;
}

pid_t peer_pid(const struct peer *p)
{
	return p->pid;
}

int peer_fd(const struct peer *p)
{
	return p->fd;
}

struct peer *peer_new(struct peer_hub *hub, int fd, const struct peer_ops *ops, void *arg)
{
	struct peer *p = xcalloc(1, sizeof *p);
	struct ucred cred;
	socklen_t len = sizeof cred;

	p->magic = PEER_MAGIC;
	p->hub = hub;
	p->fd = fd;
	p->ops = ops;
	p->arg = arg;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		p->pid = cred.pid;
	buf_init(&p->in, FRAME_MAX_BYTES + PEER_TURN_BYTES);
	buf_init(&p->out, PEER_OUT_MAX_BYTES);
	list_init(&p->dirty);
	loop_timer_init(&p->resume, hub->loop, on_resume, p);
	loop_timer_init(&p->crowded, hub->loop, on_crowded, p);
	loop_io_init(&p->io, hub->loop, fd, on_io, p);
	loop_io_set(&p->io, LOOP_READ);
	return p;
}
