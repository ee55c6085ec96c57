/* links: daemon/store/store.sql.c daemon/store/store.c daemon/store/pace.c daemon/store/peers.c daemon/store/workers.c daemon/store/courier.c daemon/store/gateway.c daemon/store/due.c daemon/store/embedded.c daemon/store/disk.c daemon/store/asks.c daemon/store/batch.c daemon/store/bodies.c daemon/store/claims.c daemon/store/deals.c daemon/store/jobs.c daemon/store/lanes.c daemon/store/ledger.c daemon/store/map.c daemon/store/parcels.c daemon/store/pauses.c daemon/store/record.c daemon/store/requests.c daemon/store/serve.c daemon/store/sweep.c daemon/store/takes.c daemon/store/tombs.c daemon/store/verdict.c daemon/store/waits.c daemon/store/watches.c */
/* SPDX-License-Identifier: MIT */
/*
 * The store as a process of its own, with this program as its supervisor, workers, courier and
 * gateway. A peer is known by its pid, so the connections of each are made by a helper process that
 * hands the connected sockets over. Every wait is for a frame or the end of a connection.
 */
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
	pid_t pid;
	int helper; /* a byte to it makes it connect (once more) */
	int fd;
	struct buf in;
	struct frame frame; /* the last one read; its text is in `in` until the next */
	size_t length;
};

/* --- frames --------------------------------------------------------------------------------- */

static void wait_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (poll(&p, 1, LIMIT_MS) != 1)
		fail_msg("nothing came");
}

static void write_all(int fd, struct buf *out)
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
static enum message_type next_frame(struct party *p)
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
static void assert_silent(struct party *p)
{
	struct pollfd f = {.fd = p->fd, .events = POLLIN};

	assert_int_equal(buf_size(&p->in), p->length);
	assert_int_equal(poll(&f, 1, 0), 0);
}

/* --- the store ------------------------------------------------------------------------------ */

static _Noreturn void run_store(struct rig *rig, int control)
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

static void start_store(struct rig *rig)
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

static int wait_store(struct rig *rig)
{
	int status;

	assert_int_equal(waitpid(rig->store, &status, 0), rig->store);
	close(rig->control);
	rig->store = 0;
	return status;
}

static void kill_store(struct rig *rig)
{
	kill(rig->store, SIGKILL);
	wait_store(rig);
}

static void peers_end(struct rig *rig)
{
	SEND(rig->control, peers_end, .count = 0);
}

static void wait_ready(struct rig *rig)
{
	struct party control = {.fd = rig->control};
	struct msg_ready m;

	buf_init(&control.in, 1 << 20);
	EXPECT(&control, READY, ready, &m);
	buf_free(&control.in);
}

static void listen_socket(struct rig *rig)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	snprintf(rig->socket, sizeof rig->socket, "%s/store.sock", rig->dir);
	slice_copy(sun.sun_path, sizeof sun.sun_path, slice_str(rig->socket));
	rig->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(rig->listener, (struct sockaddr *)&sun, sizeof sun), 0);
	assert_int_equal(listen(rig->listener, 50), 0);
}

static struct rig *rig_new(const char *store_options)
{
	struct rig *rig = xcalloc(1, sizeof *rig);
	struct board_slot identity = {.generation = 1, .state = BOARD_STARTING};
	auto_free char *text = NULL;
	struct err err = {0};

	log_open("test", LOG_ERROR);
	snprintf(rig->dir, sizeof rig->dir, "/tmp/test_store.XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	text = xasprintf(
	    "[daemon]\nname = node-1\nstate_dir = %s\nruntime_dir = %s\nlog_level = error\n"
	    "[pool default]\nqueues = q\n[handler t]\ncommand = /bin/true\nbackoff = none\n"
	    "[store]\n%s\n",
	    rig->dir, rig->dir, store_options);
	rig->conf = conf_parse(slice_str(text), "/test.conf", &err);
	if (!rig->conf)
		fail_msg("%s", err.text);
	rig->board = board_create(4, &err);
	assert_non_null(rig->board);
	board_assign(rig->board, SLOT, &identity);
	listen_socket(rig);
	start_store(rig);
	return rig;
}

