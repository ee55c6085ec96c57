/* SPDX-License-Identifier: MIT */
/*
 * When the broker closes the channel, nobody says which message was the cause, and everything that was behind it is
 * gone. A 404 or 403 is about the exchange, and passes: all outstanding are UNSENT. A 406 is about one message
 * (too large for the broker, for the most part), which would come back for ever and take its neighbours along
 * each time. So after a 406 with several outstanding the publisher is careful: it publishes one at a time, until a
 * 406 meets a message that is alone, which is REFUSED, or until as many have passed as were outstanding.
 *
 * Topology is declared queue by queue; one that the broker refuses is left out until the next connection and the
 * rest goes on.
 */
#include "lib/amqp/publisher.h"

#include <errno.h>

#include "lib/amqp/confirms.h"
#include "lib/amqp/conn.h"
#include "lib/amqp/connector.h"
#include "lib/amqp/declare.h"
#include "lib/amqp/props.h"

#define PUBLISHER_MAGIC 0x7075626cu
#define PUBLISHER_BACKOFF_FIRST_MS 500
#define PUBLISHER_BACKOFF_MAX_MS 60000
#define PUBLISHER_PARKED_MS 60000 /* the exchanges themselves cannot be declared */
#define PUBLISHER_TICKS 4         /* looks at a deadline before it passes */
#define PUBLISHER_POOL_BYTES 4096

enum publisher_state {
	PUBLISHER_WAITING,
	PUBLISHER_OPENING,
	PUBLISHER_TOPOLOGY,
	PUBLISHER_CONFIRM, /* confirm.select is sent */
	PUBLISHER_UP,
};

#define TO(state) (1u << PUBLISHER_##state)
static const unsigned allowed[] = {
    [PUBLISHER_WAITING] = TO(OPENING),
    [PUBLISHER_OPENING] = TO(TOPOLOGY) | TO(CONFIRM) | TO(WAITING),
    [PUBLISHER_TOPOLOGY] = TO(CONFIRM) | TO(WAITING),
    [PUBLISHER_CONFIRM] = TO(UP) | TO(WAITING),
    [PUBLISHER_UP] = TO(WAITING),
};
#undef TO

/* What is declared together: the exchanges, or one queue with its bindings. */
struct unit {
	size_t steps; /* sent and not answered */
	bool refused; /* by the broker, on this connection */
};

struct amqp_publisher {
	unsigned magic;
	struct amqp_conn *conn;
	struct channel *channel;
	struct amqp_publisher_config config;
	const struct amqp_publisher_events *events;
	void *arg;

	enum publisher_state state;
	unsigned tries;
	struct unit *units; /* [0] the exchanges, [1 + i] queue i */
	size_t nunits, unit; /* unit: the one whose answers come next */
	struct confirms confirms;
	uint32_t careful;    /* so many more are published one at a time */
	bool paused;         /* blocked when deadlines were last looked at */
	int64_t calm_ms;     /* deadlines count from here at the earliest: the end of a block */
	struct loop_timer timer, tick;
	amqp_pool_t pool;
};

static void set_state(struct amqp_publisher *p, enum publisher_state state)
{
	if (!(allowed[p->state] >> state & 1))
		BUG("publisher goes from state %d to %d", p->state, state);
	p->state = state;
}

/* --- opening -------------------------------------------------------------------------------------- */

static void begin(struct amqp_publisher *p)
{
	if (!amqp_conn_is_up(p->conn))
		return;
	loop_timer_stop(&p->timer);
	confirms_reset(&p->confirms);
	set_state(p, PUBLISHER_OPENING);
	channel_open(p->channel);
}

static void on_conn_up(void *arg)
{
	OBJ(struct amqp_publisher, p, arg, PUBLISHER_MAGIC);

	for (size_t i = 0; i < p->nunits; i++)
		p->units[i].refused = false;
	if (p->state == PUBLISHER_WAITING)
		begin(p);
}

static void on_timer(struct loop_timer *timer)
{
	OBJ(struct amqp_publisher, p, timer->arg, PUBLISHER_MAGIC);

	begin(p);
}

