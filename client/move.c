/* SPDX-License-Identifier: MIT */
/*
 * The files and the database are skepd's, so that it does the work (`skepd --move`): it is told where to
 * on its standard input, which nobody else can read, and says how far it is on its standard output. A ^C
 * reaches it as the terminal's.
 */
#include "client/move.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "client/progress.h"
#include "lib/base/spawn.h"
#include "lib/conf/conf_url.h"

#define TARGET_BYTES 65536

/* --- where to --------------------------------------------------------------------------------- */

/* The first line of standard input, or the option itself. False after a complaint. */
static bool read_target(const struct cli *cli, char ret[static TARGET_BYTES])
{
	const char *to = cli->args.to;
	struct err err = {0};

	if (!to) {
		cli_complain("move needs --to: embedded, or the url of a broker; see 'skep help move'");
		return false;
	}
	if (conf_url_has_password(to)) {
		cli_complain("everybody on this machine can see a password on a command line: give the url on "
			     "standard input with `--to -`, or leave the password out and set password_file");
		return false;
	}
	if (strcmp(to, "-") != 0)
		slice_copy(ret, TARGET_BYTES, slice_str(to));
	else if (!fgets(ret, TARGET_BYTES, stdin))
		*ret = '\0';
	ret[strcspn(ret, "\r\n")] = '\0';
	if (conf_url_check(ret, &err) == 0)
		return true;
	cli_complain("%s", err.text);
	return false;
}

/* --- skepd ------------------------------------------------------------------------------------ */

/* The one of this build or installation, else that of $PATH. */
static char *find_skepd(void)
{
	char own[PATH_MAX] = "", *path;

	if (readlink("/proc/self/exe", own, sizeof own - 1) < 0)
		return spawn_find("skepd", NULL);
	path = xasprintf("%.*s/skepd", (int)(strrchr(own, '/') - own), own);
	if (access(path, X_OK) == 0)
		return path;
	free(path);
	return spawn_find("skepd", NULL);
}

struct mover {
	pid_t pid;
	FILE *in, *out;
};

/* False after a complaint. */
static bool make_pipe(int ret[2])
{
	if (pipe2(ret, O_CLOEXEC) == 0)
		return true;
	cli_complain("cannot make a pipe: %s", strerror(errno));
	return false;
}

static bool spawn(const struct cli *cli, const char *path, int in, int out, pid_t *ret_pid)
{
	const char *const words[] = {"skepd", cli->args.dry_run ? "--move-count" : "--move",
	    cli->args.config ? "-c" : NULL, cli->args.config, NULL};
	const struct spawn_fd fds[] = {{in, STDIN_FILENO}, {out, STDOUT_FILENO}, {STDERR_FILENO, STDERR_FILENO}};
	const struct spawn s = {.path = path,
	    .argv = (char *const *)(uintptr_t)words,
	    .envp = environ,
	    .fds = fds,
	    .nfds = ARRAY_SIZE(fds)};
	struct err err = {0};

	if (spawn_process(&s, ret_pid, &err) == 0)
		return true;
	cli_complain("%s", err.text);
	return false;
}

static bool start(const struct cli *cli, struct mover *ret)
{
	auto_free char *path = find_skepd();
	int in[2], out[2];
	bool started;

	if (!path) {
		cli_complain("cannot find skepd beside skep or in $PATH");
		return false;
	}
	if (!make_pipe(in) || !make_pipe(out))
		return false;
	started = spawn(cli, path, in[0], out[1], &ret->pid);
	close(in[0]);
	close(out[1]);
	ret->in = fdopen(in[1], "w");
	ret->out = fdopen(out[0], "r");
	return started;
}

/* Shows each line as it comes; the last one, or NULL if it never came. */
static struct json *follow(const struct cli *cli, FILE *out)
{
	struct json *last = NULL;
	struct progress progress;
	size_t size = 0;
	auto_free char *line = NULL;
	bool over = false;

	progress_start(&progress, cli->args.no_color);
	while (!over && getline(&line, &size, out) > 0) {
		struct json *j = json_parse(slice_str(line), NULL);
		int64_t moved = cli_number(j, "moved", 0), all = moved + cli_number(j, "left", 0);

		json_get_bool(j, "over", &over);
		if (!over)
			progress_update(&progress, (uint64_t)moved, all ? (double)moved / (double)all : -1);
		json_free(last);
		last = j;
	}
	progress_clear(&progress);
	if (over)
		return last;
	json_free(last);
	return NULL;
}

/* --- what became of it ------------------------------------------------------------------------ */

static void print_result(const struct cli *cli, const struct json *r)
{
	long long moved = (long long)cli_number(r, "moved", 0), left = (long long)cli_number(r, "left", 0);
	const char *url = cli_text(r, "url", "");
	double seconds = 0;

	if (cli->args.dry_run) {
		printf("%lld job%s would move to %s\n", left, left == 1 ? "" : "s", url);
		return;
	}
	json_get_num(r, "seconds", &seconds);
	printf("%lld job%s moved in %.1f s. Now set in %s, and start skepd:\n\n[broker]\nurl = %s\n", moved,
	    moved == 1 ? "" : "s", seconds, cli_text(r, "file", "the configuration"), url);
	if (strchr(url, '@') && !strstr(url, "//guest:guest@"))
		printf("; with its password behind the user, user:password@, or with password_file\n");
}

static int finish(const struct cli *cli, const struct json *r, int code)
{
	const char *error = cli_text(r, "error", NULL);

	if (cli->args.json)
		cli_print_json(cli, r);
	else if (!error)
		print_result(cli, r);
	if (!error)
		return code;
	cli_complain("%s", error);
	if (cli_number(r, "moved", 0) || cli_number(r, "left", 0))
		cli_complain("moved: %lld, left: %lld; nothing is lost, the same command goes on",
		    (long long)cli_number(r, "moved", 0), (long long)cli_number(r, "left", 0));
	return code;
}

int move_command(struct cli *cli)
{
	char target[TARGET_BYTES];
	struct mover mover;
	struct json *last;
	int status = 0, code;

	if (!read_target(cli, target))
		return CLI_USAGE;
	signal(SIGINT, SIG_IGN);
	if (!start(cli, &mover))
		return CLI_UNAVAILABLE;
	fprintf(mover.in, "%s\n", target);
	fclose(mover.in);
	last = follow(cli, mover.out);
	fclose(mover.out);
	while (waitpid(mover.pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (last && WIFEXITED(status)) {
		code = finish(cli, last, WEXITSTATUS(status));
	} else if (WIFEXITED(status) && WEXITSTATUS(status)) {
		code = WEXITSTATUS(status); /* it has said why */
	} else {
		cli_complain("skepd ended before all was moved; nothing is lost, the same command goes on");
		code = CLI_LATER;
	}
	json_free(last);
	return code;
}