static void rig_free(struct rig *rig)
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

static struct board_slot store_slot(struct rig *rig)
{
	struct board_slot slot;

	assert_true(board_read(rig->board, SLOT, &slot));
	return slot;
}

/* --- the others ----------------------------------------------------------------------------- */

static void name_party(struct party *p, enum role_id role)
{
	SEND(p->rig->control, peer, .pid = (uint32_t)p->pid, .role = (uint8_t)role, .slot = 2,
	    .generation = 1, .pool = slice_str(""),
	    .name = slice_str(role == ROLE_WORKER ? "default/1" : "peer"));
}

static bool connect_for(struct rig *rig, int back)
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

static _Noreturn void help(struct rig *rig, int socket)
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

static int receive_fd(int from)
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

static void connect_party(struct party *p)
{
	assert_int_equal(write(p->helper, "g", 1), 1);
	p->fd = receive_fd(p->helper);
}

/* A process that connects, which was named to the store before unless `unknown`. */
static struct party *party_new(struct rig *rig, enum role_id role, bool unknown)
{
	struct party *p = xcalloc(1, sizeof *p);
	int pair[2];

	buf_init(&p->in, 1 << 20);
	p->rig = rig;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	p->pid = fork();
	if (p->pid == 0)
		help(rig, pair[1]);
	close(pair[1]);
	p->helper = pair[0];
	if (!unknown)
		name_party(p, role);
	connect_party(p);
	return p;
}

static void hang_up(struct party *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	p->length = 0;
	buf_clear(&p->in);
}

static void party_free(struct party *p)
{
	hang_up(p);
	close(p->helper);
	assert_int_equal(waitpid(p->pid, NULL, 0), p->pid);
	buf_free(&p->in);
	free(p);
}

static void bury(struct party *p, bool asked)
{
	SEND(p->rig->control, buried, .pid = (uint32_t)p->pid, .asked = asked);
}

static void hello(struct party *p, enum role_id role, uint32_t held)
{
	SEND(p->fd, hello, .protocol = IPC_PROTOCOL, .layout = BOARD_LAYOUT, .role = (uint8_t)role,
	    .held = held);
}

static void welcome(struct party *p)
{
	struct msg_welcome m;

	EXPECT(p, WELCOME, welcome, &m);
	assert_true(slice_is(m.node, "node-1"));
}

static struct party *join(struct rig *rig, enum role_id role)
{
	struct party *p = party_new(rig, role, false);

	hello(p, role, 0);
	welcome(p);
	return p;
}

/* A store that has recovered, with nobody there before it. */
static struct rig *ready_rig(const char *store_options)
{
	struct rig *rig = rig_new(store_options);

	peers_end(rig);
	wait_ready(rig);
	return rig;
}

static struct id run_id(unsigned n)
{
	struct id id = {{0x52}};

	memcpy(id.b + 1, &n, sizeof n);
	return id;
}

#define JOB(run_, id_)                                                                             \
	.run = run_id(run_), .queue = slice_str("q"), .job = slice_str(id_), .type = slice_str("t")

static void send_claim(struct party *p, unsigned run, const char *id, uint8_t flags)
{
	SEND(p->fd, claim, JOB(run, id), .flags = flags, .expires_wall_ms = JOB_NOT_GIVEN,
	    .retries = JOB_NOT_GIVEN);
}

static void send_outcome(struct party *p, unsigned run, const char *id, enum outcome outcome)
{
	SEND(p->fd, outcome, JOB(run, id), .outcome = (uint8_t)outcome, .exit_code = 0,
	    .started_wall_ms = clock_wall_ms(), .error = slice_str("e"), .reply_to = slice_str(""),
	    .correlation = slice_str(""), .retries = JOB_NOT_GIVEN, .result = slice_str("r"),
	    .body = slice_str("b"));
}

static void recorded(struct party *p, unsigned run)
{
	struct msg_recorded m;

	EXPECT(p, RECORDED, recorded, &m);
	assert_true(id_eq(m.run, run_id(run)));
}

