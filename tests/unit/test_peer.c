/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/ipc/peer.h"

#define END_MAGIC 0x656e6465u
#define BIG_BYTES (3u << 20)

/* One side of a pair: notes what comes, in order. */
struct end {
	unsigned magic;
	struct test *t;
	struct peer *peer;
	uint64_t parcels; /* seen, and the number expected next */
	size_t wrong;	  /* bodies that were not what was sent */
	bool closed;
	char why[120];
	uint64_t pause_at;  /* pauses itself there */
	uint64_t free_at;   /* frees itself there */
	uint64_t refuse_at; /* calls that one a breach of the protocol */
	uint64_t stop_at;   /* leaves the loop there */
	struct end *free_other;
};

struct test {
	struct loop *loop;
	struct peer_hub *hub;
	struct end a, b;
	struct loop_timer limit;
};

/* Bodies by number: absent, small, and (every tenth) large ones in memfds. */
static uint8_t *pattern;

static struct slice body_of(uint64_t n)
{
	if (n % 10 == 9)
		return slice_of(pattern + n % 7, BIG_BYTES / 16 + n);
	return n % 3 ? slice_of(pattern + n % 5, n % 3000) : slice_of(NULL, 0);
}

static int on_frame(struct peer *peer, struct frame *f, void *arg)
{
	OBJ(struct end, e, arg, END_MAGIC);
	struct msg_parcel m;
	uint64_t n;

	assert_ptr_equal(peer, e->peer);
	assert_int_equal(msg_parcel_decode(f, &m), 0);
	n = e->parcels++;
	if (m.parcel != n || !slice_eq(m.body, body_of(n)))
		e->wrong++;
	if (e->stop_at && e->parcels == e->stop_at)
		loop_stop(e->t->loop);
	if (e->pause_at && e->parcels == e->pause_at)
		peer_pause(e->peer, true);
	if (e->free_other) {
		peer_free(e->free_other->peer);
		e->free_other->peer = NULL;
		e->free_other = NULL;
	}
	if (e->free_at && e->parcels == e->free_at) {
		peer_free(e->peer);
		e->peer = NULL;
	}
	return e->refuse_at && e->parcels == e->refuse_at ? -EPROTO : 0;
}

static void on_closed(struct peer *peer, const char *why, void *arg)
{
	OBJ(struct end, e, arg, END_MAGIC);

	assert_ptr_equal(peer, e->peer);
	assert_false(e->closed);
	e->closed = true;
	e->peer = NULL;
	slice_copy(e->why, sizeof e->why, slice_str(why));
	loop_stop(e->t->loop);
}

static const struct peer_ops ops = {on_frame, on_closed};

static void on_limit(struct loop_timer *timer UNUSED)
{
	BUG("the test waits for something that does not happen");
}

static void end_open(struct test *t, struct end *e, int fd)
{
	e->magic = END_MAGIC;
	e->t = t;
	e->peer = peer_new(t->hub, fd, &ops, e);
}

static struct test *opened(int fds[2])
{
	struct test *t = xcalloc(1, sizeof *t);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	t->loop = loop_new();
	t->hub = peer_hub_new(t->loop);
	loop_timer_init(&t->limit, t->loop, on_limit, t);
	loop_timer_set(&t->limit, 30000);
	end_open(t, &t->a, fds[0]);
	return t;
}

static struct test *connected(void)
{
	int fds[2];
	struct test *t = opened(fds);

	end_open(t, &t->b, fds[1]);
	return t;
}

static void closed(struct test *t)
{
	peer_free(t->a.peer);
	peer_free(t->b.peer);
	peer_hub_free(t->hub);
	loop_timer_stop(&t->limit);
	loop_free(t->loop);
	free(t);
}

static void on_next_turn(struct loop_timer *timer)
{
	loop_stop(timer->arg);
}

/* A whole turn: what is ready, and the hooks that write. */
static void turn(struct test *t)
{
	struct loop_timer timer;

	loop_timer_init(&timer, t->loop, on_next_turn, t->loop);
	loop_timer_set(&timer, 0);
	loop_run(t->loop);
}

static int send_parcel(struct peer *peer, uint64_t n)
{
	return peer_send_parcel(peer,
	    &(struct msg_parcel){.parcel = n, .destination = slice_str("q"), .body = body_of(n)});
}

static size_t open_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1000; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_blobs_stay_with_their_frames(void **state)
{
	size_t before = open_fds();
	struct test *t = connected();
	uint64_t sent = 0;

	(void)state;
	t->b.stop_at = 2000;
	while (t->b.parcels < 2000) {
		while (sent < 2000 && peer_has_room(t->a.peer))
			assert_int_equal(send_parcel(t->a.peer, sent++), 0);
		turn(t);
	}
	assert_int_equal(t->b.wrong, 0);
	assert_int_equal(t->b.parcels, 2000);
	assert_int_equal(peer_pid(t->b.peer), getpid());
	closed(t);
	assert_int_equal(open_fds(), before);
}

