/* SPDX-License-Identifier: MIT */
#include "lib/amqp/acks.h"

#define ACKS_MAGIC 0x61636b73u

static void send_ack(void *arg, uint64_t tag, bool multiple)
{
	struct acks *a = arg;
	amqp_basic_ack_t m = {.delivery_tag = tag, .multiple = multiple};

	channel_send(a->channel, AMQP_BASIC_ACK_METHOD, &m);
}

void acks_write(struct acks *a)
{
	tags_fold(a->tags, send_ack, a);
	a->n = 0;
	loop_timer_stop(&a->timer);
}

void acks_add(struct acks *a, uint64_t tag, uint32_t window)
{
	if (!tags_ack(a->tags, tag))
		return;
	a->n++;
	if (a->n * ACKS_PART >= window)
		conn_dirty(a->conn);
	else if (!loop_timer_active(&a->timer))
		loop_timer_set(&a->timer, ACKS_DELAY_MS);
}

static void on_timer(struct loop_timer *timer)
{
	OBJ(struct acks, a, timer->arg, ACKS_MAGIC);

	conn_dirty(a->conn);
}

void acks_init(struct acks *a, struct amqp_conn *conn, struct channel *channel, struct tags *tags)
{
	*a = (struct acks){.magic = ACKS_MAGIC, .conn = conn, .channel = channel, .tags = tags};
	loop_timer_init(&a->timer, conn_loop(conn), on_timer, a);
}

void acks_stop(struct acks *a)
{
	loop_timer_stop(&a->timer);
}
