/* SPDX-License-Identifier: MIT */
/*
 * The courier's life: link to the store, connection to the broker, credit by the room there is. With the broker away
 * it gives no credit, and so the parcels wait in the store.
 */
#include <errno.h>

#include "daemon/courier/courier.h"
#include "daemon/courier/depths.h"
#include "daemon/courier/settlements.h"
#include "lib/base/clock.h"

#define BLOCKED_ALERT_MS 10000
#define DRAIN_MOST_MS 5000

/* --- credit ---------------------------------------------------------------------------------------- */

static uint32_t outstanding(const struct courier *c)
{
	return amqp_publisher_outstanding(c->jobs) + amqp_publisher_outstanding(c->replies);
}

/* The store does not say what it will send: one window for both, so that neither publisher is ever full. */
static uint32_t room(const struct courier *c)
{
	uint32_t jobs = amqp_publisher_room(c->jobs), replies = amqp_publisher_outstanding(c->replies);

	return jobs > replies ? jobs - replies : 0;
}

/* Before the loop sleeps: offers the room there is. Small change is kept until it is a quarter of the window or
 * the store has no credit left, so that a busy courier does not send a frame for every confirm. */
static void on_grant(struct loop_hook *hook)
{
	OBJ(struct courier, c, hook->arg, COURIER_MAGIC);
	struct peer *store = c->link ? store_link_peer(c->link) : NULL; /* none before START */
	uint32_t more;

	courier_flow(c);
	if (c->draining && loop_timer_active(&c->drain) && outstanding(c) == 0)
		loop_timer_set(&c->drain, 0);
	if (!store || c->draining || c->p->move == MOVE_IN)
		return;
	if (room(c) <= c->granted)
		return;
	more = room(c) - c->granted;
	if (c->granted > 0 && more < c->p->conf->broker.confirm_window / 4)
		return;
	peer_send_credit(store, &(struct msg_credit){.parcels = more});
	c->granted += more;
}

static void courier_before_hub(struct process *p)
{
	struct courier *c = xcalloc(1, sizeof *c);

	c->magic = COURIER_MAGIC;
	c->p = p;
	p->role = c;
	loop_hook_add(p->loop, &c->grant, on_grant, c);
}

/* --- the store ------------------------------------------------------------------------------------- */

static void on_link_up(void *arg)
{
	OBJ(struct courier, c, arg, COURIER_MAGIC);

	c->granted = 0;
	settlements_flush(c->settlements);
	process_ready(c->p, amqp_conn_is_up(c->conn) ? "connected" : "waiting for the broker");
}

static void on_link_down(void *arg)
{
	OBJ(struct courier, c, arg, COURIER_MAGIC);

	c->granted = 0;
}

static int on_link_frame(void *arg, struct frame *f)
{
	OBJ(struct courier, c, arg, COURIER_MAGIC);

	return f->type == MSG_PARCEL ? courier_parcel(c, f) : -EPROTO;
}

/* --- the broker ------------------------------------------------------------------------------------ */

/* The connection's notices say that it is up, and who blocks it. */
static void on_conn_up(void *arg)
{
	OBJ(struct courier, c, arg, COURIER_MAGIC);

	c->p->slot->connected = true;
	process_board_changed(c->p);
}

static void on_conn_down(void *arg, const char *why)
{
	OBJ(struct courier, c, arg, COURIER_MAGIC);

	log_warn("lost the broker: %s; parcels wait in the store", why);
	loop_timer_stop(&c->blocked_too_long);
	c->p->slot->connected = c->p->slot->blocked = false;
	process_board_changed(c->p);
}

static void on_conn_blocked(void *arg, bool blocked)
{
	OBJ(struct courier, c, arg, COURIER_MAGIC);

	c->p->slot->blocked = blocked;
	process_board_changed(c->p);
	if (blocked)
		loop_timer_set(&c->blocked_too_long, BLOCKED_ALERT_MS);
	else
		loop_timer_stop(&c->blocked_too_long);
}

