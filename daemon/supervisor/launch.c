/* SPDX-License-Identifier: MIT */
/*
 * How a child dies with us. Store, courier and gateway have nothing to tidy up: SIGKILL by
 * PR_SET_PDEATHSIG, and the end of the control socket where a change of user has stopped that
 * signal. A worker is not killed: it alone knows the descendants of its handlers, so it sees the
 * end of its control socket, kills them, gives its deliveries back and leaves within two seconds.
 */
#include "daemon/supervisor/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>

#define OOM_CHILD 100 /* the store excepted; workers give their handlers more than this */

static const struct {
	bool secrets, board_writable;
} roles[] = {
#define ROLE(NAME, program, count, secrets, board_writable, ...)                                   \
	[ROLE_##NAME] = {secrets, board_writable},
#include "daemon/roles.def"
#undef ROLE
};

static char *own_directory(struct err *err)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

	if (n < 0) {
		err_sys(err, errno, "cannot read /proc/self/exe");
		return NULL;
	}
	path[n] = '\0';
	*strrchr(path, '/') = '\0';
	return xstrdup(path);
}

static char *find_program(const char *dir, enum role_id role)
{
	static const char *const places[] = {".", "../libexec/skep"};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		char *path = i == 0 ? xasprintf("%s/%s", dir, role_program(role))
				    : xasprintf("%s/%s/%s", dir, places[i], role_program(role));

		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

int launch_find_programs(char *ret_paths[ROLE_COUNT], struct err *err)
{
	auto_free char *dir = own_directory(err);
	char *paths[ROLE_COUNT] = {NULL};

	if (!dir)
		return -ENOENT;
	for (enum role_id role = 0; role < ROLE_COUNT; role++) {
		if (role == ROLE_SUPERVISOR || (paths[role] = find_program(dir, role)))
			continue;
		for (size_t i = 0; i < ROLE_COUNT; i++)
			free(paths[i]);
		return err_set(err, -ENOENT,
		    "cannot find %s in '%s' or '%s/../libexec/skep': build or install all executables",
		    role_program(role), dir, dir);
	}
	memcpy(ret_paths, paths, sizeof paths);
	return 0;
}

int launch_open(
    struct launch *l, const struct conf *conf, const struct board *board, struct err *err)
{
	int rc;

	*l = (struct launch){.null = -1, .conf_open = -1, .conf_secret = -1, .board_readonly = -1};
	rc = launch_find_programs(l->paths, err);
	if (rc < 0)
		return rc;
	l->board_writable = board_fd(board);
	l->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (l->null < 0)
		rc = err_sys(err, errno, "cannot open /dev/null");
	if (rc == 0)
		rc = l->conf_open = conf_memfd(conf, false, err);
	if (rc >= 0)
		rc = l->conf_secret = conf_memfd(conf, true, err);
	if (rc >= 0)
		rc = l->board_readonly = board_fd_readonly(board, err);
	if (rc < 0)
		launch_close(l);
	return rc < 0 ? rc : 0;
}

void launch_close(struct launch *l)
{
	int *const fds[] = {&l->null, &l->conf_open, &l->conf_secret, &l->board_readonly};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	for (size_t i = 0; i < ROLE_COUNT; i++) {
		free(l->paths[i]);
		l->paths[i] = NULL;
	}
}

/* Variables that are for the supervisor alone. */
static bool env_is_ours(const char *entry)
{
	static const char *const names[] = {"NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=",
	    "LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES=", "CREDENTIALS_DIRECTORY="};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strncmp(entry, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

static bool env_is_of_user(const char *entry)
{
	static const char *const names[] = {"HOME=", "USER=", "LOGNAME=", "SHELL="};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strncmp(entry, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

/* Ours without what is for us alone; another user brings his own HOME and names. The first
 * `*ret_owned` entries are fresh strings. */
static char **env_make(const struct account *a, size_t *ret_owned)
{
	size_t n = 0;
	char **env;

	while (environ[n])
		n++;
	env = xcalloc(n + 5, sizeof *env);
	n = 0;
	if (a->change) {
		env[n++] = xasprintf("HOME=%s", a->home);
		env[n++] = xasprintf("USER=%s", a->name);
		env[n++] = xasprintf("LOGNAME=%s", a->name);
		env[n++] = xasprintf("SHELL=%s", a->shell);
	}
	*ret_owned = n;
	for (char **e = environ; *e; e++) {
		if (!env_is_ours(*e) && !(a->change && env_is_of_user(*e)))
			env[n++] = *e;
	}
	return env;
}

static void env_free(char **env, size_t owned)
{
	for (size_t i = 0; i < owned; i++)
		free(env[i]);
	free(env);
}

static size_t fds_make(const struct launch *l, enum role_id role, int control,
    const struct listeners *listeners, struct spawn_fd fds[static SPAWN_FDS_MAX])
{
	size_t n = 0;

	fds[n++] = (struct spawn_fd){l->null, STDIN_FILENO};
	fds[n++] = (struct spawn_fd){STDOUT_FILENO, STDOUT_FILENO};
	fds[n++] = (struct spawn_fd){STDERR_FILENO, STDERR_FILENO};
	fds[n++] = (struct spawn_fd){control, INHERIT_CONTROL};
	fds[n++] =
	    (struct spawn_fd){roles[role].secrets ? l->conf_secret : l->conf_open, INHERIT_CONF};
	fds[n++] = (struct spawn_fd){
	    roles[role].board_writable ? l->board_writable : l->board_readonly, INHERIT_BOARD};
	if (role == ROLE_GATEWAY)
		fds[n++] = (struct spawn_fd){listeners->http, INHERIT_LISTEN};
	for (size_t i = 0; role == ROLE_STORE && i < listeners->nstore; i++)
		fds[n++] = (struct spawn_fd){listeners->store[i].fd, INHERIT_LISTEN + (int)i};
	return n;
}

int launch_process(const struct launch *l, enum role_id role, const char *name,
    const struct account *account, const struct listeners *listeners, pid_t *ret_pid,
    int *ret_control, struct err *err)
{
	char *argv[] = {l->paths[role], (char *)(uintptr_t)name, NULL};
	struct spawn_fd fds[SPAWN_FDS_MAX];
	struct spawn s = {.path = l->paths[role], .argv = argv, .fds = fds, .new_group = true};
	int pair[2], rc;
	size_t owned;
	char **env;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, errno, "cannot make a control socket for '%s'", name);
	env = env_make(account, &owned);
	s.envp = env;
	s.nfds = fds_make(l, role, pair[1], listeners, fds);
	s.user = account->change ? &account->ids : NULL;
	s.death_signal = role == ROLE_WORKER ? 0 : SIGKILL;
	s.oom_score_adj = role == ROLE_STORE ? 0 : OOM_CHILD;
	rc = spawn_process(&s, ret_pid, err);
	env_free(env, owned);
	close(pair[1]);
	if (rc < 0)
		close(pair[0]);
	else
		*ret_control = pair[0];
	return rc;
}
