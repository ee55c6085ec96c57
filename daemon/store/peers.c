/* SPDX-License-Identifier: MIT */
/*
 * A connection is believed by the pid behind it (SO_PEERCRED), so the control socket is read to its
 * end before that pid is looked up: it names whoever is started before it can connect, and the dead
 * before their pid can pass to another.
 *
 * The end of a worker is judged at the end of the turn in which BURIED came: after whatever waited
 * to be accepted is accepted and its socket was read to the end, since an outcome in there is not a
 * loss.
 */
#include "daemon/store/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "daemon/store/embedded.h"
#include "daemon/store/record.h"
#include "lib/base/clock.h"
#include "lib/base/fault.h"
#include "lib/base/log.h"

#define MEMBER_MAGIC 0x6d656d62u

/* --- the supervisor's word ------------------------------------------------------------------ */

static struct member *member_of_pid(struct store *s, pid_t pid)
{
	struct member *found = NULL;

	/* The last one: the pid of one that is buried may have passed to another. */
	list_each(struct member, m, &s->members, link)
	{
		if (m->pid == pid)
			found = m;
	}
	return found;
}

static void member_free(struct member *m)
{
	peer_free(m->peer);
	list_del(&m->link);
	m->magic = 0;
	free(m);
}

static const struct conf_pool *pool_of(const struct conf *conf, struct slice name)
{
	for (size_t i = 0; i < conf->npools; i++) {
		if (slice_is(name, conf->pools[i].section))
			return &conf->pools[i];
	}
	return NULL;
}

static int on_peer(struct store *s, struct frame *f)
{
	struct msg_peer msg;
	struct member *m;

	if (msg_peer_decode(f, &msg) < 0 || msg.role >= ROLE_COUNT)
		return -EPROTO;
	m = xcalloc(1, sizeof *m);
	m->magic = MEMBER_MAGIC;
	m->s = s;
	m->pid = (pid_t)msg.pid;
	m->role = (enum role_id)msg.role;
	m->early = !s->peers_end;
	m->slot = msg.slot;
	slice_copy(m->name, sizeof m->name, msg.name);
	if (m->role == ROLE_WORKER)
		m->pool = pool_of(s->p->conf, msg.pool);
	claims_owner_init(&m->claims);
	list_add_tail(&s->members, &m->link);
	return 0;
}

static int on_peers_end(struct store *s, struct frame *f)
{
	struct msg_peers_end msg;

	if (msg_peers_end_decode(f, &msg) < 0)
		return -EPROTO;
	s->peers_end = true;
	return 0;
}

static int on_buried(struct store *s, struct frame *f)
{
	struct msg_buried msg;
	struct member *m;

	if (msg_buried_decode(f, &msg) < 0)
		return -EPROTO;
	m = member_of_pid(s, (pid_t)msg.pid);
	if (m) {
		m->buried = true;
		m->asked = msg.asked;
	}
	return 0;
}

static int on_scaled(struct store *s, struct frame *f)
{
	struct msg_scaled msg;

	if (msg_scaled_decode(f, &msg) < 0)
		return -EPROTO;
	scalings_add(&s->ledger.scalings, &msg);
	return 0;
}

int peers_control(struct store *s, struct frame *f)
{
	static int (*const handlers[MSG_COUNT])(struct store * s, struct frame * f) = {
	    [MSG_PEER] = on_peer,
	    [MSG_PEERS_END] = on_peers_end,
	    [MSG_BURIED] = on_buried,
	    [MSG_SCALED] = on_scaled,
	};

	return handlers[f->type] ? handlers[f->type](s, f) : -EPROTO;
}

/* --- hello ---------------------------------------------------------------------------------- */

/* May it be read? */
static void gate(struct member *m)
{
	const struct store *s = m->s;
	bool worker = m->role == ROLE_WORKER && m->phase == MEMBER_WELCOMED;

	if (m->peer)
		peer_pause(m->peer, s->throttled ||
					(worker && (s->resting || s->disk.level == DISK_FULL)));
}

static void welcome(struct member *m)
{
	struct store *s = m->s;

	m->phase = MEMBER_WELCOMED;
	peer_send_welcome(
	    m->peer, &(struct msg_welcome){.node = slice_str(s->p->conf->daemon.name)});
	if (m->role == ROLE_WORKER)
		workers_welcome(m);
	if (m->role == ROLE_COURIER)
		courier_begin(s, m);
	gate(m);
}

/* It has said what it holds. */
static void heard(struct member *m)
{
	list_each(struct claim, claim, &m->claims.claims, link)
	{
		if (claim->unheld)
			workers_dropped(m, claim);
	}
	if (m->role == ROLE_WORKER && !m->s->recovered)
		workers_not_received(m);
	m->phase = MEMBER_WAITING;
	if (m->s->recovered)
		welcome(m);
}

