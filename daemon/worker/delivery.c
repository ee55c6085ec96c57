/* SPDX-License-Identifier: MIT */
#include "daemon/worker/delivery.h"

#define DELIVERY_LARGE_BYTES (256u << 10) /* a body that is not copied */

/* The slices of a job that borrow from its message; `queue` is the configuration's. */
static const size_t borrowed[] = {
    offsetof(struct job, id),
    offsetof(struct job, type),
    offsetof(struct job, correlation_id),
    offsetof(struct job, reply_to),
    offsetof(struct job, content_type),
    offsetof(struct job, content_encoding),
    offsetof(struct job, app_id),
    offsetof(struct job, user_id),
    offsetof(struct job, key),
    offsetof(struct job, home),
    offsetof(struct job, traceparent),
    offsetof(struct job, node),
    offsetof(struct job, headers),
    offsetof(struct job, body),
};

static const bool may_follow[DELIVERY_STATE_COUNT][DELIVERY_STATE_COUNT] = {
    [DELIVERY_WAITING] = {[DELIVERY_ASKING] = true,
	[DELIVERY_CLEARED] = true,
	[DELIVERY_AHEAD] = true,
	[DELIVERY_RUNNING] = true,
	[DELIVERY_TAKING] = true,
	[DELIVERY_RECORDING] = true,
	[DELIVERY_OVER] = true},
    [DELIVERY_ASKING] = {[DELIVERY_CLEARED] = true,
	[DELIVERY_TAKING] = true,
	[DELIVERY_RECORDING] = true,
	[DELIVERY_OVER] = true},
    [DELIVERY_CLEARED] = {[DELIVERY_AHEAD] = true,
	[DELIVERY_RUNNING] = true,
	[DELIVERY_TAKING] = true,
	[DELIVERY_RECORDING] = true},
    [DELIVERY_AHEAD] = {[DELIVERY_WAITING] = true,
	[DELIVERY_CLEARED] = true,
	[DELIVERY_RUNNING] = true},
    [DELIVERY_RUNNING] = {[DELIVERY_RECORDING] = true},
    [DELIVERY_TAKING] = {[DELIVERY_OVER] = true},
    [DELIVERY_RECORDING] = {[DELIVERY_OVER] = true},
};

static const char *const state_names[DELIVERY_STATE_COUNT] = {
    [DELIVERY_WAITING] = "waiting",
    [DELIVERY_ASKING] = "asking",
    [DELIVERY_CLEARED] = "cleared",
    [DELIVERY_AHEAD] = "ahead",
    [DELIVERY_RUNNING] = "running",
    [DELIVERY_TAKING] = "taking",
    [DELIVERY_RECORDING] = "recording",
    [DELIVERY_OVER] = "over",
};

const char *delivery_state_name(enum delivery_state state)
{
	return (unsigned)state < DELIVERY_STATE_COUNT ? state_names[state] : "unknown";
}

void delivery_set_state(struct delivery *d, enum delivery_state state)
{
	if (!may_follow[d->state][state])
		BUG("delivery goes from %s to %s", delivery_state_name(d->state),
		    delivery_state_name(state));
	d->state = state;
}

static struct slice *slice_at(struct job *job, size_t offset)
{
	return (struct slice *)(void *)((char *)job + offset);
}

static struct delivery *copy_of(const struct job *read)
{
	struct job job = *read;
	struct delivery *d;
	size_t n = 0;
	uint8_t *to;

	for (size_t i = 0; i < ARRAY_SIZE(borrowed); i++)
		n += slice_at(&job, borrowed[i])->n;
	d = xmalloc(sizeof *d + n);
	*d = (struct delivery){.job = job};
	to = d->bytes;
	for (size_t i = 0; i < ARRAY_SIZE(borrowed); i++) {
		struct slice *s = slice_at(&d->job, borrowed[i]);

		if (!s->p)
			continue;
		if (s->n)
			memcpy(to, s->p, s->n);
		s->p = to;
		to += s->n;
	}
	return d;
}

