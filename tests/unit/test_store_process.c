/* links: daemon/store/store.sql.c daemon/store/store.c daemon/store/pace.c daemon/store/peers.c daemon/store/workers.c daemon/store/courier.c daemon/store/gateway.c daemon/store/due.c daemon/store/embedded.c daemon/store/disk.c daemon/store/asks.c daemon/store/batch.c daemon/store/bodies.c daemon/store/claims.c daemon/store/deals.c daemon/store/jobs.c daemon/store/lanes.c daemon/store/ledger.c daemon/store/map.c daemon/store/parcels.c daemon/store/pauses.c daemon/store/scalings.c daemon/store/record.c daemon/store/requests.c daemon/store/serve.c daemon/store/sweep.c daemon/store/takes.c daemon/store/tally.c daemon/store/tombs.c daemon/store/verdict.c daemon/store/wares.c daemon/store/waits.c daemon/store/watches.c */
/* SPDX-License-Identifier: MIT */
/* The store as a process: what its peers may say, what it answers, and what outlives it. */
#include "tests/unit/store_rig.h"

static void test_group_commit(void **state)
{
	enum { MANY = 2000 };
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *gateway = join(rig, ROLE_GATEWAY);
	struct buf out;

	(void)state;
	buf_init(&out, 4 << 20);
	for (unsigned i = 0; i < MANY; i++) {
		struct frame_writer w = {.out = &out};
		char id[16];
		struct msg_outcome m = {.run = run_id(i),
		    .queue = slice_str("q"),
		    .type = slice_str("t"),
		    .outcome = OUTCOME_DONE,
		    .retries = JOB_NOT_GIVEN,
		    .result = slice_str("r")};

		snprintf(id, sizeof id, "%u", i);
		m.job = slice_str(id);
		assert_int_equal(msg_outcome_encode(&w, &m), 0);
	}
	write_all(worker->fd, &out);
	for (unsigned i = 0; i < MANY; i++)
		recorded(worker, i);
	/* The answers came after the commits, in which many outcomes shared. */
	another_turn(gateway);
	assert_int_equal(store_slot(rig).rows, 2 * MANY);
	assert_in_range(store_slot(rig).commits, 1, MANY / 10);
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

static void test_an_outcome_sent_again_after_a_crash(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER);

	(void)state;
	send_claim(worker, 1, "a", 0);
	send_outcome(worker, 1, "a", OUTCOME_DONE);
	recorded(worker, 1);
	kill_store(rig);
	assert_int_equal(next_frame(worker), MSG_NONE);
	party_free(worker);

	start_store(rig);
	peers_end(rig);
	worker = join(rig, ROLE_WORKER);
	send_outcome(worker, 1, "a", OUTCOME_DONE);
	recorded(worker, 1);
	assert_int_equal(job_number(rig, "runs", "a"), 1);
	party_free(worker);
	rig_free(rig);
}

static void test_an_unknown_process_is_closed(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *stranger = party_new(rig, ROLE_WORKER, true);

	(void)state;
	assert_int_equal(next_frame(stranger), MSG_NONE);
	party_free(stranger);
	rig_free(rig);
}

static void test_nobody_says_what_is_not_his_to_say(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *gateway = join(rig, ROLE_GATEWAY), *liar,
		     *hasty;

	(void)state;
	send_submit(worker, 1, "a");
	assert_int_equal(next_frame(worker), MSG_NONE);
	send_outcome(gateway, 1, "a", OUTCOME_DONE);
	assert_int_equal(next_frame(gateway), MSG_NONE);
	liar = party_new(rig, ROLE_GATEWAY, false);
	hello(liar, ROLE_WORKER, 0);
	assert_int_equal(next_frame(liar), MSG_NONE);
	hasty = party_new(rig, ROLE_WORKER, false);
	send_outcome(hasty, 1, "a", OUTCOME_DONE);
	assert_int_equal(next_frame(hasty), MSG_NONE);
	assert_int_equal(job_number(rig, "seq", "a"), -1);
	party_free(worker);
	party_free(gateway);
	party_free(liar);
	party_free(hasty);
	rig_free(rig);
}