static struct msg_verdict verdict(struct party *p)
{
	struct msg_verdict m;

	EXPECT(p, VERDICT, verdict, &m);
	return m;
}

static struct msg_reply reply(struct party *p)
{
	struct msg_reply m;

	EXPECT(p, REPLY, reply, &m);
	return m;
}

/* The board is published last in a turn, after the answers: one more turn, and it shows what was
 * answered. */
static void another_turn(struct party *gateway)
{
	SEND(gateway->fd, watch, .request = 0, .queue = slice_str("q"),
	    .job = slice_str("no such job"));
	assert_int_equal(reply(gateway).status, 404);
}

static void send_submit(struct party *p, uint64_t request, const char *id)
{
	SEND(p->fd, submit, .request = request, .queue = slice_str("q"), .job = slice_str(id),
	    .type = slice_str("t"), .due_wall_ms = JOB_NOT_GIVEN, .delay_ms = JOB_NOT_GIVEN,
	    .body = slice_str("the body"));
}

/* What a job's row says, read as the gateway does. */
static int64_t job_number(struct rig *rig, const char *column, const char *id)
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

/* --- tests ---------------------------------------------------------------------------------- */

static void test_group_commit(void **state)
{
	enum { MANY = 2000 };
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *gateway = join(rig, ROLE_GATEWAY);
	struct buf out;

	(void)state;
	buf_init(&out, 4 << 20);
	for (unsigned i = 0; i < MANY; i++) {
		struct frame_writer w = {.out = &out};
		char id[16];
		struct msg_outcome m = {.run = run_id(i),
		    .queue = slice_str("q"),
		    .type = slice_str("t"),
		    .outcome = OUTCOME_DONE,
		    .retries = JOB_NOT_GIVEN,
		    .result = slice_str("r")};

		snprintf(id, sizeof id, "%u", i);
		m.job = slice_str(id);
		assert_int_equal(msg_outcome_encode(&w, &m), 0);
	}
	write_all(worker->fd, &out);
	for (unsigned i = 0; i < MANY; i++)
		recorded(worker, i);
	/* The answers came after the commits, in which many outcomes shared. */
	another_turn(gateway);
	assert_int_equal(store_slot(rig).rows, 2 * MANY);
	assert_in_range(store_slot(rig).commits, 1, MANY / 10);
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

static void test_an_outcome_sent_again_after_a_crash(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER);

	(void)state;
	send_claim(worker, 1, "a", 0);
	send_outcome(worker, 1, "a", OUTCOME_DONE);
	recorded(worker, 1);
	kill_store(rig);
	assert_int_equal(next_frame(worker), MSG_NONE);
	party_free(worker);

	start_store(rig);
	peers_end(rig);
	worker = join(rig, ROLE_WORKER);
	send_outcome(worker, 1, "a", OUTCOME_DONE);
	recorded(worker, 1);
	assert_int_equal(job_number(rig, "runs", "a"), 1);
	party_free(worker);
	rig_free(rig);
}

static void test_an_unknown_process_is_closed(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *stranger = party_new(rig, ROLE_WORKER, true);

	(void)state;
	assert_int_equal(next_frame(stranger), MSG_NONE);
	party_free(stranger);
	rig_free(rig);
}

static void test_nobody_says_what_is_not_his_to_say(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *gateway = join(rig, ROLE_GATEWAY), *liar,
		     *hasty;

	(void)state;
	send_submit(worker, 1, "a");
	assert_int_equal(next_frame(worker), MSG_NONE);
	send_outcome(gateway, 1, "a", OUTCOME_DONE);
	assert_int_equal(next_frame(gateway), MSG_NONE);
	liar = party_new(rig, ROLE_GATEWAY, false);
	hello(liar, ROLE_WORKER, 0);
	assert_int_equal(next_frame(liar), MSG_NONE);
	hasty = party_new(rig, ROLE_WORKER, false);
	send_outcome(hasty, 1, "a", OUTCOME_DONE);
	assert_int_equal(next_frame(hasty), MSG_NONE);
	assert_int_equal(job_number(rig, "seq", "a"), -1);
	party_free(worker);
	party_free(gateway);
	party_free(liar);
	party_free(hasty);
	rig_free(rig);
}

