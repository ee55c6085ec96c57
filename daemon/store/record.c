/* SPDX-License-Identifier: MIT */
/*
 * The way of an outcome: is this run recorded already (then nothing happens); is its job over (then
 * it is a duplicate); else what the table `apply` has for it. The first delivery of a job that is
 * done, by far the most frequent case, costs one row in each of two tables and no query: its insert
 * is the question whether the job was known.
 */
#include "daemon/store/record.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/random.h>

#include "daemon/store/tally.h"
#include "lib/base/fault.h"
#include "lib/base/log.h"

/* How a job ends. */
struct ending {
	enum job_state state;
	struct slice error, result;
	bool result_cut;
	int64_t body;
	struct slice reply_to, correlation;
};

/* --- what others hear of --------------------------------------------------------------------- */

static void over(struct ledger *l, const struct job_names *names, enum job_state state)
{
	tally_over(l, names, state);
	l->events->over(l->arg, names, state);
}

/* The caller saves the row. */
static void add_run(struct ledger *l, const struct job_names *names, struct job_row *row,
    const struct run_row *run)
{
	jobs_add_run(&l->jobs, row, run);
	tally_run(l, names, run);
}

/* --- the end of a job ----------------------------------------------------------------------- */

static void reply(
    struct ledger *l, const struct job_names *names, const struct ending *e, int64_t now)
{
	struct parcel_row parcel = {.kind = PARCEL_REPLY,
	    .ended = e->state,
	    .destination = e->reply_to,
	    .due_wall_ms = now};
	struct job envelope = job_blank();

	if (e->reply_to.n == 0 || conf_is_embedded(l->conf)) /* nobody could deliver it */
		return;
	if (e->reply_to.n > JOB_NAME_BYTES) {
		log_warn("the reply of job=" SLICE_FMT " is dropped: reply_to is too long",
		    SLICE_ARG(names->id));
		return;
	}
	envelope.id = names->id;
	envelope.type = names->type;
	envelope.correlation_id = e->correlation;
	parcel.body =
	    bodies_add_job(&l->bodies, &envelope, e->state == JOB_DONE ? e->result : e->error);
	parcels_add(&l->parcels, &parcel, now);
}

static void finish(struct ledger *l, const struct job_names *names, struct job_row *row,
    const struct ending *e, int64_t now)
{
	struct job_text text = {e->error, e->result, e->result_cut};

	row->state = e->state;
	row->due_wall_ms = 0;
	row->ended_wall_ms = now;
	row->body = e->body;
	jobs_save(&l->jobs, row, &text);
	tombs_remove(&l->tombs, row->seq, names->queue);
	reply(l, names, e, now);
	over(l, names, e->state);
}

void record_end(struct ledger *l, const struct job_names *names, struct job_row *row,
    enum job_state state, struct slice error, int64_t now)
{
	struct ending e = {.state = state, .error = error};
	struct job_names full = *names;
	struct slice packed, data;
	struct job envelope;

	e.body = parcels_remove_of_job(&l->parcels, row->seq, true);
	if (e.body && bodies_get(&l->bodies, e.body, &packed, &data)) {
		if (envelope_unpack(&envelope, packed, NULL) == 0) {
			e.reply_to = envelope.reply_to;
			e.correlation = envelope.correlation_id;
			full.type = names->type.n ? names->type : envelope.type;
		}
		finish(l, &full, row, &e, now);
		bodies_done(&l->bodies);
		return;
	}
	finish(l, names, row, &e, now);
}

/* --- outcomes ------------------------------------------------------------------------------- */

static struct job_names names_of(const struct msg_outcome *m)
{
	return (struct job_names){m->queue, m->job, m->type};
}

static struct run_row run_of(
    const struct msg_outcome *m, struct slice worker, const struct job_row *row)
{
	enum outcome outcome = (enum outcome)m->outcome;

	return (struct run_row){.id = m->run,
	    .attempt = row->attempt + (outcome_counts(outcome) ? 0 : 1),
	    .outcome = outcome,
	    .exit_code = m->exit_code,
	    .signal = m->signal,
	    .started_wall_ms = m->started_wall_ms,
	    .wall_ms = m->wall_ms,
	    .cpu_ms = m->cpu_ms,
	    .max_rss_kb = m->max_rss_kb,
	    .worker = worker,
	    .error = m->error,
	    .logs = m->logs,
	    .logs_cut = m->flags & OUTCOME_LOGS_CUT};
}

