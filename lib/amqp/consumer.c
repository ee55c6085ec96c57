/* SPDX-License-Identifier: MIT */
/*
 * Everything that starts a session goes out in one write: channel.open first, then, once it is answered, the
 * topology, qos and consume together. The state says which answer comes next; a step that fails closes the
 * channel, and the broker drops what was sent behind it.
 *
 * An owner may free the consumer in any of its callbacks, so each is the last thing done with it.
 */
#include "lib/amqp/consumer.h"

#include <errno.h>
#include <inttypes.h>

#include "lib/amqp/acks.h"
#include "lib/amqp/conn.h"
#include "lib/amqp/connector.h"
#include "lib/amqp/declare.h"

#define CONSUMER_MAGIC 0x636f6e73u
#define CONSUMER_BACKOFF_FIRST_MS 500
#define CONSUMER_BACKOFF_MAX_MS 30000
#define CONSUMER_PARKED_MS 60000
#define CONSUMER_REPEAT_MS 60000 /* how often the same trouble is told */
#define CONSUMER_STABLE_MS 60000 /* consumed for so long: the next failure is the first one */

enum consumer_state {
	CONSUMER_WAITING,
	CONSUMER_PARKED,
	CONSUMER_OPENING,
	CONSUMER_TOPOLOGY,
	CONSUMER_QOS,
	CONSUMER_CONSUMING,
	CONSUMER_PAUSING,  /* cancel is sent */
	CONSUMER_PAUSED,   /* the channel is open and no consumer there */
	CONSUMER_RESUMING, /* qos and consume are sent, not for the first time in this session */
	CONSUMER_CANCELLING,
	CONSUMER_STOPPED,
};

#define TO(state) (1u << CONSUMER_##state)
static const unsigned allowed[] = {
    [CONSUMER_WAITING] = TO(OPENING) | TO(PARKED) | TO(STOPPED),
    [CONSUMER_PARKED] = TO(OPENING) | TO(WAITING) | TO(STOPPED),
    [CONSUMER_OPENING] = TO(TOPOLOGY) | TO(QOS) | TO(PAUSED) | TO(WAITING) | TO(PARKED) | TO(STOPPED),
    [CONSUMER_TOPOLOGY] = TO(QOS) | TO(PAUSED) | TO(WAITING) | TO(PARKED) | TO(STOPPED),
    [CONSUMER_QOS] = TO(CONSUMING) | TO(WAITING) | TO(PARKED) | TO(STOPPED),
    [CONSUMER_CONSUMING] = TO(PAUSING) | TO(CANCELLING) | TO(WAITING) | TO(PARKED) | TO(STOPPED),
    [CONSUMER_PAUSING] = TO(PAUSED) | TO(CANCELLING) | TO(WAITING) | TO(PARKED),
    [CONSUMER_PAUSED] = TO(RESUMING) | TO(WAITING) | TO(PARKED) | TO(STOPPED),
    [CONSUMER_RESUMING] = TO(CONSUMING) | TO(CANCELLING) | TO(WAITING) | TO(PARKED),
    [CONSUMER_CANCELLING] = TO(STOPPED),
    [CONSUMER_STOPPED] = 0,
};
#undef TO

struct amqp_consumer {
	unsigned magic;
	struct amqp_conn *conn;
	struct channel *channel;
	const struct conf_queue *queue;
	enum conf_topology topology;
	uint16_t wanted;   /* prefetch */
	uint16_t prefetch; /* of the consumer that the broker was asked for; 0: there is none */
	const struct amqp_consumer_events *events;
	void *arg;

	enum consumer_state state;
	uint32_t session, consumes; /* consumes: makes each tag another */
	bool delivering; /* this session has begun to consume */
	bool resuming;   /* stopped while it resumed: two more answers come */
	size_t steps;    /* of the topology, not yet answered */
	unsigned tries;
	int64_t since_ms, told_ms; /* since_ms: has begun; told_ms: 0 when there was nothing to tell */
	struct loop_timer timer;
	struct tags tags;
	struct acks acks;
	char tag[256];
};

