/* SPDX-License-Identifier: MIT */
#include "daemon/store_link.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#define LINK_MAGIC 0x736c6e6bu
#define LINK_FIRST_MS 50
#define LINK_CALM_MS 500
#define LINK_QUICK_TRIES 10

struct store_link {
	unsigned magic;
	struct process *p;
	const struct store_link_ops *ops;
	void *arg;
	struct peer *peer;
	struct loop_timer again;
	unsigned tries;
	bool up;
};

static void link_retry(struct store_link *l)
{
	l->tries++;
	loop_timer_set(&l->again, l->tries <= LINK_QUICK_TRIES ? LINK_FIRST_MS : LINK_CALM_MS);
}

static int on_frame(struct peer *peer UNUSED, struct frame *f, void *arg)
{
	OBJ(struct store_link, l, arg, LINK_MAGIC);
	struct msg_welcome welcome;

	if (f->type != MSG_WELCOME)
		return l->up ? l->ops->frame(l->arg, f) : -EPROTO;
	if (msg_welcome_decode(f, &welcome) < 0)
		return -EPROTO;
	l->up = true;
	l->tries = 0;
	l->ops->up(l->arg);
	return 0;
}

static void on_closed(struct peer *peer UNUSED, const char *why, void *arg)
{
	OBJ(struct store_link, l, arg, LINK_MAGIC);
	bool was_up = l->up;

	l->peer = NULL;
	l->up = false;
	if (was_up) {
		log_warn("store %s", why);
		l->ops->down(l->arg);
	}
	link_retry(l);
}

static int link_connect(struct store_link *l)
{
	static const struct peer_ops ops = {on_frame, on_closed};
	auto_free char *path = conf_store_socket(l->p->conf, geteuid());
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	slice_copy(sun.sun_path, sizeof sun.sun_path, slice_str(path));
	if (connect(fd, (struct sockaddr *)&sun, sizeof sun) < 0)
		return -errno;
	l->peer = peer_new(l->p->hub, take_fd(&fd), &ops, l);
	return 0;
}

static void on_again(struct loop_timer *t)
{
	OBJ(struct store_link, l, t->arg, LINK_MAGIC);
	int rc = link_connect(l);

	if (rc < 0) {
		if (l->tries == LINK_QUICK_TRIES)
			log_warn("cannot reach the store: %s", strerror(-rc));
		link_retry(l);
		return;
	}
	peer_send_hello(l->peer, &(struct msg_hello){.protocol = IPC_PROTOCOL,
				     .layout = BOARD_LAYOUT,
				     .role = (uint8_t)l->p->role_ops->id,
				     .held = l->ops->held ? l->ops->held(l->arg) : 0});
	if (l->ops->hold)
		l->ops->hold(l->arg, l->peer);
}

struct store_link *store_link_new(struct process *p, const struct store_link_ops *ops, void *arg)
{
	struct store_link *l = xcalloc(1, sizeof *l);

	l->magic = LINK_MAGIC;
	l->p = p;
	l->ops = ops;
	l->arg = arg;
	loop_timer_init(&l->again, p->loop, on_again, l);
	loop_timer_set(&l->again, 0);
	return l;
}

void store_link_free(struct store_link *l)
{
	if (!l)
		return;
	loop_timer_stop(&l->again);
	peer_free(l->peer);
	l->magic = 0;
	free(l);
}

bool store_link_is_up(const struct store_link *l)
{
	return l->up;
}

struct peer *store_link_peer(const struct store_link *l)
{
	return l->up ? l->peer : NULL;
}
