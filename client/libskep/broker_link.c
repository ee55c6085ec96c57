/* SPDX-License-Identifier: MIT */
#include "client/libskep/broker_link.h"

#define BROKER_LINK_MAGIC 0x6c696e6bu
#define RECONNECT_MAX_MS 1000

void broker_link_init(struct broker_link *l, struct loop *loop)
{
	*l = (struct broker_link){.magic = BROKER_LINK_MAGIC, .loop = loop};
}

static void on_up(void *arg)
{
	OBJ(struct broker_link, l, arg, BROKER_LINK_MAGIC);

	l->up = true;
	l->failed = false;
	loop_stop(l->loop);
}

static void on_down(void *arg, const char *why)
{
	OBJ(struct broker_link, l, arg, BROKER_LINK_MAGIC);

	l->up = false;
	l->failed = true;
	slice_copy(l->why, sizeof l->why, slice_str(why));
	if (l->down)
		l->down(l->arg);
	loop_stop(l->loop);
}

static void on_blocked(void *arg, bool blocked UNUSED)
{
	OBJ(struct broker_link, l, arg, BROKER_LINK_MAGIC);

	loop_stop(l->loop);
}

static void on_closed(void *arg)
{
	OBJ(struct broker_link, l, arg, BROKER_LINK_MAGIC);

	l->closed = true;
	loop_stop(l->loop);
}

/* A try that failed, or what a channel was closed for. */
static void on_notice(void *arg, enum amqp_notice level, const char *text)
{
	OBJ(struct broker_link, l, arg, BROKER_LINK_MAGIC);

	if (level == AMQP_NOTICE_INFO)
		return;
	slice_copy(l->why, sizeof l->why, slice_str(text));
	l->refused |= level == AMQP_NOTICE_ALERT;
	if (!l->up)
		l->failed = true;
	loop_stop(l->loop);
}

enum skep_code broker_link_dial(struct broker_link *l, const char *url, int64_t timeout_ms,
    struct skep_error *error)
{
	static const struct amqp_conn_events events = {
	    on_up, on_down, on_blocked, on_closed, on_notice};
	/* No heartbeats: nobody would send them between two calls. */
	const struct amqp_conn_config config = {.urls = &url,
	    .nurls = 1,
	    .name = "libskep-client " SKEP_VERSION,
	    .connect_timeout_ms = timeout_ms,
	    .reconnect_max_ms = RECONNECT_MAX_MS};
	struct err err = {0};

	broker_link_free(l);
	l->up = l->failed = l->refused = l->closed = false;
	l->why[0] = '\0';
	l->conn = amqp_conn_new(l->loop, &config, &events, l, &err);
	return l->conn ? SKEP_OK : via_fail(error, SKEP_INVALID, "%s", err.text);
}

enum skep_code broker_link_error(const struct broker_link *l, struct skep_error *error)
{
	if (l->refused)
		return via_fail(error, SKEP_REFUSED, "%s", l->why);
	if (l->failed)
		return via_fail(error, SKEP_UNREACHABLE, "%s", l->why);
	return via_fail(error, SKEP_TIMEOUT, "the broker did not answer in time");
}

void broker_link_free(struct broker_link *l)
{
	amqp_conn_free(l->conn);
	l->conn = NULL;
}

void broker_link_stop(struct broker_link *l)
{
	if (l->conn)
		amqp_conn_stop(l->conn);
	else
		l->closed = true;
}
