/* SPDX-License-Identifier: MIT */
/*
 * What running a command for each job costs without a queue: N processes, each of which does nothing but
 * posix_spawn(3) with three pipes, write the body, read both outputs to their end and wait4(2). The
 * measure that handlers.py holds skep against.
 *
 * usage: spawnloop PROCESSES JOBS BODY_BYTES PROGRAM [ARGUMENT...]
 *
 * Prints nanoseconds from the first start to the last end, and the CPU of the loops and of what they
 * started.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BODY_MAX 65536 /* what a pipe takes before anybody reads */
#define PROCESSES_MAX 256

/* One page that all the processes share. */
struct shared {
	atomic_long left;
	atomic_long own_ns, started_ns;
};

struct work {
	char **argv;
	char body[BODY_MAX];
	size_t size;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000l + t.tv_nsec;
}

static long cpu_ns(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000l +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000l;
}

static void read_to_end(int out, int err)
{
	struct pollfd fds[2] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};
	static char chunk[65536];
	int left = 2;

	while (left > 0) {
		if (poll(fds, 2, -1) < 0)
			die("poll");
		for (int i = 0; i < 2; i++) {
			if (fds[i].fd < 0 || !fds[i].revents)
				continue;
			if (read(fds[i].fd, chunk, sizeof chunk) > 0)
				continue;
			close(fds[i].fd);
			fds[i].fd = -1;
			left--;
		}
	}
}

static void run_one(const struct work *w)
{
	extern char **environ;
	posix_spawn_file_actions_t actions;
	int in[2], out[2], err[2], status, rc;
	struct rusage usage;
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		die("pipe2");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_adddup2(&actions, err[1], 2);
	rc = posix_spawn(&pid, w->argv[0], &actions, NULL, w->argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (rc) {
		errno = rc;
		die(w->argv[0]);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	if (write(in[1], w->body, w->size) < 0 && errno != EPIPE)
		die("write");
	close(in[1]);
	read_to_end(out[0], err[0]);
	if (wait4(pid, &status, 0, &usage) != pid || status != 0) {
		fprintf(stderr, "%s: ended with status %d\n", w->argv[0], status);
		exit(1);
	}
}

static void loop(struct shared *s, const struct work *w)
{
	signal(SIGPIPE, SIG_IGN); /* a program need not read its body */
	while (atomic_fetch_sub(&s->left, 1) > 0)
		run_one(w);
	atomic_fetch_add(&s->own_ns, cpu_ns(RUSAGE_SELF));
	atomic_fetch_add(&s->started_ns, cpu_ns(RUSAGE_CHILDREN));
	_exit(0);
}

int main(int argc, char **argv)
{
	static struct work w;
	long processes, jobs, began;
	struct shared *s;
	int failed = 0;

	if (argc < 5) {
		fprintf(stderr, "usage: spawnloop PROCESSES JOBS BODY_BYTES PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	processes = strtol(argv[1], NULL, 10);
	jobs = strtol(argv[2], NULL, 10);
	w.size = strtoul(argv[3], NULL, 10);
	w.argv = argv + 4;
	if (processes < 1 || processes > PROCESSES_MAX || jobs < 1 || w.size > BODY_MAX) {
		fprintf(stderr, "spawnloop: out of bounds\n");
		return 2;
	}
	memset(w.body, 'x', w.size);
	s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		die("mmap");
	atomic_init(&s->left, jobs);
	began = now_ns();
	for (long i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0)
			loop(s, &w);
	}
	for (int status; wait(&status) > 0;)
		failed |= status;
	if (failed)
		return 1;
	printf("{\"jobs\": %ld, \"wall_ns\": %ld, \"loop_cpu_ns\": %ld, \"program_cpu_ns\": %ld}\n", jobs,
	    now_ns() - began, atomic_load(&s->own_ns), atomic_load(&s->started_ns));
	return 0;
}