/* Neither the end of the connection nor BURIED alone; and what was still in the socket counts. */
static void test_a_loss_takes_both(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *other = join(rig, ROLE_WORKER);

	(void)state;
	send_claim(worker, 1, "a", CLAIM_ASKS);
	assert_int_equal(verdict(worker).verdict, VERDICT_RUN);
	send_claim(worker, 1, "a", 0);
	hang_up(worker);
	send_claim(other, 2, "a", CLAIM_ASKS | CLAIM_REDELIVERED);
	assert_int_equal(verdict(other).verdict, VERDICT_TAKE); /* it may be alive */
	assert_int_equal(job_number(rig, "losses", "a"), 0);
	bury(worker, false);
	send_claim(other, 3, "a", CLAIM_ASKS | CLAIM_REDELIVERED);
	while (verdict(other).verdict == VERDICT_TAKE) /* the two sockets have no common order */
		send_claim(other, 3, "a", CLAIM_ASKS | CLAIM_REDELIVERED);
	assert_int_equal(job_number(rig, "losses", "a"), 1);
	party_free(worker);
	party_free(other);
	rig_free(rig);
}

static void test_an_outcome_in_the_socket_of_the_dead_is_no_loss(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *gateway = join(rig, ROLE_GATEWAY);
	struct msg_reply r;

	(void)state;
	send_claim(worker, 1, "a", CLAIM_ASKS);
	assert_int_equal(verdict(worker).verdict, VERDICT_RUN);
	kill(rig->store, SIGSTOP);
	send_outcome(worker, 1, "a", OUTCOME_DONE);
	hang_up(worker);
	bury(worker, false);
	kill(rig->store, SIGCONT);
	SEND(gateway->fd, watch, .request = 5, .queue = slice_str("q"), .job = slice_str("a"));
	r = reply(gateway);
	assert_int_equal(r.request, 5);
	assert_true(slice_is(r.state, "done"));
	assert_int_equal(job_number(rig, "losses", "a"), 0);
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

static void test_told_to_go_is_no_loss(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *other = join(rig, ROLE_WORKER);
	struct msg_verdict v;

	(void)state;
	send_claim(worker, 1, "a", CLAIM_ASKS);
	verdict(worker);
	hang_up(worker);
	bury(worker, true);
	do {
		send_claim(other, 2, "a", CLAIM_ASKS | CLAIM_REDELIVERED);
		v = verdict(other);
	} while (v.verdict == VERDICT_TAKE);
	assert_int_equal(v.verdict, VERDICT_RUN);
	assert_int_equal(v.alone, 0);
	assert_int_equal(job_number(rig, "losses", "a"), 0);
	party_free(worker);
	party_free(other);
	rig_free(rig);
}

/* A new store answers nobody before it has heard every worker that lives; what is held is not lost,
 * the rest is. */
static void test_restart_with_holds(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *gateway, *other;

	(void)state;
	send_claim(worker, 1, "held", CLAIM_ASKS);
	verdict(worker);
	send_claim(worker, 2, "forgotten", CLAIM_ASKS);
	verdict(worker);
	send_claim(worker, 3, "volatile", 0);
	kill_store(rig);
	party_free(worker);

	start_store(rig);
	worker = party_new(rig, ROLE_WORKER, false);
	other = party_new(rig, ROLE_WORKER, false);
	gateway = party_new(rig, ROLE_GATEWAY, false);
	peers_end(rig);
	hello(gateway, ROLE_GATEWAY, 0);
	hello(worker, ROLE_WORKER, 2);
	SEND(worker->fd, hold, JOB(1, "held"), .verdict = VERDICT_RUN, .attempt = 1);
	SEND(worker->fd, hold, JOB(3, "volatile"), .verdict = VERDICT_NONE, .attempt = 1);
	assert_silent(gateway);
	assert_silent(worker);
	bury(other, false); /* the last one that was missing */
	welcome(worker);
	welcome(gateway);
	assert_int_equal(job_number(rig, "losses", "held"), 0);
	assert_int_equal(job_number(rig, "losses", "forgotten"), 1);
	/* Both runs go on and are known. */
	SEND(gateway->fd, watch, .request = 1, .queue = slice_str("q"),
	    .job = slice_str("volatile"));
	send_claim(worker, 9, "held", CLAIM_ASKS | CLAIM_REDELIVERED);
	assert_int_equal(verdict(worker).verdict, VERDICT_TAKE);
	send_outcome(worker, 3, "volatile", OUTCOME_DONE);
	recorded(worker, 3);
	assert_int_equal(reply(gateway).status, 200);
	party_free(worker);
	party_free(other);
	party_free(gateway);
	rig_free(rig);
}

/* A worker whose connection broke comes again and does not name a run: it has not heard the
 * verdict. */
static void test_connecting_again_is_no_loss(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER);
	struct msg_verdict v;

	(void)state;
	send_claim(worker, 1, "unheard", CLAIM_ASKS);
	verdict(worker);
	send_claim(worker, 2, "held", CLAIM_ASKS);
	verdict(worker);
	hang_up(worker);
	connect_party(worker);
	hello(worker, ROLE_WORKER, 1);
	SEND(worker->fd, hold, JOB(2, "held"), .verdict = VERDICT_RUN, .attempt = 1);
	welcome(worker);
	send_claim(worker, 1, "unheard", CLAIM_ASKS);
	v = verdict(worker);
	assert_int_equal(v.verdict, VERDICT_RUN);
	assert_int_equal(v.attempt, 1);
	assert_int_equal(v.alone, 0);
	send_claim(worker, 3, "held", CLAIM_ASKS | CLAIM_REDELIVERED);
	assert_int_equal(verdict(worker).verdict, VERDICT_TAKE);
	party_free(worker);
	rig_free(rig);
}

