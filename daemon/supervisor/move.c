/* SPDX-License-Identifier: MIT */
/*
 * How far it is stands on the board, which may be behind by a moment: the end is looked at twice. Of a
 * broker's queue it is never known what is on its way to the worker: the end is an empty queue, asked
 * for after the worker had nothing left, and a worker that has had nothing new since for MOVE_IDLE_MS.
 */
#include "daemon/supervisor/move.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sysexits.h>

#include "daemon/supervisor/supervisor.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/conf/conf_url.h"

#define MOVE_MAGIC 0x6d6f7665u
#define MOVE_LOOK_MS 100
#define MOVE_IDLE_MS 1000
#define MOVE_PATIENCE_MS 30000 /* nothing moves for so long: it gives up */
#define MOVE_CONNECT_MS 15000  /* ...and before there was any connection */
#define LINE_BYTES_MAX 65536

/* What is seen in one look. */
struct seen {
	bool known, over;
	uint64_t moved, left;
};

struct move {
	unsigned magic;
	enum node_move how;
	bool count;
	char *url; /* the target, without a password */
	const char *file;
	struct supervisor *s;
	struct loop_timer timer;
	struct seen last;
	uint64_t total;	     /* MOVE_OUT: what was there at first */
	uint64_t earlier;    /* MOVE_IN: what workers before this one have moved */
	uint32_t generation; /* ...and the worker that is counted now */
	int64_t began_ms, changed_ms, idle_wall_ms;
	bool connected; /* once, at least */
	bool ended;
	int exit;
	char error[ERR_TEXT_BYTES];
};

enum node_move move_how(const struct move *m)
{
	return m ? m->how : MOVE_NOT;
}

size_t move_roles(const struct move *m, enum role_id ret[static ROLE_COUNT])
{
	size_t n = 0;

	ret[n++] = ROLE_STORE;
	if (m->how == MOVE_IN || !m->count)
		ret[n++] = ROLE_COURIER;
	if (m->how == MOVE_IN && !m->count)
		ret[n++] = ROLE_WORKER;
	return n;
}

/* --- what is said ----------------------------------------------------------------------------- */

static void say(struct json *line)
{
	struct buf out;

	buf_init(&out, LINE_BYTES_MAX);
	if (json_print(line, false, &out) == 0) {
		fwrite(buf_head(&out), 1, buf_size(&out), stdout);
		fputc('\n', stdout);
		fflush(stdout);
	}
	buf_free(&out);
	json_free(line);
}

static struct json *counts(const struct move *m)
{
	struct json *line = json_object();

	json_add_int(line, "moved", (int64_t)m->last.moved);
	json_add_int(line, "left", (int64_t)m->last.left);
	return line;
}

static void say_over(const struct move *m)
{
	struct json *line = counts(m);

	json_add_bool(line, "over", true);
	if (*m->error)
		json_add_strz(line, "error", m->error);
	if (m->began_ms)
		json_add_num(line, "seconds", (double)(clock_mono_ms() - m->began_ms) / 1000);
	json_add_strz(line, "url", m->url);
	json_add_strz(line, "file", m->file);
	say(line);
}

static void fail(struct move *m, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void fail(struct move *m, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->error, sizeof m->error, fmt, ap);
	va_end(ap);
	m->exit = code;
	m->ended = true;
}

void move_fail(struct move *m, int code, const char *text)
{
	if (code == -EBUSY)
		fail(m, EX_TEMPFAIL,
		    "%s: stop it first, and start it again with the new url when all is moved", text);
	else
		fail(m, code == -EADDRINUSE ? EX_TEMPFAIL : EX_CONFIG, "%s", text);
}

/* --- looking ---------------------------------------------------------------------------------- */

static bool read_slot(const struct move *m, enum role_id role, struct board_slot *ret)
{
	const struct supervisor *s = m->s;

	for (size_t i = 0; i < s->nchildren; i++) {
		if (s->children[i].role == role)
			return s->children[i].state == CHILD_READY &&
			       board_read(s->board, s->children[i].slot, ret);
	}
	return false;
}

/* Going out, only when the store has counted: what is moved is what is missing of that. */
static void start_others(struct move *m)
{
	for (size_t i = 1; i < m->s->nchildren; i++) {
		if (m->s->children[i].state == CHILD_OFF && !m->s->stop.on)
			child_start(&m->s->children[i]);
	}
}

static struct seen look_out(struct move *m)
{
	struct board_slot store;
	struct seen seen = m->last;

	if (!read_slot(m, ROLE_STORE, &store))
		return seen;
	seen.left = store.parcels_ready;
	if (!seen.known || seen.left > m->total)
		m->total = seen.left;
	seen.moved = m->total - seen.left;
	start_others(m);
	seen.over = seen.known && (m->count || (seen.left == 0 && m->last.left == 0));
	seen.known = true;
	return seen;
}

/* What is ready in the queues, and since when that is known of all of them; false: of some it is not. */
static bool read_depths(const struct move *m, uint64_t *ret_ready, int64_t *ret_since_wall_ms)
{
	size_t n = m->s->conf->nqueues < BOARD_QUEUES_MAX ? m->s->conf->nqueues : BOARD_QUEUES_MAX;
	struct board_slot courier;

	if (!read_slot(m, ROLE_COURIER, &courier) || !courier.connected)
		return false;
	*ret_ready = 0;
	*ret_since_wall_ms = INT64_MAX;
	for (size_t i = 0; i < n; i++) {
		const struct board_depth *d = &courier.depths[i];

		if (d->at_wall_ms < *ret_since_wall_ms)
			*ret_since_wall_ms = d->at_wall_ms;
		*ret_ready += d->ready;
	}
	return *ret_since_wall_ms != 0;
}

