/* SPDX-License-Identifier: MIT */
#include "lib/amqp/declare.h"

/* `entries` must live until the table is encoded. */
static amqp_table_t arguments(const struct topology_step *s, amqp_table_entry_t *entries)
{
	for (size_t i = 0; i < s->nargs; i++) {
		entries[i] = (amqp_table_entry_t){.key = wire_str(s->args[i].key)};
		if (s->args[i].text) {
			entries[i].value.kind = AMQP_FIELD_KIND_UTF8;
			entries[i].value.value.bytes = wire_str(s->args[i].text);
		} else {
			entries[i].value.kind = AMQP_FIELD_KIND_I64;
			entries[i].value.value.i64 = s->args[i].number;
		}
	}
	return (amqp_table_t){(int)s->nargs, entries};
}

static void send_exchange(struct channel *ch, const struct topology_step *s)
{
	amqp_table_entry_t entries[ARRAY_SIZE(s->args)];
	amqp_exchange_declare_t m = {.exchange = wire_str(s->name), .type = wire_str(s->kind),
	    .passive = s->passive, .durable = 1, .arguments = arguments(s, entries)};

	channel_send(ch, AMQP_EXCHANGE_DECLARE_METHOD, &m);
}

static void send_queue(struct channel *ch, const struct topology_step *s)
{
	amqp_table_entry_t entries[ARRAY_SIZE(s->args)];
	amqp_queue_declare_t m = {.queue = wire_str(s->name), .passive = s->passive, .durable = 1,
	    .arguments = arguments(s, entries)};

	channel_send(ch, AMQP_QUEUE_DECLARE_METHOD, &m);
}

static void send_bind(struct channel *ch, const struct topology_step *s)
{
	amqp_queue_bind_t m = {.queue = wire_str(s->name), .exchange = wire_str(s->source),
	    .routing_key = wire_str(s->key)};

	channel_send(ch, AMQP_QUEUE_BIND_METHOD, &m);
}

void declare_send(struct channel *ch, const struct topology_step *step)
{
	static void (*const send[])(struct channel *, const struct topology_step *) = {
	    [TOPOLOGY_OP_EXCHANGE] = send_exchange,
	    [TOPOLOGY_OP_QUEUE] = send_queue,
	    [TOPOLOGY_OP_BIND] = send_bind,
	};

	send[step->op](ch, step);
}

bool declare_is_answer(amqp_method_number_t id)
{
	return id == AMQP_EXCHANGE_DECLARE_OK_METHOD || id == AMQP_QUEUE_DECLARE_OK_METHOD
	    || id == AMQP_QUEUE_BIND_OK_METHOD;
}