static void test_take_then_outcome(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *courier = join(rig, ROLE_COURIER);
	struct msg_taken taken;
	struct msg_parcel parcel;

	(void)state;
	SEND(courier->fd, credit, .parcels = 10);
	send_claim(worker, 1, "a", 0);
	SEND(worker->fd, take, JOB(1, "a"), .due_wall_ms = JOB_NOT_GIVEN, .running = 1,
	    .reason = slice_str("long"), .body = slice_str("b"));
	EXPECT(worker, TAKEN, taken, &taken);
	assert_silent(courier);
	send_outcome(worker, 1, "a", OUTCOME_RETRY);
	recorded(worker, 1);
	EXPECT(courier, PARCEL, parcel, &parcel);
	assert_int_equal(parcel.attempt, 2);
	assert_true(slice_is(parcel.body, "b"));
	assert_true(slice_is(parcel.destination, "q"));
	party_free(worker);
	party_free(courier);
	rig_free(rig);
}

static void test_a_courier_that_goes_gives_its_parcels_back(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *gateway = join(rig, ROLE_GATEWAY), *courier = join(rig, ROLE_COURIER);
	struct msg_parcel first, second;

	(void)state;
	send_submit(gateway, 1, "a");
	assert_int_equal(reply(gateway).status, 201);
	SEND(courier->fd, credit, .parcels = 1);
	EXPECT(courier, PARCEL, parcel, &first);
	send_submit(gateway, 2, "b");
	assert_int_equal(reply(gateway).status, 201);
	assert_silent(courier); /* no credit is left */
	party_free(courier);
	courier = join(rig, ROLE_COURIER);
	SEND(courier->fd, credit, .parcels = 5);
	EXPECT(courier, PARCEL, parcel, &second);
	assert_int_equal(second.parcel, first.parcel);
	EXPECT(courier, PARCEL, parcel, &second);
	SEND(courier->fd, settle, .parcel = first.parcel, .how = SETTLE_CONFIRMED,
	    .reason = slice_str(""));
	SEND(courier->fd, settle, .parcel = second.parcel, .how = SETTLE_CONFIRMED,
	    .reason = slice_str(""));
	SEND(
	    courier->fd, settle, .parcel = 12345, .how = SETTLE_CONFIRMED, .reason = slice_str(""));
	SEND(courier->fd, settle, .parcel = 1, .how = 99, .reason = slice_str(""));
	assert_int_equal(next_frame(courier), MSG_NONE); /* the last one was no word of ours */
	send_submit(gateway, 3, "c");
	assert_int_equal(reply(gateway).status, 201);
	another_turn(gateway);
	assert_int_equal(store_slot(rig).parcels_ready, 1);
	party_free(gateway);
	party_free(courier);
	rig_free(rig);
}