/* Was a handler started? Of what never started there is no run to list. */
static bool did_run(const struct msg_outcome *m)
{
	return !(m->flags & OUTCOME_BURIED) && m->outcome != OUTCOME_EXPIRED;
}

static struct job_row new_row(int64_t started_wall_ms, int64_t priority, int64_t now)
{
	return (struct job_row){.state = JOB_QUEUED,
	    .priority = priority,
	    .created_wall_ms =
		started_wall_ms > 0 && started_wall_ms < now ? started_wall_ms : now};
}

/* The body that came with the outcome; where none came, that of the job's parcel. The parcel goes.
 */
static int64_t replace_body(
    struct ledger *l, const struct job_row *row, const struct msg_outcome *m)
{
	bool came = m->envelope.p || m->body.p;
	int64_t kept = parcels_remove_of_job(&l->parcels, row->seq, !came);

	return came ? bodies_add(&l->bodies, m->job, m->type, m->envelope, m->body) : kept;
}

static void end_as(struct ledger *l, struct job_row *row, const struct msg_outcome *m,
    enum job_state state, struct slice error, int64_t now)
{
	struct job_names names = names_of(m);
	struct ending e = {.state = state,
	    .error = error,
	    .body = replace_body(l, row, m),
	    .reply_to = m->reply_to,
	    .correlation = m->correlation};

	finish(l, &names, row, &e, now);
}

static void apply_done(
    struct ledger *l, struct job_row *row, const struct msg_outcome *m, int64_t now)
{
	struct job_names names = names_of(m);
	struct ending e = {.state = JOB_DONE,
	    .result = m->result,
	    .result_cut = m->flags & OUTCOME_RESULT_CUT,
	    .reply_to = m->reply_to,
	    .correlation = m->correlation};

	parcels_remove_of_job(&l->parcels, row->seq, false);
	finish(l, &names, row, &e, now);
}

static uint32_t random_number(void)
{
	uint32_t n;

	if (getrandom(&n, sizeof n, 0) != (ssize_t)sizeof n)
		BUG("getrandom failed");
	return n;
}

static void try_again(
    struct ledger *l, struct job_row *row, const struct msg_outcome *m, int64_t now)
{
	struct backoff backoff = ledger_backoff(l, m->type);
	struct parcel_row parcel = {.job = row->seq,
	    .kind = PARCEL_JOB,
	    .destination = m->queue,
	    .priority = m->priority,
	    .attempt = row->attempt + 1};
	int64_t body = replace_body(l, row, m);

	if (!body) {
		struct job_names names = names_of(m);
		struct ending e = {.state = JOB_DEAD,
		    .error = slice_str(
			"it cannot be tried again: its body did not come with the outcome"),
		    .reply_to = m->reply_to,
		    .correlation = m->correlation};

		finish(l, &names, row, &e, now);
		return;
	}
	parcel.body = body;
	parcel.delay_ms = backoff_delay_ms(&backoff, (unsigned)row->attempt, random_number());
	parcel.due_wall_ms = now + parcel.delay_ms;
	parcels_add(&l->parcels, &parcel, now);
	row->state = JOB_RETRYING;
	row->due_wall_ms = parcel.due_wall_ms;
	jobs_save(&l->jobs, row, &(struct job_text){.error = m->error});
}

static const char cancelled[] = "cancelled on request";

/* A failure after which nothing is left to try: it ends the job. */
static bool is_last(struct ledger *l, const struct job_row *row, const struct msg_outcome *m)
{
	int64_t retries = ledger_retries(l, m->type, m->retries);

	return retry_decide((unsigned)row->attempt, retries) == RETRY_EXHAUSTED;
}

static void end_exhausted(
    struct ledger *l, struct job_row *row, const struct msg_outcome *m, int64_t now)
{
	auto_free char *why = xasprintf(SLICE_FMT "%sno retries left after %" PRId64 " attempt%s",
	    SLICE_ARG(m->error), m->error.n ? "; " : "", row->attempt,
	    row->attempt == 1 ? "" : "s");

