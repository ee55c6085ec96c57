/* SPDX-License-Identifier: MIT */
/* A service in C with libskep: cc -o skep skep.c $(pkg-config --cflags --libs skep) */
#include <skep/handler.h>

static int run(struct skep_job *job, void *arg)
{
	size_t n;
	const void *body = skep_job_body(job, &n);

	(void)arg;
	return skep_done(job, body, n);
}

int main(void)
{
	const struct skep_handler handler = {.run = run};

	return skep_serve(&handler) < 0;
}
