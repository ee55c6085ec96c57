/* SPDX-License-Identifier: MIT */
/*
 * The runs that are under way, in memory, by run id and by job. Most are volatile: known here only.
 * Those of verdict RUN, and those whose delivery was taken over, are in the table `claim` as well
 * (jobs.h); keeping the two in step is the caller's (ledger.h).
 */
#ifndef SKEP_STORE_CLAIMS_H
#define SKEP_STORE_CLAIMS_H

#include "daemon/store/map.h"
#include "lib/base/id.h"
#include "lib/ipc/codec.h"

#define CLAIMS_PER_OWNER_MAX 4096 /* above any prefetch */

/* Whoever runs them: a worker process. Embedded in its record. */
struct claim_owner {
	struct list claims;
	size_t n;
};

struct claim {
	struct map_node by_run, by_job;
	struct list link;
	struct claim_owner *owner; /* NULL: from the table, nobody has said yet that he holds it */
	struct id run;
	int64_t job;   /* job.seq when it is in the table too; 0: volatile */
	bool nameless; /* its message has no id: the job's was made for this run */
	bool begun;    /* as far as is known it has started, and not only been cleared for it */
	bool suspect;  /* its job has a loss on record: see claims_suspect() */
	bool unheld;   /* not named yet in the hello that is being read */
	uint32_t attempt;
	int64_t started_wall_ms;
	int64_t ready_wall_ms; /* since when its job could have run; 0 or less: not known */
	struct slice queue, id, type; /* in `text` */
	char worker[80];
	uint8_t text[];
};

struct claim_names {
	struct slice queue, id, type;
};

struct claims {
	struct map by_run, by_job;
	struct claim_owner nobody;
	size_t suspects; /* open claims of suspects */
};

void claims_init(struct claims *c);
void claims_free(struct claims *c); /* with all that are open */

void claims_owner_init(struct claim_owner *o);

/* Opens one; `owner` may be NULL. The run must not be open. */
struct claim *claims_open(
    struct claims *c, struct claim_owner *owner, struct id run, const struct claim_names *names);
void claims_close(struct claims *c, struct claim *claim); /* frees it; NULL is fine */

void claims_own(struct claims *c, struct claim *claim, struct claim_owner *owner);

/* Marks a claim as one of a job that may kill whatever it runs on. */
void claims_suspect(struct claims *c, struct claim *claim);

struct claim *claims_find(const struct claims *c, struct id run);

/* An open claim of the job on a run other than `except` (NULL: any). */
struct claim *claims_of_job(
    const struct claims *c, struct slice queue, struct slice id, const struct claim *except);

/* An open claim of any job with that id, whatever its queue, beyond `after` (NULL: the first).
 * Walks all. */
struct claim *claims_by_id(const struct claims *c, struct slice id, const struct claim *after);

#endif