	end_as(l, row, m, JOB_DEAD, slice_str(why), now);
}

/*~ 8. A failure: retry_decide() and backoff_delay_ms() (lib/job/retry.c) are pure; what they say
 * becomes a parcel with a due time, in the same transaction. Next: batch.c. */
static void apply_retry(
    struct ledger *l, struct job_row *row, const struct msg_outcome *m, int64_t now)
{
	if (tombs_has(&l->tombs, row->seq, m->queue))
		end_as(l, row, m, JOB_CANCELLED, slice_str(cancelled), now);
	else if (is_last(l, row, m))
		end_exhausted(l, row, m, now);
	else
		try_again(l, row, m, now);
}

static void apply_dead(
    struct ledger *l, struct job_row *row, const struct msg_outcome *m, int64_t now)
{
	end_as(l, row, m, JOB_DEAD, m->error, now);
}

static void apply_cancelled(
    struct ledger *l, struct job_row *row, const struct msg_outcome *m, int64_t now)
{
	end_as(l, row, m, JOB_CANCELLED, m->error.n ? m->error : slice_str(cancelled), now);
}

static void apply_expired(
    struct ledger *l, struct job_row *row, const struct msg_outcome *m, int64_t now)
{
	end_as(l, row, m, JOB_EXPIRED, m->error, now);
}

/* Handed back, or lost: the job goes on in the broker, or in its parcel, which may be the only copy
 * left of it (another run of the same id may have made it) and so is never removed here. */
static void goes_on(struct ledger *l, const struct job_names *names, struct job_row *row,
    struct slice error, int64_t now)
{
	struct parcel_row parcel;

	if (!parcels_of_job(&l->parcels, row->seq, &parcel) || parcel.state != PARCEL_DELAYED) {
		row->state = JOB_QUEUED;
		row->due_wall_ms = 0;
	}
	jobs_save(&l->jobs, row, &(struct job_text){.error = error});
	record_release_parcel(l, names, row->seq, now);
}

static void apply_released(
    struct ledger *l, struct job_row *row, const struct msg_outcome *m, int64_t now)
{
	struct job_names names = names_of(m);

	if (tombs_has(&l->tombs, row->seq, m->queue))
		end_as(l, row, m, JOB_CANCELLED, slice_str(cancelled), now);
	else
		goes_on(l, &names, row, m->error, now);
}

/* What a worker may report; losses and duplicates are the store's own word. */
static void (*const apply[OUTCOME_COUNT])(
    struct ledger *l, struct job_row *row, const struct msg_outcome *m, int64_t now) = {
    [OUTCOME_DONE] = apply_done,
    [OUTCOME_RETRY] = apply_retry,
    [OUTCOME_DEAD] = apply_dead,
    [OUTCOME_CANCELLED] = apply_cancelled,
    [OUTCOME_EXPIRED] = apply_expired,
    [OUTCOME_RELEASED] = apply_released,
};

/* True if the job was not known: it is recorded as done. */
static bool record_first(
    struct ledger *l, const struct msg_outcome *m, struct slice worker, int64_t now)
{
	struct job_names names = names_of(m);
	struct job_text text = {.result = m->result, .result_cut = m->flags & OUTCOME_RESULT_CUT};
	struct ending e = {.state = JOB_DONE,
	    .result = m->result,
	    .reply_to = m->reply_to,
	    .correlation = m->correlation};
	struct job_row row = new_row(m->started_wall_ms, m->priority, now);
	struct run_row run;

	row.state = JOB_DONE;
	row.attempt = row.runs = 1;
	row.started_wall_ms = m->started_wall_ms;
	row.ended_wall_ms = now;
	if (!jobs_insert(&l->jobs, &names, &row, &text))
		return false;
	row.runs = 0;
	run = run_of(m, worker, &row);
	add_run(l, &names, &row, &run);
	reply(l, &names, &e, now);
	over(l, &names, JOB_DONE);
	return true;
}