static void declare_unit(struct amqp_publisher *p, size_t unit, size_t exchanges)
{
	const struct conf *conf = p->config.conf;
	const struct conf_queue *queue = unit ? &conf->queues[unit - 1] : NULL;
	struct topology_step steps[TOPOLOGY_STEPS_MAX];
	size_t n = topology_steps(conf->broker.topology, queue, steps);
	size_t first = unit ? exchanges : 0;

	p->units[unit].steps = 0;
	if (p->units[unit].refused)
		return;
	for (size_t i = first; i < n; i++)
		declare_send(p->channel, &steps[i]);
	p->units[unit].steps = n - first;
}

/* Steps over units that have no answer to wait for. */
static bool more_answers(struct amqp_publisher *p)
{
	while (p->unit < p->nunits && p->units[p->unit].steps == 0)
		p->unit++;
	return p->unit < p->nunits;
}

static void on_opened(void *arg)
{
	OBJ(struct amqp_publisher, p, arg, PUBLISHER_MAGIC);
	amqp_confirm_select_t select = {0};
	struct topology_step steps[TOPOLOGY_STEPS_MAX];

	p->unit = 0;
	if (p->nunits) {
		size_t exchanges = topology_steps(p->config.conf->broker.topology, NULL, steps);

		for (size_t i = 0; i < p->nunits; i++)
			declare_unit(p, i, exchanges);
	}
	channel_send(p->channel, AMQP_CONFIRM_SELECT_METHOD, &select);
	set_state(p, more_answers(p) ? PUBLISHER_TOPOLOGY : PUBLISHER_CONFIRM);
}

/* --- settling ------------------------------------------------------------------------------------- */

static void settle(struct amqp_publisher *p, const struct confirm *c, enum amqp_settled how,
    const char *reason)
{
	if (p->careful && how != AMQP_UNSENT)
		p->careful--;
	p->events->settled(p->arg, c->key, how, reason);
}

static void settle_all(struct amqp_publisher *p, enum amqp_settled how, const char *reason)
{
	struct confirm c;

	loop_timer_stop(&p->tick);
	while (confirms_take_any(&p->confirms, &c))
		settle(p, &c, how, reason);
}

static void on_confirmed(struct amqp_publisher *p, uint64_t seq, bool multiple, bool ack)
{
	struct confirm c;

	/* A tag of 0 with `multiple` means all outstanding (AMQP 0-9-1, basic.ack). */
	if (multiple && seq == 0)
		seq = UINT64_MAX;
	while (confirms_take(&p->confirms, seq, multiple, &c)) {
		if (!ack)
			settle(p, &c, AMQP_NACKED, "the broker refused it for now (basic.nack)");
		else if (c.returned)
			settle(p, &c, AMQP_RETURNED, "no queue takes it (312 NO_ROUTE)");
		else
			settle(p, &c, AMQP_CONFIRMED, NULL);
	}
	p->tries = 0;
	if (p->confirms.open == 0)
		loop_timer_stop(&p->tick);
	p->events->room(p->arg);
}

static int on_ack(struct amqp_publisher *p, const amqp_method_t *m, struct err *err UNUSED)
{
	const amqp_basic_ack_t *ack = m->decoded;

	on_confirmed(p, ack->delivery_tag, ack->multiple, true);
	return 0;
}

static int on_nack(struct amqp_publisher *p, const amqp_method_t *m, struct err *err UNUSED)
{
	const amqp_basic_nack_t *nack = m->decoded;

	on_confirmed(p, nack->delivery_tag, nack->multiple, false);
	return 0;
}

static int on_select_ok(struct amqp_publisher *p, const amqp_method_t *m UNUSED, struct err *err)
{
	if (p->state != PUBLISHER_CONFIRM)
		return err_set(err, -EPROTO, "the broker sent an unexpected select-ok");
	set_state(p, PUBLISHER_UP);
	p->events->room(p->arg);
	return 0;
}

static const struct {
	amqp_method_number_t id;
	int (*fn)(struct amqp_publisher *p, const amqp_method_t *m, struct err *err);
} methods[] = {
    {AMQP_BASIC_ACK_METHOD, on_ack},
    {AMQP_BASIC_NACK_METHOD, on_nack},
    {AMQP_CONFIRM_SELECT_OK_METHOD, on_select_ok},
};