static void set_state(struct amqp_consumer *c, enum consumer_state state)
{
	if (!(allowed[c->state] >> state & 1))
		BUG("consumer of '%s' goes from state %d to %d", c->queue->section, c->state, state);
	c->state = state;
}

/* --- consume and cancel ----------------------------------------------------------------------------- */

static void send_consume(struct amqp_consumer *c)
{
	amqp_basic_qos_t qos = {.prefetch_count = c->wanted};
	amqp_basic_consume_t consume = {.queue = wire_str(c->queue->section)};
	char host[65] = "";

	c->prefetch = c->wanted;
	tags_allow(&c->tags, c->prefetch);
	channel_send(c->channel, AMQP_BASIC_QOS_METHOD, &qos);
	gethostname(host, sizeof host - 1);
	snprintf(c->tag, sizeof c->tag, "%s.%ld.%.150s.%" PRIu32, host, (long)getpid(),
	    c->queue->section, ++c->consumes);
	consume.consumer_tag = wire_str(c->tag);
	channel_send(c->channel, AMQP_BASIC_CONSUME_METHOD, &consume);
}

static void send_cancel(struct amqp_consumer *c)
{
	amqp_basic_cancel_t m = {.consumer_tag = wire_str(c->tag)};

	channel_send(c->channel, AMQP_BASIC_CANCEL_METHOD, &m);
}

/* The consumer that is there has another prefetch than is wanted: it must go first. */
static void pause_if_changed(struct amqp_consumer *c)
{
	if (c->state != CONSUMER_CONSUMING || c->wanted == c->prefetch)
		return;
	set_state(c, CONSUMER_PAUSING);
	send_cancel(c);
}

static void resume(struct amqp_consumer *c)
{
	if (c->state != CONSUMER_PAUSED || c->wanted == 0 || tags_unsettled(&c->tags) > c->wanted / 2)
		return;
	set_state(c, CONSUMER_RESUMING);
	acks_write(&c->acks);
	send_consume(c);
}

void amqp_consumer_set_prefetch(struct amqp_consumer *c, uint16_t n)
{
	if (n > AMQP_PREFETCH_MAX)
		BUG("a prefetch of %u", n);
	c->wanted = n;
	pause_if_changed(c);
	resume(c);
}

bool amqp_consumer_is_paused(const struct amqp_consumer *c)
{
	return c->wanted == 0 && c->prefetch == 0;
}

/* --- a session begins ----------------------------------------------------------------------------- */

static void begin(struct amqp_consumer *c)
{
	if (!amqp_conn_is_up(c->conn))
		return;
	loop_timer_stop(&c->timer);
	set_state(c, CONSUMER_OPENING);
	c->session++;
	c->prefetch = 0;
	tags_reset(&c->tags);
	channel_open(c->channel);
}

static void on_conn_up(void *arg)
{
	OBJ(struct amqp_consumer, c, arg, CONSUMER_MAGIC);

	if (c->state == CONSUMER_WAITING || c->state == CONSUMER_PARKED)
		begin(c);
}

static void on_timer(struct loop_timer *timer)
{
	OBJ(struct amqp_consumer, c, timer->arg, CONSUMER_MAGIC);

	begin(c);
}

/* The topology is there, and the consumer on its way, unless none is wanted for now. */
static void topology_done(struct amqp_consumer *c)
{
	set_state(c, c->prefetch ? CONSUMER_QOS : CONSUMER_PAUSED);
	c->since_ms = loop_now_ms(conn_loop(c->conn));
	resume(c);
}

static void on_opened(void *arg)
{
	OBJ(struct amqp_consumer, c, arg, CONSUMER_MAGIC);
	struct topology_step steps[TOPOLOGY_STEPS_MAX];

	c->steps = topology_steps(c->topology, c->queue, steps);
	for (size_t i = 0; i < c->steps; i++)
		declare_send(c->channel, &steps[i]);
	if (c->wanted)
		send_consume(c);
	if (c->steps)
		set_state(c, CONSUMER_TOPOLOGY);
	else
		topology_done(c);
}

/* --- and ends ------------------------------------------------------------------------------------- */

