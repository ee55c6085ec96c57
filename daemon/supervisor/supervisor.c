/* SPDX-License-Identifier: MIT */
#include "daemon/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "daemon/supervisor/check.h"

#define BURIAL_AGAIN_MS 1000
#define OOM_SELF "-500"

/* --- reaping ---------------------------------------------------------------------------------- */

static bool is_child(pid_t pid, void *arg)
{
	struct supervisor *s = arg;

	for (size_t i = 0; i < s->nchildren; i++) {
		if (s->children[i].pid == pid)
			return true;
	}
	return false;
}

static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < s->nchildren; i++) {
			if (s->children[i].pid == pid) {
				child_ended(&s->children[i], status);
				break;
			}
		}
	}
}

/* Every orphan there is must be dead before any of the dead workers counts as buried: they cannot
 * be told apart, and a live worker keeps its own descendants to itself. */
static void bury(struct supervisor *s)
{
	bool waiting = false;

	for (size_t i = 0; i < s->nchildren; i++)
		waiting |= s->children[i].state == CHILD_BURYING;
	if (!waiting)
		return;
	if (orphans_kill(&s->orphans, is_child, s) > 0) {
		if (!loop_timer_active(&s->burial))
			loop_timer_set(&s->burial, BURIAL_AGAIN_MS);
		return;
	}
	loop_timer_stop(&s->burial);
	for (size_t i = 0; i < s->nchildren; i++) {
		if (s->children[i].state == CHILD_BURYING)
			child_buried(&s->children[i]);
	}
}

static void on_chld(struct loop_signal *sig)
{
	OBJ(struct supervisor, s, sig->arg, SUPERVISOR_MAGIC);

	reap(s);
	bury(s);
}

static void on_burial(struct loop_timer *t)
{
	OBJ(struct supervisor, s, t->arg, SUPERVISOR_MAGIC);

	log_warn("processes that a dead worker left behind do not die yet, waiting");
	reap(s);
	bury(s);
}

/* --- each turn of the loop -------------------------------------------------------------------- */

static void show_status(struct supervisor *s)
{
	size_t all = 0, ready = 0, workers = 0, workers_ready = 0;
	char text[160];

	for (size_t i = 0; i < s->nchildren; i++) {
		const struct child *c = &s->children[i];
		bool is_ready = c->state == CHILD_READY, is_worker = c->role == ROLE_WORKER;

		if (c->state == CHILD_OFF || c->leaving)
			continue;
		all++;
		ready += is_ready;
		workers += is_worker;
		workers_ready += is_worker && is_ready;
	}
	if (!s->ready && !s->stop.on && ready == all) {
		s->ready = true;
		log_info("ready: store, %sgateway and %zu worker%s",
		    conf_is_embedded(s->conf) ? "" : "courier, ", workers,
		    workers == 1 ? "" : "s");
		notify_ready(&s->notify);
	}
	snprintf(text, sizeof text,
	    "%s%zu of %zu workers ready, %zu of %zu other processes; %u restarts",
	    s->stop.on ? "stopping: " : "", workers_ready, workers, ready - workers_ready,
	    all - workers, s->restarts);
	notify_status(&s->notify, text);
}

/* Before the hub writes: the store must have been told of a child before that child can connect to
 * it. */
static void on_turn(struct loop_hook *hook)
{
	OBJ(struct supervisor, s, hook->arg, SUPERVISOR_MAGIC);
	bool waiting = false;

	for (size_t i = 0; i < s->nchildren; i++)
		waiting |= s->children[i].state == CHILD_SPAWNED;
	if (waiting && peers_store_caught_up(s)) {
		for (size_t i = 0; i < s->nchildren; i++) {
			if (s->children[i].state == CHILD_SPAWNED)
				child_introduce(&s->children[i]);
		}
	}
	show_status(s);
}

static void on_stop_signal(struct loop_signal *sig)
{
	OBJ(struct supervisor, s, sig->arg, SUPERVISOR_MAGIC);

	stop_request(s, sig->signum == SIGINT ? "SIGINT" : "SIGTERM");
}

static void on_hup(struct loop_signal *sig UNUSED)
{
	log_warn(
	    "SIGHUP: reloading is not supported yet, restart skepd to apply a changed configuration");
}

/* --- building and taking down ----------------------------------------------------------------- */

static int find_accounts(struct supervisor *s, struct err *err)
{
	const struct conf *conf = s->conf;
	int rc = account_find(conf->daemon.user, &s->account, err);

	s->pool_accounts = xcalloc(conf->npools, sizeof *s->pool_accounts);
	for (size_t i = 0; rc == 0 && !s->move && i < conf->npools; i++)
		rc = account_find(conf->pools[i].user, &s->pool_accounts[i], err);
	return rc;
}

static int open_sockets(struct supervisor *s, struct err *err)
{
	int rc = listeners_add_store(&s->listeners, s->conf, &s->account, err);

	if (s->move)
		return rc;
	for (size_t i = 0; rc == 0 && i < s->conf->npools; i++)
		rc = listeners_add_store(&s->listeners, s->conf, &s->pool_accounts[i], err);
	return rc < 0 ? rc : listeners_add_http(&s->listeners, s->conf, &s->account, err);
}

/* The embedded queue needs no courier. */
static size_t singles_of(const struct conf *conf)
{
	return conf_is_embedded(conf) ? 2 : 3;
}

