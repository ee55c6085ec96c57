/* links: daemon/store/store.sql.c daemon/store/store.c daemon/store/pace.c daemon/store/peers.c daemon/store/workers.c daemon/store/courier.c daemon/store/gateway.c daemon/store/due.c daemon/store/embedded.c daemon/store/disk.c daemon/store/asks.c daemon/store/batch.c daemon/store/bodies.c daemon/store/claims.c daemon/store/deals.c daemon/store/jobs.c daemon/store/lanes.c daemon/store/ledger.c daemon/store/map.c daemon/store/parcels.c daemon/store/pauses.c daemon/store/scalings.c daemon/store/record.c daemon/store/requests.c daemon/store/serve.c daemon/store/sweep.c daemon/store/takes.c daemon/store/tally.c daemon/store/tombs.c daemon/store/verdict.c daemon/store/wares.c daemon/store/waits.c daemon/store/watches.c */
/* SPDX-License-Identifier: MIT */
/* The store as a process whose jobs wait in its own database: who is dealt what, and what becomes
 * of it when a connection, a worker or the store goes. */
#include "tests/unit/store_rig.h"

#define WORKER_SLOT 2

static const char config[] =
    "[broker]\nurl = embedded\n[queue q]\n[queue r]\n"
    "[pool one]\nqueues = q\n[pool both]\nqueues = q, r\n"
    "[handler t]\ncommand = /bin/true\nbackoff = none\n";

static struct rig *embedded_rig(void)
{
	struct rig *rig = rig_of(config);

	peers_end(rig);
	wait_ready(rig);
	return rig;
}

static void paused(struct party *p, const char *queue, bool yes)
{
	struct msg_paused m;

	EXPECT(p, PAUSED, paused, &m);
	assert_true(slice_is(m.queue, queue));
	assert_int_equal(m.paused, yes);
}

static void want(struct party *p, uint32_t runs)
{
	SEND(p->fd, want, .runs = runs);
}

/* A worker of that pool, welcome and idle; it says nothing of what it wants. */
static struct party *worker_new(struct rig *rig, const char *name, const char *pool)
{
	struct party *p = party_of(rig, name, pool, WORKER_SLOT);

	name_party(p, ROLE_WORKER);
	connect_party(p);
	hello(p, ROLE_WORKER, 0);
	welcome(p);
	paused(p, "q", false);
	if (strcmp(pool, "both") == 0)
		paused(p, "r", false);
	return p;
}

struct dealt {
	struct id run;
	uint32_t attempt;
	bool alone;
};

static struct dealt deal(struct party *p, const char *queue, const char *id)
{
	struct msg_deal m;
	struct job job;

	EXPECT(p, DEAL, deal, &m);
	assert_true(slice_is(m.queue, queue));
	assert_int_equal(envelope_unpack(&job, m.envelope, NULL), 0);
	if (!slice_is(job.id, id))
		fail_msg("job " SLICE_FMT " was dealt, not %s", SLICE_ARG(job.id), id);
	assert_true(slice_is(m.body, "the body"));
	return (struct dealt){m.run, m.attempt, m.alone};
}

#define RUN(dealt_, queue_, id_)                                                                   \
	.run = (dealt_).run, .queue = slice_str(queue_), .job = slice_str(id_), .type = slice_str("t")

static void begin(struct party *p, struct dealt d, const char *queue, const char *id)
{
	SEND(p->fd, claim, RUN(d, queue, id), .expires_wall_ms = JOB_NOT_GIVEN,
	    .retries = JOB_NOT_GIVEN);
}

static void end(
    struct party *p, struct dealt d, const char *queue, const char *id, enum outcome outcome)
{
	SEND(p->fd, outcome, RUN(d, queue, id), .outcome = (uint8_t)outcome,
	    .started_wall_ms = clock_wall_ms(), .retries = JOB_NOT_GIVEN, .result = slice_str("r"),
	    .body = slice_str("the body"));
}

static void done(struct party *p, struct dealt d, const char *queue, const char *id)
{
	struct msg_recorded m;

	end(p, d, queue, id, OUTCOME_DONE);
	EXPECT(p, RECORDED, recorded, &m);
	assert_true(id_eq(m.run, d.run));
}