/* The session is void. True if the owner must be told. */
static bool end_session(struct amqp_consumer *c)
{
	bool told = c->delivering;

	c->delivering = false;
	c->session++;
	c->prefetch = 0;
	tags_reset(&c->tags);
	return told;
}

/* The queue is there and may be used. */
static bool has_begun(const struct amqp_consumer *c)
{
	return c->state == CONSUMER_CONSUMING || c->state == CONSUMER_PAUSING
	    || c->state == CONSUMER_PAUSED || c->state == CONSUMER_RESUMING;
}

static void wait_or_park(struct amqp_consumer *c, bool park)
{
	if (has_begun(c)
	    && loop_now_ms(conn_loop(c->conn)) - c->since_ms >= CONSUMER_STABLE_MS)
		c->tries = 0;
	set_state(c, park ? CONSUMER_PARKED : CONSUMER_WAITING);
	if (park) {
		loop_timer_set(&c->timer, CONSUMER_PARKED_MS);
	} else {
		loop_timer_set(&c->timer, connector_backoff_ms(c->tries, CONSUMER_BACKOFF_FIRST_MS,
						CONSUMER_BACKOFF_MAX_MS));
		c->tries++;
	}
}

/* The broker closed the channel. Wrong arguments and missing permissions stay wrong until somebody acts; all
 * else may pass by itself: a queue whose node is down (404), one that is locked (405), an ack timeout (406
 * while consuming). */
static void refused(struct amqp_consumer *c, unsigned code, const char *why)
{
	bool park = code == AMQP_ACCESS_REFUSED
	    || (code == AMQP_PRECONDITION_FAILED && !has_begun(c));
	int64_t now = loop_now_ms(conn_loop(c->conn));

	if (park) {
		conn_notice(c->conn, AMQP_NOTICE_ALERT,
		    "queue '%s' is parked, next try in a minute: %u %s", c->queue->section, code, why);
	} else if (c->told_ms == 0 || now - c->told_ms >= CONSUMER_REPEAT_MS) {
		conn_notice(c->conn, AMQP_NOTICE_WARN, "queue '%s': %u %s", c->queue->section, code,
		    why);
		c->told_ms = now;
	}
	wait_or_park(c, park);
}

static void on_closed(void *arg, unsigned code, const char *why)
{
	OBJ(struct amqp_consumer, c, arg, CONSUMER_MAGIC);
	const struct amqp_consumer_events *events = c->events;
	bool lost = end_session(c), stopped = c->state == CONSUMER_CANCELLING;
	void *owner = c->arg;

	switch (c->state) {
	case CONSUMER_CANCELLING:
		set_state(c, CONSUMER_STOPPED);
		break;
	case CONSUMER_STOPPED:
		break;
	case CONSUMER_WAITING:
	case CONSUMER_PARKED:
		BUG("consumer of '%s': a channel that it did not open is closed", c->queue->section);
	case CONSUMER_OPENING:
	case CONSUMER_TOPOLOGY:
	case CONSUMER_QOS:
	case CONSUMER_CONSUMING:
	case CONSUMER_PAUSING:
	case CONSUMER_PAUSED:
	case CONSUMER_RESUMING:
		if (code) {
			refused(c, code, why);
		} else {
			/* The connection is lost: conn_up begins again, whatever the backoff. */
			set_state(c, CONSUMER_WAITING);
		}
		break;
	}
	if (lost && stopped) {
		/* The owner may free `c` when it is told of the second. */
		events->lost(owner);
		events->stopped(owner);
	} else if (lost) {
		events->lost(owner);
	} else if (stopped) {
		events->stopped(owner);
	}
}

/* --- methods -------------------------------------------------------------------------------------- */

/* Also after amqp_consumer_stop(), which does not wait for them. */
static bool awaits_consume_ok(const struct amqp_consumer *c)
{
	return c->state == CONSUMER_QOS || c->state == CONSUMER_RESUMING
	    || (c->state == CONSUMER_CANCELLING && c->resuming);
}

static int on_qos_ok(struct amqp_consumer *c, const amqp_method_t *m UNUSED, struct err *err)
{
	if (!awaits_consume_ok(c))
		return err_set(err, -EPROTO, "the broker sent an unexpected qos-ok");
	return 0;
}

