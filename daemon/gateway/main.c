/* SPDX-License-Identifier: MIT */
/*
 * The gateway: HTTP in, calls to the store and reads of the database and the board out. It holds
 * nothing that is not held elsewhere: when it dies, its clients repeat what was not answered, and
 * nothing is lost or doubled.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>

#include "daemon/gateway/gateway.h"
#include "daemon/gateway/intake.h"
#include "daemon/gateway/listing.h"
#include "daemon/gateway/metrics.h"
#include "daemon/gateway/pools.h"
#include "daemon/gateway/views.h"
#include "daemon/gateway/watches.h"
#include "daemon/inherit.h"

#define GATEWAY_MAGIC 0x67617465u
#define GATEWAY_PATIENCE_MS 2000 /* for the store at the start, and for requests at the end */

/* --- what is answered from here --------------------------------------------------------------- */

static void show_queues(struct gateway *g, struct http_request *r)
{
	http_reply_json(r, 200, fleet_queues(g->p));
}

static void show_pools(struct gateway *g, struct http_request *r)
{
	http_reply_json(r, 200, fleet_pools(g->p));
}

/* Without the store nothing is taken; without the broker jobs wait in the store. */
static void show_health(struct gateway *g, struct http_request *r)
{
	bool store = calls_store_is_up(g->calls);
	const char *broker = fleet_broker(g->p);
	struct json *j = json_object();

	json_add_strz(j, "status",
	    !store ? "unavailable"
	    : strcmp(broker, "connected") == 0 || strcmp(broker, "embedded") == 0 ? "ok"
										  : "degraded");
	json_add_strz(j, "node", g->p->conf->daemon.name);
	json_add_strz(j, "version", SKEP_VERSION);
	json_add_strz(j, "store", store ? "connected" : "down");
	json_add_strz(j, "broker", broker);
	http_reply_json(r, store ? 200 : 503, j);
}

static void (*const handlers[ROUTE_COUNT])(struct gateway *g, struct http_request *r) = {
    [ROUTE_submit] = intake_begin,
    [ROUTE_list] = listing_begin,
    [ROUTE_job] = views_job,
    [ROUTE_result] = views_result,
    [ROUTE_logs] = views_logs,
    [ROUTE_retry] = views_retry,
    [ROUTE_cancel] = views_cancel,
    [ROUTE_queues] = show_queues,
    [ROUTE_pause] = views_pause,
    [ROUTE_resume] = views_resume,
    [ROUTE_pools] = show_pools,
    [ROUTE_scale] = pools_scale,
    [ROUTE_changes] = pools_changes,
    [ROUTE_health] = show_health,
    [ROUTE_metrics] = metrics_show,
};

static void on_request(struct http_request *r, enum route_id route, void *arg)
{
	OBJ(struct gateway, g, arg, GATEWAY_MAGIC);

	handlers[route](g, r);
}

/* --- the life of the role --------------------------------------------------------------------- */

static void on_idle(void *arg)
{
	OBJ(struct gateway, g, arg, GATEWAY_MAGIC);

	if (g->stopping)
		process_exit(g->p, EXIT_DRAINED);
}

static void be_ready(struct gateway *g)
{
	if (g->ready)
		return;
	g->ready = true;
	loop_timer_stop(&g->patience);
	process_ready(g->p, calls_store_is_up(g->calls)
				? "answers HTTP"
				: "answers HTTP, the store is not there yet");
}

static void on_store_up(void *arg)
{
	OBJ(struct gateway, g, arg, GATEWAY_MAGIC);

	be_ready(g);
}

static void on_patience(struct loop_timer *t)
{
	OBJ(struct gateway, g, t->arg, GATEWAY_MAGIC);

	if (g->stopping)
		process_exit(g->p, EXIT_DRAINED);
	else
		be_ready(g);
}

static void on_turn(struct loop_hook *hook)
{
	struct process *p = hook->arg;
	struct gateway *g = p->role;

	if (!g)
		return;
	http_turn(g->http);
	calls_turn(g->calls);
}

static size_t largest_body(const struct conf *conf)
{
	int64_t most = 0;

	for (size_t i = 0; i < conf->npools; i++)
		most = conf->pools[i].max_body > most ? conf->pools[i].max_body : most;
	return most ? (size_t)most : 128u << 20;
}

static int gateway_start(struct process *p, struct err *err)
{
	static const struct http_ops ops = {on_request, on_idle};
	struct gateway *g = xcalloc(1, sizeof *g);
	int flags = fcntl(INHERIT_LISTEN, F_GETFL);

	g->magic = GATEWAY_MAGIC;
	g->p = p;
	g->max_body = largest_body(p->conf);
	if (flags < 0)
		return err_set(err, -EINVAL,
		    "the listening socket is missing: skep-gateway is started by skepd");
	fcntl(INHERIT_LISTEN, F_SETFL, flags | O_NONBLOCK);
	g->http = http_new(p->loop, INHERIT_LISTEN, g->max_body, &ops, g, err);
	if (!g->http)
		return err->code;
	g->reader = reader_new(conf_database(p->conf));
	g->calls = calls_new(p, on_store_up, g);
	g->watches = watches_new(g);
	loop_timer_init(&g->patience, p->loop, on_patience, g);
	loop_timer_set(&g->patience, GATEWAY_PATIENCE_MS);
	p->role = g;
	return 0;
}

static void gateway_stop(struct process *p, bool hurry, int64_t within_ms)
{
	struct gateway *g = p->role;

	if (!g->stopping) {
		g->stopping = true;
		http_quiesce(g->http);
		watches_end(g->watches);
	}
	if (hurry || http_active(g->http) == 0)
		process_exit(p, EXIT_DRAINED);
	else
		loop_timer_set(&g->patience,
		    within_ms < GATEWAY_PATIENCE_MS ? within_ms : GATEWAY_PATIENCE_MS);
}

static void gateway_before_hub(struct process *p)
{
	/* The gateway draws no slot of its own, and lives as long as the process: so does its hook.
	 */
	static struct loop_hook turn;

	loop_hook_add(p->loop, &turn, on_turn, p);
}

int main(int argc, char **argv)
{
	static const struct role role = {
	    .id = ROLE_GATEWAY,
	    .start = gateway_start,
	    .stop = gateway_stop,
	    .before_hub = gateway_before_hub,
	};

	mallopt(M_ARENA_MAX, 1);
	return process_main(&role, argc, argv);
}
