/* SPDX-License-Identifier: MIT */
/*
 * A call is in two lists: `unsent` or `sent` by what became of it, and `limited`, in the order of
 * age, by which it is given up. A bucket by its number finds it for the answer. Sending stops while
 * the link is full; since whatever fills the link are calls whose answers are to come, each of
 * those answers is the occasion to go on.
 */
#include "daemon/gateway/calls.h"

#include <errno.h>

#include "daemon/store_link.h"
#include "lib/base/list.h"

#define CALLS_MAGIC 0x63616c6cu
#define CALLS_BUCKETS 512

struct call {
	struct calls *calls;
	uint64_t request;
	enum message_type type;
	bool again;          /* sent before, to a store that went without an answer */
	struct list link;    /* sent or unsent */
	struct list limited; /* by age; alone if it has no limit */
	struct call *next;   /* in its bucket */
	int64_t until_ms;
	const struct submit *submit;
	char *queue, *id; /* of an ask */
	call_fn *fn;
	void *arg;
};

struct calls {
	unsigned magic;
	struct process *p;
	struct store_link *link;
	void (*up)(void *arg);
	void *arg;
	uint64_t last_request;
	struct list unsent, sent, limited;
	struct loop_timer limit;
	struct call *buckets[CALLS_BUCKETS];
};

static struct call **bucket_of(struct calls *c, uint64_t request)
{
	return &c->buckets[request % CALLS_BUCKETS];
}

static struct call *find(struct calls *c, uint64_t request)
{
	struct call *call = *bucket_of(c, request);

	while (call && call->request != request)
		call = call->next;
	return call;
}

static void set_limit(struct calls *c)
{
	struct call *oldest = list_first(&c->limited, struct call, limited);

	if (!oldest)
		loop_timer_stop(&c->limit);
	else if (!loop_timer_active(&c->limit))
		loop_timer_set(&c->limit, oldest->until_ms - loop_now_ms(c->p->loop));
}

static struct call *call_new(struct calls *c, enum message_type type, call_fn *fn, void *arg)
{
	struct call *call = xcalloc(1, sizeof *call), **bucket;

	call->calls = c;
	call->request = ++c->last_request;
	call->type = type;
	call->fn = fn;
	call->arg = arg;
	list_add_tail(&c->unsent, &call->link);
	list_init(&call->limited);
	bucket = bucket_of(c, call->request);
	call->next = *bucket;
	*bucket = call;
	if (type != MSG_WATCH) {
		call->until_ms = loop_now_ms(c->p->loop) + CALLS_LIMIT_MS;
		list_add_tail(&c->limited, &call->limited);
		set_limit(c);
	}
	return call;
}

struct call *calls_submit(struct calls *c, const struct submit *s, call_fn *fn, void *arg)
{
	struct call *call = call_new(c, MSG_SUBMIT, fn, arg);

	call->submit = s;
	return call;
}

struct call *calls_ask(struct calls *c, enum message_type type, struct slice queue, struct slice id,
    call_fn *fn, void *arg)
{
	struct call *call = call_new(c, type, fn, arg);

	call->queue = slice_dup(queue);
	call->id = slice_dup(id);
	return call;
}

void calls_drop(struct call *call)
{
	struct call **at;

	if (!call)
		return;
	at = bucket_of(call->calls, call->request);
	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	list_del(&call->link);
	list_del(&call->limited);
	free(call->queue);
	free(call->id);
	free(call);
}

static void answer(struct call *call, const struct call_answer *a)
{
	call_fn *fn = call->fn;
	void *arg = call->arg;

	calls_drop(call);
	fn(a, arg);
}

static void on_limit(struct loop_timer *t)
{
	OBJ(struct calls, c, t->arg, CALLS_MAGIC);
	int64_t now = loop_now_ms(c->p->loop);
	struct call *oldest;

	while ((oldest = list_first(&c->limited, struct call, limited)) && oldest->until_ms <= now)
		answer(oldest, &(struct call_answer){0});
	set_limit(c);
}

/* --- the store -------------------------------------------------------------------------------- */

static int send_submit(struct peer *peer, const struct call *call)
{
	const struct submit *s = call->submit;

	return peer_send_submit(peer, &(struct msg_submit){.request = call->request,
					  .queue = s->job.queue,
					  .job = s->job.id,
					  .type = s->job.type,
					  .due_wall_ms = s->due_wall_ms,
					  .delay_ms = s->delay_ms,
					  .priority = s->job.priority,
					  .envelope = buf_slice(&s->envelope),
					  .body = s->job.body});
}

static int send_call(struct peer *peer, const struct call *call)
{
	struct slice queue = slice_str(call->queue), id = slice_str(call->id);

	if (call->type == MSG_SUBMIT)
		return send_submit(peer, call);
	if (call->type == MSG_RETRY)
		return peer_send_retry(peer, &(struct msg_retry){call->request, queue, id, call->again});
	if (call->type == MSG_ABORT)
		return peer_send_abort(peer, &(struct msg_abort){call->request, queue, id, call->again});
	if (call->type == MSG_PAUSE)
		return peer_send_pause(peer, &(struct msg_pause){call->request, queue});
	if (call->type == MSG_RESUME)
		return peer_send_resume(peer, &(struct msg_resume){call->request, queue});
	return peer_send_watch(peer, &(struct msg_watch){call->request, queue, id});
}

static void refuse(struct call *call, int rc)
{
	char text[120];

	snprintf(text, sizeof text, "cannot hand it to the store: %s", strerror(-rc));
	answer(call,
	    &(struct call_answer){.status = rc == -EMSGSIZE ? 413 : 503, .text = slice_str(text)});
}

void calls_turn(struct calls *c)
{
	struct peer *peer;
	struct call *call;

	while ((call = list_first(&c->unsent, struct call, link)) &&
	       (peer = store_link_peer(c->link)) && peer_has_room(peer)) {
		int rc = send_call(peer, call);

		if (rc < 0) {
			refuse(call, rc);
			continue;
		}
		list_del(&call->link);
		list_add_tail(&c->sent, &call->link);
	}
}

static int on_frame(void *arg, struct frame *f)
{
	OBJ(struct calls, c, arg, CALLS_MAGIC);
	struct msg_reply m;
	struct call *call;

	if (msg_reply_decode(f, &m) < 0)
		return -EPROTO;
	call = find(c, m.request);
	if (call)
		answer(call, &(struct call_answer){.status = m.status,
				 .existing = m.existing,
				 .state = m.state,
				 .text = m.text});
	return 0;
}

static void on_up(void *arg)
{
	OBJ(struct calls, c, arg, CALLS_MAGIC);

	c->up(c->arg);
}

static void on_down(void *arg)
{
	OBJ(struct calls, c, arg, CALLS_MAGIC);

	while (!list_empty(&c->sent)) {
		struct call *last = list_entry(c->sent.prev, struct call, link);

		last->again = true;
		list_del(&last->link);
		list_add_head(&c->unsent, &last->link);
	}
}

struct calls *calls_new(struct process *p, void (*up)(void *arg), void *arg)
{
	static const struct store_link_ops ops = {.up = on_up, .down = on_down, .frame = on_frame};
	struct calls *c = xcalloc(1, sizeof *c);

	c->magic = CALLS_MAGIC;
	c->p = p;
	c->up = up;
	c->arg = arg;
	list_init(&c->unsent);
	list_init(&c->sent);
	list_init(&c->limited);
	loop_timer_init(&c->limit, p->loop, on_limit, c);
	c->link = store_link_new(p, &ops, c);
	return c;
}

bool calls_store_is_up(const struct calls *c)
{
	return store_link_is_up(c->link);
}
