/* SPDX-License-Identifier: MIT */
#include "daemon/supervisor/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Makes `path` and what is missing above it. 0, 1 if it was there already, -errno. */
static int make_dirs(const char *path, mode_t mode, struct err *err)
{
	auto_free char *copy = xstrdup(path);

	for (char *p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return err_sys(err, errno, "cannot make directory '%s'", copy);
		*p = '/';
	}
	if (mkdir(path, mode) == 0)
		return 0;
	return errno == EEXIST ? 1 : err_sys(err, errno, "cannot make directory '%s'", path);
}

/* The runtime directory may stand in /tmp, where anybody could have made it before us. The store's
 * user is trusted with it as with the sockets in it. */
static int make_runtime_dir(const char *path, uid_t store_uid, struct err *err)
{
	struct stat st;
	int rc = make_dirs(path, 0755, err);

	if (rc < 0)
		return rc;
	if (rc == 0 && chmod(path, 0755) < 0)
		return err_sys(err, errno, "cannot set the mode of '%s'", path);
	if (stat(path, &st) < 0)
		return err_sys(err, errno, "cannot look at '%s'", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "'%s' is not a directory", path);
	if (st.st_uid != geteuid() && st.st_uid != 0 && st.st_uid != store_uid)
		return err_set(err, -EPERM,
		    "directory '%s' belongs to user %u: set runtime_dir to one of your own", path,
		    (unsigned)st.st_uid);
	if ((st.st_mode & 022) && !(st.st_mode & S_ISVTX))
		return err_set(err, -EPERM,
		    "directory '%s' is writable by others: run `chmod go-w` on it", path);
	return 0;
}

/* systemd makes its StateDirectory for the unit's user, which is root when pools change users. */
static int make_state_dir(const char *path, uid_t uid, gid_t gid, struct err *err)
{
	struct stat st;
	int rc = make_dirs(path, 0700, err);

	if (rc < 0)
		return rc;
	if (stat(path, &st) < 0)
		return err_sys(err, errno, "cannot look at '%s'", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "'%s' is not a directory", path);
	if (st.st_uid == uid)
		return 0;
	if (geteuid() != 0)
		return err_set(err, -EPERM,
		    "directory '%s' belongs to user %u: set state_dir to one of your own", path,
		    (unsigned)st.st_uid);
	if (st.st_uid != 0)
		return err_set(err, -EPERM,
		    "directory '%s' belongs to user %u, but the store runs as user %u: change the owner of it "
		    "and of the files in it",
		    path, (unsigned)st.st_uid, (unsigned)uid);
	if (chown(path, uid, gid) < 0)
		return err_sys(err, errno, "cannot give '%s' to user %u", path, (unsigned)uid);
	return 0;
}

static int lock_busy(int fd, const char *dir, struct err *err)
{
	char pid[24] = "";
	ssize_t n = pread(fd, pid, sizeof pid - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	return err_set(err, -EBUSY, "another skepd%s%s%s uses '%s'", *pid ? ", pid " : "", pid,
	    *pid ? "," : "", dir);
}

/* The directory may belong to the store's user: what stands under that name is trusted only if it
 * is a plain file with no other name. */
static int lock_take(const char *dir, struct err *err)
{
	auto_free char *path = xasprintf("%s/skepd.pid", dir);
	auto_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot open '%s'", path);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return err_set(err, -EPERM, "'%s' is not a plain file", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? lock_busy(fd, dir, err)
					    : err_sys(err, errno, "cannot lock '%s'", path);
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
		return err_sys(err, errno, "cannot write '%s'", path);
	return take_fd(&fd);
}

int instance_open(struct instance *ret, const struct conf *conf, uid_t store_uid, gid_t store_gid,
    struct err *err)
{
	struct instance i = {-1, -1};
	int rc = make_runtime_dir(conf->daemon.runtime_dir, store_uid, err);

	if (rc == 0)
		rc = make_state_dir(conf->daemon.state_dir, store_uid, store_gid, err);
	if (rc < 0)
		return rc;
	i.state_lock = lock_take(conf->daemon.state_dir, err);
	if (i.state_lock < 0)
		return i.state_lock;
	if (strcmp(conf->daemon.state_dir, conf->daemon.runtime_dir) != 0) {
		i.runtime_lock = lock_take(conf->daemon.runtime_dir, err);
		if (i.runtime_lock < 0) {
			close(i.state_lock);
			return i.runtime_lock;
		}
	}
	*ret = i;
	return 0;
}

static void lock_drop(int fd)
{
	if (fd < 0)
		return;
	if (ftruncate(fd, 0) < 0)
		errno = 0; /* the lock is what counts, the number in it is for people */
	close(fd);
}

void instance_close(struct instance *i)
{
	lock_drop(i->runtime_lock);
	lock_drop(i->state_lock);
}