static int on_consume_ok(struct amqp_consumer *c, const amqp_method_t *m UNUSED, struct err *err)
{
	if (!awaits_consume_ok(c))
		return err_set(err, -EPROTO, "the broker sent an unexpected consume-ok");
	c->delivering = true;
	c->told_ms = 0;
	c->resuming = false;
	if (c->state == CONSUMER_CANCELLING)
		return 0;
	set_state(c, CONSUMER_CONSUMING);
	pause_if_changed(c);
	return 0;
}

static int on_cancel_ok(struct amqp_consumer *c, const amqp_method_t *m UNUSED, struct err *err)
{
	if (c->state == CONSUMER_PAUSING) {
		set_state(c, CONSUMER_PAUSED);
		c->prefetch = 0;
		resume(c);
		return 0;
	}
	if (c->state != CONSUMER_CANCELLING)
		return err_set(err, -EPROTO, "the broker sent an unexpected cancel-ok");
	set_state(c, CONSUMER_STOPPED);
	c->events->stopped(c->arg);
	return 0;
}

/* The queue was deleted, or its leader moved. Closing the channel requeues what is unsettled, so that the next
 * session begins clean. */
static int on_cancel(struct amqp_consumer *c, const amqp_method_t *m UNUSED, struct err *err UNUSED)
{
	if (c->state == CONSUMER_CANCELLING) {
		set_state(c, CONSUMER_STOPPED);
		c->events->stopped(c->arg);
		return 0;
	}
	if (!has_begun(c))
		return 0;
	conn_notice(c->conn, AMQP_NOTICE_WARN,
	    "queue '%s': the broker cancelled the consumer (the queue was deleted or has moved)",
	    c->queue->section);
	channel_close(c->channel);
	end_session(c);
	wait_or_park(c, false);
	c->events->lost(c->arg);
	return 0;
}

static const struct {
	amqp_method_number_t id;
	int (*fn)(struct amqp_consumer *c, const amqp_method_t *m, struct err *err);
} methods[] = {
    {AMQP_BASIC_QOS_OK_METHOD, on_qos_ok},
    {AMQP_BASIC_CONSUME_OK_METHOD, on_consume_ok},
    {AMQP_BASIC_CANCEL_OK_METHOD, on_cancel_ok},
    {AMQP_BASIC_CANCEL_METHOD, on_cancel},
};

static int on_method(void *arg, const amqp_method_t *m, struct err *err)
{
	OBJ(struct amqp_consumer, c, arg, CONSUMER_MAGIC);

	if (c->state == CONSUMER_TOPOLOGY && declare_is_answer(m->id)) {
		if (--c->steps == 0)
			topology_done(c);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (methods[i].id == m->id)
			return methods[i].fn(c, m, err);
	}
	return err_set(err, -EPROTO, "the broker sent an unexpected %s to a consumer",
	    amqp_method_name(m->id));
}

/* --- deliveries ----------------------------------------------------------------------------------- */

static void reject(struct amqp_consumer *c, uint64_t tag)
{
	amqp_basic_reject_t m = {.delivery_tag = tag};

	channel_send(c->channel, AMQP_BASIC_REJECT_METHOD, &m);
}

/*~ 1. A message is whole: method, header and body frames were put together in content.c. It is
 * borrowed for the call; its tag is what an ack needs. Next: delivery.c copies it. */
static int on_content(void *arg, const struct content *content, struct err *err)
{
	OBJ(struct amqp_consumer, c, arg, CONSUMER_MAGIC);
	struct amqp_tag tag = {c->session, content->delivery_tag};

	if (content->method != AMQP_BASIC_DELIVER_METHOD || tags_add(&c->tags, tag.delivery) < 0) {
		return err_set(err, -EPROTO, "the broker sent a message that queue '%s' did not expect",
		    c->queue->section);
	}
	if (content->oversize) {
		amqp_consumer_reject(c, tag);
		c->events->oversize(c->arg, &content->m, content->body_bytes);
	} else {
		c->events->delivery(c->arg, tag, &content->m);
	}
	return 0;
}