/* Neither the end of the connection nor BURIED alone; and what was still in the socket counts. */
static void test_a_loss_takes_both(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *other = join(rig, ROLE_WORKER);

	(void)state;
	send_claim(worker, 1, "a", CLAIM_ASKS);
	assert_int_equal(verdict(worker).verdict, VERDICT_RUN);
	send_claim(worker, 1, "a", 0);
	hang_up(worker);
	send_claim(other, 2, "a", CLAIM_ASKS | CLAIM_REDELIVERED);
	assert_int_equal(verdict(other).verdict, VERDICT_TAKE); /* it may be alive */
	assert_int_equal(job_number(rig, "losses", "a"), 0);
	bury(worker, false);
	send_claim(other, 3, "a", CLAIM_ASKS | CLAIM_REDELIVERED);
	while (verdict(other).verdict == VERDICT_TAKE) /* the two sockets have no common order */
		send_claim(other, 3, "a", CLAIM_ASKS | CLAIM_REDELIVERED);
	assert_int_equal(job_number(rig, "losses", "a"), 1);
	party_free(worker);
	party_free(other);
	rig_free(rig);
}

static void test_an_outcome_in_the_socket_of_the_dead_is_no_loss(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *gateway = join(rig, ROLE_GATEWAY);
	struct msg_reply r;

	(void)state;
	send_claim(worker, 1, "a", CLAIM_ASKS);
	assert_int_equal(verdict(worker).verdict, VERDICT_RUN);
	kill(rig->store, SIGSTOP);
	send_outcome(worker, 1, "a", OUTCOME_DONE);
	hang_up(worker);
	bury(worker, false);
	kill(rig->store, SIGCONT);
	SEND(gateway->fd, watch, .request = 5, .queue = slice_str("q"), .job = slice_str("a"));
	r = reply(gateway);
	assert_int_equal(r.request, 5);
	assert_true(slice_is(r.state, "done"));
	assert_int_equal(job_number(rig, "losses", "a"), 0);
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

static void test_told_to_go_is_no_loss(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *other = join(rig, ROLE_WORKER);
	struct msg_verdict v;

	(void)state;
	send_claim(worker, 1, "a", CLAIM_ASKS);
	verdict(worker);
	hang_up(worker);
	bury(worker, true);
	do {
		send_claim(other, 2, "a", CLAIM_ASKS | CLAIM_REDELIVERED);
		v = verdict(other);
	} while (v.verdict == VERDICT_TAKE);
	assert_int_equal(v.verdict, VERDICT_RUN);
	assert_int_equal(v.alone, 0);
	assert_int_equal(job_number(rig, "losses", "a"), 0);
	party_free(worker);
	party_free(other);
	rig_free(rig);
}

/* A new store answers nobody before it has heard every worker that lives; what is held is not lost,
 * the rest is. */
static void test_restart_with_holds(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *gateway, *other;

	(void)state;
	send_claim(worker, 1, "held", CLAIM_ASKS);
	verdict(worker);
	send_claim(worker, 2, "forgotten", CLAIM_ASKS);
	verdict(worker);
	send_claim(worker, 3, "volatile", 0);
	kill_store(rig);
	party_free(worker);

	start_store(rig);
	worker = party_new(rig, ROLE_WORKER, false);
	other = party_new(rig, ROLE_WORKER, false);
	gateway = party_new(rig, ROLE_GATEWAY, false);
	peers_end(rig);
	hello(gateway, ROLE_GATEWAY, 0);
	hello(worker, ROLE_WORKER, 2);
	SEND(worker->fd, hold, JOB(1, "held"), .verdict = VERDICT_RUN, .attempt = 1);
	SEND(worker->fd, hold, JOB(3, "volatile"), .verdict = VERDICT_NONE, .attempt = 1);
	assert_silent(gateway);
	assert_silent(worker);
	bury(other, false); /* the last one that was missing */
	welcome(worker);
	welcome(gateway);
	assert_int_equal(job_number(rig, "losses", "held"), 0);
	assert_int_equal(job_number(rig, "losses", "forgotten"), 1);
	/* Both runs go on and are known. */
	SEND(gateway->fd, watch, .request = 1, .queue = slice_str("q"),
	    .job = slice_str("volatile"));
	send_claim(worker, 9, "held", CLAIM_ASKS | CLAIM_REDELIVERED);
	assert_int_equal(verdict(worker).verdict, VERDICT_TAKE);
	send_outcome(worker, 3, "volatile", OUTCOME_DONE);
	recorded(worker, 3);
	assert_int_equal(reply(gateway).status, 200);
	party_free(worker);
	party_free(other);
	party_free(gateway);
	rig_free(rig);
}

/* A worker whose connection broke comes again and does not name a run: it has not heard the
 * verdict. */
static void test_connecting_again_is_no_loss(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER);
	struct msg_verdict v;

	(void)state;
	send_claim(worker, 1, "unheard", CLAIM_ASKS);
	verdict(worker);
	send_claim(worker, 2, "held", CLAIM_ASKS);
	verdict(worker);
	hang_up(worker);
	connect_party(worker);
	hello(worker, ROLE_WORKER, 1);
	SEND(worker->fd, hold, JOB(2, "held"), .verdict = VERDICT_RUN, .attempt = 1);
	welcome(worker);
	send_claim(worker, 1, "unheard", CLAIM_ASKS);
	v = verdict(worker);
	assert_int_equal(v.verdict, VERDICT_RUN);
	assert_int_equal(v.attempt, 1);
	assert_int_equal(v.alone, 0);
	send_claim(worker, 3, "held", CLAIM_ASKS | CLAIM_REDELIVERED);
	assert_int_equal(verdict(worker).verdict, VERDICT_TAKE);
	party_free(worker);
	rig_free(rig);
}