static void submit(struct party *gateway, const char *queue, const char *id)
{
	SEND(gateway->fd, submit, .queue = slice_str(queue), .job = slice_str(id),
	    .type = slice_str("t"), .due_wall_ms = JOB_NOT_GIVEN, .delay_ms = JOB_NOT_GIVEN,
	    .body = slice_str("the body"));
}

static void submitted(struct party *gateway, const char *queue, const char *id)
{
	submit(gateway, queue, id);
	assert_int_equal(reply(gateway).status, 201);
}

static void pause_queue(struct party *gateway, const char *queue, bool existing)
{
	struct msg_reply r;

	SEND(gateway->fd, pause, .request = 1, .queue = slice_str(queue));
	r = reply(gateway);
	assert_int_equal(r.status, 200);
	assert_int_equal(r.existing, existing);
	assert_true(slice_is(r.state, "paused"));
}

/* Whatever the store would deal now, it has dealt; and this one was dealt nothing. */
static void expect_no_deal(struct party *p, struct party *gateway)
{
	another_turn(gateway);
	another_turn(gateway);
	assert_silent(p);
}

static void party_dies(struct party *p)
{
	hang_up(p);
	bury(p, false);
}

/* --- who is dealt what ------------------------------------------------------------------------ */

static void test_a_job_is_dealt_when_its_claim_is_durable(void **state)
{
	struct rig *rig = embedded_rig();
	struct party *worker = worker_new(rig, "one/1", "one"), *gateway = join(rig, ROLE_GATEWAY);
	struct dealt d;

	(void)state;
	want(worker, 1);
	submitted(gateway, "q", "a");
	d = deal(worker, "q", "a");
	assert_int_equal(d.attempt, 1);
	assert_false(d.alone);
	assert_int_equal(job_number(rig, "(SELECT count(*) FROM claim WHERE job = seq)", "a"), 1);
	assert_int_equal(job_number(rig, "(SELECT state FROM parcel WHERE job = seq)", "a"), PARCEL_HELD);
	done(worker, d, "q", "a");
	assert_int_equal(job_number(rig, "state", "a"), JOB_DONE);
	assert_int_equal(job_number(rig, "(SELECT count(*) FROM claim)", "a"), 0);
	assert_int_equal(job_number(rig, "(SELECT count(*) FROM parcel)", "a"), 0);
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

static void test_no_more_than_it_wants(void **state)
{
	struct rig *rig = embedded_rig();
	struct party *worker = worker_new(rig, "one/1", "one"), *gateway = join(rig, ROLE_GATEWAY);
	struct dealt d;

	(void)state;
	submitted(gateway, "q", "a");
	submitted(gateway, "q", "b");
	submitted(gateway, "q", "c");
	expect_no_deal(worker, gateway); /* it has not said that it wants any */
	want(worker, 2);
	d = deal(worker, "q", "a");
	deal(worker, "q", "b");
	expect_no_deal(worker, gateway);
	assert_int_equal(store_slot(rig).depths[0].ready, 1);
	assert_int_equal(store_slot(rig).depths[0].consumers, 1);
	done(worker, d, "q", "a");
	deal(worker, "q", "c");
	want(worker, CLAIMS_PER_OWNER_MAX + 1);
	assert_int_equal(next_frame(worker), MSG_NONE);
	another_turn(gateway);
	assert_int_equal(store_slot(rig).depths[0].consumers, 0);
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

static void test_a_worker_that_wants_none_is_dealt_none(void **state)
{
	struct rig *rig = embedded_rig();
	struct party *worker = worker_new(rig, "one/1", "one"), *gateway = join(rig, ROLE_GATEWAY);
	struct dealt d;

	(void)state;
	want(worker, 1);
	submitted(gateway, "q", "a");
	submitted(gateway, "q", "b");
	d = deal(worker, "q", "a");
	want(worker, 0);
	done(worker, d, "q", "a");
	expect_no_deal(worker, gateway);
	want(worker, 1);
	deal(worker, "q", "b");
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

static void test_the_one_with_the_fewest_runs_is_served_first(void **state)
{
	struct rig *rig = embedded_rig();
	struct party *busy = worker_new(rig, "one/1", "one"), *idle,
		     *gateway = join(rig, ROLE_GATEWAY);

	(void)state;
	want(busy, 10);
	submitted(gateway, "q", "a");
	deal(busy, "q", "a");
	submitted(gateway, "q", "b");
	deal(busy, "q", "b");
	idle = worker_new(rig, "one/2", "one");
	want(idle, 10);
	submitted(gateway, "q", "c");
	deal(idle, "q", "c");
	submitted(gateway, "q", "d");
	deal(idle, "q", "d");
	expect_no_deal(busy, gateway);
	party_free(busy);
	party_free(idle);
	party_free(gateway);
	rig_free(rig);
}

/* Not all to the first that has room for all. */
static void test_what_comes_together_is_shared(void **state)
{
	struct rig *rig = embedded_rig();
	struct party *one = worker_new(rig, "one/1", "one"), *other = worker_new(rig, "one/2", "one"),
		     *gateway = join(rig, ROLE_GATEWAY);

	(void)state;
	want(one, 10);
	want(other, 10);
	kill(rig->store, SIGSTOP);
	submit(gateway, "q", "a");
	submit(gateway, "q", "b");
	submit(gateway, "q", "c");
	submit(gateway, "q", "d");
	kill(rig->store, SIGCONT);
	for (int i = 0; i < 4; i++)
		assert_int_equal(reply(gateway).status, 201);
	deal(one, "q", "a");
	deal(one, "q", "b");
	deal(other, "q", "c");
	deal(other, "q", "d");
	party_free(one);
	party_free(other);
	party_free(gateway);
	rig_free(rig);
}

static void test_two_queues_by_turns(void **state)
{
	struct rig *rig = embedded_rig();
	struct party *worker = worker_new(rig, "both/1", "both"), *gateway = join(rig, ROLE_GATEWAY);

	(void)state;
	submitted(gateway, "q", "q1");
	submitted(gateway, "q", "q2");
	submitted(gateway, "q", "q3");
	submitted(gateway, "r", "r1");
	submitted(gateway, "r", "r2");
	want(worker, 1);
	done(worker, deal(worker, "q", "q1"), "q", "q1");
	done(worker, deal(worker, "r", "r1"), "r", "r1");
	done(worker, deal(worker, "q", "q2"), "q", "q2");
	done(worker, deal(worker, "r", "r2"), "r", "r2");
	done(worker, deal(worker, "q", "q3"), "q", "q3");
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

static void test_a_pool_is_dealt_its_own_queues_alone(void **state)
{
	struct rig *rig = embedded_rig();
	struct party *worker = worker_new(rig, "one/1", "one"), *other,
		     *gateway = join(rig, ROLE_GATEWAY);

	(void)state;
	want(worker, 5);
	submitted(gateway, "r", "a");
	expect_no_deal(worker, gateway);
	other = worker_new(rig, "both/1", "both");
	want(other, 5);
	deal(other, "r", "a");
	party_free(worker);
	party_free(other);
	party_free(gateway);
	rig_free(rig);
}

static void test_with_a_broker_nothing_is_dealt(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *gateway = join(rig, ROLE_GATEWAY),
		     *worker = party_of(rig, "default/1", "default", WORKER_SLOT);

	(void)state;
	name_party(worker, ROLE_WORKER);
	connect_party(worker);
	hello(worker, ROLE_WORKER, 0);
	welcome(worker);
	paused(worker, "q", false);
	want(worker, 1);
	submitted(gateway, "q", "a");
	expect_no_deal(worker, gateway);
	assert_int_equal(store_slot(rig).parcels_ready, 1);
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

/* --- pauses ----------------------------------------------------------------------------------- */

static void test_a_paused_queue_is_not_dealt(void **state)
{
	struct rig *rig = embedded_rig();
	struct party *worker = worker_new(rig, "both/1", "both"), *gateway = join(rig, ROLE_GATEWAY);
	struct msg_reply r;

	(void)state;
	want(worker, 10);
	pause_queue(gateway, "q", false);
	paused(worker, "q", true);
	pause_queue(gateway, "q", true); /* nothing new: no worker hears of it */
	submitted(gateway, "q", "a");
	submitted(gateway, "r", "b");
	deal(worker, "r", "b");
	expect_no_deal(worker, gateway);
	assert_int_equal(store_slot(rig).depths[0].paused, 1);
	assert_int_equal(store_slot(rig).depths[0].ready, 1);
	assert_int_equal(store_slot(rig).depths[1].paused, 0);
	SEND(gateway->fd, resume, .request = 2, .queue = slice_str("q"));
	r = reply(gateway);
	assert_true(slice_is(r.state, "active"));
	assert_false(r.existing);
	paused(worker, "q", false);
	deal(worker, "q", "a");
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

static void test_a_pause_outlives_the_store(void **state)
{
	struct rig *rig = embedded_rig();
	struct party *worker, *gateway = join(rig, ROLE_GATEWAY);

	(void)state;
	pause_queue(gateway, "q", false);
	submitted(gateway, "q", "a");
	kill_store(rig);
	party_free(gateway);
	start_store(rig);
	peers_end(rig);
	wait_ready(rig);
	gateway = join(rig, ROLE_GATEWAY);
	worker = party_of(rig, "both/1", "both", WORKER_SLOT);
	name_party(worker, ROLE_WORKER);
	connect_party(worker);
	hello(worker, ROLE_WORKER, 0);
	welcome(worker);
	paused(worker, "q", true);
	paused(worker, "r", false);
	want(worker, 1);
	expect_no_deal(worker, gateway);
	SEND(gateway->fd, resume, .request = 2, .queue = slice_str("q"));
	assert_int_equal(reply(gateway).status, 200);
	paused(worker, "q", false);
	deal(worker, "q", "a");
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

/* --- who goes and who comes again ------------------------------------------------------------- */

static void test_a_worker_that_dies_before_it_begins_loses_nothing(void **state)
{
	struct rig *rig = embedded_rig();
	struct party *dead = worker_new(rig, "one/1", "one"), *other;
	struct party *gateway = join(rig, ROLE_GATEWAY);
	struct dealt first, d;

	(void)state;
	want(dead, 1);
	submitted(gateway, "q", "a");
	first = deal(dead, "q", "a");
	party_dies(dead);
	other = worker_new(rig, "one/2", "one");
	want(other, 1);
	d = deal(other, "q", "a");
	assert_false(id_eq(d.run, first.run));
	assert_int_equal(d.attempt, 1);
	assert_false(d.alone);
	assert_int_equal(job_number(rig, "losses", "a"), 0);
	party_free(dead);
	party_free(other);
	party_free(gateway);
	rig_free(rig);
}

static void test_a_worker_that_dies_after_it_began_loses_its_run(void **state)
{
	struct rig *rig = embedded_rig();
	struct party *dead = worker_new(rig, "one/1", "one"), *other;
	struct party *gateway = join(rig, ROLE_GATEWAY);
	struct dealt d;

	(void)state;
	want(dead, 1);
	submitted(gateway, "q", "a");
	d = deal(dead, "q", "a");
	begin(dead, d, "q", "a");
	party_dies(dead);
	other = worker_new(rig, "one/2", "one");
	want(other, 1);
	d = deal(other, "q", "a");
	assert_true(d.alone);
	assert_int_equal(job_number(rig, "losses", "a"), 1);
	party_free(dead);
	party_free(other);
	party_free(gateway);
	rig_free(rig);
}

/* What was in the socket that broke is dealt again; what arrived goes on. */
static void test_connecting_again_to_the_same_store(void **state)
{
	struct rig *rig = embedded_rig();
	struct party *worker = worker_new(rig, "one/1", "one"), *gateway = join(rig, ROLE_GATEWAY);
	struct dealt held, d;

	(void)state;
	want(worker, 2);
	submitted(gateway, "q", "held");
	held = deal(worker, "q", "held");
	submitted(gateway, "q", "unheard");
	deal(worker, "q", "unheard");
	hang_up(worker);
	connect_party(worker);
	hello(worker, ROLE_WORKER, 1);
	SEND(worker->fd, hold, RUN(held, "q", "held"), .verdict = VERDICT_RUN, .attempt = 1);
	welcome(worker);
	paused(worker, "q", false);
	expect_no_deal(worker, gateway); /* what it wanted ended with the connection */
	want(worker, 2);
	d = deal(worker, "q", "unheard");
	assert_false(d.alone);
	assert_int_equal(job_number(rig, "losses", "unheard"), 0);
	done(worker, held, "q", "held");
	assert_int_equal(job_number(rig, "runs", "held"), 1);
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

/* A store that is new to a worker that lives: it names the run that it was dealt or not. */
static struct party *meet_again(struct rig *rig, struct party *worker, const struct dealt *held)
{
	struct party *gateway = party_of(rig, "peer", "", 3);

	kill_store(rig);
	hang_up(worker);
	start_store(rig);
	name_party(worker, ROLE_WORKER);
	name_party(gateway, ROLE_GATEWAY);
	peers_end(rig);
	connect_party(worker);
	connect_party(gateway);
	hello(gateway, ROLE_GATEWAY, 0);
	hello(worker, ROLE_WORKER, held ? 1 : 0);
	if (held)
		SEND(worker->fd, hold, RUN(*held, "q", "a"), .verdict = VERDICT_RUN, .attempt = 1,
		    .begun = 0);
	welcome(worker);
	welcome(gateway);
	paused(worker, "q", false);
	want(worker, 1);
	return gateway;
}

/* As its own process shows itself on the board. */
static void show_worker(struct rig *rig, pid_t pid, int64_t started_wall_ms)
{
	struct board_slot slot = {.generation = 1, .role = ROLE_WORKER, .pid = (int32_t)pid,
	    .started_wall_ms = started_wall_ms};

	board_assign(rig->board, WORKER_SLOT, &slot);
}

static void test_what_a_dead_store_dealt_and_nobody_received_is_no_loss(void **state)
{
	struct rig *rig = embedded_rig();
	struct party *worker = worker_new(rig, "one/1", "one"), *gateway = join(rig, ROLE_GATEWAY);
	struct dealt d;

	(void)state;
	show_worker(rig, worker->pid, clock_wall_ms());
	want(worker, 1);
	submitted(gateway, "q", "a");
	deal(worker, "q", "a");
	party_free(gateway);
	gateway = meet_again(rig, worker, NULL);
	d = deal(worker, "q", "a");
	assert_int_equal(d.attempt, 1);
	assert_false(d.alone);
	assert_int_equal(job_number(rig, "losses", "a"), 0);
	assert_int_equal(job_number(rig, "runs", "a"), 0);
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

static void test_what_it_has_received_goes_on_under_the_next_store(void **state)
{
	struct rig *rig = embedded_rig();
	struct party *worker = worker_new(rig, "one/1", "one"), *gateway = join(rig, ROLE_GATEWAY);
	struct dealt d;

	(void)state;
	show_worker(rig, worker->pid, clock_wall_ms());
	want(worker, 1);
	submitted(gateway, "q", "a");
	d = deal(worker, "q", "a");
	party_free(gateway);
	gateway = meet_again(rig, worker, &d);
	expect_no_deal(worker, gateway);
	done(worker, d, "q", "a");
	assert_int_equal(job_number(rig, "losses", "a"), 0);
	assert_int_equal(job_number(rig, "runs", "a"), 1);
	assert_int_equal(job_number(rig, "state", "a"), JOB_DONE);
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

static void test_what_it_has_received_and_not_begun_dies_with_it_without_a_loss(void **state)
{
	struct rig *rig = embedded_rig();
	struct party *worker = worker_new(rig, "one/1", "one"), *gateway = join(rig, ROLE_GATEWAY),
		     *other;
	struct dealt d;

	(void)state;
	want(worker, 1);
	submitted(gateway, "q", "a");
	d = deal(worker, "q", "a");
	party_free(gateway);
	gateway = meet_again(rig, worker, &d);
	party_dies(worker);
	other = worker_new(rig, "one/2", "one");
	want(other, 1);
	d = deal(other, "q", "a");
	assert_false(d.alone);
	assert_int_equal(job_number(rig, "losses", "a"), 0);
	party_free(worker);
	party_free(other);
	party_free(gateway);
	rig_free(rig);
}

/* The run was of the process that had the name before: that one has died with it. */
static void lost_by_another(struct rig *rig, pid_t shown_pid, int64_t started_after_ms)
{
	struct party *worker = worker_new(rig, "one/1", "one"), *gateway = join(rig, ROLE_GATEWAY);
	struct dealt d;

	want(worker, 1);
	submitted(gateway, "q", "a");
	deal(worker, "q", "a");
	party_free(gateway);
	show_worker(rig, shown_pid ? shown_pid : worker->pid, clock_wall_ms() + started_after_ms);
	gateway = meet_again(rig, worker, NULL);
	d = deal(worker, "q", "a");
	assert_true(d.alone);
	assert_int_equal(job_number(rig, "losses", "a"), 1);
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

static void test_what_an_earlier_process_of_that_name_was_dealt_is_lost(void **state)
{
	(void)state;
	lost_by_another(embedded_rig(), 0, 1000);
}

static void test_what_another_pid_of_that_name_was_dealt_is_lost(void **state)
{
	(void)state;
	lost_by_another(embedded_rig(), getpid(), -10000);
}

static void test_a_dealt_job_is_cancelled(void **state)
{
	struct rig *rig = embedded_rig();
	struct party *worker = worker_new(rig, "one/1", "one"), *gateway = join(rig, ROLE_GATEWAY);
	struct msg_cancel cancel;
	struct msg_ask ask;
	struct dealt d;

	(void)state;
	want(worker, 1);
	submitted(gateway, "q", "a");
	d = deal(worker, "q", "a");
	SEND(gateway->fd, abort, .request = 7, .queue = slice_str("q"), .job = slice_str("a"));
	assert_int_equal(reply(gateway).status, 202);
	EXPECT(worker, ASK, ask, &ask);
	EXPECT(worker, CANCEL, cancel, &cancel);
	assert_true(id_eq(cancel.run, d.run));
	end(worker, d, "q", "a", OUTCOME_CANCELLED);
	EXPECT(worker, ASK, ask, &ask);
	assert_int_equal(next_frame(worker), MSG_RECORDED);
	assert_int_equal(job_number(rig, "state", "a"), JOB_CANCELLED);
	assert_int_equal(job_number(rig, "(SELECT count(*) FROM parcel)", "a"), 0);
	expect_no_deal(worker, gateway);
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_job_is_dealt_when_its_claim_is_durable),
	    cmocka_unit_test(test_no_more_than_it_wants),
	    cmocka_unit_test(test_a_worker_that_wants_none_is_dealt_none),
	    cmocka_unit_test(test_the_one_with_the_fewest_runs_is_served_first),
	    cmocka_unit_test(test_what_comes_together_is_shared),
	    cmocka_unit_test(test_two_queues_by_turns),
	    cmocka_unit_test(test_a_pool_is_dealt_its_own_queues_alone),
	    cmocka_unit_test(test_with_a_broker_nothing_is_dealt),
	    cmocka_unit_test(test_a_paused_queue_is_not_dealt),
	    cmocka_unit_test(test_a_pause_outlives_the_store),
	    cmocka_unit_test(test_a_worker_that_dies_before_it_begins_loses_nothing),
	    cmocka_unit_test(test_a_worker_that_dies_after_it_began_loses_its_run),
	    cmocka_unit_test(test_connecting_again_to_the_same_store),
	    cmocka_unit_test(test_what_a_dead_store_dealt_and_nobody_received_is_no_loss),
	    cmocka_unit_test(test_what_it_has_received_goes_on_under_the_next_store),
	    cmocka_unit_test(test_what_it_has_received_and_not_begun_dies_with_it_without_a_loss),
	    cmocka_unit_test(test_what_an_earlier_process_of_that_name_was_dealt_is_lost),
	    cmocka_unit_test(test_what_another_pid_of_that_name_was_dealt_is_lost),
	    cmocka_unit_test(test_a_dealt_job_is_cancelled),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
