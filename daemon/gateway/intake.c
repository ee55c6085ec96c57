/* SPDX-License-Identifier: MIT */
/*
 * The jobs of a request stand in a ring in their order: read at the head, answered anywhere,
 * written out from the tail. Once the store has not answered for one of them in time, the rest are
 * refused without being tried.
 */
#include "daemon/gateway/intake.h"

#include <errno.h>

#include "daemon/gateway/items.h"
#include "lib/base/clock.h"
#include "lib/base/fault.h"

#define PLACE_MAGIC 0x706c6163u
#define INTAKE_ANSWER_MAX_BYTES (256u << 20)
/* What curl says of any body when it is told nothing. */
#define FORM_ENCODED "application/x-www-form-urlencoded"

struct intake;

struct place {
	unsigned magic;
	struct intake *intake;
	struct submit *submit;
	struct call *call;
	size_t line;
	unsigned status; /* of its answer; 0: not yet */
	char *answer;
};

struct intake {
	struct gateway *g;
	struct http_request *r;
	struct submit_context context;
	struct items items;
	bool many, at_end, hopeless;
	struct place *ring;
	size_t size, tail, used;
	size_t written;
	unsigned status; /* of the last answer written */
	struct buf out;
};

static void intake_go_on(struct intake *in);

/* --- one job ---------------------------------------------------------------------------------- */

static char *printed(struct json *take)
{
	struct buf text;

	buf_init(&text, INTAKE_ANSWER_MAX_BYTES);
	json_print(take, false, &text);
	buf_add(&text, "", 1);
	json_free(take);
	return (char *)text.data;
}

static void refused(struct place *p, unsigned status, const char *text)
{
	struct json *j = json_object();

	json_add_strz(j, "error", text);
	if (p->submit)
		json_add_str(j, "id", p->submit->job.id);
	if (p->intake->many) {
		json_add_int(j, "status", status);
		json_add_int(
		    j, p->intake->items.form == ITEMS_LINES ? "line" : "n", (int64_t)p->line);
	}
	p->status = status;
	p->answer = printed(j);
}

static void accepted(struct place *p, const struct call_answer *a)
{
	const struct job *job = &p->submit->job;
	struct json *j = json_object();

	json_add_str(j, "id", job->id);
	json_add_str(j, "queue", job->queue);
	json_add_str(j, "type", job->type);
	json_add_str(j, "state", a->state);
	if (a->existing)
		json_add_bool(j, "existing", true);
	p->status = a->status;
	p->answer = printed(j);
}

static void on_answer(const struct call_answer *a, void *arg)
{
	OBJ(struct place, p, arg, PLACE_MAGIC);
	struct intake *in = p->intake;
	auto_free char *text = slice_dup(a->text);

	p->call = NULL;
	if (a->status == 0) {
		in->hopeless = true;
		refused(p, 503,
		    "the store did not answer within 30 s: the job may have been taken or not, "
		    "submit it again with the same id");
	} else if (a->status >= 300) {
		refused(p, a->status, text[0] ? text : "the store refused it");
	} else {
		accepted(p, a);
	}
	intake_go_on(in);
}

static struct place *place_new(struct intake *in)
{
	struct place *p = &in->ring[(in->tail + in->used++) % in->size];

	*p = (struct place){.magic = PLACE_MAGIC, .intake = in, .line = in->items.line};
	return p;
}

static void hand_over(struct intake *in, struct submit *s, const struct err *err)
{
	struct place *p = place_new(in);

	p->submit = s;
	if (in->hopeless) {
		refused(p, 503, "not tried: the store does not answer");
		return;
	}
	if (!s) {
		refused(p, submit_status(err), err->text);
		return;
	}
	FAULT(gateway_submit);
	p->call = calls_submit(in->g->calls, s, on_answer, p);
}

/* --- the request ------------------------------------------------------------------------------ */

static void intake_free(struct intake *in)
{
	for (size_t i = 0; i < in->used; i++) {
		struct place *p = &in->ring[(in->tail + i) % in->size];

		calls_drop(p->call);
		submit_free(p->submit);
		free(p->answer);
	}
	buf_free(&in->out);
	free(in->ring);
	free(in);
}

