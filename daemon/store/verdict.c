/* SPDX-License-Identifier: MIT */
#include "daemon/store/verdict.h"

#include <inttypes.h>

static void take(struct verdict_reading *r, const char *reason)
{
	r->verdict = VERDICT_TAKE;
	snprintf(r->reason, sizeof r->reason, "%s", reason);
}

static void bury_lost(const struct verdict_facts *f, struct verdict_reading *r)
{
	r->verdict = VERDICT_BURY;
	r->outcome = OUTCOME_DEAD;
	snprintf(
	    r->reason, sizeof r->reason, "its worker died %" PRId64 " times under it", f->losses);
}

static void bury_used_up(const struct verdict_facts *f, struct verdict_reading *r)
{
	r->verdict = VERDICT_BURY;
	r->outcome = OUTCOME_DEAD;
	snprintf(r->reason, sizeof r->reason, "all of its %" PRId64 " attempts were made before",
	    f->retries + 1);
}

static void bury_expired(struct verdict_reading *r)
{
	r->verdict = VERDICT_BURY;
	r->outcome = OUTCOME_EXPIRED;
	snprintf(r->reason, sizeof r->reason, "expired before it started");
}

static void run(const struct verdict_facts *f, struct verdict_reading *r)
{
	r->verdict = VERDICT_RUN;
	r->attempt = (uint32_t)(f->attempt + 1);
	r->alone = f->losses > 0;
}

void verdict_read(const struct verdict_facts *f, int64_t now_wall_ms, struct verdict_reading *r)
{
	*r = (struct verdict_reading){.verdict = VERDICT_DROP};
	if (f->over)
		r->verdict = f->cancelled ? VERDICT_CANCELLED : VERDICT_DROP;
	else if (f->parcel_waits)
		r->verdict = VERDICT_DROP;
	else if (f->runs)
		take(r, "it still runs under an older delivery");
	else if (f->cancelled)
		r->verdict = VERDICT_CANCELLED;
	else if (f->nameless && f->redelivered)
		take(r, "redelivered without an id");
	else if (f->deliveries >= VERDICT_MANY_DELIVERIES && !f->from_parcel)
		take(r, "delivered many times");
	else if (f->losses >= f->max_losses)
		bury_lost(f, r);
	else if (f->expires_wall_ms != JOB_NOT_GIVEN && f->expires_wall_ms <= now_wall_ms)
		bury_expired(r);
	else if (f->attempt > f->retries)
		bury_used_up(f, r);
	else
		run(f, r);
}
