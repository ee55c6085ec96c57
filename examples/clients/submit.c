/* SPDX-License-Identifier: MIT */
/* A client in C: cc -o submit submit.c $(pkg-config --cflags --libs skep-client)
 * submit WHERE QUEUE TYPE BODY prints the result; WHERE is - for skepd's socket, or amqp://... */
#include <stdio.h>
#include <string.h>

#include <skep/client.h>

int main(int argc, char **argv)
{
	struct skep_error error;
	struct skep_result result;
	struct skep_client *client;
	int done;

	if (argc != 5)
		return 2;
	struct skep_submission job = {.queue = argv[2], .type = argv[3], .wants_result = 1,
	    .body = argv[4], .body_bytes = strlen(argv[4])};

	client = skep_client_open(strcmp(argv[1], "-") == 0 ? NULL : argv[1], 0, &error);
	if (client && skep_submit(client, &job) != SKEP_OK)
		error = job.error;
	if (!client || job.error.code != SKEP_OK
	    || skep_wait(client, job.id, job.queue, 60000, &result, &error) != SKEP_OK) {
		fprintf(stderr, "%s\n", error.text);
		skep_client_close(client);
		return 1;
	}
	done = result.state == SKEP_JOB_DONE;
	fwrite(result.data ? result.data : "", 1, result.bytes, stdout);
	if (!done)
		fprintf(stderr, "%s\n", result.error ? result.error : "not done");
	skep_result_free(&result);
	skep_client_close(client);
	return !done;
}
