/* SPDX-License-Identifier: MIT */
#include "daemon/supervisor/listeners.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define LISTEN_BACKLOG 1024

void listeners_init(struct listeners *l)
{
	*l = (struct listeners){.http = -1};
}

/* conf_load() has seen that the path fits. */
static void socket_address(struct sockaddr_un *ret, const char *path)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	slice_copy(ret->sun_path, sizeof ret->sun_path, slice_str(path));
}

static int remove_stale(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "cannot look at '%s'", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST, "'%s' is in the way: it is not a socket", path);
	if (unlink(path) < 0)
		return err_sys(err, errno, "cannot remove '%s'", path);
	return 0;
}

static bool is_answered(const struct sockaddr_un *sun)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return false;
	return connect(fd, (const struct sockaddr *)sun, sizeof *sun) == 0 || errno == EAGAIN;
}

/* The mode comes from the umask: a chmod() would follow what the directory's owner has put there
 * meanwhile. */
static int bind_with_mode(int fd, const struct sockaddr_un *sun, mode_t mode)
{
	mode_t old = umask(0777 & ~mode);
	int rc = bind(fd, (const struct sockaddr *)sun, sizeof *sun) < 0 ? -errno : 0;

	umask(old);
	return rc;
}

/* Nobody can connect before listen(), so the permissions are right before they count. */
static int open_socket(
    const char *path, const struct account *owner, mode_t mode, bool ask_first, struct err *err)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sun;
	int rc;

	if (fd < 0)
		return err_sys(err, errno, "cannot make a socket");
	socket_address(&sun, path);
	if (ask_first && is_answered(&sun))
		return err_set(err, -EADDRINUSE, "another process serves '%s'", path);
	rc = remove_stale(path, err);
	if (rc < 0)
		return rc;
	rc = bind_with_mode(fd, &sun, mode);
	if (rc < 0)
		return err_sys(err, -rc, "cannot bind '%s'", path);
	if (owner->change && lchown(path, owner->ids.uid, owner->ids.gid) < 0)
		return err_sys(
		    err, errno, "cannot give '%s' to user %u", path, (unsigned)owner->ids.uid);
	if (listen(fd, LISTEN_BACKLOG) < 0)
		return err_sys(err, errno, "cannot listen on '%s'", path);
	return take_fd(&fd);
}

int listeners_add_store(
    struct listeners *l, const struct conf *conf, const struct account *account, struct err *err)
{
	auto_free char *path = NULL;
	int fd;

	for (size_t i = 0; i < l->nstore; i++) {
		if (l->store[i].uid == account->ids.uid)
			return 0;
	}
	if (l->nstore == INHERIT_LISTEN_MAX)
		return err_set(
		    err, -E2BIG, "pools and [daemon] name more than %d users", INHERIT_LISTEN_MAX);
	path = conf_store_socket(conf, account->ids.uid);
	fd = open_socket(path, account, 0600, false, err);
	if (fd < 0)
		return fd;
	l->store[l->nstore].fd = fd;
	l->store[l->nstore].uid = account->ids.uid;
	l->store[l->nstore++].path = xstrdup(path);
	return 0;
}

mode_t listeners_mode(const struct conf *conf)
{
	return (mode_t)strtoul(conf->daemon.socket_mode, NULL, 8);
}

int listeners_add_http(
    struct listeners *l, const struct conf *conf, const struct account *account, struct err *err)
{
	int fd = open_socket(conf->daemon.socket, account, listeners_mode(conf), true, err);

	if (fd < 0)
		return fd;
	l->http = fd;
	l->http_path = xstrdup(conf->daemon.socket);
	return 0;
}

void listeners_close(struct listeners *l)
{
	for (size_t i = 0; i < l->nstore; i++) {
		unlink(l->store[i].path);
		close(l->store[i].fd);
		free(l->store[i].path);
	}
	if (l->http >= 0) {
		unlink(l->http_path);
		close(l->http);
		free(l->http_path);
	}
	listeners_init(l);
}