/* The store commits once a turn: what arrives together must be read together. */
static void test_frames_with_blobs_are_read_in_one_turn(void **state)
{
	struct test *t = connected();

	(void)state;
	for (uint64_t n = 0; n < 50; n++)
		assert_int_equal(send_parcel(t->a.peer, n), 0);
	assert_true(peer_flush(t->a.peer));
	turn(t);
	assert_int_equal(t->b.parcels, 50);
	assert_int_equal(t->b.wrong, 0);
	closed(t);
}

static void test_both_ways_at_once(void **state)
{
	struct test *t = connected();
	uint64_t sent = 0;

	(void)state;
	while (t->a.parcels < 500 || t->b.parcels < 500) {
		if (sent < 500) {
			send_parcel(t->a.peer, sent);
			send_parcel(t->b.peer, sent++);
		}
		turn(t);
	}
	assert_int_equal(t->a.wrong + t->b.wrong, 0);
	closed(t);
}

static void test_a_pause_holds_frames_back_in_order(void **state)
{
	struct test *t = connected();

	(void)state;
	for (uint64_t i = 0; i < 50; i++)
		send_parcel(t->a.peer, i);
	t->b.pause_at = 10;
	for (int i = 0; i < 20; i++)
		turn(t);
	assert_int_equal(t->b.parcels, 10);
	t->b.pause_at = 11;
	peer_pause(t->b.peer, false);
	for (int i = 0; i < 20; i++)
		turn(t);
	assert_int_equal(t->b.parcels, 11);
	t->b.stop_at = 50;
	peer_pause(t->b.peer, false);
	loop_run(t->loop);
	assert_int_equal(t->b.parcels, 50);
	assert_int_equal(t->b.wrong, 0);
	closed(t);
}

/* One frame is taken and the reader pauses again, while much more waits: the buffer must not grow
 * by a read each. */
static void test_many_pauses_under_a_full_socket(void **state)
{
	struct test *t = connected();
	uint64_t sent = 0;

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++) {
		while (sent < 1000 && peer_has_room(t->a.peer))
			send_parcel(t->a.peer, sent++);
		t->b.pause_at = i;
		peer_pause(t->b.peer, false);
		while (t->b.parcels < i) {
			assert_false(t->b.closed);
			turn(t);
		}
	}
	assert_int_equal(t->b.wrong, 0);
	closed(t);
}

static void test_a_drain_reads_to_the_end_before_closed(void **state)
{
	struct test *t = connected();
	struct peer *b = t->b.peer;

	(void)state;
	peer_pause(b, true);
	for (uint64_t i = 0; i < 60; i++) {
		send_parcel(t->a.peer, i);
		assert_true(peer_flush(t->a.peer));
	}
	t->b.pause_at = 20;
	peer_drain(b);
	assert_int_equal(t->b.parcels, 60); /* also past a pause that comes meanwhile */
	assert_false(t->b.closed);
	for (uint64_t i = 60; i < 70; i++)
		send_parcel(t->a.peer, i);
	assert_true(peer_flush(t->a.peer));
	peer_free(t->a.peer);
	t->a.peer = NULL;
	turn(t);
	assert_int_equal(t->b.parcels, 60); /* it is still paused */
	peer_drain(b);
	assert_int_equal(t->b.parcels, 70);
	assert_int_equal(t->b.wrong, 0);
	assert_true(t->b.closed);
	assert_string_equal(t->b.why, "closed the connection");
	closed(t);
}

static void test_the_end_comes_after_the_last_frame(void **state)
{
	struct test *t = connected();

	(void)state;
	for (uint64_t i = 0; i < 30; i++)
		send_parcel(t->a.peer, i);
	assert_true(peer_flush(t->a.peer));
	/* What b has written and a has not read makes b's next call fail, not its reading. */
	send_parcel(t->b.peer, 0);
	assert_true(peer_flush(t->b.peer));
	peer_free(t->a.peer);
	t->a.peer = NULL;
	send_parcel(t->b.peer, 9);
	peer_flush(t->b.peer);
	loop_run(t->loop);
	assert_true(t->b.closed);
	assert_int_equal(t->b.parcels, 30);
	closed(t);
}

