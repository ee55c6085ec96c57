/* SPDX-License-Identifier: MIT */
#include "lib/amqp/handshake.h"

#include <errno.h>

void handshake_init(struct handshake *h, const struct amqp_url *url, const char *name,
    uint16_t heartbeat_s)
{
	*h = (struct handshake){.url = url, .name = name, .heartbeat_s = heartbeat_s};
}

static struct slice find_text(const amqp_table_t *t, const char *key)
{
	for (int i = 0; i < t->num_entries; i++) {
		if (slice_is(wire_slice(t->entries[i].key), key)
		    && t->entries[i].value.kind == AMQP_FIELD_KIND_UTF8)
			return wire_slice(t->entries[i].value.value.bytes);
	}
	return slice_of(NULL, 0);
}

static bool has_word(struct slice words, const char *word)
{
	for (const uint8_t *p = words.p, *end = p + words.n; p < end;) {
		const uint8_t *space = memchr(p, ' ', (size_t)(end - p));
		const uint8_t *stop = space ? space : end;

		if (slice_is(slice_of(p, (size_t)(stop - p)), word))
			return true;
		p = stop + 1;
	}
	return false;
}

static amqp_table_entry_t text_entry(const char *key, const char *text)
{
	amqp_table_entry_t e = {.key = wire_str(key)};

	e.value.kind = AMQP_FIELD_KIND_UTF8;
	e.value.value.bytes = wire_str(text);
	return e;
}

static int send_start_ok(struct handshake *h, struct wire *w, struct err *err)
{
	static const char *const can[] = {"consumer_cancel_notify", "connection.blocked",
	    "publisher_confirms", "basic.nack", "authentication_failure_close"};
	amqp_table_entry_t capabilities[ARRAY_SIZE(can)];
	amqp_table_entry_t client[4] = {
	    text_entry("product", "skep"),
	    text_entry("version", SKEP_VERSION),
	    text_entry("connection_name", h->name),
	    {.key = wire_str("capabilities"), .value = {.kind = AMQP_FIELD_KIND_TABLE}},
	};
	/* PLAIN (RFC 4616): an empty authorization id, the user, the password. */
	char plain[2 * AMQP_URL_PART_BYTES + 2] = "";
	size_t user = strlen(h->url->user), password = strlen(h->url->password);
	amqp_connection_start_ok_t ok = {.mechanism = wire_str("PLAIN"),
	    .locale = wire_str("en_US")};

	for (size_t i = 0; i < ARRAY_SIZE(can); i++) {
		capabilities[i] = (amqp_table_entry_t){.key = wire_str(can[i])};
		capabilities[i].value.kind = AMQP_FIELD_KIND_BOOLEAN;
		capabilities[i].value.value.boolean = 1;
	}
	client[3].value.value.table = (amqp_table_t){ARRAY_SIZE(can), capabilities};
	memcpy(plain + 1, h->url->user, user);
	memcpy(plain + 2 + user, h->url->password, password);
	ok.client_properties = (amqp_table_t){ARRAY_SIZE(client), client};
	ok.response = (amqp_bytes_t){user + password + 2, plain};
	if (wire_method(w, 0, AMQP_CONNECTION_START_OK_METHOD, &ok) < 0)
		return err_set(err, -EACCES, "the login is too long");
	return 0;
}

static int on_start(struct handshake *h, struct wire *w, const amqp_method_t *method,
    struct err *err)
{
	const amqp_connection_start_t *start = method->decoded;
	struct slice product = find_text(&start->server_properties, "product");
	struct slice version = find_text(&start->server_properties, "version");

	snprintf(h->server, sizeof h->server, "%.*s %.*s", (int)(product.n < 40 ? product.n : 40),
	    product.p ? (const char *)product.p : "", (int)(version.n < 40 ? version.n : 40),
	    version.p ? (const char *)version.p : "");
	if (!has_word(wire_slice(start->mechanisms), "PLAIN"))
		return err_set(err, -EACCES, "the broker does not offer PLAIN authentication");
	return send_start_ok(h, w, err);
}

/* The smaller of both, where 0 means no limit. */
static uint32_t lesser(uint32_t ours, uint32_t theirs)
{
	return theirs && theirs < ours ? theirs : ours;
}

static int on_tune(struct handshake *h, struct wire *w, const amqp_method_t *method,
    struct err *err)
{
	const amqp_connection_tune_t *tune = method->decoded;
	amqp_connection_tune_ok_t ok = {
	    .channel_max = (uint16_t)lesser(HANDSHAKE_CHANNEL_MAX, tune->channel_max),
	    .frame_max = lesser(WIRE_FRAME_MAX, tune->frame_max),
	    .heartbeat = (uint16_t)lesser(h->heartbeat_s, tune->heartbeat),
	};
	amqp_connection_open_t open = {.virtual_host = wire_str(h->url->vhost)};

	if (ok.frame_max < WIRE_FRAME_MIN)
		return err_set(err, -EPROTO, "the broker's frame_max of %u is too small", ok.frame_max);
	h->channel_max = ok.channel_max;
	h->heartbeat_s = ok.heartbeat;
	wire_tune(w, ok.channel_max, ok.frame_max);
	if (wire_method(w, 0, AMQP_CONNECTION_TUNE_OK_METHOD, &ok) < 0
	    || wire_method(w, 0, AMQP_CONNECTION_OPEN_METHOD, &open) < 0)
		return err_set(err, -EPROTO, "cannot encode connection.open");
	return 0;
}

static int on_open_ok(struct handshake *h, struct wire *w, const amqp_method_t *method,
    struct err *err)
{
	(void)h, (void)w, (void)method, (void)err;
	return 0;
}

static const struct {
	amqp_method_number_t id;
	int (*fn)(struct handshake *h, struct wire *w, const amqp_method_t *method,
	    struct err *err);
} steps[] = {
    [HANDSHAKE_START] = {AMQP_CONNECTION_START_METHOD, on_start},
    [HANDSHAKE_TUNE] = {AMQP_CONNECTION_TUNE_METHOD, on_tune},
    [HANDSHAKE_OPEN] = {AMQP_CONNECTION_OPEN_OK_METHOD, on_open_ok},
};

int handshake_method(struct handshake *h, struct wire *w, const amqp_method_t *method,
    struct err *err)
{
	int rc;

	if (h->wants == HANDSHAKE_DONE || steps[h->wants].id != method->id) {
		return err_set(err, -EPROTO, "the broker sent %s during the login",
		    amqp_method_name(method->id));
	}
	rc = steps[h->wants].fn(h, w, method, err);
	if (rc < 0)
		return rc;
	h->wants++;
	return h->wants == HANDSHAKE_DONE;
}
