/* SPDX-License-Identifier: MIT */
#include "lib/conf/conf_paths.h"

#include <errno.h>
#include <pwd.h>
#include <sys/un.h>

#include "lib/conf/conf_settings.h"

#define HOST_NAME_BYTES 256

/* A variable that holds an absolute path; others count as unset (XDG base directory specification).
 */
static const char *env_path(const char *name)
{
	const char *value = getenv(name);

	return value && *value == '/' ? value : NULL;
}

static const char *home(void)
{
	const char *value = env_path("HOME");
	const struct passwd *pw = value ? NULL : getpwuid(geteuid());

	return value ? value : pw && pw->pw_dir && *pw->pw_dir == '/' ? pw->pw_dir : "/";
}

static char *readable(char *path)
{
	if (access(path, R_OK) == 0)
		return path;
	free(path);
	return NULL;
}

char *conf_default_file(void)
{
	const char *given = getenv("SKEP_CONFIG"), *xdg = env_path("XDG_CONFIG_HOME");
	char *path = NULL;

	if (given && *given)
		return xstrdup(given);
	if (geteuid() != 0)
		path = readable(xdg ? xasprintf("%s/skep/skep.conf", xdg)
				    : xasprintf("%s/.config/skep/skep.conf", home()));
	return path ? path : readable(xstrdup(SKEP_SYSCONFDIR "/skep/skep.conf"));
}

static char *default_state_dir(void)
{
	const char *xdg = env_path("XDG_STATE_HOME");

	if (geteuid() == 0)
		return xstrdup("/var/lib/skep");
	return xdg ? xasprintf("%s/skep", xdg) : xasprintf("%s/.local/state/skep", home());
}

/* $RUNTIME_DIRECTORY comes from systemd, and may be a list. */
static char *default_runtime_dir(void)
{
	const char *given = env_path("RUNTIME_DIRECTORY"), *xdg = env_path("XDG_RUNTIME_DIR");

	if (given)
		return xasprintf("%.*s", (int)strcspn(given, ":"), given);
	if (geteuid() == 0)
		return xstrdup("/run/skep");
	return xdg ? xasprintf("%s/skep", xdg) : xasprintf("/tmp/skep-%u", (unsigned)geteuid());
}

static char *host_name(void)
{
	char name[HOST_NAME_BYTES] = "";

	if (gethostname(name, sizeof name - 1) < 0 || !*name)
		return xstrdup("localhost");
	return xstrdup(name);
}

static void fill(char **field, char *fresh)
{
	if (**field) {
		free(fresh);
		return;
	}
	free(*field);
	*field = fresh;
}

/* The directory of the configuration file, NULL without one. */
static char *config_directory(const struct conf *c)
{
	const char *slash = c->file ? strrchr(c->file, '/') : NULL;

	if (!slash)
		return NULL;
	return slash == c->file ? xstrdup("/")
				: slice_dup(slice_of(c->file, (size_t)(slash - c->file)));
}

static int make_absolute(const struct conf *c, const struct conf_kind *k, size_t i,
    const struct conf_option *o, const char *directory, struct err *err)
{
	char **field = conf_table_field(conf_table_section(c, k, i), o), *full;

	if (!**field || **field == '/')
		return 0;
	if (!directory)
		return conf_settings_fail(c, k->word, conf_table_name(c, k, i), o->name, err,
		    "'%s' is no absolute path", *field);
	full = xasprintf("%s/%s", strcmp(directory, "/") == 0 ? "" : directory, *field);
	free(*field);
	*field = full;
	return 0;
}

static int make_all_absolute(const struct conf *c, const char *directory, struct err *err)
{
	int rc = 0;

	for (size_t n = 0; n < CONF_KINDS; n++) {
		const struct conf_kind *k = &conf_table_kinds[n];

		for (size_t i = 0; i < conf_table_count(c, k); i++) {
			for (size_t j = 0; j < k->noptions && rc == 0; j++) {
				if (k->options[j].type == CONF_PATH)
					rc = make_absolute(c, k, i, &k->options[j], directory, err);
			}
		}
	}
	return rc;
}

/* A unix socket's path has 107 bytes (unix(7)); the longest of ours is store-4294967295.sock. */
static int check_socket_paths(const struct conf *c, struct err *err)
{
	auto_free char *longest = conf_store_socket(c, (uid_t)-1);
	const size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1;

	if (strlen(longest) > most)
		return conf_settings_fail(c, "daemon", NULL, "runtime_dir", err,
		    "'%s' is too long: a socket's path has at most %zu bytes",
		    c->daemon.runtime_dir, most);
	if (strlen(c->daemon.socket) > most)
		return conf_settings_fail(c, "daemon", NULL, "socket", err,
		    "'%s' is too long: a socket's path has at most %zu bytes", c->daemon.socket,
		    most);
	return 0;
}

int conf_paths_fill(struct conf *c, struct err *err)
{
	auto_free char *directory = config_directory(c);
	int rc = make_all_absolute(c, directory, err);

	if (rc < 0)
		return rc;
	fill(&c->daemon.name, host_name());
	fill(&c->daemon.state_dir, default_state_dir());
	fill(&c->daemon.runtime_dir, default_runtime_dir());
	fill(&c->daemon.socket, xasprintf("%s/skep.sock", c->daemon.runtime_dir));
	for (size_t i = 0; i < c->nhandlers; i++)
		fill(&c->handlers[i].directory, xstrdup(directory ? directory : "/"));
	return check_socket_paths(c, err);
}

char *conf_database(const struct conf *c)
{
	return xasprintf("%s/skep.db", c->daemon.state_dir);
}

char *conf_store_socket(const struct conf *c, uid_t uid)
{
	return xasprintf("%s/store-%u.sock", c->daemon.runtime_dir, (unsigned)uid);
}
