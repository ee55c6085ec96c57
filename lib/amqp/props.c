/* SPDX-License-Identifier: MIT */
/*
 * Strings that librabbitmq decodes point into the encoded bytes, so a message can outlive its frame by a copy
 * of those bytes and a shift of every pointer. The table of headers is taken whole from the same copy: in
 * the property list it stands third, behind content_type and content_encoding (AMQP 0-9-1, 4.2.6.1).
 */
#include "lib/amqp/props.h"

#include <endian.h>
#include <errno.h>

#include "lib/job/envelope.h"

struct shift {
	const uint8_t *from, *to;
};

static struct slice shifted(const struct shift *s, amqp_bytes_t b)
{
	/* An empty string is present all the same: its pointer must not be NULL. */
	return slice_of(b.bytes ? s->to + ((const uint8_t *)b.bytes - s->from) : s->to, b.len);
}

static struct header read_header(const struct shift *s, const amqp_table_entry_t *e)
{
	struct header h = {.name = shifted(s, e->key), .kind = HEADER_INT};

	switch (e->value.kind) {
	case AMQP_FIELD_KIND_BOOLEAN:
		h.kind = HEADER_BOOL;
		h.integer = e->value.value.boolean ? 1 : 0;
		break;
	case AMQP_FIELD_KIND_I8:
		h.integer = e->value.value.i8;
		break;
	case AMQP_FIELD_KIND_U8:
		h.integer = e->value.value.u8;
		break;
	case AMQP_FIELD_KIND_I16:
		h.integer = e->value.value.i16;
		break;
	case AMQP_FIELD_KIND_U16:
		h.integer = e->value.value.u16;
		break;
	case AMQP_FIELD_KIND_I32:
		h.integer = e->value.value.i32;
		break;
	case AMQP_FIELD_KIND_U32:
		h.integer = e->value.value.u32;
		break;
	case AMQP_FIELD_KIND_I64:
		h.integer = e->value.value.i64;
		break;
	case AMQP_FIELD_KIND_U64:
		h.integer = e->value.value.u64 <= INT64_MAX ? (int64_t)e->value.value.u64 : INT64_MAX;
		break;
	case AMQP_FIELD_KIND_TIMESTAMP:
		h.kind = HEADER_TIME;
		h.integer = e->value.value.u64 <= INT64_MAX ? (int64_t)e->value.value.u64 : INT64_MAX;
		break;
	case AMQP_FIELD_KIND_F32:
		h.kind = HEADER_DOUBLE;
		h.real = (double)e->value.value.f32;
		break;
	case AMQP_FIELD_KIND_F64:
		h.kind = HEADER_DOUBLE;
		h.real = e->value.value.f64;
		break;
	case AMQP_FIELD_KIND_UTF8:
	case AMQP_FIELD_KIND_BYTES:
		h.kind = HEADER_STRING;
		h.text = shifted(s, e->value.value.bytes);
		break;
	default: /* librabbitmq's kinds: table, array, decimal, void and what may come */
		h.kind = HEADER_OTHER;
	}
	return h;
}

static size_t short_string(const uint8_t *p)
{
	return 1 + (size_t)p[0];
}

/* The list was decoded before, so every length in it holds. */
static struct slice raw_table(const uint8_t *list)
{
	uint16_t flags, more;
	uint32_t n;
	const uint8_t *p = list;

	memcpy(&flags, p, sizeof flags);
	more = flags = be16toh(flags);
	p += sizeof flags;
	while (more & 1) {
		memcpy(&more, p, sizeof more);
		more = be16toh(more);
		p += sizeof more;
	}
	if (flags & AMQP_BASIC_CONTENT_TYPE_FLAG)
		p += short_string(p);
	if (flags & AMQP_BASIC_CONTENT_ENCODING_FLAG)
		p += short_string(p);
	memcpy(&n, p, sizeof n);
	return slice_of(p, sizeof n + be32toh(n));
}

static void read_headers(struct message *m, const amqp_table_t *t, const struct shift *s)
{
	size_t n = (size_t)t->num_entries;

	m->nheaders = n < MESSAGE_HEADERS_MAX ? n : MESSAGE_HEADERS_MAX;
	for (size_t i = 0; i < m->nheaders; i++)
		m->headers[i] = read_header(s, &t->entries[i]);
	m->raw_headers = raw_table(s->to);
}

#define PROPS_STRINGS(X)                                                                           \
	X(type, AMQP_BASIC_TYPE_FLAG)                                                              \
	X(message_id, AMQP_BASIC_MESSAGE_ID_FLAG)                                                  \
	X(correlation_id, AMQP_BASIC_CORRELATION_ID_FLAG)                                          \
	X(reply_to, AMQP_BASIC_REPLY_TO_FLAG)                                                      \
	X(content_type, AMQP_BASIC_CONTENT_TYPE_FLAG)                                              \
	X(content_encoding, AMQP_BASIC_CONTENT_ENCODING_FLAG)                                      \
	X(app_id, AMQP_BASIC_APP_ID_FLAG)

