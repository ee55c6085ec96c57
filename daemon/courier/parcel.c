/* SPDX-License-Identifier: MIT */
/*
 * One parcel: unpacked, written as an AMQP message, published under its own id as the key, settled when the broker
 * has spoken. The body goes from the store's frame into the connection's out-buffer without a copy between.
 */
#include <errno.h>
#include <inttypes.h>

#include "daemon/courier/courier.h"
#include "daemon/courier/settlements.h"
#include "lib/amqp/topology.h"
#include "lib/base/fault.h"
#include "lib/job/envelope.h"

static void add_header(struct message *m, const char *name, struct header value)
{
	if (m->nheaders == MESSAGE_HEADERS_MAX)
		BUG("no room for header %s", name);
	value.name = slice_str(name);
	m->headers[m->nheaders++] = value;
}

static void address(const struct courier *c, const struct msg_parcel *parcel, struct message *m)
{
	bool direct = parcel->kind == PARCEL_REPLY || c->p->conf->broker.topology == TOPOLOGY_NONE;

	m->exchange = slice_str(direct ? "" : TOPOLOGY_EXCHANGE_IN);
	m->routing_key = parcel->destination;
	m->body = parcel->body;
}

/* A reply answers to the correlation id, and is no job: nothing of the job's limits goes with it. */
static void write_reply(struct message *m, const struct msg_parcel *parcel, const struct job *job)
{
	struct message reply = {
	    .type = job->type,
	    .correlation_id = job->correlation_id.n ? job->correlation_id : job->id,
	    .content_type = job->content_type,
	    .timestamp_s = -1,
	    .priority = -1,
	};

	*m = reply;
	add_header(m, "job-id", (struct header){.kind = HEADER_STRING, .text = job->id});
	add_header(m, "job-state", (struct header){.kind = HEADER_STRING, .text = parcel->state});
}

static void write_job(struct message *m, const struct msg_parcel *parcel, struct job *job,
    const struct courier *c)
{
	job->parcel = parcel->parcel;
	job->ready_wall_ms = parcel->ready_wall_ms;
	job->at_wall_ms = parcel->due_wall_ms;
	job->node = slice_str(c->node);
	envelope_write(m, job);
	add_header(m, "job-attempt",
	    (struct header){.kind = HEADER_INT, .integer = parcel->attempt});
}

static int publish(struct courier *c, const struct msg_parcel *parcel, struct err *err)
{
	bool reply = parcel->kind == PARCEL_REPLY;
	struct amqp_publisher *publisher = reply ? c->replies : c->jobs;
	struct message m;
	struct job job;
	int rc;

	if (amqp_publisher_room(publisher) == 0)
		return -EAGAIN;
	rc = envelope_unpack(&job, parcel->envelope, err);
	if (rc < 0)
		return rc;
	if (reply)
		write_reply(&m, parcel, &job);
	else
		write_job(&m, parcel, &job, c);
	address(c, parcel, &m);
	return amqp_publisher_publish(publisher, parcel->parcel, &m, err);
}

/* With the broker away no credit is given, so a parcel comes back once. But where jobs go out and the replies'
 * channel alone is down (no permission for the default exchange), the store would send a reply again at once, for
 * ever: it waits as if the broker had refused it. */
static void hand_back(struct courier *c, uint64_t parcel)
{
	if (amqp_publisher_room(c->jobs) > 0)
		settlements_add(
		    c->settlements, parcel, SETTLE_NACKED, "the channel for replies is not open");
	else
		settlements_add(c->settlements, parcel, SETTLE_UNSENT, "no room");
}

/* A broker that blocks publishers is another matter: that may last, and what was leased goes back. */
void courier_flow(struct courier *c)
{
	struct peer *store = c->link ? store_link_peer(c->link) : NULL; /* none before START */

	if (store)
		peer_pause(store, amqp_conn_is_up(c->conn) && !amqp_conn_is_blocked(c->conn) &&
				      amqp_conn_backlog(c->conn) > AMQP_OUT_HIGH_BYTES);
}

/*~ 12. It is published, mandatory, under its own id; the broker's confirm comes back as SETTLE
 * and clears the row. The message is delivered again, at stop 1, and asks at stop 3. */
int courier_parcel(struct courier *c, struct frame *f)
{
	struct msg_parcel parcel;
	struct err err = {0};
	int rc;

	if (msg_parcel_decode(f, &parcel) < 0)
		return -EPROTO;
	FAULT(courier_leased);
	if (c->granted > 0)
		c->granted--;
	/* It was outstanding when the store went away, and still is: its confirm will settle it. */
	if (amqp_publisher_has(c->jobs, parcel.parcel) || amqp_publisher_has(c->replies, parcel.parcel))
		return 0;
	rc = publish(c, &parcel, &err);
	if (rc == -EAGAIN) {
		hand_back(c, parcel.parcel);
	} else if (rc < 0) {
		log_error("cannot publish parcel %" PRIu64 " to '" SLICE_FMT "': %s", parcel.parcel,
		    SLICE_ARG(parcel.destination), err.text);
		settlements_add(c->settlements, parcel.parcel, SETTLE_REFUSED, err.text);
	} else {
		c->p->slot->published++;
		process_board_changed(c->p);
#ifdef SKEP_FAULTS
		amqp_conn_flush(c->conn); /* so that the fault finds it on the wire */
#endif
		FAULT(courier_published);
		courier_flow(c);
	}
	return 0;
}

static enum settle_how how_of(enum amqp_settled how)
{
	static const enum settle_how map[] = {
	    [AMQP_CONFIRMED] = SETTLE_CONFIRMED,
	    [AMQP_RETURNED] = SETTLE_RETURNED,
	    [AMQP_NACKED] = SETTLE_NACKED,
	    [AMQP_REFUSED] = SETTLE_REFUSED,
	    [AMQP_UNSENT] = SETTLE_UNSENT,
	};

	return map[how];
}

static void on_settled(void *arg, uint64_t key, enum amqp_settled how, const char *reason)
{
	OBJ(struct courier, c, arg, COURIER_MAGIC);

	if (how == AMQP_CONFIRMED) {
		FAULT(courier_confirmed);
		c->p->slot->confirmed++;
	} else if (how == AMQP_RETURNED) {
		c->p->slot->returned++;
	}
	process_board_changed(c->p);
	settlements_add(c->settlements, key, how_of(how), reason);
}

/* The grant hook looks at the room before every sleep. */
static void on_room(void *arg)
{
	OBJ(struct courier, c, arg, COURIER_MAGIC);

	loop_again(c->p->loop);
}

const struct amqp_publisher_events courier_job_events = {on_settled, on_room};
const struct amqp_publisher_events courier_reply_events = {on_settled, on_room};