/* The copy that ran is acked now, so a cancel that waited for it waits no longer. */
static void record_duplicate(
    struct ledger *l, struct job_row *row, const struct msg_outcome *m, struct slice worker)
{
	struct run_row run = run_of(m, worker, row);
	struct job_names names = names_of(m);
	char text[ERR_TEXT_BYTES];

	if (m->outcome != OUTCOME_RELEASED)
		tombs_remove(&l->tombs, row->seq, m->queue);
	if (!did_run(m))
		return;
	snprintf(text, sizeof text, "ended as %s when the job was over%s" SLICE_FMT,
	    outcome_name(run.outcome), m->error.n ? ": " : "", SLICE_ARG(m->error));
	run.outcome = OUTCOME_DUPLICATE;
	run.attempt = row->attempt;
	run.error = slice_str(text);
	add_run(l, &names, row, &run);
	jobs_touch(&l->jobs, row);
}

/* By the number that its claim has, or by its name. */
static bool find(struct ledger *l, const struct msg_outcome *m, int64_t seq, struct job_row *ret)
{
	return seq ? jobs_row(&l->jobs, seq, ret) : jobs_find(&l->jobs, m->queue, m->job, ret);
}

/* False: the run was recorded before, or there is nothing to record. */
static bool record_known(
    struct ledger *l, const struct msg_outcome *m, int64_t seq, struct slice worker, int64_t now)
{
	struct job_names names = names_of(m);
	struct job_row row;
	enum outcome was;
	int64_t n;

	if (!find(l, m, seq, &row)) {
		/* Its redelivery gets an id of its own: a row under this one would never end. */
		if (m->outcome == OUTCOME_RELEASED && (m->flags & OUTCOME_NAMELESS)) {
			log_info("a job without an id was handed back, run under id=" SLICE_FMT,
			    SLICE_ARG(m->job));
			return false;
		}
		row = new_row(m->started_wall_ms, m->priority, now);
		jobs_insert(&l->jobs, &names, &row, &(struct job_text){0});
	}
	record_found_again(l, &row, m->run);
	if (jobs_find_run(&l->jobs, &row, m->run, &n, &was))
		return false;
	if (job_state_over(row.state)) {
		record_duplicate(l, &row, m, worker);
		return true;
	}
	if (did_run(m)) {
		struct run_row run;

		row.attempt += outcome_counts((enum outcome)m->outcome);
		row.started_wall_ms = m->started_wall_ms;
		run = run_of(m, worker, &row);
		if (run.outcome == OUTCOME_RETRY && is_last(l, &row, m))
			run.outcome = OUTCOME_DEAD;
		add_run(l, &names, &row, &run);
	}
	apply[m->outcome](l, &row, m, now);
	return true;
}

/*~ 7. The outcome is written: the job's row, the run's row, the end of its claim and of its older
 * parcels, all in the open transaction. Next: if it failed, apply_retry(); else batch.c. */
int record_outcome(struct ledger *l, const struct msg_outcome *m, struct slice worker, int64_t now)
{
	struct claim *claim = claims_find(&l->claims, m->run);
	bool told = claim && claim->begun, recorded;
	struct job_names names = names_of(m);
	int64_t seq = claim && slice_eq(claim->id, m->job) && slice_eq(claim->queue, m->queue) ? claim->job : 0;

	if (m->outcome >= OUTCOME_COUNT || !apply[m->outcome] || m->job.n == 0 ||
	    m->job.n > JOB_ID_BYTES || m->queue.n == 0 || m->queue.n > JOB_NAME_BYTES ||
	    m->type.n > JOB_NAME_BYTES)
		return -EPROTO;
	FAULT(store_outcome);
	/* Closed first: what is held for this run must find that it runs no longer. */
	ledger_claim_close(l, claim);
	recorded = (!seq && m->outcome == OUTCOME_DONE && record_first(l, m, worker, now)) ||
		   record_known(l, m, seq, worker, now);
	if (recorded && !told && did_run(m)) /* it was over before its worker had told that it began */
		tally_begun(l, &names, m->ready_wall_ms, m->started_wall_ms);
	return 0;
}

/* --- losses and releases -------------------------------------------------------------------- */

