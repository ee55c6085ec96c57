/* SPDX-License-Identifier: MIT */
/*
 * The store as a process of its own, with the test as its supervisor, workers, courier and gateway.
 * A peer is known by its pid, so the connections of each are made by a helper process that hands
 * the connected sockets over. Every wait is for a frame or the end of a connection.
 */
#ifndef SKEP_TESTS_STORE_RIG_H
#define SKEP_TESTS_STORE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "daemon/store/store.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define LIMIT_MS 20000
#define SLOT 1

struct rig {
	char dir[48], socket[80];
	struct conf *conf;
	struct board *board;
	int listener;
	int control; /* the supervisor's end */
	pid_t store;
	struct buf in; /* of the control socket */
};

struct party {
	struct rig *rig;
	const char *name, *pool;
	uint32_t slot; /* on the board */
	pid_t pid;
	int helper; /* a byte to it makes it connect (once more) */
	int fd;
	struct buf in;
	struct frame frame; /* the last one read; its text is in `in` until the next */
	size_t length;
};

/* --- frames --------------------------------------------------------------------------------- */

static inline void wait_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (poll(&p, 1, LIMIT_MS) != 1)
		fail_msg("nothing came");
}

static inline void write_all(int fd, struct buf *out)
{
	while (buf_size(out)) {
		ssize_t n = send(fd, buf_head(out), buf_size(out), MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break; /* the store has closed it: the test finds that by reading */
		buf_consume(out, (size_t)n);
	}
	buf_free(out);
}

#define SEND(to, name, ...)                                                                        \
	do {                                                                                       \
		struct buf out_;                                                                   \
		struct frame_writer w_ = {.out = &out_};                                           \
                                                                                                   \
		buf_init(&out_, 1 << 20);                                                          \
		assert_int_equal(msg_##name##_encode(&w_, &(struct msg_##name){__VA_ARGS__}), 0);  \
		write_all(to, &out_);                                                              \
	} while (0)

/* The type of the next frame; MSG_NONE at the end of the connection. */
static inline enum message_type next_frame(struct party *p)
{
	buf_consume(&p->in, p->length);
	p->length = 0;
	for (;;) {
		int length = frame_peek(buf_slice(&p->in), &p->frame);
		ssize_t n;

		assert_true(length >= 0);
		if (length > 0) {
			p->length = (size_t)length;
			return p->frame.type;
		}
		wait_readable(p->fd);
		n = read(p->fd, buf_reserve(&p->in, 65536), 65536);
		if (n <= 0)
			return MSG_NONE;
		buf_added(&p->in, (size_t)n);
	}
}

#define EXPECT(p, NAME, name, m)                                                                   \
	do {                                                                                       \
		enum message_type type_ = next_frame(p);                                           \
                                                                                                   \
		if (type_ != MSG_##NAME)                                                           \
			fail_msg("%s came, not " #NAME, message_name(type_));                      \
		assert_int_equal(msg_##name##_decode(&(p)->frame, m), 0);                          \
	} while (0)

/* Nothing is there. The store is asked something by another peer first, which it has answered:
 * whatever it had to say before that turn is written. */
static inline void assert_silent(struct party *p)
{
	struct pollfd f = {.fd = p->fd, .events = POLLIN};

	assert_int_equal(buf_size(&p->in), p->length);
	assert_int_equal(poll(&f, 1, 0), 0);
}

/* --- the store ------------------------------------------------------------------------------ */

static inline _Noreturn void run_store(struct rig *rig, int control)
{
	char name[] = "skep-store", *argv[] = {name, NULL};
	struct err err;
	int fds[4] = {
	    control, conf_memfd(rig->conf, false, &err), board_fd(rig->board), rig->listener};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < 4; i++)
		fds[i] = fcntl(fds[i], F_DUPFD, 100);
	for (int i = 0; i < 4; i++)
		dup2(fds[i], INHERIT_CONTROL + i);
	close_range(INHERIT_LISTEN + 1, ~0u, 0);
	_exit(process_main(&store_role, 1, argv));
}

static inline void start_store(struct rig *rig)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	rig->store = fork();
	if (rig->store == 0)
		run_store(rig, pair[1]);
	close(pair[1]);
	rig->control = pair[0];
	SEND(rig->control, start, .protocol = IPC_PROTOCOL, .layout = BOARD_LAYOUT, .slot = SLOT,
	    .generation = 1, .pool = slice_str(""), .name = slice_str("store"));
}

static inline int wait_store(struct rig *rig)
{
	int status;

	assert_int_equal(waitpid(rig->store, &status, 0), rig->store);
	close(rig->control);
	rig->store = 0;
	return status;
}

static inline void kill_store(struct rig *rig)
{
	kill(rig->store, SIGKILL);
	wait_store(rig);
}

static inline void peers_end(struct rig *rig)
{
	SEND(rig->control, peers_end, .count = 0);
}

static inline void wait_ready(struct rig *rig)
{
	struct party control = {.fd = rig->control};
	struct msg_ready m;

	buf_init(&control.in, 1 << 20);
	EXPECT(&control, READY, ready, &m);
	buf_free(&control.in);
}

static inline void listen_socket(struct rig *rig)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	snprintf(rig->socket, sizeof rig->socket, "%s/store.sock", rig->dir);
	slice_copy(sun.sun_path, sizeof sun.sun_path, slice_str(rig->socket));
	rig->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(rig->listener, (struct sockaddr *)&sun, sizeof sun), 0);
	assert_int_equal(listen(rig->listener, 50), 0);
}

/* `text` is the configuration but for [daemon]. */
static inline struct rig *rig_of(const char *text)
{
	struct rig *rig = xcalloc(1, sizeof *rig);
	struct board_slot identity = {.generation = 1, .state = BOARD_STARTING};
	auto_free char *all = NULL;
	struct err err = {0};

	log_open("test", LOG_ERROR);
	snprintf(rig->dir, sizeof rig->dir, "/tmp/test_store.XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	all = xasprintf(
	    "[daemon]\nname = node-1\nstate_dir = %s\nruntime_dir = %s\nlog_level = error\n%s\n",
	    rig->dir, rig->dir, text);
	rig->conf = conf_parse(slice_str(all), "/test.conf", &err);
	if (!rig->conf)
		fail_msg("%s", err.text);
	rig->board = board_create(4, 1, &err);
	assert_non_null(rig->board);
	board_assign(rig->board, SLOT, &identity);
	listen_socket(rig);
	start_store(rig);
	return rig;
}

/* A store whose jobs wait in a broker. */
static inline struct rig *rig_new(const char *store_options)
{
	auto_free char *text = xasprintf(
	    "[broker]\nurl = amqp://127.0.0.1/\n[pool default]\nqueues = q\n"
	    "[handler t]\ncommand = /bin/true\nbackoff = none\n[store]\n%s",
	    store_options);

	return rig_of(text);
}

static inline void rig_free(struct rig *rig)
{
	static const char *const names[] = {
	    "skep.db", "skep.db-wal", "skep.db-shm", "skep.db.lock", "store.sock"};

	if (rig->store)
		kill_store(rig);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		auto_free char *path = xasprintf("%s/%s", rig->dir, names[i]);

		unlink(path);
	}
	assert_int_equal(rmdir(rig->dir), 0);
	close(rig->listener);
	board_close(rig->board);
	conf_free(rig->conf);
	free(rig);
}