static int on_method(void *arg, const amqp_method_t *m, struct err *err)
{
	OBJ(struct amqp_publisher, p, arg, PUBLISHER_MAGIC);

	if (p->state == PUBLISHER_TOPOLOGY && declare_is_answer(m->id)) {
		p->units[p->unit].steps--;
		if (!more_answers(p))
			set_state(p, PUBLISHER_CONFIRM);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (methods[i].id == m->id)
			return methods[i].fn(p, m, err);
	}
	return err_set(err, -EPROTO, "the broker sent an unexpected %s to a publisher",
	    amqp_method_name(m->id));
}

/* An unroutable message comes back before it is confirmed; its body is of no interest. */
static int on_content(void *arg, const struct content *content, struct err *err)
{
	OBJ(struct amqp_publisher, p, arg, PUBLISHER_MAGIC);

	if (content->method != AMQP_BASIC_RETURN_METHOD)
		return err_set(err, -EPROTO, "the broker delivered a message to a publisher");
	confirms_returned(&p->confirms, props_key(&content->m, p->config.key_header));
	return 0;
}

/* --- failures ------------------------------------------------------------------------------------- */

static void retry_later(struct amqp_publisher *p, int64_t wait_ms)
{
	set_state(p, PUBLISHER_WAITING);
	loop_timer_set(&p->timer, wait_ms);
}

static void retry_with_backoff(struct amqp_publisher *p)
{
	retry_later(p, connector_backoff_ms(p->tries++, PUBLISHER_BACKOFF_FIRST_MS,
			   PUBLISHER_BACKOFF_MAX_MS));
}

static void topology_refused(struct amqp_publisher *p, unsigned code, const char *why)
{
	if (p->unit == 0 || p->unit >= p->nunits) {
		conn_notice(p->conn, AMQP_NOTICE_ALERT,
		    "cannot declare the exchanges, nothing is published; next try in a minute: %u %s",
		    code, why);
		retry_later(p, PUBLISHER_PARKED_MS);
		return;
	}
	conn_notice(p->conn, AMQP_NOTICE_ALERT, "cannot declare queue '%s': %u %s",
	    p->config.conf->queues[p->unit - 1].section, code, why);
	p->units[p->unit].refused = true;
	/* Each queue is refused once, so this ends. */
	retry_later(p, 0);
}

static void publish_refused(struct amqp_publisher *p, unsigned code, const char *why)
{
	uint32_t open = p->confirms.open;
	bool one = code == AMQP_PRECONDITION_FAILED && open == 1;

	conn_notice(p->conn, code == AMQP_PRECONDITION_FAILED ? AMQP_NOTICE_WARN : AMQP_NOTICE_ALERT,
	    "the broker closed the publishing channel: %u %s", code, why);
	retry_with_backoff(p);
	if (one) {
		/* The culprit is found; no reason to hold the others back. */
		p->careful = 0;
		p->tries = 0;
	} else if (code == AMQP_PRECONDITION_FAILED && open > p->careful) {
		p->careful = open;
	}
	settle_all(p, one ? AMQP_REFUSED : AMQP_UNSENT, why);
}

static void on_closed(void *arg, unsigned code, const char *why)
{
	OBJ(struct amqp_publisher, p, arg, PUBLISHER_MAGIC);

	if (code == 0) {
		set_state(p, PUBLISHER_WAITING);
		settle_all(p, AMQP_UNSENT, why);
	} else if (p->state == PUBLISHER_UP) {
		publish_refused(p, code, why);
	} else {
		topology_refused(p, code, why);
	}
}

static void on_tick(struct loop_timer *timer)
{
	OBJ(struct amqp_publisher, p, timer->arg, PUBLISHER_MAGIC);
	int64_t since = confirms_oldest_ms(&p->confirms), now = loop_now_ms(conn_loop(p->conn));
	bool was_paused = p->paused;

	p->paused = amqp_conn_is_blocked(p->conn);
	if (p->paused)
		return;
	if (was_paused)
		p->calm_ms = now;
	if (since < p->calm_ms)
		since = p->calm_ms;
	if (now - since < p->config.confirm_timeout_ms)
		return;
	conn_notice(p->conn, AMQP_NOTICE_WARN, "the broker confirmed nothing for %lld s",
	    (long long)(p->config.confirm_timeout_ms / 1000));
	channel_close(p->channel);
	retry_with_backoff(p);
	settle_all(p, AMQP_UNSENT, "no confirm in time");
}