static int on_hello(struct member *m, struct frame *f)
{
	struct msg_hello msg;

	if (msg_hello_decode(f, &msg) < 0)
		return -EPROTO;
	if (msg.protocol != IPC_PROTOCOL || msg.layout != BOARD_LAYOUT) {
		log_error("%s is of another version: install one build and restart skepd", m->name);
		return -EPROTO;
	}
	if (msg.role != m->role || (msg.held && m->role != ROLE_WORKER) ||
	    msg.held > CLAIMS_PER_OWNER_MAX)
		return -EPROTO;
	list_each(struct claim, claim, &m->claims.claims, link) claim->unheld = true;
	m->holds = msg.held;
	m->phase = MEMBER_HOLDING;
	if (m->holds == 0)
		heard(m);
	return 0;
}

static int on_hold(struct member *m, struct frame *f)
{
	int rc = workers_hold(m, f);

	if (rc == 0 && --m->holds == 0)
		heard(m);
	return rc;
}

/* --- frames --------------------------------------------------------------------------------- */

static member_frame_fn *handler_of(const struct member *m, enum message_type type)
{
	static member_frame_fn *const *const by_role[ROLE_COUNT] = {
	    [ROLE_WORKER] = workers_frames,
	    [ROLE_COURIER] = courier_frames,
	    [ROLE_GATEWAY] = gateway_frames,
	};
	static const enum message_type before[] = {[MEMBER_EXPECTED] = MSG_HELLO,
	    [MEMBER_HOLDING] = MSG_HOLD,
	    [MEMBER_WAITING] = MSG_NONE};

	if (m->phase != MEMBER_WELCOMED)
		return type != before[m->phase] ? NULL : type == MSG_HELLO ? on_hello : on_hold;
	return by_role[m->role] ? by_role[m->role][type] : NULL;
}

static int on_frame(struct peer *peer UNUSED, struct frame *f, void *arg)
{
	OBJ(struct member, m, arg, MEMBER_MAGIC);
	member_frame_fn *handler = handler_of(m, f->type);
	int rc;

	if (!handler) {
		log_error("%s[%d] sent %s, which is not its to say now", m->name, (int)m->pid,
		    message_name(f->type));
		return -EPROTO;
	}
	rc = handler(m, f);
	if (batch_is_full(&m->s->ledger.batch) && !m->s->throttled) {
		m->s->throttled = true;
		peers_gate(m->s);
	}
	return rc;
}

/* What a connection meant ends with it; the runs of a worker do not. */
static void disconnected(struct member *m)
{
	m->peer = NULL;
	m->phase = MEMBER_EXPECTED;
	embedded_set_want(m, 0);
	if (m->s->courier == m)
		courier_gone(m->s);
	watches_drop(&m->s->watches, m);
	waits_drop(&m->s->waits, m);
}

static void on_closed(struct peer *peer UNUSED, const char *why, void *arg)
{
	OBJ(struct member, m, arg, MEMBER_MAGIC);

	log_debug("%s[%d] %s", m->name, (int)m->pid, why);
	disconnected(m);
}

/* Reads a member's connection to its end, and ends it. */
static void finish_connection(struct member *m)
{
	if (m->peer)
		peer_drain(m->peer);
	if (!m->peer)
		return;
	peer_free(m->peer);
	disconnected(m);
}

static void adopt(struct store *s, int fd)
{
	static const struct peer_ops ops = {on_frame, on_closed};
	struct ucred cred = {0};
	socklen_t size = sizeof cred;
	struct member *m = NULL;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0)
		m = member_of_pid(s, cred.pid);
	if (!m) {
		log_warn(
		    "process %d is none of this node, its connection is closed", (int)cred.pid);
		close(fd);
		return;
	}
	finish_connection(m); /* it has left that one, or it would not make another */
	m->peer = peer_new(s->p->hub, fd, &ops, m);
}