static void test_who_does_not_read_is_closed_later(void **state)
{
	size_t before = open_fds();
	struct test *t = connected();
	struct peer *a = t->a.peer;
	uint64_t n = 0;

	(void)state;
	peer_pause(t->b.peer, true);
	while (peer_has_room(a))
		send_parcel(a, (n++ % 8) * 10 + 8); /* none of them in a memfd */
	for (int i = 0; i < 20000; i++)
		assert_int_equal(
		    send_parcel(a, 1999 + 999), 0); /* 2998 bytes each: above the bound */
	assert_false(t->a.closed);		    /* never from inside a send */
	assert_false(peer_has_room(a));
	assert_false(peer_flush(a));
	loop_run(t->loop);
	assert_true(t->a.closed);
	assert_string_equal(t->a.why, "does not read what it is sent");
	closed(t);
	t = connected();
	a = t->a.peer;
	for (int i = 0; i < 20000; i++)
		send_parcel(a, 1999 + 999);
	closed(t); /* freed before it could be told */
	assert_int_equal(open_fds(), before);
}

/* The kernel would hold some hundred memfds on their way, of any size. */
static void test_large_blobs_have_room_only_when_they_are_read(void **state)
{
	size_t before = open_fds(), sent = 0;
	struct test *t = connected();
	struct slice large = slice_of(pattern, BIG_BYTES);

	(void)state;
	peer_pause(t->b.peer, true);
	for (; sent < 100 && peer_has_room(t->a.peer); sent++)
		assert_int_equal(peer_send_parcel(t->a.peer,
				     &(struct msg_parcel){.parcel = sent, .body = large}), 0);
	assert_int_equal(sent, (PEER_BLOBS_HIGH_BYTES + BIG_BYTES - 1) / BIG_BYTES);
	assert_true(peer_flush(t->a.peer));
	assert_false(peer_has_room(t->a.peer)); /* it is all in the socket */
	t->b.stop_at = sent;
	peer_pause(t->b.peer, false);
	loop_run(t->loop);
	assert_int_equal(t->b.parcels, sent);
	assert_true(peer_has_room(t->a.peer));
	closed(t);
	assert_int_equal(open_fds(), before);
}

#define CROWD_FILES 64

static void set_files(rlim_t most)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = most;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Another socket of this user is full of descriptors: frames that bring some wait, and are not lost. */
static void crowd(void)
{
	struct rlimit before;
	struct test *t = connected();
	int other[2], n = 0;
	struct peer *filler;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, other), 0);
	filler = peer_new(t->hub, other[0], &ops, &t->a);
	set_files(CROWD_FILES);
	for (bool out = true; out && n < 2 * CROWD_FILES; n++) {
		assert_int_equal(send_parcel(filler, 9), 0);
		out = peer_flush(filler);
	}
	assert_in_range(n, CROWD_FILES / 2, CROWD_FILES + 2); /* or the kernel has no such limit */
	for (uint64_t i = 0; i < 20; i++)
		assert_int_equal(send_parcel(t->a.peer, i), 0);
	assert_false(peer_flush(t->a.peer));
	set_files(before.rlim_cur);
	t->b.stop_at = 20;
	loop_run(t->loop);
	assert_int_equal(t->b.parcels, 20);
	assert_int_equal(t->b.wrong, 0);
	peer_free(filler);
	close(other[1]);
	closed(t);
}

static void test_descriptors_of_a_crowded_user_wait(void **state)
{
	int status;
	pid_t child;

	(void)state;
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		/* The limit does not hold for root. A user that nobody else is, so that nothing but this is counted. */
		if (geteuid() == 0 && (setgid(64123) < 0 || setuid(64123) < 0))
			_exit(2);
		crowd();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_freeing_inside_callbacks(void **state)
{
	struct test *t = connected();

	(void)state;
	for (uint64_t i = 0; i < 20; i++)
		send_parcel(t->a.peer, i);
	t->b.free_at = 5;
	loop_run(t->loop); /* until a sees the end */
	assert_int_equal(t->b.parcels, 5);
	assert_false(t->b.closed);
	assert_true(t->a.closed);
	closed(t);

	t = connected();
	send_parcel(t->a.peer, 0);
	t->b.free_other = &t->a;
	loop_run(t->loop);
	assert_true(t->b.closed);
	closed(t);
}

static void test_a_breach_closes(void **state)
{
	struct test *t = connected();

	(void)state;
	for (uint64_t i = 0; i < 10; i++)
		send_parcel(t->a.peer, i);
	t->b.refuse_at = 4;
	loop_run(t->loop);
	while (!t->b.closed)
		loop_run(t->loop);
	assert_int_equal(t->b.parcels, 4);
	assert_string_equal(t->b.why, "broke the protocol with a frame PARCEL");
	closed(t);
}

/* --- a hostile other side --------------------------------------------------------------------- */

static void send_raw(int fd, const void *p, size_t n, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(16 * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)p, n};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (nfds) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), n);
}

/* The bytes of a frame, as one would be sent. */
static struct buf frame_bytes(uint64_t n)
{
	struct frame_writer w = {0};
	struct buf out;

	buf_init(&out, 1 << 20);
	w.out = &out;
	msg_parcel_encode(&w,
	    &(struct msg_parcel){.parcel = n, .destination = slice_str("q"), .body = body_of(n)});
	for (size_t i = 0; i < w.nfds; i++)
		close(w.fds[i]);
	return out;
}