static void test_cancel_of_a_running_job(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *gateway = join(rig, ROLE_GATEWAY), *late;
	struct msg_cancel cancel;
	struct msg_ask ask;
	struct msg_reply r;

	(void)state;
	send_claim(worker, 1, "a", CLAIM_ASKS);
	verdict(worker);
	SEND(gateway->fd, abort, .request = 7, .queue = slice_str(""), .job = slice_str("a"));
	r = reply(gateway);
	assert_int_equal(r.status, 202);
	assert_true(slice_is(r.state, "running"));
	EXPECT(worker, ASK, ask, &ask);
	assert_int_equal(ask.always, 1);
	EXPECT(worker, CANCEL, cancel, &cancel);
	assert_true(id_eq(cancel.run, run_id(1)));
	late = party_new(rig, ROLE_WORKER, false); /* one that comes now hears of it too */
	hello(late, ROLE_WORKER, 0);
	welcome(late);
	EXPECT(late, ASK, ask, &ask);
	assert_true(slice_is(ask.queue, "q"));
	send_outcome(worker, 1, "a", OUTCOME_CANCELLED);
	EXPECT(worker, ASK, ask, &ask);
	assert_int_equal(ask.always, 0);
	recorded(worker, 1);
	party_free(worker);
	party_free(late);
	party_free(gateway);
	rig_free(rig);
}

static void test_a_full_disk_holds_outcomes_and_refuses_submits(void **state)
{
	struct rig *rig = ready_rig("min_free = 1000000G");
	struct party *worker = join(rig, ROLE_WORKER), *gateway = join(rig, ROLE_GATEWAY);

	(void)state;
	send_outcome(worker, 1, "a", OUTCOME_DONE);
	send_submit(gateway, 1, "b");
	assert_int_equal(reply(gateway).status, 507);
	assert_silent(worker);
	assert_int_equal(job_number(rig, "seq", "a"), -1);
	assert_int_equal(store_slot(rig).held, 1);
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

static void test_stop_records_what_has_arrived(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER);

	(void)state;
	kill(rig->store, SIGSTOP);
	send_outcome(worker, 1, "a", OUTCOME_DONE);
	SEND(rig->control, stop, .hurry = 0, .within_ms = 1000);
	kill(rig->store, SIGCONT);
	recorded(worker, 1);
	assert_int_equal(next_frame(worker), MSG_NONE);
	assert_int_equal(wait_store(rig), 0);
	assert_int_equal(job_number(rig, "state", "a"), JOB_DONE);
	party_free(worker);
	rig_free(rig);
}

/* Else the next store would find the claim of a worker that was told to go, and call it lost. */
static void test_stop_judges_who_was_buried(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER);

	(void)state;
	send_claim(worker, 1, "a", CLAIM_ASKS);
	verdict(worker);
	send_claim(worker, 1, "a", 0);
	hang_up(worker);
	kill(rig->store, SIGSTOP);
	bury(worker, true);
	SEND(rig->control, stop, .hurry = 0, .within_ms = 1000);
	kill(rig->store, SIGCONT);
	assert_int_equal(wait_store(rig), 0);
	start_store(rig);
	peers_end(rig);
	wait_ready(rig);
	assert_int_equal(job_number(rig, "losses", "a"), 0);
	assert_int_equal(job_number(rig, "runs", "a"), 1);
	party_free(worker);
	rig_free(rig);
}

