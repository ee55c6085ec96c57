/* SPDX-License-Identifier: MIT */
/* What the gateway asks for. */
#include "daemon/store/requests.h"
#include "daemon/store/store.h"

#include <errno.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"

static int reply(struct member *m, uint64_t request, const struct request_answer *a)
{
	return peer_send_reply(m->peer, &(struct msg_reply){.request = request,
					    .status = a->status,
					    .existing = a->existing,
					    .state = slice_str(a->state),
					    .text = slice_str(a->text)});
}

static int on_submit(struct member *m, struct frame *f)
{
	struct msg_submit msg;
	struct request_answer a = {.status = 507,
	    .state = "",
	    .text = "the disk of this node's database is nearly full (min_free)"};

	if (msg_submit_decode(f, &msg) < 0)
		return -EPROTO;
	if (m->s->disk.level == DISK_OK)
		a = requests_submit(&m->s->ledger, &msg, clock_wall_ms());
	return reply(m, msg.request, &a);
}

static int on_retry(struct member *m, struct frame *f)
{
	struct msg_retry msg;
	struct request_answer a;

	if (msg_retry_decode(f, &msg) < 0)
		return -EPROTO;
	a = requests_retry(&m->s->ledger, &msg, clock_wall_ms());
	return reply(m, msg.request, &a);
}

static int on_abort(struct member *m, struct frame *f)
{
	struct msg_abort msg;
	struct request_answer a;

	if (msg_abort_decode(f, &msg) < 0)
		return -EPROTO;
	a = requests_abort(&m->s->ledger, &msg, clock_wall_ms());
	return reply(m, msg.request, &a);
}

static int set_paused(struct member *m, uint64_t request, struct slice queue, bool paused)
{
	struct request_answer a = {.status = 200, .state = paused ? "paused" : "active"};
	struct ledger *l = &m->s->ledger;

	if (queue.n == 0 || queue.n > JOB_NAME_BYTES)
		return -EPROTO;
	a.existing = !pauses_set(&l->pauses, queue, paused);
	if (!a.existing) {
		log_info("queue " SLICE_FMT " is %s", SLICE_ARG(queue), a.state);
		l->events->paused(l->arg, queue, paused);
	}
	return reply(m, request, &a);
}

static int on_pause(struct member *m, struct frame *f)
{
	struct msg_pause msg;

	return msg_pause_decode(f, &msg) < 0 ? -EPROTO
					     : set_paused(m, msg.request, msg.queue, true);
}

static int on_resume(struct member *m, struct frame *f)
{
	struct msg_resume msg;

	return msg_resume_decode(f, &msg) < 0 ? -EPROTO
					      : set_paused(m, msg.request, msg.queue, false);
}

static int on_watch(struct member *m, struct frame *f)
{
	uint8_t text[JOB_NAME_BYTES];
	struct request_answer a;
	struct msg_watch msg;
	struct slice queue;

	if (msg_watch_decode(f, &msg) < 0)
		return -EPROTO;
	a = requests_watch(&m->s->ledger, &msg, text, &queue);
	if (a.status != 202)
		return reply(m, msg.request, &a);
	watches_add(&m->s->watches, m, msg.request, queue, msg.job);
	return 0;
}

member_frame_fn *const gateway_frames[MSG_COUNT] = {
    [MSG_SUBMIT] = on_submit,
    [MSG_RETRY] = on_retry,
    [MSG_ABORT] = on_abort,
    [MSG_WATCH] = on_watch,
    [MSG_PAUSE] = on_pause,
    [MSG_RESUME] = on_resume,
};

static void tell(void *arg, void *owner, uint64_t request)
{
	const enum job_state *state = arg;
	struct member *m = owner;

	if (m->peer)
		reply(m, request,
		    &(struct request_answer){.status = 200, .state = job_state_name(*state)});
}

void gateway_job_over(struct store *s, const struct job_names *job, enum job_state state)
{
	watches_fire(&s->watches, job->queue, job->id, tell, &state);
}