static inline struct board_slot store_slot(struct rig *rig)
{
	struct board_slot slot;

	assert_true(board_read(rig->board, SLOT, &slot));
	return slot;
}

/* --- the others ----------------------------------------------------------------------------- */

static inline void name_party(struct party *p, enum role_id role)
{
	SEND(p->rig->control, peer, .pid = (uint32_t)p->pid, .role = (uint8_t)role, .slot = p->slot,
	    .generation = 1, .pool = slice_str(p->pool), .name = slice_str(p->name));
}

static inline bool connect_for(struct rig *rig, int back)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {&(char){0}, 1};
	struct msghdr msg = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof control.bytes};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	bool sent;

	slice_copy(sun.sun_path, sizeof sun.sun_path, slice_str(rig->socket));
	if (connect(fd, (struct sockaddr *)&sun, sizeof sun) < 0)
		return false;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	sent = sendmsg(back, &msg, 0) == 1;
	close(fd);
	return sent;
}

static inline _Noreturn void help(struct rig *rig, int socket)
{
	char byte;

	close_range(3, (unsigned)socket - 1, 0);
	close_range((unsigned)socket + 1, ~0u, 0);
	while (read(socket, &byte, 1) == 1) {
		if (!connect_for(rig, socket))
			_exit(1);
	}
	_exit(0);
}

static inline int receive_fd(int from)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof control.bytes};
	int fd;

	assert_int_equal(recvmsg(from, &msg, MSG_CMSG_CLOEXEC), 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof fd);
	return fd;
}

static inline void connect_party(struct party *p)
{
	assert_int_equal(write(p->helper, "g", 1), 1);
	p->fd = receive_fd(p->helper);
}

/* A process that does nothing yet. */
static inline struct party *party_of(
    struct rig *rig, const char *name, const char *pool, uint32_t slot)
{
	struct party *p = xcalloc(1, sizeof *p);
	int pair[2];

	buf_init(&p->in, 1 << 20);
	p->rig = rig;
	p->name = name;
	p->pool = pool;
	p->slot = slot;
	p->fd = -1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	p->pid = fork();
	if (p->pid == 0)
		help(rig, pair[1]);
	close(pair[1]);
	p->helper = pair[0];
	return p;
}