static void test_take_then_outcome(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *courier = join(rig, ROLE_COURIER);
	struct msg_taken taken;
	struct msg_parcel parcel;

	(void)state;
	SEND(courier->fd, credit, .parcels = 10);
	send_claim(worker, 1, "a", 0);
	SEND(worker->fd, take, JOB(1, "a"), .due_wall_ms = JOB_NOT_GIVEN, .running = 1,
	    .reason = slice_str("long"), .body = slice_str("b"));
	EXPECT(worker, TAKEN, taken, &taken);
	assert_silent(courier);
	send_outcome(worker, 1, "a", OUTCOME_RETRY);
	recorded(worker, 1);
	EXPECT(courier, PARCEL, parcel, &parcel);
	assert_int_equal(parcel.attempt, 2);
	assert_true(slice_is(parcel.body, "b"));
	assert_true(slice_is(parcel.destination, "q"));
	party_free(worker);
	party_free(courier);
	rig_free(rig);
}

static void test_a_courier_that_goes_gives_its_parcels_back(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *gateway = join(rig, ROLE_GATEWAY), *courier = join(rig, ROLE_COURIER);
	struct msg_parcel first, second;

	(void)state;
	send_submit(gateway, 1, "a");
	assert_int_equal(reply(gateway).status, 201);
	SEND(courier->fd, credit, .parcels = 1);
	EXPECT(courier, PARCEL, parcel, &first);
	send_submit(gateway, 2, "b");
	assert_int_equal(reply(gateway).status, 201);
	assert_silent(courier); /* no credit is left */
	party_free(courier);
	courier = join(rig, ROLE_COURIER);
	SEND(courier->fd, credit, .parcels = 5);
	EXPECT(courier, PARCEL, parcel, &second);
	assert_int_equal(second.parcel, first.parcel);
	EXPECT(courier, PARCEL, parcel, &second);
	SEND(courier->fd, settle, .parcel = first.parcel, .how = SETTLE_CONFIRMED,
	    .reason = slice_str(""));
	SEND(courier->fd, settle, .parcel = second.parcel, .how = SETTLE_CONFIRMED,
	    .reason = slice_str(""));
	SEND(
	    courier->fd, settle, .parcel = 12345, .how = SETTLE_CONFIRMED, .reason = slice_str(""));
	SEND(courier->fd, settle, .parcel = 1, .how = 99, .reason = slice_str(""));
	assert_int_equal(next_frame(courier), MSG_NONE); /* the last one was no word of ours */
	send_submit(gateway, 3, "c");
	assert_int_equal(reply(gateway).status, 201);
	another_turn(gateway);
	assert_int_equal(store_slot(rig).parcels_ready, 1);
	party_free(gateway);
	party_free(courier);
	rig_free(rig);
}

