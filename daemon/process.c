/* SPDX-License-Identifier: MIT */
/*
 * The life of a child: read what was inherited, wait for START on the control socket, run the role. The end
 * of the control socket means that the supervisor is gone; PR_SET_PDEATHSIG, set before exec, has usually
 * been faster, except across uids.
 */
#include "daemon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>

#include "daemon/inherit.h"

#define PROCESS_MAPPED_BYTES (128 << 10)

static const struct {
	const char *program;
} roles[] = {
#define ROLE(NAME, exe, ...) [ROLE_##NAME] = {exe},
#include "daemon/roles.def"
#undef ROLE
};

struct child {
	struct process p;
	struct loop_hook publish;
	struct loop_signal term;
	bool started, changed;
};

const char *role_program(enum role_id role)
{
	return (unsigned)role < ROLE_COUNT ? roles[role].program : "unknown";
}

const char *role_word(enum role_id role)
{
	const char *program = role_program(role);

	return strncmp(program, "skep-", 5) == 0 ? program + 5 : program;
}

static void stop_role(struct child *c, bool hurry, int64_t within_ms)
{
	if (!c->started) {
		process_exit(&c->p, EXIT_DRAINED);
		return;
	}
	c->p.stopping = true;
	if (c->p.slot) {
		c->p.slot->state = BOARD_STOPPING;
		process_board_changed(&c->p);
	}
	c->p.role_ops->stop(&c->p, hurry, within_ms);
}

static int on_start(struct child *c, struct frame *f)
{
	struct process *p = &c->p;
	struct msg_start m;
	struct err err = {0};

	if (c->started || msg_start_decode(f, &m) < 0 || m.move >= MOVE_COUNT)
		return -EPROTO;
	if (m.protocol != IPC_PROTOCOL || m.layout != BOARD_LAYOUT)
		log_fatal(EXIT_PERMANENT, "the supervisor is of another version: install all executables "
					  "of one build and restart skepd");
	p->slot_index = m.slot;
	p->generation = m.generation;
	p->move = (enum node_move)m.move;
	slice_copy(p->pool, sizeof p->pool, m.pool);
	slice_copy(p->name, sizeof p->name, m.name);
	log_open(p->name, p->conf->daemon.log_level);
	if (p->role_ops->id != ROLE_GATEWAY) {
		p->slot = board_draft(p->board, p->slot_index);
		p->slot->pid = getpid();
	}
	c->started = true;
	if (p->role_ops->start(p, &err) < 0) {
		bool permanent = err.code == -EINVAL || err.code == -EPERM || err.code == -ENOENT ||
				 err.code == -EACCES;

		log_fatal(permanent ? EXIT_PERMANENT : EXIT_TEMPORARY, "%s", err.text);
	}
	return 0;
}

static int on_frame(struct peer *peer UNUSED, struct frame *f, void *arg)
{
	struct child *c = arg;
	struct msg_stop stop;

	switch ((int)f->type) {
	case MSG_START:
		return on_start(c, f);
	case MSG_STOP:
		if (msg_stop_decode(f, &stop) < 0)
			return -EPROTO;
		stop_role(c, stop.hurry, stop.within_ms);
		return 0;
	}
	return c->started && c->p.role_ops->control ? c->p.role_ops->control(&c->p, f) : -EPROTO;
}

static void on_closed(struct peer *peer UNUSED, const char *why, void *arg)
{
	struct child *c = arg;

	c->p.control = NULL;
	log_warn("supervisor %s, leaving", why);
	stop_role(c, true, 0);
}

/* Children take orders from the supervisor alone; a terminal's ^C goes to the supervisor's group. A TERM
 * from elsewhere is obeyed all the same. */
static void on_term(struct loop_signal *s)
{
	struct child *c = s->arg;

	stop_role(c, c->p.stopping, c->p.conf->daemon.stop_timeout);
}

static void on_publish(struct loop_hook *hook)
{
	struct child *c = hook->arg;

	if (!c->changed || !c->p.slot)
		return;
	c->changed = false;
	board_publish(c->p.board, c->p.slot_index);
}

static void child_open(struct child *c)
{
	static const struct peer_ops ops = {on_frame, on_closed};
	struct process *p = &c->p;
	struct err err = {0};

	for (int fd = INHERIT_CONTROL; fd < INHERIT_LISTEN + INHERIT_LISTEN_MAX; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags >= 0)
			fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
		else if (fd <= INHERIT_BOARD)
			log_fatal(EXIT_PERMANENT, "descriptor %d is missing: %s is started by skepd, not by hand",
			    fd, role_program(p->role_ops->id));
	}
	p->conf = conf_from_fd(INHERIT_CONF, &err);
	if (!p->conf)
		log_fatal(EXIT_PERMANENT, "%s", err.text);
	close(INHERIT_CONF);
	p->board = board_open(INHERIT_BOARD, p->role_ops->id != ROLE_GATEWAY, &err);
	if (!p->board)
		log_fatal(EXIT_TEMPORARY, "%s", err.text);
	close(INHERIT_BOARD);
	if (p->role_ops->before_hub)
		p->role_ops->before_hub(p);
	p->hub = peer_hub_new(p->loop);
	p->control = peer_new(p->hub, INHERIT_CONTROL, &ops, c);
	loop_hook_add(p->loop, &c->publish, on_publish, c);
	loop_signal_start(&c->term, p->loop, SIGTERM, on_term, c);
}

int process_main(const struct role *role, int argc, char **argv)
{
	struct child c = {.p = {.role_ops = role}};

	log_open(role_word(role->id), LOG_INFO);
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("%s %s\n", role_program(role->id), SKEP_VERSION);
		return 0;
	}
	/* Large bodies come and go: each is a mapping of its own and goes back to the system when it is freed. Left
	 * to itself, malloc keeps such blocks in its heap after the first. */
	mallopt(M_MMAP_THRESHOLD, PROCESS_MAPPED_BYTES);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	c.p.loop = loop_new();
	child_open(&c);
	loop_run(c.p.loop);
	return c.p.exit_code;
}

void process_ready(struct process *p, const char *status)
{
	if (p->control)
		peer_send_ready(p->control, &(struct msg_ready){.text = slice_str(status)});
	if (p->slot && p->slot->state == BOARD_STARTING) {
		p->slot->state = BOARD_READY;
		process_board_changed(p);
	}
}

void process_board_changed(struct process *p)
{
	struct child *c = (struct child *)(void *)((char *)p - offsetof(struct child, p));

	c->changed = true;
}

void process_exit(struct process *p, int code)
{
	p->exit_code = code;
	if (p->control)
		peer_flush(p->control);
	loop_stop(p->loop);
}
