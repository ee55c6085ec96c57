/* SPDX-License-Identifier: MIT */
/* Message properties and headers between librabbitmq's types and ours (lib/job/message.h). */
#ifndef SKEP_AMQP_PROPS_H
#define SKEP_AMQP_PROPS_H

#include "lib/amqp/wire.h"
#include "lib/job/message.h"

#define PROPS_PARCEL_HEADER "skep-parcel"

/* Fills m's properties and headers from a header frame. `raw` is the frame's encoded property list, `copy`
 * the same bytes where they will stay: everything in `m` borrows from `copy`. */
void props_read(struct message *m, const amqp_basic_properties_t *p, struct slice raw,
    const uint8_t *copy);

/* The properties to publish `m` with: delivery_mode 2, m's foreign headers but those that are ours, m's
 * headers, and `key_header` = key. user_id is left out: a broker refuses any but the connection's own.
 * Entries are made in `pool`; the result borrows from it and from `m`. -EINVAL: raw_headers is no table. */
int props_write(amqp_basic_properties_t *ret, const struct message *m, const char *key_header,
    uint64_t key, amqp_pool_t *pool, struct err *err);

/* The value of `key_header`, 0 if there is none. */
uint64_t props_key(const struct message *m, const char *key_header);

#endif