/* A process that connects, which was named to the store before unless `unknown`. */
static inline struct party *party_new(struct rig *rig, enum role_id role, bool unknown)
{
	struct party *p = party_of(rig, role == ROLE_WORKER ? "default/1" : "peer", "", 2);

	if (!unknown)
		name_party(p, role);
	connect_party(p);
	return p;
}

static inline void hang_up(struct party *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	p->length = 0;
	buf_clear(&p->in);
}

static inline void party_free(struct party *p)
{
	hang_up(p);
	close(p->helper);
	assert_int_equal(waitpid(p->pid, NULL, 0), p->pid);
	buf_free(&p->in);
	free(p);
}

static inline void bury(struct party *p, bool asked)
{
	SEND(p->rig->control, buried, .pid = (uint32_t)p->pid, .asked = asked);
}

static inline void hello(struct party *p, enum role_id role, uint32_t held)
{
	SEND(p->fd, hello, .protocol = IPC_PROTOCOL, .layout = BOARD_LAYOUT, .role = (uint8_t)role,
	    .held = held);
}

static inline void welcome(struct party *p)
{
	struct msg_welcome m;

	EXPECT(p, WELCOME, welcome, &m);
	assert_true(slice_is(m.node, "node-1"));
}

static inline struct party *join(struct rig *rig, enum role_id role)
{
	struct party *p = party_new(rig, role, false);

	hello(p, role, 0);
	welcome(p);
	return p;
}

/* A store that has recovered, with nobody there before it. */
static inline struct rig *ready_rig(const char *store_options)
{
	struct rig *rig = rig_new(store_options);

	peers_end(rig);
	wait_ready(rig);
	return rig;
}

static inline struct id run_id(unsigned n)
{
	struct id id = {{0x52}};

	memcpy(id.b + 1, &n, sizeof n);
	return id;
}

#define JOB(run_, id_)                                                                             \
	.run = run_id(run_), .queue = slice_str("q"), .job = slice_str(id_), .type = slice_str("t")

static inline void send_claim(struct party *p, unsigned run, const char *id, uint8_t flags)
{
	SEND(p->fd, claim, JOB(run, id), .flags = flags, .expires_wall_ms = JOB_NOT_GIVEN,
	    .retries = JOB_NOT_GIVEN);
}

static inline void send_outcome(struct party *p, unsigned run, const char *id, enum outcome outcome)
{
	SEND(p->fd, outcome, JOB(run, id), .outcome = (uint8_t)outcome, .exit_code = 0,
	    .started_wall_ms = clock_wall_ms(), .error = slice_str("e"), .reply_to = slice_str(""),
	    .correlation = slice_str(""), .retries = JOB_NOT_GIVEN, .result = slice_str("r"),
	    .body = slice_str("b"));
}

static inline void recorded(struct party *p, unsigned run)
{
	struct msg_recorded m;

	EXPECT(p, RECORDED, recorded, &m);
	assert_true(id_eq(m.run, run_id(run)));
}

static inline struct msg_verdict verdict(struct party *p)
{
	struct msg_verdict m;

	EXPECT(p, VERDICT, verdict, &m);
	return m;
}

static inline struct msg_reply reply(struct party *p)
{
	struct msg_reply m;

	EXPECT(p, REPLY, reply, &m);
	return m;
}

/* The board is published last in a turn, after the answers: one more turn, and it shows what was
 * answered. */
static inline void another_turn(struct party *gateway)
{
	SEND(gateway->fd, watch, .request = 0, .queue = slice_str("q"),
	    .job = slice_str("no such job"));
	assert_int_equal(reply(gateway).status, 404);
}

static inline void send_submit(struct party *p, uint64_t request, const char *id)
{
	SEND(p->fd, submit, .request = request, .queue = slice_str("q"), .job = slice_str(id),
	    .type = slice_str("t"), .due_wall_ms = JOB_NOT_GIVEN, .delay_ms = JOB_NOT_GIVEN,
	    .body = slice_str("the body"));
}

/* What a job's row says, read as the gateway does. */
static inline int64_t job_number(struct rig *rig, const char *column, const char *id)
{
	auto_free char *sql = xasprintf("-- name: x\nSELECT %s FROM job WHERE id = ?1;", column);
	auto_free char *path = conf_database(rig->conf);
	const char *name = "x";
	struct db_stmt *s;
	int64_t value = -1;
	struct db *db;

	assert_int_equal(db_open(path, DB_READER, &db, NULL), 0);
	assert_int_equal(db_prepare(db, sql, &name, 1, &s, NULL), 0);
	db_bind_text(s, 1, slice_str(id));
	if (db_step(s, NULL) == 1) {
		value = db_int(s, 0);
		db_reset(s);
	}
	db_close(db);
	return value;
}

#endif