static void take_body(struct delivery *d, struct buf *from)
{
	d->body = *from;
	buf_init(from, from->max);
	d->job.body = buf_slice(&d->body);
}

static struct delivery *make(
    struct source *source, struct source_tag tag, const struct job *job, int64_t now_ms)
{
	struct delivery *d = copy_of(job);

	list_init(&d->link);
	d->source = source;
	d->tag = tag;
	d->arrived_ms = now_ms;
	d->job.queue = slice_str(source->queue->section);
	d->type = d->job.type.n ? d->job.type : slice_str(source->queue->handler);
	d->end = (struct run_end){.exit_code = -1, .started_wall_ms = JOB_NOT_GIVEN};
	return d;
}

/*~ 2. The message becomes a delivery: envelope_read() (lib/job/envelope.c) turns properties and
 * headers into a struct job, and the run id is minted. Next: dispatch.c, begin(). */
struct delivery *delivery_new(struct source *source, struct source_tag tag, const struct message *m,
    int64_t now_wall_ms, int64_t now_ms)
{
	struct slice queue = slice_str(source->queue->section);
	char minted[ID_TEXT_BYTES];
	struct delivery *d;
	struct err err = {0};
	struct job job;
	int rc = envelope_read(&job, m, queue, now_wall_ms, &err);
	bool large = m->body_buf && m->body.n >= DELIVERY_LARGE_BYTES;

	if (large)
		job.body = slice_of(NULL, 0);
	d = make(source, tag, &job, now_ms);
	if (large)
		take_body(d, m->body_buf);
	d->run = id_new();
	if (rc < 0)
		d->fault = xstrdup(err.text);
	d->nameless = d->job.id.n == 0;
	if (d->nameless)
		delivery_rename(d, slice_str(id_format(minted, id_new())));
	return d;
}

struct delivery *delivery_dealt(
    struct source *source, const struct msg_deal *m, int64_t now_ms, struct err *err)
{
	struct delivery *d;
	struct job job;

	if (envelope_unpack(&job, m->envelope, err) < 0)
		return NULL;
	job.body = m->body;
	job.parcel = m->parcel;
	job.at_wall_ms = JOB_NOT_GIVEN; /* it was due, or it would not be here */
	d = make(source, (struct source_tag){0}, &job, now_ms);
	d->run = m->run;
	d->attempt = m->attempt;
	d->alone = m->alone;
	d->verdict = VERDICT_RUN;
	d->settled = true;
	return d;
}

void delivery_free(struct delivery *d)
{
	if (!d)
		return;
	list_del(&d->link);
	buf_free(&d->end.result);
	buf_free(&d->end.logs);
	buf_free(&d->body);
	free(d->fault);
	free(d);
}

void delivery_drop_body(struct delivery *d)
{
	d->job.body = slice_of(NULL, 0);
	buf_free(&d->body);
}

void delivery_rename(struct delivery *d, struct slice id)
{
	d->job.id = slice_str(slice_copy(d->own_id, sizeof d->own_id, id));
}

bool delivery_must_ask(const struct delivery *d)
{
	return d->source->ask || d->source->queue->dedupe || d->job.redelivered ||
	       d->job.parcel != 0 || d->job.deliveries >= DELIVERY_MANY;
}

int64_t delivery_due_wall_ms(const struct delivery *d)
{
	return d->job.at_wall_ms;
}

bool delivery_same_job(const struct delivery *a, const struct delivery *b)
{
	return slice_eq(a->job.queue, b->job.queue) && slice_eq(a->job.id, b->job.id);
}

bool delivery_is_held(const struct delivery *d)
{
	return d->state == DELIVERY_ASKING || d->state == DELIVERY_RUNNING ||
	       (d->state == DELIVERY_RECORDING && d->ran) ||
	       (d->verdict == VERDICT_RUN && d->state != DELIVERY_OVER);
}

int64_t delivery_timeout_ms(const struct delivery *d)
{
	int64_t most = d->handler->timeout;
	int64_t asked = d->job.timeout_ms > 0 ? d->job.timeout_ms : 0;

	if (asked == 0 || most == 0)
		return asked + most;
	return asked < most ? asked : most;
}
