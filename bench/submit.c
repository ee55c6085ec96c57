/* SPDX-License-Identifier: MIT */
/*
 * submit SOCKET CONNECTIONS REQUESTS BYTES
 *
 * Submits CONNECTIONS x REQUESTS jobs, each in a request of its own on a connection that stays open, each connection by
 * a process of its own, each request when the one before is answered. Prints the nanoseconds that it took.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/banned.h"

#define ROOM 65536
#define CONNECTIONS_MAX 256

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "submit: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int connected(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof a.sun_path)
		die(path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die(path);
	return fd;
}

/* Reads one answer; it must be a 201. */
static void answered(int fd)
{
	static char in[ROOM];
	size_t have = 0;

	for (;;) {
		ssize_t n = read(fd, in + have, sizeof in - 1 - have);
		char *end, *length;

		if (n <= 0)
			die("no answer");
		have += (size_t)n;
		in[have] = '\0';
		end = strstr(in, "\r\n\r\n");
		length = strcasestr(in, "content-length:");
		if (!end || !length)
			continue;
		if (strncmp(in, "HTTP/1.1 201", 12) != 0) {
			fprintf(stderr, "submit: refused: %s\n", in);
			exit(1);
		}
		if (have >= (size_t)(end + 4 - in) + strtoul(length + 15, NULL, 10))
			return;
	}
}

static void submit_all(int fd, long requests, int bytes)
{
	char body[ROOM / 2], out[ROOM];
	int n;

	n = snprintf(body, sizeof body, "{\"type\":\"noop\",\"queue\":\"work\",\"body\":\"%0*d\"}", bytes, 0);
	if (n < 0 || (size_t)n >= sizeof body)
		die("BYTES");
	n = snprintf(out, sizeof out,
	    "POST /v1/jobs HTTP/1.1\r\nHost: skep\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", n,
	    body);
	for (; requests > 0; requests--) {
		if (write(fd, out, (size_t)n) != n)
			die("write");
		answered(fd);
	}
}

int main(int argc, char **argv)
{
	long connections = argc == 5 ? strtol(argv[2], NULL, 10) : 0, requests;
	int64_t began;
	int failed = 0, status;

	if (connections < 1 || connections > CONNECTIONS_MAX || (requests = strtol(argv[3], NULL, 10)) < 1) {
		fprintf(stderr, "usage: submit SOCKET CONNECTIONS REQUESTS BYTES\n");
		return 2;
	}
	began = now_ns();
	for (long i = 0; i < connections; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0) {
			submit_all(connected(argv[1]), requests, (int)strtol(argv[4], NULL, 10));
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	printf("%" PRId64 "\n", now_ns() - began);
	return failed;
}
