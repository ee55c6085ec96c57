/* SPDX-License-Identifier: MIT */
#include "daemon/store/bodies.h"

#define ENVELOPE_MAX_BYTES (1u << 20)
#define SCRATCH_BYTES 4096

int bodies_open(struct bodies *b, struct batch *batch, struct err *err)
{
	static const char *const names[] = {"body_insert", "body_get", "body_delete"};
	struct db_stmt *s[ARRAY_SIZE(names)];
	int rc = batch_prepare(batch, names, ARRAY_SIZE(names), s, err);

	if (rc < 0)
		return rc;
	*b = (struct bodies){.batch = batch, .insert = s[0], .get = s[1], .drop = s[2]};
	buf_init(&b->packed, ENVELOPE_MAX_BYTES);
	return 0;
}

void bodies_close(struct bodies *b)
{
	buf_free(&b->packed);
}

static struct slice or_empty(struct slice s)
{
	return s.p ? s : slice_of("", 0);
}

static int64_t insert(struct bodies *b, struct slice envelope, struct slice data)
{
	db_bind_blob(b->insert, 1, or_empty(envelope));
	db_bind_blob(b->insert, 2, or_empty(data));
	batch_write(b->batch, b->insert, envelope.n + data.n);
	buf_clear(&b->packed);
	buf_trim(&b->packed, SCRATCH_BYTES);
	return db_last_id(b->batch->db);
}

int64_t bodies_add_job(struct bodies *b, const struct job *envelope, struct slice data)
{
	if (envelope_pack(envelope, &b->packed) < 0)
		BUG("an envelope that came in a frame does not fit %u bytes", ENVELOPE_MAX_BYTES);
	return insert(b, buf_slice(&b->packed), data);
}

int64_t bodies_add(
    struct bodies *b, struct slice id, struct slice type, struct slice envelope, struct slice data)
{
	struct job job;

	if (envelope.n == 0 || envelope_unpack(&job, envelope, NULL) < 0) {
		job = job_blank();
		job.type = type;
	} else if (slice_eq(job.id, id)) {
		return insert(b, envelope, data);
	}
	job.id = id;
	return bodies_add_job(b, &job, data);
}

bool bodies_get(struct bodies *b, int64_t body, struct slice *ret_envelope, struct slice *ret_data)
{
	db_reset(b->get); /* one that was left open */
	db_bind_int(b->get, 1, body);
	if (!batch_row(b->batch, b->get))
		return false;
	*ret_envelope = db_blob(b->get, 0);
	*ret_data = db_blob(b->get, 1);
	return true;
}

void bodies_done(struct bodies *b)
{
	db_reset(b->get);
}

void bodies_drop(struct bodies *b, int64_t body)
{
	if (!body)
		return;
	db_bind_int(b->drop, 1, body);
	batch_write(b->batch, b->drop, 0);
}
