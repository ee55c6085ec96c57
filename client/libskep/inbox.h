/* SPDX-License-Identifier: MIT */
/* Results that a client of a broker waits for, and those that have come and were not asked for yet. Pure. */
#ifndef SKEP_CLIENT_LIBSKEP_INBOX_H
#define SKEP_CLIENT_LIBSKEP_INBOX_H

#include "client/libskep/via.h"
#include "lib/base/list.h"

#define INBOX_BYTES_MAX (256u << 20) /* of results kept; what comes above is dropped, and its state kept */

#define INBOX_BUCKETS 4096

struct inbox {
	struct list *buckets; /* by a hash of the id */
	size_t bytes;
};

void inbox_init(struct inbox *in);
void inbox_free(struct inbox *in);

void inbox_expect(struct inbox *in, const char *id); /* once more changes nothing */
void inbox_forget(struct inbox *in, const char *id);

/* A result of a job that is not expected is dropped. `body.p` NULL: it was too large. */
void inbox_put(struct inbox *in, struct slice id, enum skep_state state, struct slice body);

/* What comes from now on may not arrive: the next look at each that is pending says so. */
void inbox_lost(struct inbox *in);

enum inbox_found { INBOX_UNKNOWN, INBOX_PENDING, INBOX_LOST, INBOX_TAKEN };

/* TAKEN: *ret is filled and the inbox forgets the job. LOST is said once, then it is PENDING again. */
enum inbox_found inbox_take(struct inbox *in, const char *id, struct skep_result *ret);

#endif
