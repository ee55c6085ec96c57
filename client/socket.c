/* SPDX-License-Identifier: MIT */
#include "client/socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/conf/conf.h"

#define PLACES_MAX 5

static char *of_config(const char *file, struct err *err)
{
	struct conf *c = conf_load(file, err);
	char *path = c ? xstrdup(c->daemon.socket) : NULL;

	conf_free(c);
	return path;
}

/* A name in /tmp could be anybody's: there the socket must be ours, or root's. */
static bool listens(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	auto_fd int fd = -1;
	struct stat st;

	if (strlen(path) >= sizeof address.sun_path || stat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	if (strncmp(path, "/tmp/", 5) == 0 && st.st_uid != getuid() && st.st_uid != 0)
		return false;
	slice_copy(address.sun_path, sizeof address.sun_path, slice_str(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
}

static size_t default_places(char *places[static PLACES_MAX])
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	auto_free char *file = conf_default_file();
	char *configured = file ? of_config(file, NULL) : NULL;
	size_t n = 0;

	/* It may be readable for skepd alone, or wrong: then the usual directories are still worth
	 * a try. */
	if (configured)
		places[n++] = configured;
	if (xdg && *xdg && getuid() != 0)
		places[n++] = xasprintf("%s/skep/skep.sock", xdg);
	if (getuid() != 0)
		places[n++] = xasprintf("/tmp/skep-%u/skep.sock", (unsigned)getuid());
	places[n++] = xstrdup("/run/skep/skep.sock");
	return n;
}

static char *try_defaults(struct err *err)
{
	char *places[PLACES_MAX], *found = NULL, tried[ERR_TEXT_BYTES / 2] = "";
	size_t n = default_places(places), used = 0;

	for (size_t i = 0; i < n; i++) {
		if (!found && listens(places[i]))
			found = xstrdup(places[i]);
		if (used < sizeof tried)
			used += (size_t)snprintf(
			    tried + used, sizeof tried - used, "%s'%s'", i ? ", " : "", places[i]);
		free(places[i]);
	}
	if (!found)
		err_set(err, -ENOENT, "nothing answers on %s", tried);
	return found;
}

char *socket_find(const char *socket_option, const char *config_option, struct err *err)
{
	const char *variable = getenv("SKEP_SOCKET");
	char *path;

	if (socket_option)
		return xstrdup(socket_option);
	if (config_option) {
		path = of_config(config_option, err);
		if (!path && err)
			err->code = -EINVAL;
		return path;
	}
	return variable && *variable ? xstrdup(variable) : try_defaults(err);
}
