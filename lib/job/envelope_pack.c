/* SPDX-License-Identifier: MIT */
/*
 * The packed form is "SE", a version, then every field that is given as
 *
 *     u8 tag   u32 length   bytes        (little-endian; numbers have 8 bytes)
 *
 * Tags are never used again, and rows of the database outlive a release: an old envelope stays
 * readable, and one of a newer release is refused rather than half understood.
 */
#include "lib/job/envelope.h"

#include <endian.h>
#include <errno.h>

#define PACK_MAGIC "SE\001"
#define PACK_MAGIC_BYTES 3
#define PACK_FIELD_BYTES 5 /* tag and length */

static const struct {
	uint8_t tag; /* append only */
	size_t at;
} texts[] = {
    {1, offsetof(struct job, id)},
    {2, offsetof(struct job, type)},
    {3, offsetof(struct job, correlation_id)},
    {4, offsetof(struct job, reply_to)},
    {5, offsetof(struct job, content_type)},
    {6, offsetof(struct job, content_encoding)},
    {7, offsetof(struct job, app_id)},
    {8, offsetof(struct job, user_id)},
    {9, offsetof(struct job, key)},
    {10, offsetof(struct job, home)},
    {11, offsetof(struct job, traceparent)},
    {12, offsetof(struct job, headers)},
};

#define TAG_NUMBERS 64 /* from here on fields are numbers */
#define TAG_PRIORITY 64

static const struct {
	uint8_t tag;
	size_t at;
} numbers[] = {
    {65, offsetof(struct job, timestamp_s)},
    {66, offsetof(struct job, retries)},
    {67, offsetof(struct job, timeout_ms)},
    {68, offsetof(struct job, at_wall_ms)},
    {69, offsetof(struct job, expires_wall_ms)},
};

static int pack_field(struct buf *out, uint8_t tag, const void *p, size_t n)
{
	uint8_t head[PACK_FIELD_BYTES] = {tag};
	uint32_t length = htole32((uint32_t)n);
	int rc;

	memcpy(head + 1, &length, sizeof length);
	rc = buf_add(out, head, sizeof head);
	return rc == 0 ? buf_add(out, p, n) : rc;
}

static int pack_number(struct buf *out, uint8_t tag, int64_t value)
{
	uint64_t bytes = htole64((uint64_t)value);

	return pack_field(out, tag, &bytes, sizeof bytes);
}

int envelope_pack(const struct job *job, struct buf *out)
{
	size_t start = buf_size(out);
	int rc = buf_add(out, PACK_MAGIC, PACK_MAGIC_BYTES);

	for (size_t i = 0; i < ARRAY_SIZE(texts) && rc == 0; i++) {
		struct slice text;

		memcpy(&text, (const char *)job + texts[i].at, sizeof text);
		if (text.p)
			rc = pack_field(out, texts[i].tag, text.p, text.n);
	}
	for (size_t i = 0; i < ARRAY_SIZE(numbers) && rc == 0; i++) {
		int64_t value;

		memcpy(&value, (const char *)job + numbers[i].at, sizeof value);
		if (value != JOB_NOT_GIVEN)
			rc = pack_number(out, numbers[i].tag, value);
	}
	if (rc == 0 && job->has_priority)
		rc = pack_number(out, TAG_PRIORITY, job->priority);
	if (rc < 0)
		buf_truncate(out, start);
	return rc;
}

static bool unpack_text(struct job *job, uint8_t tag, struct slice value)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (texts[i].tag == tag) {
			memcpy((char *)job + texts[i].at, &value, sizeof value);
			return true;
		}
	}
	return false;
}

static bool unpack_number(struct job *job, uint8_t tag, struct slice bytes)
{
	uint64_t raw;
	int64_t value;

	if (bytes.n != sizeof raw)
		return false;
	memcpy(&raw, bytes.p, sizeof raw);
	value = (int64_t)le64toh(raw);
	if (tag == TAG_PRIORITY) {
		job->priority = (uint8_t)value;
		job->has_priority = true;
		return value >= 0 && value <= UINT8_MAX;
	}
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (numbers[i].tag == tag) {
			memcpy((char *)job + numbers[i].at, &value, sizeof value);
			return true;
		}
	}
	return false;
}

int envelope_unpack(struct job *ret, struct slice packed, struct err *err)
{
	struct job job = job_blank();
	const uint8_t *p, *end;

	if (packed.n < PACK_MAGIC_BYTES || memcmp(packed.p, PACK_MAGIC, PACK_MAGIC_BYTES) != 0)
		return err_set(
		    err, -EPROTO, "this is no packed envelope, or one of a newer version");
	p = packed.p + PACK_MAGIC_BYTES;
	end = packed.p + packed.n;
	while (p < end) {
		uint32_t length;
		struct slice value;

		if (end - p < PACK_FIELD_BYTES)
			return err_set(err, -EPROTO, "a packed envelope is cut off");
		memcpy(&length, p + 1, sizeof length);
		value = slice_of(p + PACK_FIELD_BYTES, le32toh(length));
		if ((size_t)(end - value.p) < value.n)
			return err_set(err, -EPROTO, "a packed envelope is cut off");
		if (*p < TAG_NUMBERS ? !unpack_text(&job, *p, value)
				     : !unpack_number(&job, *p, value))
			return err_set(
			    err, -EPROTO, "field %u of a packed envelope is unknown", *p);
		p = value.p + value.n;
	}
	*ret = job;
	return 0;
}