static void test_cancel_of_a_running_job(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *gateway = join(rig, ROLE_GATEWAY), *late;
	struct msg_cancel cancel;
	struct msg_ask ask;
	struct msg_reply r;

	(void)state;
	send_claim(worker, 1, "a", CLAIM_ASKS);
	verdict(worker);
	SEND(gateway->fd, abort, .request = 7, .queue = slice_str(""), .job = slice_str("a"));
	r = reply(gateway);
	assert_int_equal(r.status, 202);
	assert_true(slice_is(r.state, "running"));
	EXPECT(worker, ASK, ask, &ask);
	assert_int_equal(ask.always, 1);
	EXPECT(worker, CANCEL, cancel, &cancel);
	assert_true(id_eq(cancel.run, run_id(1)));
	late = party_new(rig, ROLE_WORKER, false); /* one that comes now hears of it too */
	hello(late, ROLE_WORKER, 0);
	welcome(late);
	EXPECT(late, ASK, ask, &ask);
	assert_true(slice_is(ask.queue, "q"));
	send_outcome(worker, 1, "a", OUTCOME_CANCELLED);
	EXPECT(worker, ASK, ask, &ask);
	assert_int_equal(ask.always, 0);
	recorded(worker, 1);
	party_free(worker);
	party_free(late);
	party_free(gateway);
	rig_free(rig);
}

static void test_a_full_disk_holds_outcomes_and_refuses_submits(void **state)
{
	struct rig *rig = ready_rig("min_free = 1000000G");
	struct party *worker = join(rig, ROLE_WORKER), *gateway = join(rig, ROLE_GATEWAY);

	(void)state;
	send_outcome(worker, 1, "a", OUTCOME_DONE);
	send_submit(gateway, 1, "b");
	assert_int_equal(reply(gateway).status, 507);
	assert_silent(worker);
	assert_int_equal(job_number(rig, "seq", "a"), -1);
	assert_int_equal(store_slot(rig).held, 1);
	party_free(worker);
	party_free(gateway);
	rig_free(rig);
}

static void test_stop_records_what_has_arrived(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER);

	(void)state;
	kill(rig->store, SIGSTOP);
	send_outcome(worker, 1, "a", OUTCOME_DONE);
	SEND(rig->control, stop, .hurry = 0, .within_ms = 1000);
	kill(rig->store, SIGCONT);
	recorded(worker, 1);
	assert_int_equal(next_frame(worker), MSG_NONE);
	assert_int_equal(wait_store(rig), 0);
	assert_int_equal(job_number(rig, "state", "a"), JOB_DONE);
	party_free(worker);
	rig_free(rig);
}

/* Else the next store would find the claim of a worker that was told to go, and call it lost. */
static void test_stop_judges_who_was_buried(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER);

	(void)state;
	send_claim(worker, 1, "a", CLAIM_ASKS);
	verdict(worker);
	send_claim(worker, 1, "a", 0);
	hang_up(worker);
	kill(rig->store, SIGSTOP);
	bury(worker, true);
	SEND(rig->control, stop, .hurry = 0, .within_ms = 1000);
	kill(rig->store, SIGCONT);
	assert_int_equal(wait_store(rig), 0);
	start_store(rig);
	peers_end(rig);
	wait_ready(rig);
	assert_int_equal(job_number(rig, "losses", "a"), 0);
	assert_int_equal(job_number(rig, "runs", "a"), 1);
	party_free(worker);
	rig_free(rig);
}

