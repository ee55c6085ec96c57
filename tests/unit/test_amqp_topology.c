/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/amqp/topology.h"
#include "lib/base/buf.h"

/* One step in one line, as a person would say it. */
static void describe(const struct topology_step *s, struct buf *out)
{
	switch (s->op) {
	case TOPOLOGY_OP_EXCHANGE:
		buf_addf(out, "exchange %s %s", s->name, s->kind);
		break;
	case TOPOLOGY_OP_QUEUE:
		buf_addf(out, "queue %s", s->name);
		break;
	case TOPOLOGY_OP_BIND:
		buf_addf(out, "bind %s %s '%s'", s->name, s->source, s->key);
		break;
	}
	if (s->passive)
		buf_adds(out, " passive");
	for (size_t i = 0; i < s->nargs; i++) {
		if (s->args[i].text)
			buf_addf(out, " %s=%s", s->args[i].key, s->args[i].text);
		else
			buf_addf(out, " %s=%lld", s->args[i].key, (long long)s->args[i].number);
	}
	buf_adds(out, "\n");
}

static void expect(enum conf_topology mode, const struct conf_queue *queue, const char *expected)
{
	struct topology_step steps[TOPOLOGY_STEPS_MAX];
	size_t n = topology_steps(mode, queue, steps);
	struct buf text;

	buf_init(&text, 8192);
	for (size_t i = 0; i < n; i++)
		describe(&steps[i], &text);
	buf_add(&text, "", 1);
	assert_string_equal((char *)buf_head(&text), expected);
	buf_free(&text);
}

#define EXCHANGES                                                                                  \
	"exchange skep.unrouted fanout\n"                                                          \
	"queue skep.unrouted x-queue-type=classic\n"                                               \
	"bind skep.unrouted skep.unrouted ''\n"                                                    \
	"exchange skep direct alternate-exchange=skep.unrouted\n"                                  \
	"exchange skep.in direct\n"                                                                \
	"exchange skep.dead direct\n"

static void quorum_queues(void **state)
{
	struct conf_queue q = {.section = (char[]){"mail"}, .type = QUEUE_QUORUM, .max_priority = 5};

	(void)state;
	expect(TOPOLOGY_DECLARE, &q, EXCHANGES
	    "queue mail.dead x-queue-type=quorum\n"
	    "bind mail.dead skep.dead 'mail'\n"
	    "queue mail x-queue-type=quorum x-dead-letter-exchange=skep.dead"
	    " x-dead-letter-routing-key=mail x-dead-letter-strategy=at-least-once"
	    " x-overflow=reject-publish\n"
	    "bind mail skep 'mail'\n"
	    "bind mail skep.in 'mail'\n");
}

static void classic_queues(void **state)
{
	struct conf_queue q = {.section = (char[]){"mail"}, .type = QUEUE_CLASSIC};

	(void)state;
	expect(TOPOLOGY_DECLARE, &q, EXCHANGES
	    "queue mail.dead x-queue-type=classic\n"
	    "bind mail.dead skep.dead 'mail'\n"
	    "queue mail x-queue-type=classic x-dead-letter-exchange=skep.dead"
	    " x-dead-letter-routing-key=mail\n"
	    "bind mail skep 'mail'\n"
	    "bind mail skep.in 'mail'\n");
	q.max_priority = 9;
	expect(TOPOLOGY_DECLARE, &q, EXCHANGES
	    "queue mail.dead x-queue-type=classic\n"
	    "bind mail.dead skep.dead 'mail'\n"
	    "queue mail x-queue-type=classic x-dead-letter-exchange=skep.dead"
	    " x-dead-letter-routing-key=mail x-max-priority=9\n"
	    "bind mail skep 'mail'\n"
	    "bind mail skep.in 'mail'\n");
}

static void dead_letters_have_the_same_shape_when_consumed(void **state)
{
	struct conf_queue q = {.section = (char[]){"mail.dead"}, .type = QUEUE_QUORUM};

	(void)state;
	expect(TOPOLOGY_DECLARE, &q, EXCHANGES
	    "queue mail.dead x-queue-type=quorum\n"
	    "bind mail.dead skep 'mail.dead'\n"
	    "bind mail.dead skep.in 'mail.dead'\n");
}

static void reserved_names_are_not_declared(void **state)
{
	struct conf_queue q = {.section = (char[]){"amq.gen-x"}};

	(void)state;
	expect(TOPOLOGY_DECLARE, &q, EXCHANGES "queue amq.gen-x passive\n");
	q.section = (char[]){"skep.unrouted"};
	expect(TOPOLOGY_DECLARE, &q, EXCHANGES "queue skep.unrouted passive\n");
	q.section = (char[]){""};
	expect(TOPOLOGY_DECLARE, &q, EXCHANGES);
	expect(TOPOLOGY_PASSIVE, &q, "");
}

static void long_names_go_without_dead_letters(void **state)
{
	struct topology_step steps[TOPOLOGY_STEPS_MAX];
	char name[256];
	struct conf_queue q = {.section = name, .type = QUEUE_QUORUM};

	(void)state;
	memset(name, 'n', sizeof name);
	name[250] = '\0';
	assert_int_equal(topology_steps(TOPOLOGY_DECLARE, &q, steps), 11);
	name[250] = 'n';
	name[251] = '\0';
	assert_int_equal(topology_steps(TOPOLOGY_DECLARE, &q, steps), 9);
	name[251] = 'n';
	name[255] = '\0';
	assert_int_equal(topology_steps(TOPOLOGY_DECLARE, &q, steps), 9);
	assert_string_equal(steps[6].name, name);
	assert_int_equal(steps[6].nargs, 1);
}

static void other_modes_make_nothing(void **state)
{
	struct conf_queue q = {.section = (char[]){"mail"}};

	(void)state;
	expect(TOPOLOGY_DECLARE, NULL, EXCHANGES);
	expect(TOPOLOGY_PASSIVE, &q, "queue mail passive\n");
	expect(TOPOLOGY_PASSIVE, NULL, "");
	expect(TOPOLOGY_NONE, &q, "");
	expect(TOPOLOGY_NONE, NULL, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(quorum_queues),
	    cmocka_unit_test(classic_queues),
	    cmocka_unit_test(dead_letters_have_the_same_shape_when_consumed),
	    cmocka_unit_test(reserved_names_are_not_declared),
	    cmocka_unit_test(long_names_go_without_dead_letters),
	    cmocka_unit_test(other_modes_make_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