/* Two jobs have a loss on record; the second waits until the first has ended. */
static void test_suspects_start_one_after_the_other(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *one, *other;
	struct msg_verdict v;

	(void)state;
	send_claim(worker, 1, "killer", CLAIM_ASKS);
	verdict(worker);
	send_claim(worker, 2, "bystander", CLAIM_ASKS);
	verdict(worker);
	send_claim(worker, 1, "killer", 0);
	send_claim(worker, 2, "bystander", 0);
	hang_up(worker);
	bury(worker, false);
	one = join(rig, ROLE_WORKER); /* named after the burial was */
	other = join(rig, ROLE_WORKER);
	send_claim(one, 3, "killer", CLAIM_ASKS | CLAIM_REDELIVERED);
	v = verdict(one);
	assert_int_equal(v.verdict, VERDICT_RUN);
	assert_int_equal(v.alone, 1);
	send_claim(other, 4, "bystander", CLAIM_ASKS | CLAIM_REDELIVERED);
	send_claim(other, 5, "innocent", CLAIM_ASKS);
	v = verdict(other);
	assert_true(id_eq(v.run, run_id(5)));
	assert_silent(other);
	send_outcome(one, 3, "killer", OUTCOME_DONE);
	v = verdict(other);
	assert_true(id_eq(v.run, run_id(4)));
	assert_int_equal(v.verdict, VERDICT_RUN);
	party_free(worker);
	party_free(one);
	party_free(other);
	rig_free(rig);
}

static void test_without_its_supervisor_it_leaves(void **state)
{
	struct rig *rig = ready_rig("");
	int status;

	(void)state;
	close(rig->control);
	rig->control = -1;
	assert_int_equal(waitpid(rig->store, &status, 0), rig->store);
	assert_int_equal(status, 0);
	rig->store = 0;
	rig_free(rig);
}

/* A worker hands its runs back when the supervisor dies: a job that has killed it would never be
 * lost. */
static void test_a_release_after_the_supervisors_death_is_a_loss(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER);
	int status;

	(void)state;
	send_claim(worker, 1, "a", CLAIM_ASKS);
	verdict(worker);
	kill(rig->store, SIGSTOP);
	close(rig->control);
	send_outcome(worker, 1, "a", OUTCOME_RELEASED);
	kill(rig->store, SIGCONT);
	assert_int_equal(next_frame(worker), MSG_NONE);
	assert_int_equal(waitpid(rig->store, &status, 0), rig->store);
	start_store(rig);
	peers_end(rig);
	wait_ready(rig);
	assert_int_equal(job_number(rig, "losses", "a"), 1);
	party_free(worker);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_group_commit),
	    cmocka_unit_test(test_an_outcome_sent_again_after_a_crash),
	    cmocka_unit_test(test_an_unknown_process_is_closed),
	    cmocka_unit_test(test_nobody_says_what_is_not_his_to_say),
	    cmocka_unit_test(test_a_loss_takes_both),
	    cmocka_unit_test(test_an_outcome_in_the_socket_of_the_dead_is_no_loss),
	    cmocka_unit_test(test_told_to_go_is_no_loss),
	    cmocka_unit_test(test_restart_with_holds),
	    cmocka_unit_test(test_connecting_again_is_no_loss),
	    cmocka_unit_test(test_take_then_outcome),
	    cmocka_unit_test(test_a_courier_that_goes_gives_its_parcels_back),
	    cmocka_unit_test(test_cancel_of_a_running_job),
	    cmocka_unit_test(test_a_full_disk_holds_outcomes_and_refuses_submits),
	    cmocka_unit_test(test_stop_records_what_has_arrived),
	    cmocka_unit_test(test_stop_judges_who_was_buried),
	    cmocka_unit_test(test_suspects_start_one_after_the_other),
	    cmocka_unit_test(test_without_its_supervisor_it_leaves),
	    cmocka_unit_test(test_a_release_after_the_supervisors_death_is_a_loss),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
