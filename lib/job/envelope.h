/* SPDX-License-Identifier: MIT */
/*
 * A job's two wire forms beside its body.
 *
 * The message form is what any AMQP client publishes: properties, and headers `job-*` (DESIGN and
 * docs/PROTOCOL.md). Headers are read tolerantly: an integer, a double, a numeric string, an ISO-8601
 * time or an AMQP timestamp, a duration with a unit; what cannot be read is an error that names the header,
 * and the job is dead with it.
 *
 * The packed form is ours: it travels in IPC frames and is stored with parcels and dead jobs. It carries
 * the foreign headers as they came.
 */
#ifndef SKEP_JOB_ENVELOPE_H
#define SKEP_JOB_ENVELOPE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/job/job.h"
#include "lib/job/message.h"

/* Reads a delivered message into `ret`, which borrows from it. `queue` is where it was consumed from.
 * job-delay counts from now_wall_ms. A message that comes from a parcel (skep-parcel present) has served
 * its delay, unless it was sent ahead of its time and says when that is
 * (skep-at). -EINVAL with the header's name in err; `ret` then still has queue, id, type, body. */
int envelope_read(struct job *ret, const struct message *m, struct slice queue, int64_t now_wall_ms,
    struct err *err);

/* Turns a job into the message that is published for it. `headers` in the result lists only what skep
 * adds (`job-*`, `skep-*`, traceparent); raw_headers are the foreign ones, of which the publisher drops
 * those for which envelope_header_is_ours() holds. */
void envelope_write(struct message *ret, const struct job *job);

/* True for headers that are not passed on from a foreign table: job-*, skep-*, x-death and its kin,
 * x-delivery-count, x-acquired-count, CC, BCC, traceparent. */
bool envelope_header_is_ours(struct slice name);

/* Packs everything but queue, body and where-from (redelivered, deliveries, parcel, node, ready). */
int envelope_pack(const struct job *job, struct buf *out);

/* Unpacks; `ret` borrows from `packed`; queue and body are left empty. -EPROTO if it is not one. */
int envelope_unpack(struct job *ret, struct slice packed, struct err *err);

/* A job with every field "not given". */
struct job job_blank(void);

#endif
