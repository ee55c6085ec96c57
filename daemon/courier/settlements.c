/* SPDX-License-Identifier: MIT */
#include "daemon/courier/settlements.h"

#define REASON_BYTES 200

struct settlement {
	uint64_t parcel;
	enum settle_how how;
	char reason[REASON_BYTES];
};

struct settlements {
	struct store_link *link;
	struct settlement *kept; /* made when the store is first away */
	size_t n, most;
};

struct settlements *settlements_new(struct store_link *link, size_t most)
{
	struct settlements *s = xcalloc(1, sizeof *s);

	s->link = link;
	s->most = most;
	return s;
}

void settlements_free(struct settlements *s)
{
	if (!s)
		return;
	free(s->kept);
	free(s);
}

static void tell(struct peer *store, uint64_t parcel, enum settle_how how, const char *reason)
{
	peer_send_settle(store, &(struct msg_settle){.parcel = parcel,
				    .how = (uint8_t)how,
				    .reason = slice_str(reason ? reason : "")});
}

void settlements_add(struct settlements *s, uint64_t parcel, enum settle_how how, const char *reason)
{
	struct peer *store = store_link_peer(s->link);

	if (store) {
		tell(store, parcel, how, reason);
		return;
	}
	if (s->n == s->most)
		return;
	if (!s->kept)
		s->kept = xcalloc(s->most, sizeof *s->kept);
	s->kept[s->n].parcel = parcel;
	s->kept[s->n].how = how;
	slice_copy(s->kept[s->n++].reason, REASON_BYTES, slice_str(reason ? reason : ""));
}

void settlements_flush(struct settlements *s)
{
	struct peer *store = store_link_peer(s->link);

	for (size_t i = 0; store && i < s->n; i++)
		tell(store, s->kept[i].parcel, s->kept[i].how, s->kept[i].reason);
	s->n = 0;
	free(s->kept);
	s->kept = NULL;
}