void record_found_again(struct ledger *l, struct job_row *row, struct id run)
{
	enum outcome was;
	int64_t n;

	if (row->losses == 0 || !jobs_find_run(&l->jobs, row, run, &n, &was) ||
	    was != OUTCOME_LOST || job_state_over(row->state))
		return;
	row->losses--;
	jobs_drop_run(&l->jobs, row, n);
	jobs_save(&l->jobs, row, &(struct job_text){0});
}

void record_release_parcel(
    struct ledger *l, const struct job_names *names, int64_t seq, int64_t now)
{
	struct parcel_row parcel;

	if (parcels_of_job(&l->parcels, seq, &parcel) && parcel.state == PARCEL_HELD &&
	    !claims_of_job(&l->claims, names->queue, names->id, NULL))
		parcels_set_state(&l->parcels, &parcel, PARCEL_READY, now, 0);
}

static void judge(
    struct ledger *l, const struct job_names *names, struct job_row *row, const char *released,
    int64_t now)
{
	struct parcel_row parcel;
	char text[80];

	if (released)
		snprintf(text, sizeof text, "%s", released);
	else
		snprintf(text, sizeof text, "its worker died %" PRId64 " times under it",
		    row->losses);
	if (tombs_has(&l->tombs, row->seq, names->queue))
		record_end(l, names, row, JOB_CANCELLED, slice_str(cancelled), now);
	else if (row->losses >= l->conf->store.max_losses &&
		 parcels_of_job(&l->parcels, row->seq, &parcel) && parcel.state == PARCEL_HELD)
		record_end(l, names, row, JOB_DEAD, slice_str(text), now);
	else
		goes_on(l, names, row, slice_str(text), now);
}

/* `claim` is a copy: it is closed. `released` says why; NULL: lost. */
static void gone(struct ledger *l, const struct claim *claim, const struct job_names *names,
    const char *released, int64_t now)
{
	struct job_row row;
	struct run_row run = {.id = claim->run,
	    .outcome = released ? OUTCOME_RELEASED : OUTCOME_LOST,
	    .exit_code = -1,
	    .started_wall_ms = claim->started_wall_ms,
	    .wall_ms = now > claim->started_wall_ms ? now - claim->started_wall_ms : 0,
	    .worker = slice_str(claim->worker),
	    .error = slice_str(released ? released : "its worker died")};
	int64_t n;
	enum outcome was;

	if (!jobs_find(&l->jobs, names->queue, names->id, &row)) {
		if (claim->nameless)
			return;
		row = new_row(claim->started_wall_ms, 0, now);
		jobs_insert(&l->jobs, names, &row, &(struct job_text){0});
	}
	if (jobs_find_run(&l->jobs, &row, claim->run, &n, &was))
		return;
	run.attempt = row.attempt + 1;
	if (claim->begun)
		add_run(l, names, &row, &run);
	if (job_state_over(row.state)) {
		jobs_touch(&l->jobs, &row);
		return;
	}
	row.losses += !released;
	if (claim->begun)
		row.started_wall_ms = claim->started_wall_ms;
	judge(l, names, &row, released, now);
}

void record_gone(struct ledger *l, struct claim *claim, bool asked, int64_t now)
{
	const char *released = !claim->begun ? "its worker went before it began"
			       : asked       ? "its worker was stopped"
					     : NULL;
	struct claim copy = *claim;
	uint8_t text[JOBS_TEXT_BYTES];
	struct job_names names = {slice_of(text, claim->queue.n),
	    slice_of(text + claim->queue.n, claim->id.n),
	    slice_of(text + claim->queue.n + claim->id.n, claim->type.n)};

	/* The names lie side by side in the claim, which is closed before its job is judged: what
	 * is held for this run must find that it runs no longer. */
	memcpy(text, claim->text, claim->queue.n + claim->id.n + claim->type.n);
	log_warn("run of job=" SLICE_FMT " queue=" SLICE_FMT " attempt=%" PRIu32
		 " %s with worker %s%s",
	    SLICE_ARG(names.id), SLICE_ARG(names.queue), claim->attempt,
	    released ? "was released" : "was lost", claim->worker,
	    claim->nameless ? "; it has no id, its redelivery gets one" : "");
	ledger_claim_close(l, claim);
	gone(l, &copy, &names, released, now);
}