static void on_blocked_too_long(struct loop_timer *t)
{
	OBJ(struct courier, c, t->arg, COURIER_MAGIC);

	log_error("the broker has blocked publishers for %d s: see its memory and disk alarms",
	    BLOCKED_ALERT_MS / 1000);
	loop_timer_set(&c->blocked_too_long, 60000);
}

static void on_conn_closed(void *arg)
{
	OBJ(struct courier, c, arg, COURIER_MAGIC);
	struct peer *store = store_link_peer(c->link);

	/* The last confirms may have come along with the end of the connection. */
	if (store)
		peer_flush(store);
	process_exit(c->p, EXIT_DRAINED);
}

static void on_notice(void *arg, enum amqp_notice level, const char *text)
{
	static const enum log_level levels[] = {
	    [AMQP_NOTICE_INFO] = LOG_INFO,
	    [AMQP_NOTICE_WARN] = LOG_WARN,
	    [AMQP_NOTICE_ALERT] = LOG_ERROR,
	};

	(void)arg;
	log_write(levels[level], "%s", text);
}

static int connect_broker(struct courier *c, struct err *err)
{
	static const struct amqp_conn_events events = {
	    on_conn_up, on_conn_down, on_conn_blocked, on_conn_closed, on_notice};
	const struct conf_broker *b = &c->p->conf->broker;
	auto_free char *name = xasprintf("skep %s %s", c->node, c->p->name);
	struct amqp_conn_config config = {
	    .urls = (const char *const *)b->url.v,
	    .nurls = b->url.n,
	    .name = name,
	    .heartbeat_ms = b->heartbeat,
	    .connect_timeout_ms = b->connect_timeout,
	    .reconnect_max_ms = b->reconnect_max,
	};

	c->conn = amqp_conn_new(c->p->loop, &config, &events, c, err);
	return c->conn ? 0 : err->code;
}

static void open_publishers(struct courier *c)
{
	const struct conf_broker *b = &c->p->conf->broker;
	struct amqp_publisher_config jobs = {.conf = c->p->conf,
	    .declares = true,
	    .window = (uint32_t)b->confirm_window,
	    .confirm_timeout_ms = b->confirm_timeout};
	struct amqp_publisher_config replies = jobs;

	replies.declares = false;
	c->jobs = amqp_publisher_new(c->conn, &jobs, &courier_job_events, c);
	c->replies = amqp_publisher_new(c->conn, &replies, &courier_reply_events, c);
	c->depths = depths_new(c->p, c->conn);
}

/* --- start and stop --------------------------------------------------------------------------------- */

static void on_drain(struct loop_timer *t)
{
	OBJ(struct courier, c, t->arg, COURIER_MAGIC);

	amqp_conn_stop(c->conn);
}

static int courier_start(struct process *p, struct err *err)
{
	static const struct store_link_ops link_ops = {
	    .up = on_link_up, .down = on_link_down, .frame = on_link_frame};
	struct courier *c = p->role;

	c->node = p->conf->daemon.name;
	loop_timer_init(&c->blocked_too_long, p->loop, on_blocked_too_long, c);
	loop_timer_init(&c->drain, p->loop, on_drain, c);
	if (connect_broker(c, err) < 0)
		return err->code;
	open_publishers(c);
	c->link = store_link_new(p, &link_ops, c);
	c->settlements = settlements_new(c->link, 2 * (size_t)p->conf->broker.confirm_window);
	return 0;
}

/* What is outstanding is settled first, so that it is not published again after the restart. */
static void courier_stop(struct process *p, bool hurry, int64_t within_ms)
{
	struct courier *c = p->role;

	c->draining = true;
	if (hurry || outstanding(c) == 0) {
		loop_timer_stop(&c->drain);
		amqp_conn_stop(c->conn);
		return;
	}
	loop_timer_set(&c->drain, within_ms < DRAIN_MOST_MS ? within_ms : DRAIN_MOST_MS);
}

int main(int argc, char **argv)
{
	static const struct role courier = {.id = ROLE_COURIER,
	    .start = courier_start,
	    .stop = courier_stop,
	    .before_hub = courier_before_hub};

	return process_main(&courier, argc, argv);
}