static void read_more(struct intake *in)
{
	struct slice text;
	int rc;

	while (!in->at_end && in->used < in->size) {
		struct err err = {0};

		rc = items_next(&in->items, &text, &err);
		if (rc == 0)
			in->at_end = true;
		else
			hand_over(
			    in, rc > 0 ? submit_from_json(&in->context, text, &err) : NULL, &err);
	}
}

/* Takes finished answers off the ring, in order. True if that made room. */
static bool write_answers(struct intake *in)
{
	bool any = false;

	while (in->used && in->ring[in->tail].status) {
		struct place *p = &in->ring[in->tail];

		if (in->items.form == ITEMS_ARRAY)
			buf_adds(&in->out, in->written ? ",\n" : "[");
		buf_adds(&in->out, p->answer);
		if (in->items.form != ITEMS_ARRAY)
			buf_adds(&in->out, "\n");
		free(p->answer);
		submit_free(p->submit);
		in->status = p->status;
		in->written++;
		in->tail = (in->tail + 1) % in->size;
		in->used--;
		any = true;
	}
	return any;
}

static void finish(struct intake *in)
{
	if (in->items.form == ITEMS_ARRAY)
		buf_adds(&in->out, in->written ? "]\n" : "[]\n");
	FAULT(gateway_before_reply);
	http_reply(in->r, in->many ? 200 : in->status,
	    in->items.form == ITEMS_LINES ? "application/x-ndjson" : "application/json", &in->out);
	intake_free(in);
}

static void intake_go_on(struct intake *in)
{
	do {
		read_more(in);
	} while (write_answers(in) && !in->at_end);
	if (in->at_end && in->used == 0)
		finish(in);
}

static struct intake *intake_new(struct gateway *g, struct http_request *r, bool many)
{
	struct intake *in = xcalloc(1, sizeof *in);

	in->g = g;
	in->r = r;
	in->context = (struct submit_context){
	    .conf = g->p->conf, .max_body = g->max_body, .now_wall_ms = clock_wall_ms()};
	in->many = many;
	in->size = many ? INTAKE_WINDOW : 1;
	in->ring = xcalloc(in->size, sizeof *in->ring);
	buf_init(&in->out, INTAKE_ANSWER_MAX_BYTES);
	return in;
}

/* True if `header` names that media type, with or without parameters. */
static bool is_type(struct slice header, const char *type)
{
	size_t n = strlen(type);

	return header.n >= n && strncasecmp((const char *)header.p, type, n) == 0 &&
	       (header.n == n || strchr("; \t", header.p[n]));
}

static void begin_raw(struct gateway *g, struct http_request *r, struct slice type)
{
	struct intake *in = intake_new(g, r, false);
	struct err err = {0};
	struct submit *s;

	if (is_type(type, FORM_ENCODED))
		type.n = 0;
	in->items.form = ITEMS_ONE;
	in->at_end = true;
	s = submit_from_query(&in->context, http_target(r), http_body(r), type,
	    http_header(r, "Content-Encoding"), &err);
	hand_over(in, s, &err);
	intake_go_on(in);
}

void intake_begin(struct gateway *g, struct http_request *r)
{
	struct slice type = http_header(r, "Content-Type");
	bool lines = is_type(type, "application/x-ndjson");
	struct intake *in;
	struct items items;
	struct err err = {0};

	if (!lines && !is_type(type, "application/json")) {
		begin_raw(g, r, type);
		return;
	}
	if (http_target(r)->nparams) {
		http_error(r, 400,
		    "a JSON description has no parameters beside it: put them into the object, or "
		    "send the body with another Content-Type");
		return;
	}
	if (items_open(&items, lines, http_body(r), &err) < 0) {
		http_error(r, err.code == -E2BIG ? 413 : 400, "%s", err.text);
		return;
	}
	in = intake_new(g, r, items.form != ITEMS_ONE);
	in->items = items;
	intake_go_on(in);
}