bool amqp_consumer_tag_valid(const struct amqp_consumer *c, struct amqp_tag tag)
{
	return c->delivering && tag.session == c->session && tags_has(&c->tags, tag.delivery);
}

void amqp_consumer_ack(struct amqp_consumer *c, struct amqp_tag tag)
{
	if (!amqp_consumer_tag_valid(c, tag))
		return;
	acks_add(&c->acks, tag.delivery, c->state == CONSUMER_CONSUMING ? c->prefetch : 0);
}

void amqp_consumer_requeue(struct amqp_consumer *c, struct amqp_tag tag)
{
	amqp_basic_nack_t m = {.delivery_tag = tag.delivery, .requeue = 1};

	if (!amqp_consumer_tag_valid(c, tag))
		return;
	tags_drop(&c->tags, tag.delivery);
	channel_send(c->channel, AMQP_BASIC_NACK_METHOD, &m);
}

void amqp_consumer_reject(struct amqp_consumer *c, struct amqp_tag tag)
{
	if (!amqp_consumer_tag_valid(c, tag))
		return;
	tags_drop(&c->tags, tag.delivery);
	reject(c, tag.delivery);
}

static void on_before_write(void *arg)
{
	OBJ(struct amqp_consumer, c, arg, CONSUMER_MAGIC);

	acks_write(&c->acks);
	resume(c); /* it may have waited for these */
}

/* --- life ----------------------------------------------------------------------------------------- */

struct amqp_consumer *amqp_consumer_new(struct amqp_conn *conn, const struct conf_queue *queue,
    enum conf_topology topology, uint16_t prefetch, uint64_t max_body_bytes,
    const struct amqp_consumer_events *events, void *arg)
{
	static const struct channel_ops ops = {
	    .conn_up = on_conn_up,
	    .opened = on_opened,
	    .method = on_method,
	    .content = on_content,
	    .closed = on_closed,
	    .before_write = on_before_write,
	};
	struct amqp_consumer *c = xcalloc(1, sizeof *c);

	if (prefetch == 0 || prefetch > AMQP_PREFETCH_MAX)
		BUG("a consumer without a bound on its deliveries");
	c->magic = CONSUMER_MAGIC;
	c->conn = conn;
	c->queue = queue;
	c->topology = topology;
	c->wanted = prefetch;
	c->events = events;
	c->arg = arg;
	tags_init(&c->tags);
	loop_timer_init(&c->timer, conn_loop(conn), on_timer, c);
	c->channel = channel_new(conn, max_body_bytes, &ops, c);
	acks_init(&c->acks, conn, c->channel, &c->tags);
	begin(c);
	return c;
}

void amqp_consumer_free(struct amqp_consumer *c)
{
	if (!c)
		return;
	loop_timer_stop(&c->timer);
	acks_stop(&c->acks);
	channel_free(c->channel);
	tags_free(&c->tags);
	c->magic = 0;
	free(c);
}

void amqp_consumer_stop(struct amqp_consumer *c)
{
	switch (c->state) {
	case CONSUMER_CANCELLING:
	case CONSUMER_STOPPED:
		return;
	case CONSUMER_RESUMING:
	case CONSUMER_CONSUMING:
		c->resuming = c->state == CONSUMER_RESUMING;
		send_cancel(c);
		set_state(c, CONSUMER_CANCELLING);
		return;
	case CONSUMER_PAUSING:
		set_state(c, CONSUMER_CANCELLING);
		return;
	case CONSUMER_PAUSED:
		break;
	case CONSUMER_WAITING:
	case CONSUMER_PARKED:
	case CONSUMER_OPENING:
	case CONSUMER_TOPOLOGY:
	case CONSUMER_QOS:
		/* What the broker may just be sending goes back with the channel. */
		loop_timer_stop(&c->timer);
		channel_close(c->channel);
		end_session(c);
		break;
	}
	set_state(c, CONSUMER_STOPPED);
	c->events->stopped(c->arg);
}

size_t amqp_consumer_unsettled(const struct amqp_consumer *c)
{
	return tags_unsettled(&c->tags);
}

bool amqp_consumer_is_consuming(const struct amqp_consumer *c)
{
	return c->state == CONSUMER_CONSUMING;
}