static void on_room(void *arg)
{
	OBJ(struct amqp_publisher, p, arg, PUBLISHER_MAGIC);

	p->events->room(p->arg);
}

/* --- life ----------------------------------------------------------------------------------------- */

struct amqp_publisher *amqp_publisher_new(struct amqp_conn *conn,
    const struct amqp_publisher_config *config, const struct amqp_publisher_events *events, void *arg)
{
	static const struct channel_ops ops = {
	    .conn_up = on_conn_up,
	    .opened = on_opened,
	    .method = on_method,
	    .content = on_content,
	    .closed = on_closed,
	    .room = on_room,
	};
	struct amqp_publisher *p = xcalloc(1, sizeof *p);

	p->magic = PUBLISHER_MAGIC;
	p->conn = conn;
	p->config = *config;
	if (!p->config.key_header)
		p->config.key_header = PROPS_PARCEL_HEADER;
	p->events = events;
	p->arg = arg;
	if (config->declares && config->conf->broker.topology == TOPOLOGY_DECLARE)
		p->nunits = config->conf->nqueues + 1;
	p->units = xcalloc(p->nunits, sizeof *p->units);
	confirms_init(&p->confirms, config->window);
	init_amqp_pool(&p->pool, PUBLISHER_POOL_BYTES);
	loop_timer_init(&p->timer, conn_loop(conn), on_timer, p);
	loop_timer_init(&p->tick, conn_loop(conn), on_tick, p);
	p->channel = channel_new(conn, 0, &ops, p);
	begin(p);
	return p;
}

void amqp_publisher_free(struct amqp_publisher *p)
{
	if (!p)
		return;
	loop_timer_stop(&p->timer);
	loop_timer_stop(&p->tick);
	channel_free(p->channel);
	confirms_free(&p->confirms);
	empty_amqp_pool(&p->pool);
	free(p->units);
	p->magic = 0;
	free(p);
}

uint32_t amqp_publisher_room(const struct amqp_publisher *p)
{
	if (p->state != PUBLISHER_UP || amqp_conn_is_blocked(p->conn)
	    || amqp_conn_backlog(p->conn) > AMQP_OUT_HIGH_BYTES)
		return 0;
	if (p->careful)
		return p->confirms.open == 0;
	return confirms_room(&p->confirms);
}

uint32_t amqp_publisher_outstanding(const struct amqp_publisher *p)
{
	return p->confirms.open;
}

bool amqp_publisher_has(const struct amqp_publisher *p, uint64_t key)
{
	return confirms_has(&p->confirms, key);
}

static int encode(struct amqp_publisher *p, uint64_t key, const struct message *m, struct err *err)
{
	amqp_basic_publish_t publish = {.exchange = wire_bytes(m->exchange),
	    .routing_key = wire_bytes(m->routing_key), .mandatory = 1};
	amqp_basic_properties_t props;
	int rc = props_write(&props, m, p->config.key_header, key, &p->pool, err);

	if (rc == 0)
		rc = channel_publish(p->channel, &publish, &props, m->body);
	recycle_amqp_pool(&p->pool);
	if (rc == -E2BIG) {
		return err_set(err, rc, "its properties and headers do not fit an AMQP frame, or one is "
		    "longer than 255 bytes");
	}
	/* The out-buffer takes one largest message above its high mark. */
	if (rc == -ENOBUFS)
		return err_set(err, -E2BIG, "its body of %zu bytes is too large", m->body.n);
	return rc;
}

int amqp_publisher_publish(struct amqp_publisher *p, uint64_t key, const struct message *m,
    struct err *err)
{
	int rc;

	if (amqp_publisher_room(p) == 0)
		return err_set(err, -EAGAIN, "the publisher has no room");
	rc = encode(p, key, m, err);
	if (rc < 0)
		return rc;
	confirms_push(&p->confirms, key, loop_now_ms(conn_loop(p->conn)));
	if (!loop_timer_active(&p->tick))
		loop_timer_every(&p->tick, p->config.confirm_timeout_ms / PUBLISHER_TICKS);
	return 0;
}