static void look_at_worker(struct move *m, const struct board_slot *worker, struct seen *seen)
{
	uint64_t moved;

	if (worker->generation != m->generation)
		m->earlier = m->last.moved;
	m->generation = worker->generation;
	moved = m->earlier + worker->delivered - worker->buffered;
	if (worker->buffered || moved != m->last.moved || !m->idle_wall_ms)
		m->idle_wall_ms = clock_wall_ms();
	seen->moved = moved;
}

static struct seen look_in(struct move *m)
{
	struct board_slot worker = {0};
	struct seen seen = m->last;
	int64_t since_wall_ms;
	uint64_t ready;

	if (!m->count && !(read_slot(m, ROLE_WORKER, &worker) && worker.connected))
		return seen;
	if (!m->count)
		look_at_worker(m, &worker, &seen);
	if (!read_depths(m, &ready, &since_wall_ms))
		return seen;
	seen.left = ready + worker.buffered;
	seen.over = m->count || (seen.left == 0 && since_wall_ms > m->idle_wall_ms &&
				    clock_wall_ms() - m->idle_wall_ms > MOVE_IDLE_MS);
	seen.known = true;
	return seen;
}

/* Nothing has moved for long. */
static void give_up(struct move *m)
{
	struct board_slot store, courier = {0};

	if (!read_slot(m, ROLE_STORE, &store))
		fail(m, EX_UNAVAILABLE, "the store does not start");
	else if (!read_slot(m, ROLE_COURIER, &courier) || !courier.connected)
		fail(m, EX_UNAVAILABLE, "there is no connection to the broker");
	else if (courier.blocked)
		fail(m, EX_TEMPFAIL, "the broker takes no messages now: see its memory and disk alarms");
	else
		fail(m, EX_TEMPFAIL, "%" PRIu64 " %s", m->last.left,
		    m->last.left == 1 ? "job does not move" : "jobs do not move");
}

/* Has nothing moved for too long? */
static bool is_stuck(struct move *m, int64_t now)
{
	struct board_slot courier;

	if (read_slot(m, ROLE_COURIER, &courier) && courier.connected && !m->connected) {
		m->connected = true;
		m->changed_ms = now;
	}
	return now - m->changed_ms > (m->connected ? MOVE_PATIENCE_MS : MOVE_CONNECT_MS);
}

static void on_look(struct loop_timer *t)
{
	OBJ(struct move, m, t->arg, MOVE_MAGIC);
	struct seen seen = m->how == MOVE_OUT ? look_out(m) : look_in(m);
	int64_t now = clock_mono_ms();

	if (seen.moved != m->last.moved || seen.left != m->last.left || seen.known != m->last.known) {
		m->last = seen;
		m->changed_ms = now;
		if (!m->count)
			say(counts(m));
	}
	m->last = seen;
	if (m->ended || m->s->stop.on)
		return;
	if (seen.over)
		m->ended = true;
	else if (is_stuck(m, now))
		give_up(m);
	if (m->ended)
		stop_request(m->s, "the move is over");
}

void move_start(struct move *m, struct supervisor *s)
{
	m->s = s;
	m->began_ms = m->changed_ms = clock_mono_ms();
	child_start(s->store);
	if (m->how == MOVE_IN)
		start_others(m);
	loop_timer_init(&m->timer, s->loop, on_look, m);
	loop_timer_every(&m->timer, MOVE_LOOK_MS);
}

void move_stop(struct move *m)
{
	loop_timer_stop(&m->timer);
	if (!m->ended)
		fail(m, EX_TEMPFAIL, "stopped before all was moved");
}

/* --- the order -------------------------------------------------------------------------------- */

static int read_target(char ret[static LINE_BYTES_MAX], struct err *err)
{
	if (!fgets(ret, LINE_BYTES_MAX, stdin))
		return err_set(err, -EINVAL, "standard input does not say where to move to");
	ret[strcspn(ret, "\r\n")] = '\0';
	return 0;
}

/* The configuration as the move needs it: what goes out goes to the target; what comes back comes from
 * the broker that is configured. */
static int prepare(struct move *m, struct conf *conf, const char *target, struct err *err)
{
	int rc = 0;

	m->how = strcmp(target, CONF_URL_EMBEDDED) == 0 ? MOVE_IN : MOVE_OUT;
	m->file = conf->file;
	m->url = conf_url_public(target);
	if (conf->daemon.log_level == LOG_INFO)
		conf->daemon.log_level = LOG_WARN;
	log_open("skepd", conf->daemon.log_level);
	if (m->how == MOVE_IN && conf_is_embedded(conf))
		return err_set(err, -EINVAL,
		    "the configuration names no broker to move from: change [broker] url in '%s' after "
		    "the move, not before",
		    conf->file);
	if (m->how == MOVE_OUT && !conf_is_embedded(conf))
		return err_set(err, -EINVAL,
		    "the configuration names a broker already, and what waits there would stay there: "
		    "move it to embedded first");
	if (m->how == MOVE_OUT)
		rc = conf_set_broker(conf, target, err);
	return rc;
}

int move_run(struct conf *conf, bool count)
{
	struct move m = {.magic = MOVE_MAGIC, .count = count};
	auto_free char *target = xcalloc(1, LINE_BYTES_MAX);
	struct err err = {0};
	int rc = read_target(target, &err);

	if (rc == 0)
		rc = prepare(&m, conf, target, &err);
	if (rc < 0)
		move_fail(&m, rc, err.text);
	else
		supervisor_run(conf, &m);
	say_over(&m);
	free(m.url);
	return m.exit;
}
