/* SPDX-License-Identifier: MIT */
#include "lib/amqp/connector.h"

#include <errno.h>
#include <sys/random.h>

#define CONNECTOR_MAGIC 0x636e6374u
#define CONNECTOR_RESOLVE_MS 10000
#define CONNECTOR_FIRST_MS 500
#define CONNECTOR_LEAST_MS 50
#define CONNECTOR_REFUSED_MS 60000

#define TO(state) (1u << CONNECTOR_##state)
static const unsigned allowed[] = {
    [CONNECTOR_IDLE] = TO(BACKOFF) | TO(IDLE),
    [CONNECTOR_BACKOFF] = TO(RESOLVE) | TO(CONNECT) | TO(IDLE),
    [CONNECTOR_RESOLVE] = TO(CONNECT) | TO(IDLE),
    [CONNECTOR_CONNECT] = TO(IDLE),
};
#undef TO

static void set_state(struct connector *c, unsigned state)
{
	if (!(allowed[c->state] >> state & 1))
		BUG("connector goes from state %d to %u", c->state, state);
	c->state = state;
}

static uint32_t random_u32(void)
{
	uint32_t r = 0;

	/* Cannot fail for so few bytes once the kernel's generator is seeded. */
	if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r)
		BUG("getrandom: %s", strerror(errno));
	return r;
}

int64_t connector_backoff_ms(unsigned tries, int64_t first_ms, int64_t max_ms)
{
	int64_t ceiling = first_ms;

	for (; tries > 0 && ceiling < max_ms; tries--)
		ceiling *= 2;
	if (ceiling > max_ms)
		ceiling = max_ms;
	if (ceiling <= CONNECTOR_LEAST_MS)
		return CONNECTOR_LEAST_MS;
	return CONNECTOR_LEAST_MS + random_u32() % (ceiling - CONNECTOR_LEAST_MS + 1);
}

static void failed(struct connector *c, const char *why)
{
	connector_stop(c);
	c->events->failed(c->arg, why);
}

static void connect_to(struct connector *c, const struct resolve_addrs *addrs)
{
	set_state(c, CONNECTOR_CONNECT);
	loop_timer_stop(&c->timer); /* each address has its own limit */
	dial_start(&c->dial, addrs, c->timeout_ms);
}

static void on_dialled(void *arg, int fd, const char *why)
{
	OBJ(struct connector, c, arg, CONNECTOR_MAGIC);
	char text[200];

	if (fd < 0) {
		snprintf(text, sizeof text, "cannot connect: %s", why);
		failed(c, text);
		return;
	}
	set_state(c, CONNECTOR_IDLE);
	c->events->connected(c->arg, fd);
}

static void on_resolved(void *arg, const struct resolve_addrs *addrs, const char *why)
{
	OBJ(struct connector, c, arg, CONNECTOR_MAGIC);
	char text[200];

	c->resolve = NULL;
	if (addrs) {
		connect_to(c, addrs);
		return;
	}
	snprintf(text, sizeof text, "cannot look up its name: %s", why);
	failed(c, text);
}

static void resolve_next(struct connector *c)
{
	const struct amqp_url *u = connector_url(c);
	struct resolve_addrs addrs;
	struct err err = {0};

	if (resolve_numeric(u->host, u->port, &addrs)) {
		connect_to(c, &addrs);
		return;
	}
	set_state(c, CONNECTOR_RESOLVE);
	c->resolve = resolve_start(c->loop, u->host, u->port, on_resolved, c, &err);
	if (!c->resolve)
		failed(c, err.text);
	else
		loop_timer_set(&c->timer, CONNECTOR_RESOLVE_MS);
}

static void on_timer(struct loop_timer *timer)
{
	OBJ(struct connector, c, timer->arg, CONNECTOR_MAGIC);

	if (c->state == CONNECTOR_BACKOFF)
		resolve_next(c);
	else
		failed(c, "looking up its name took too long");
}

static int parse_urls(struct connector *c, const struct amqp_conn_config *config, struct err *err)
{
	if (config->nurls == 0)
		return err_set(err, -EINVAL, "there is no broker url");
	c->urls = xcalloc(config->nurls, sizeof *c->urls);
	for (; c->nurls < config->nurls; c->nurls++) {
		if (amqp_url_parse(config->urls[c->nurls], &c->urls[c->nurls], err) < 0) {
			err_prefix(err, "broker url %zu", c->nurls + 1);
			return -EINVAL;
		}
	}
	/* Shuffled (Fisher-Yates), so that many processes spread over the brokers. */
	for (size_t i = c->nurls - 1; i > 0; i--) {
		size_t j = random_u32() % (i + 1);
		struct amqp_url swap = c->urls[i];

		c->urls[i] = c->urls[j];
		c->urls[j] = swap;
	}
	return 0;
}

int connector_init(struct connector *c, struct loop *loop, const struct amqp_conn_config *config,
    const struct connector_events *events, void *arg, struct err *err)
{
	*c = (struct connector){.magic = CONNECTOR_MAGIC, .loop = loop, .events = events, .arg = arg};
	c->timeout_ms = config->connect_timeout_ms;
	c->reconnect_max_ms = config->reconnect_max_ms;
	dial_init(&c->dial, loop, on_dialled, c);
	loop_timer_init(&c->timer, loop, on_timer, c);
	return parse_urls(c, config, err);
}

void connector_free(struct connector *c)
{
	connector_stop(c);
	if (c->urls)
		explicit_bzero(c->urls, c->nurls * sizeof *c->urls);
	free(c->urls);
	c->urls = NULL;
	c->magic = 0;
}

void connector_start(struct connector *c)
{
	set_state(c, CONNECTOR_BACKOFF);
	loop_timer_set(&c->timer, 0);
}

int64_t connector_retry(struct connector *c, bool refused)
{
	int64_t wait = connector_backoff_ms(c->tries / (unsigned)c->nurls, CONNECTOR_FIRST_MS,
	    c->reconnect_max_ms);

	c->refusals = refused ? c->refusals + 1 : 0;
	if (c->refusals >= c->nurls)
		wait = CONNECTOR_REFUSED_MS;
	c->tries++;
	c->url = (c->url + 1) % c->nurls;
	set_state(c, CONNECTOR_BACKOFF);
	loop_timer_set(&c->timer, wait);
	return wait;
}

void connector_accepted(struct connector *c)
{
	c->refusals = 0;
}

void connector_stable(struct connector *c)
{
	c->tries = 0;
}

void connector_stop(struct connector *c)
{
	resolve_cancel(c->resolve);
	c->resolve = NULL;
	dial_cancel(&c->dial);
	loop_timer_stop(&c->timer);
	set_state(c, CONNECTOR_IDLE);
}

const struct amqp_url *connector_url(const struct connector *c)
{
	return &c->urls[c->url];
}
