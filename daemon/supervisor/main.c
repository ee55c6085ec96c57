/* SPDX-License-Identifier: MIT */
/*
 * skepd, the supervisor. It touches neither AMQP nor SQLite nor job bodies: it starts the other
 * processes, keeps them running, and outlives each of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/supervisor/check.h"
#include "daemon/supervisor/cli.h"
#include "daemon/supervisor/move.h"
#include "daemon/supervisor/supervisor.h"

#define PRINT_MAX_BYTES (1u << 20)

/* Descriptors 0 to 2 must be something before others are opened; what else we were started with
 * would be inherited by every handler. */
static void tidy_descriptors(void)
{
	int fd;

	close_range(STDERR_FILENO + 1, ~0u, 0);
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
}

/* A daemon logs, a command at a terminal says. */
static void complain(const struct cli *cli, const char *text)
{
	if (cli->action == CLI_RUN)
		log_error("%s", text);
	else
		fprintf(stderr, "error: %s\n", text);
}

static struct conf *load(const struct cli *cli)
{
	auto_free char *found = cli->file ? NULL : conf_default_file();
	const char *file = cli->file ? cli->file : found;
	struct conf *conf;
	struct err err = {0};

	if (!file) {
		err_set(&err, -ENOENT,
		    "no configuration: give one with -c FILE; looked for $SKEP_CONFIG, %s%s/skep/skep.conf; `skepd "
		    "--sample-config` prints one to begin with",
		    geteuid() ? "$XDG_CONFIG_HOME/skep/skep.conf (~/.config if that is not set), "
			      : "",
		    SKEP_SYSCONFDIR);
		complain(cli, err.text);
		return NULL;
	}
	conf = conf_load(file, &err);
	if (!conf)
		complain(cli, err.text);
	return conf;
}

static int print_buf(struct buf *out, int rc)
{
	if (rc < 0) {
		fprintf(stderr, "error: cannot print it: %s\n", strerror(-rc));
		return 1;
	}
	fwrite(buf_head(out), 1, buf_size(out), stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}

static int sample(void)
{
	struct buf out;
	int rc;

	buf_init(&out, PRINT_MAX_BYTES);
	rc = print_buf(&out, conf_sample(&out));
	buf_free(&out);
	return rc;
}

static int dump(const struct conf *conf)
{
	struct buf out;
	int rc;

	buf_init(&out, PRINT_MAX_BYTES);
	rc = print_buf(&out, conf_write(conf, false, true, &out));
	buf_free(&out);
	return rc;
}

static void say(const char *text)
{
	fprintf(stderr, "warning: %s\n", text);
}

static int check(const struct conf *conf)
{
	struct err err = {0};

	check_warnings(conf, say);
	if (check_errors(conf, &err) < 0) {
		fprintf(stderr, "error: %s\n", err.text);
		return 1;
	}
	printf("'%s' is fine: %zu pool%s, %zu queue%s, %zu handler%s\n", conf->file, conf->npools,
	    conf->npools == 1 ? "" : "s", conf->nqueues, conf->nqueues == 1 ? "" : "s",
	    conf->nhandlers, conf->nhandlers == 1 ? "" : "s");
	return 0;
}

static int act(const struct cli *cli)
{
	struct conf *conf;
	int rc;

	conf = load(cli);
	if (!conf)
		return cli->action == CLI_RUN ? EXIT_PERMANENT : cli->action >= CLI_MOVE ? EX_CONFIG : 1;
	if (cli->action == CLI_CHECK) {
		rc = check(conf);
	} else if (cli->action == CLI_DUMP) {
		rc = dump(conf);
	} else if (cli->action == CLI_MOVE || cli->action == CLI_COUNT) {
		rc = move_run(conf, cli->action == CLI_COUNT);
	} else {
		log_open("skepd", conf->daemon.log_level);
		rc = supervisor_run(conf, NULL);
	}
	conf_free(conf);
	return rc;
}

int main(int argc, char **argv)
{
	struct cli cli;

	tidy_descriptors();
	log_open("skepd", LOG_INFO);
	if (!cli_parse(&cli, argc, argv))
		return 2;
	switch (cli.action) {
	case CLI_HELP:
		cli_print_help();
		return 0;
	case CLI_VERSION:
		printf("skepd %s\n", SKEP_VERSION);
		return 0;
	case CLI_SAMPLE:
		return sample();
	case CLI_RUN:
	case CLI_CHECK:
	case CLI_DUMP:
	case CLI_MOVE:
	case CLI_COUNT:
		break;
	}
	return act(&cli);
}