static void accept_all(struct store *s)
{
	if (s->p->control)
		peer_drain(s->p->control);
	for (size_t i = 0; s->running && i < s->nlisteners; i++) {
		int fd;

		while ((fd = accept4(
			    s->listener_fds[i], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
			adopt(s, fd);
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			log_error("cannot accept a connection: %s", strerror(errno));
	}
}

static void on_connect(struct loop_io *io, unsigned events UNUSED)
{
	OBJ(struct store, s, io->arg, STORE_MAGIC);

	accept_all(s);
}

void peers_open(struct store *s)
{
	list_init(&s->members);
	for (int fd = INHERIT_LISTEN; fd < INHERIT_LISTEN + INHERIT_LISTEN_MAX; fd++) {
		int listening = 0;
		socklen_t size = sizeof listening;

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 || !listening)
			break;
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		s->listener_fds[s->nlisteners] = fd;
		loop_io_init(&s->listeners[s->nlisteners], s->p->loop, fd, on_connect, s);
		loop_io_set(&s->listeners[s->nlisteners++], LOOP_READ);
	}
}

/* --- the dead ------------------------------------------------------------------------------- */

static void judge(struct member *m)
{
	struct store *s = m->s;

	finish_connection(m);
	FAULT(store_buried);
	list_each(struct claim, claim, &m->claims.claims, link)
	    record_gone(&s->ledger, claim, m->asked, clock_wall_ms());
	/* It was told to go while there was no store to hear what became of its runs. */
	list_each(struct claim, claim, &s->ledger.claims.nobody.claims, link)
	{
		if (m->asked && m->role == ROLE_WORKER && strcmp(claim->worker, m->name) == 0)
			record_gone(&s->ledger, claim, true, clock_wall_ms());
	}
	member_free(m);
}

static bool any_buried(const struct store *s)
{
	list_each(struct member, m, &s->members, link)
	{
		if (m->buried)
			return true;
	}
	return false;
}

static void judge_buried(struct store *s)
{
	list_each(struct member, m, &s->members, link)
	{
		if (m->buried)
			judge(m);
	}
}

/* --- recovery ------------------------------------------------------------------------------- */

static bool all_heard(const struct store *s)
{
	list_each(struct member, m, &s->members, link)
	{
		if (m->early && m->role == ROLE_WORKER && m->phase != MEMBER_WAITING)
			return false;
	}
	return s->peers_end;
}

/* A held parcel whose run nobody has: that run was volatile, and its worker and the last store died
 * together. */
static void release_held(struct ledger *l)
{
	uint8_t text[JOBS_TEXT_BYTES];
	struct job_names names;
	int64_t id = 0, seq;
	struct job_row row;

	while (parcels_held(&l->parcels, id, &id, &seq)) {
		if (jobs_get(&l->jobs, seq, &row, &names, text))
			record_release_parcel(l, &names, seq, clock_wall_ms());
	}
}

static void recover(struct store *s)
{
	struct ledger *l = &s->ledger;
	size_t lost = l->claims.nobody.n;

	list_each(struct claim, claim, &l->claims.nobody.claims, link)
	    record_gone(l, claim, false, clock_wall_ms());
	release_held(l);
	s->recovered = true;
	log_info("ready, %zu runs lost, %llu parcels ready, %llu delayed", lost,
	    (unsigned long long)l->lanes.ready, (unsigned long long)l->parcels.delayed);
	process_ready(s->p, "ready");
	list_each(struct member, m, &s->members, link)
	{
		if (m->phase == MEMBER_WAITING)
			welcome(m);
	}
}

void peers_turn(struct store *s)
{
	if (any_buried(s)) {
		accept_all(s);
		judge_buried(s);
	}
	if (s->running && !s->recovered && all_heard(s))
		recover(s);
}

/* --- everybody ------------------------------------------------------------------------------ */

void peers_gate(struct store *s)
{
	list_each(struct member, m, &s->members, link)
		gate(m);
}

bool peers_hungry(struct store *s)
{
	bool any = false;

	list_each(struct member, m, &s->members, link)
	{
		any = any || (m->reported && m->claims.n == 0);
		m->reported = false;
	}
	return any;
}

void peers_ask(struct store *s, struct slice queue, bool always)
{
	list_each(struct member, m, &s->members, link)
	{
		if (m->role == ROLE_WORKER && m->phase == MEMBER_WELCOMED)
			peer_send_ask(m->peer, &(struct msg_ask){.queue = queue, .always = always});
	}
}

void peers_paused(struct store *s, struct slice queue, bool paused)
{
	list_each(struct member, m, &s->members, link)
	{
		if (m->role == ROLE_WORKER && m->phase == MEMBER_WELCOMED)
			peer_send_paused(
			    m->peer, &(struct msg_paused){.queue = queue, .paused = paused});
	}
}

void peers_cancel(struct store *s, const struct claim *claim)
{
	list_each(struct member, m, &s->members, link)
	{
		if (&m->claims == claim->owner && m->phase == MEMBER_WELCOMED)
			peer_send_cancel(m->peer, &(struct msg_cancel){.run = claim->run});
	}
}

void peers_drain(struct store *s)
{
	list_each(struct member, m, &s->members, link)
	{
		if (m->peer)
			peer_drain(m->peer);
	}
	judge_buried(s);
}

void peers_close(struct store *s)
{
	for (size_t i = 0; i < s->nlisteners; i++)
		loop_io_stop(&s->listeners[i]);
	while (!list_empty(&s->members)) {
		struct member *m = list_first(&s->members, struct member, link);

		if (m->peer)
			peer_flush(m->peer);
		member_free(m);
	}
}