static void make_movers(struct supervisor *s)
{
	enum role_id roles[ROLE_COUNT];
	size_t n = move_roles(s->move, roles);

	for (size_t i = 0; i < n; i++)
		child_init(&s->children[i], s, roles[i]);
}

/* In the order in which they are started: the reverse of the stop order. */
static void make_children(struct supervisor *s)
{
	static const enum role_id singles[] = {ROLE_STORE, ROLE_GATEWAY, ROLE_COURIER};
	struct child *c = s->children;

	s->store = s->children;
	if (s->move) {
		make_movers(s);
		return;
	}
	for (size_t i = 0; i < singles_of(s->conf); i++)
		child_init(c++, s, singles[i]);
	s->crews = xcalloc(s->conf->npools, sizeof *s->crews);
	for (size_t i = 0; i < s->conf->npools; i++) {
		struct crew *crew = &s->crews[i];

		crew_init(crew, s, &s->conf->pools[i], c);
		for (unsigned n = 1; n <= crew->n; n++)
			child_init_worker(c++, s, crew, n);
	}
}

static size_t count_children(const struct supervisor *s)
{
	const struct conf *conf = s->conf;
	enum role_id roles[ROLE_COUNT];
	size_t n = s->move ? move_roles(s->move, roles) : singles_of(conf);

	for (size_t i = 0; !s->move && i < conf->npools; i++)
		n += crew_room(&conf->pools[i]);
	return n;
}

static int supervisor_open(struct supervisor *s, struct err *err)
{
	int rc = conf_check_start(s->conf, err);

	if (rc == 0)
		rc = find_accounts(s, err);
	if (rc == 0)
		rc = instance_open(
		    &s->instance, s->conf, s->account.ids.uid, s->account.ids.gid, err);
	if (rc == 0)
		rc = open_sockets(s, err);
	if (rc < 0)
		return rc;
	s->nchildren = count_children(s);
	s->children = xcalloc(s->nchildren, sizeof *s->children);
	s->board = board_create(s->nchildren, s->conf->npools, err);
	if (!s->board)
		return err->code;
	rc = launch_open(&s->launch, s->conf, s->board, err);
	if (rc < 0)
		return rc;
	s->loop = loop_new();
	loop_hook_add(s->loop, &s->turn, on_turn, s);
	s->hub = peer_hub_new(s->loop);
	loop_timer_init(&s->burial, s->loop, on_burial, s);
	loop_signal_start(&s->term, s->loop, SIGTERM, on_stop_signal, s);
	loop_signal_start(&s->intr, s->loop, SIGINT, on_stop_signal, s);
	loop_signal_start(&s->hup, s->loop, SIGHUP, on_hup, s);
	loop_signal_start(&s->chld, s->loop, SIGCHLD, on_chld, s);
	notify_open(&s->notify, s->loop);
	orphans_adopt(&s->orphans);
	make_children(s);
	return 0;
}

/* The order of a tear-down after a failure half way is the same: each part takes what was never
 * built. */
static void supervisor_close(struct supervisor *s)
{
	for (size_t i = 0; s->loop && i < s->nchildren; i++)
		peer_free(s->children[i].control);
	scaler_free(&s->scaler);
	free(s->children);
	free(s->crews);
	orphans_free(&s->orphans);
	if (s->loop)
		notify_close(&s->notify);
	peer_hub_free(s->hub);
	loop_free(s->loop);
	launch_close(&s->launch);
	board_close(s->board);
	listeners_close(&s->listeners);
	instance_close(&s->instance);
	for (size_t i = 0; s->pool_accounts && i < s->conf->npools; i++)
		account_free(&s->pool_accounts[i]);
	free(s->pool_accounts);
	account_free(&s->account);
}

/* Best effort: lowering it is for root. */
static void lower_own_oom_score(void)
{
	auto_fd int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, OOM_SELF, strlen(OOM_SELF)) < 0)
		errno = 0;
}

static void say_warning(const char *text)
{
	log_warn("%s", text);
}

static void run_node(struct supervisor *s)
{
	const struct conf *conf = s->conf;

	log_info("skepd %s, node '%s', state in '%s', HTTP on '%s'", SKEP_VERSION,
	    conf->daemon.name, conf->daemon.state_dir, conf->daemon.socket);
	check_warnings(conf, say_warning);
	for (size_t i = 0; i < singles_of(conf); i++)
		child_start(&s->children[i]);
	scaler_start(&s->scaler, s);
	loop_run(s->loop);
	log_info("stopped");
}

static void run_move(struct supervisor *s)
{
	move_start(s->move, s);
	loop_run(s->loop);
	move_stop(s->move);
}

int supervisor_run(const struct conf *conf, struct move *move)
{
	struct supervisor s = {.magic = SUPERVISOR_MAGIC,
	    .conf = conf,
	    .move = move,
	    .instance = {-1, -1},
	    .launch = {.null = -1, .conf_open = -1, .conf_secret = -1, .board_readonly = -1}};
	struct err err = {0};

	listeners_init(&s.listeners);
	signal(SIGPIPE, SIG_IGN);
	lower_own_oom_score();
	if (supervisor_open(&s, &err) < 0) {
		if (move)
			move_fail(move, err.code, err.text);
		else
			log_error("%s", err.text);
		supervisor_close(&s);
		return err.code == -EBUSY || err.code == -EADDRINUSE ? EXIT_TEMPORARY
								     : EXIT_PERMANENT;
	}
	if (move)
		run_move(&s);
	else
		run_node(&s);
	supervisor_close(&s);
	return EXIT_DRAINED;
}
