/* SPDX-License-Identifier: MIT */
/*
 * libskep-client: submits jobs and waits for them, over skepd's unix socket or straight to a broker.
 *
 *     #include <skep/client.h>
 *
 *     struct skep_error error;
 *     struct skep_client *client = skep_client_open(NULL, 0, &error);
 *     struct skep_submission job = {.type = "thumbnail", .body = "one.jpg", .body_bytes = 7};
 *     struct skep_result result;
 *
 *     if (!client || skep_submit(client, &job) != SKEP_OK)
 *             ...error.text, or job.error.text, says why
 *     if (skep_wait(client, job.id, job.queue, 30000, &result, &error) == SKEP_OK)
 *             ...result.state, result.data
 *     skep_result_free(&result);
 *     skep_client_close(client);
 *
 * Link with `pkg-config --cflags --libs skep-client`.
 *
 * What both ways have in common: a job that was accepted is durable, and repeating a submission with
 * its id after an error is safe: the job ends once. Over the socket the repeat changes nothing. On a
 * broker the same id may run twice, unless the queue has `dedupe = yes` in the configuration of skep,
 * but is recorded once.
 *
 * The library prints nothing, handles and raises no signals, and keeps no state outside of its clients.
 * It ends the process (abort) only when memory runs out. A client belongs to one thread at a time, and
 * not to a child after fork(2); threads that work at the same time open one each.
 */
#ifndef SKEP_CLIENT_H
#define SKEP_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include <skep/version.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef SKEP_API
#ifdef __GNUC__
#define SKEP_API __attribute__((visibility("default")))
#define SKEP_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define SKEP_API
#define SKEP_PRINTF(f, a)
#endif
#endif

/* How a call ended. The numbers stay what they are; later versions may add some. */
enum skep_code {
	SKEP_OK = 0,
	SKEP_UNREACHABLE = 1, /* nobody answers, or the connection broke: try again later */
	SKEP_TIMEOUT = 2,     /* it took too long. A submission may have been accepted */
	SKEP_REFUSED = 3,     /* wrong password, or not permitted */
	SKEP_INVALID = 4,     /* it is wrong as it is: a name too long, no queue, a body too large */
	SKEP_NO_HANDLER = 5,  /* the node has no handler for that type (socket) */
	SKEP_UNROUTABLE = 6,  /* there is no such queue (broker) */
	SKEP_FULL = 7,        /* no room now, on the disk or in the queue: try again later */
	SKEP_NOT_FOUND = 8,   /* the job, or its result, is not known */
	SKEP_FAILED = 9       /* an answer that was not to be expected; the text says which */
};

#define SKEP_ERROR_BYTES 400

struct skep_error {
	enum skep_code code;
	char text[SKEP_ERROR_BYTES]; /* for people; empty with SKEP_OK. Never holds a password */
};

struct skep_client;

/*
 * `where`: NULL for skepd's socket where the skep command finds it ($SKEP_SOCKET, the configuration, the
 * usual places); a path, or unix:PATH; or amqp://user:password@host:port/vhost. `timeout_ms` limits each
 * call but skep_wait(); 0 means 30 s. NULL with `error` (which may be NULL) when nobody answers there.
 */
SKEP_API struct skep_client *skep_client_open(
    const char *where, int64_t timeout_ms, struct skep_error *error);

/* NULL is fine. On a broker it may take up to two seconds to part in an orderly way. */
SKEP_API void skep_client_close(struct skep_client *client);

#define SKEP_ID_BYTES 256
#define SKEP_NO_RETRIES (-1)

/* Members that are 0 are not given: initialise the whole, `= {0}` or by designators. Names have 1 to
 * 255 bytes of UTF-8 without control characters. */
struct skep_submission {
	/* Picks the handler; NULL: the queue's. */
	const char *type;

	/* NULL: the queue whose default handler is the type, and so on (skep(1)); a broker needs it. */
	const char *queue;

	/* Any bytes. */
	const void *body;
	size_t body_bytes;

	/* The job's id. If it is empty a new one is written here before anything is sent. */
	char id[SKEP_ID_BYTES];

	int retries;  /* after a failed first attempt, to 1000, or SKEP_NO_RETRIES; 0: the handler's */
	int priority; /* to 255, for queues that have them */
	int64_t timeout_ms; /* limit on one attempt; the handler's own limit stays */
	int64_t delay_ms;   /* not before so much later; on a broker, by this machine's clock */
	int64_t at_ms;      /* not before this time, milliseconds since 1970; not with delay_ms */
	int64_t expires_ms; /* not started after this time, likewise */
	const char *content_type, *correlation_id;

	/* A queue of your own to which the result is sent (docs/PROTOCOL.md). */
	const char *reply_to;

	/*
	 * Not 0: skep_wait() will be called with this id, once. The socket does not need it; on a broker it
	 * sends the result to a queue of this client, so reply_to must be NULL. The results that
	 * come are kept, up to 256 MiB, until they are waited for.
	 */
	int wants_result;

	/* Written: what became of it, and whether (queue, id) was known already (socket). */
	struct skep_error error;
	int existing;
};

/* Submits one job. Returns and fills job->error. */
SKEP_API enum skep_code skep_submit(struct skep_client *client, struct skep_submission *job);

/*
 * Submits many at once: over the socket in a request for each MiB of them, on a broker without waiting for
 * one's confirm before the next. Each has its own job->error; returns the code of the first that is not
 * SKEP_OK.
 */
SKEP_API enum skep_code skep_submit_many(
    struct skep_client *client, struct skep_submission *jobs, size_t n);

enum skep_state {
	SKEP_JOB_DONE = 1,      /* the result is in `data` */
	SKEP_JOB_DEAD = 2,      /* will not run again; `error` says why */
	SKEP_JOB_CANCELLED = 3, /* on request */
	SKEP_JOB_EXPIRED = 4    /* expires_ms had passed before it started */
};

struct skep_result {
	enum skep_state state;
	char *data;   /* of SKEP_JOB_DONE: any bytes and a NUL behind them; NULL: it is no longer kept */
	size_t bytes; /* without that NUL */
	int cut;      /* the handler wrote more than its max_result (socket) */
	char *error;  /* of the other states: why; or NULL */
};

/*
 * Waits until the job is over, timeout_ms at most (0: looks, negative: for ever). `queue` tells two jobs
 * with one id apart and may be NULL, as `error` may. SKEP_OK: it is over, however it ended, and *ret is
 * to be freed; otherwise *ret is empty:
 *
 * SKEP_TIMEOUT: not over yet. SKEP_NOT_FOUND: over the socket, no such job; on a broker, it was not
 * submitted by this client with wants_result, or was waited for before. SKEP_UNREACHABLE, on a broker:
 * the results that came while the connection was lost are lost with it; another wait may still get one
 * that comes now, and the socket of its node has all.
 */
SKEP_API enum skep_code skep_wait(struct skep_client *client, const char *id, const char *queue,
    int64_t timeout_ms, struct skep_result *ret, struct skep_error *error);

SKEP_API void skep_result_free(struct skep_result *result);

#ifdef __cplusplus
}
#endif

#endif