void props_read(struct message *m, const amqp_basic_properties_t *p, struct slice raw,
    const uint8_t *copy)
{
	const struct shift s = {raw.p, copy};
	const struct slice absent = {NULL, 0};

#define READ(field, flag) m->field = (p->_flags & (flag)) ? shifted(&s, p->field) : absent;
	PROPS_STRINGS(READ)
	READ(user_id, AMQP_BASIC_USER_ID_FLAG)
#undef READ
	m->timestamp_s = -1;
	if ((p->_flags & AMQP_BASIC_TIMESTAMP_FLAG) && p->timestamp <= INT64_MAX)
		m->timestamp_s = (int64_t)p->timestamp;
	m->priority = (p->_flags & AMQP_BASIC_PRIORITY_FLAG) ? p->priority : -1;
	m->nheaders = 0;
	m->raw_headers = absent;
	if (p->_flags & AMQP_BASIC_HEADERS_FLAG)
		read_headers(m, &p->headers, &s);
}

/* --- out ------------------------------------------------------------------------------------------ */

static int write_header(amqp_table_entry_t *e, const struct header *h, struct err *err)
{
	*e = (amqp_table_entry_t){.key = wire_bytes(h->name)};
	switch (h->kind) {
	case HEADER_BOOL:
		e->value.kind = AMQP_FIELD_KIND_BOOLEAN;
		e->value.value.boolean = h->integer != 0;
		return 0;
	case HEADER_INT:
		e->value.kind = AMQP_FIELD_KIND_I64;
		e->value.value.i64 = h->integer;
		return 0;
	case HEADER_DOUBLE:
		e->value.kind = AMQP_FIELD_KIND_F64;
		e->value.value.f64 = h->real;
		return 0;
	case HEADER_STRING:
		e->value.kind = AMQP_FIELD_KIND_UTF8;
		e->value.value.bytes = wire_bytes(h->text);
		return 0;
	case HEADER_TIME:
		e->value.kind = AMQP_FIELD_KIND_TIMESTAMP;
		e->value.value.u64 = (uint64_t)h->integer;
		return 0;
	case HEADER_OTHER:
		break;
	}
	return err_set(err, -EINVAL, "header '" SLICE_FMT "' has no single value", SLICE_ARG(h->name));
}

static int foreign_headers(amqp_table_t *ret, const struct message *m, amqp_pool_t *pool,
    struct err *err)
{
	size_t offset = 0;
	int rc;

	*ret = (amqp_table_t){0};
	if (m->raw_headers.n == 0)
		return 0;
	rc = amqp_decode_table(wire_bytes(m->raw_headers), pool, ret, &offset);
	if (rc < 0) {
		return err_set(err, -EINVAL, "the job's headers are no AMQP table (%s)",
		    amqp_error_string2(rc));
	}
	return 0;
}

static int write_headers(amqp_table_t *ret, const struct message *m, const char *key_header,
    uint64_t key, amqp_pool_t *pool, struct err *err)
{
	const struct header own = {.name = slice_str(key_header), .kind = HEADER_INT,
	    .integer = (int64_t)key};
	amqp_table_t foreign;
	size_t n = 0;

	if (foreign_headers(&foreign, m, pool, err) < 0)
		return -EINVAL;
	ret->entries = amqp_pool_alloc(pool,
	    ((size_t)foreign.num_entries + m->nheaders + 1) * sizeof *ret->entries);
	if (!ret->entries)
		BUG("out of memory for the headers of a message");
	for (int i = 0; i < foreign.num_entries; i++) {
		if (!envelope_header_is_ours(wire_slice(foreign.entries[i].key)))
			ret->entries[n++] = foreign.entries[i];
	}
	for (size_t i = 0; i < m->nheaders; i++) {
		if (slice_is(m->headers[i].name, key_header))
			continue;
		if (write_header(&ret->entries[n++], &m->headers[i], err) < 0)
			return -EINVAL;
	}
	write_header(&ret->entries[n++], &own, NULL);
	ret->num_entries = (int)n;
	return 0;
}

int props_write(amqp_basic_properties_t *ret, const struct message *m, const char *key_header,
    uint64_t key, amqp_pool_t *pool, struct err *err)
{
	amqp_basic_properties_t p = {
	    ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_HEADERS_FLAG,
	    .delivery_mode = AMQP_DELIVERY_PERSISTENT,
	};

	if (write_headers(&p.headers, m, key_header, key, pool, err) < 0)
		return -EINVAL;
#define WRITE(field, flag)                                                                         \
	if (m->field.p) {                                                                          \
		p.field = wire_bytes(m->field);                                                    \
		p._flags |= (flag);                                                                \
	}
	PROPS_STRINGS(WRITE)
#undef WRITE
	if (m->timestamp_s >= 0) {
		p.timestamp = (uint64_t)m->timestamp_s;
		p._flags |= AMQP_BASIC_TIMESTAMP_FLAG;
	}
	if (m->priority >= 0) {
		p.priority = (uint8_t)m->priority;
		p._flags |= AMQP_BASIC_PRIORITY_FLAG;
	}
	*ret = p;
	return 0;
}

uint64_t props_key(const struct message *m, const char *key_header)
{
	for (size_t i = 0; i < m->nheaders; i++) {
		if (m->headers[i].kind == HEADER_INT && slice_is(m->headers[i].name, key_header))
			return (uint64_t)m->headers[i].integer;
	}
	return 0;
}