static void test_byte_by_byte(void **state)
{
	int fds[2];
	struct test *t = opened(fds);

	(void)state;
	t->a.stop_at = 3;
	for (uint64_t n = 0; n < 3; n++) {
		struct buf out = frame_bytes(n);

		for (size_t i = 0; i < buf_size(&out); i++) {
			send_raw(fds[1], buf_head(&out) + i, 1, NULL, 0);
			turn(t);
		}
		buf_free(&out);
	}
	assert_int_equal(t->a.parcels, 3);
	assert_int_equal(t->a.wrong, 0);
	close(fds[1]);
	loop_run(t->loop);
	assert_true(t->a.closed);
	closed(t);
}

static void test_rubbish_is_a_breach(void **state)
{
	static const char *const rubbish[] = {
	    "GET / HTTP/1.1\r\n\r\n", "\x08\0\0\0\xff\xff\0\0", "\x04\0\0\0\1\0\0\0"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rubbish); i++) {
		int fds[2];
		struct test *t = opened(fds);

		send_raw(fds[1], rubbish[i], i ? 8 : 18, NULL, 0);
		loop_run(t->loop);
		assert_true(t->a.closed);
		assert_string_equal(t->a.why, "broke the protocol with a frame that is none");
		close(fds[1]);
		closed(t);
	}
}

static void test_half_a_frame_at_the_end(void **state)
{
	struct buf out = frame_bytes(1);
	int fds[2];
	struct test *t = opened(fds);

	(void)state;
	send_raw(fds[1], buf_head(&out), buf_size(&out) - 1, NULL, 0);
	close(fds[1]);
	loop_run(t->loop);
	assert_true(t->a.closed);
	assert_int_equal(t->a.parcels, 0);
	buf_free(&out);
	closed(t);
}

static void test_missing_and_superfluous_descriptors(void **state)
{
	size_t before = open_fds();
	struct buf plain = frame_bytes(0), with = frame_bytes(9);
	int fds[2], zeros[16];
	struct test *t = opened(fds);

	(void)state;
	/* promised and not sent */
	send_raw(fds[1], buf_head(&with), buf_size(&with), NULL, 0);
	loop_run(t->loop);
	assert_true(t->a.closed);
	assert_int_equal(t->a.parcels, 0);
	close(fds[1]);
	closed(t);

	/* sent and never promised, without end */
	for (size_t i = 0; i < ARRAY_SIZE(zeros); i++)
		zeros[i] = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	t = opened(fds);
	for (size_t i = 0; i < 64 && !t->a.closed; i++) {
		struct buf frame = frame_bytes(i % 9);

		t->a.parcels = i % 9;
		send_raw(fds[1], buf_head(&frame), buf_size(&frame), zeros, 16);
		buf_free(&frame);
		turn(t);
	}
	assert_true(t->a.closed);
	assert_int_equal(t->a.wrong, 0);
	close(fds[1]);
	closed(t);
	for (size_t i = 0; i < ARRAY_SIZE(zeros); i++)
		close(zeros[i]);
	buf_free(&plain);
	buf_free(&with);
	assert_int_equal(open_fds(), before);
}

static int make_pattern(void **state)
{
	(void)state;
	pattern = xmalloc(BIG_BYTES);
	for (size_t i = 0; i < BIG_BYTES; i++)
		pattern[i] = (uint8_t)(i * 31 + i / 251);
	return 0;
}

static int drop_pattern(void **state)
{
	(void)state;
	free(pattern);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_blobs_stay_with_their_frames),
	    cmocka_unit_test(test_frames_with_blobs_are_read_in_one_turn),
	    cmocka_unit_test(test_both_ways_at_once),
	    cmocka_unit_test(test_a_pause_holds_frames_back_in_order),
	    cmocka_unit_test(test_many_pauses_under_a_full_socket),
	    cmocka_unit_test(test_a_drain_reads_to_the_end_before_closed),
	    cmocka_unit_test(test_the_end_comes_after_the_last_frame),
	    cmocka_unit_test(test_who_does_not_read_is_closed_later),
	    cmocka_unit_test(test_large_blobs_have_room_only_when_they_are_read),
	    cmocka_unit_test(test_descriptors_of_a_crowded_user_wait),
	    cmocka_unit_test(test_freeing_inside_callbacks),
	    cmocka_unit_test(test_a_breach_closes),
	    cmocka_unit_test(test_byte_by_byte),
	    cmocka_unit_test(test_rubbish_is_a_breach),
	    cmocka_unit_test(test_half_a_frame_at_the_end),
	    cmocka_unit_test(test_missing_and_superfluous_descriptors),
	};

	return cmocka_run_group_tests(tests, make_pattern, drop_pattern);
}