/* Two jobs have a loss on record; the second waits until the first has ended. */
static void test_suspects_start_one_after_the_other(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER), *one, *other;
	struct msg_verdict v;

	(void)state;
	send_claim(worker, 1, "killer", CLAIM_ASKS);
	verdict(worker);
	send_claim(worker, 2, "bystander", CLAIM_ASKS);
	verdict(worker);
	send_claim(worker, 1, "killer", 0);
	send_claim(worker, 2, "bystander", 0);
	hang_up(worker);
	bury(worker, false);
	one = join(rig, ROLE_WORKER); /* named after the burial was */
	other = join(rig, ROLE_WORKER);
	send_claim(one, 3, "killer", CLAIM_ASKS | CLAIM_REDELIVERED);
	v = verdict(one);
	assert_int_equal(v.verdict, VERDICT_RUN);
	assert_int_equal(v.alone, 1);
	send_claim(other, 4, "bystander", CLAIM_ASKS | CLAIM_REDELIVERED);
	send_claim(other, 5, "innocent", CLAIM_ASKS);
	v = verdict(other);
	assert_true(id_eq(v.run, run_id(5)));
	assert_silent(other);
	send_outcome(one, 3, "killer", OUTCOME_DONE);
	v = verdict(other);
	assert_true(id_eq(v.run, run_id(4)));
	assert_int_equal(v.verdict, VERDICT_RUN);
	party_free(worker);
	party_free(one);
	party_free(other);
	rig_free(rig);
}

static void test_without_its_supervisor_it_leaves(void **state)
{
	struct rig *rig = ready_rig("");
	int status;

	(void)state;
	close(rig->control);
	rig->control = -1;
	assert_int_equal(waitpid(rig->store, &status, 0), rig->store);
	assert_int_equal(status, 0);
	rig->store = 0;
	rig_free(rig);
}

/* A worker hands its runs back when the supervisor dies: a job that has killed it would never be
 * lost. */
static void test_a_release_after_the_supervisors_death_is_a_loss(void **state)
{
	struct rig *rig = ready_rig("");
	struct party *worker = join(rig, ROLE_WORKER);
	int status;

	(void)state;
	send_claim(worker, 1, "a", CLAIM_ASKS);
	verdict(worker);
	kill(rig->store, SIGSTOP);
	close(rig->control);
	send_outcome(worker, 1, "a", OUTCOME_RELEASED);
	kill(rig->store, SIGCONT);
	assert_int_equal(next_frame(worker), MSG_NONE);
	assert_int_equal(waitpid(rig->store, &status, 0), rig->store);
	start_store(rig);
	peers_end(rig);
	wait_ready(rig);
	assert_int_equal(job_number(rig, "losses", "a"), 1);
	party_free(worker);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_group_commit),
	    cmocka_unit_test(test_an_outcome_sent_again_after_a_crash),
	    cmocka_unit_test(test_an_unknown_process_is_closed),
	    cmocka_unit_test(test_nobody_says_what_is_not_his_to_say),
	    cmocka_unit_test(test_a_loss_takes_both),
	    cmocka_unit_test(test_an_outcome_in_the_socket_of_the_dead_is_no_loss),
	    cmocka_unit_test(test_told_to_go_is_no_loss),
	    cmocka_unit_test(test_restart_with_holds),
	    cmocka_unit_test(test_connecting_again_is_no_loss),
	    cmocka_unit_test(test_take_then_outcome),
	    cmocka_unit_test(test_a_courier_that_goes_gives_its_parcels_back),
	    cmocka_unit_test(test_cancel_of_a_running_job),
	    cmocka_unit_test(test_a_full_disk_holds_outcomes_and_refuses_submits),
	    cmocka_unit_test(test_stop_records_what_has_arrived),
	    cmocka_unit_test(test_stop_judges_who_was_buried),
	    cmocka_unit_test(test_suspects_start_one_after_the_other),
	    cmocka_unit_test(test_without_its_supervisor_it_leaves),
	    cmocka_unit_test(test_a_release_after_the_supervisors_death_is_a_loss),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
