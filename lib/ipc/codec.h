/* SPDX-License-Identifier: MIT */
/*
 * The frames between the processes of a node, generated from messages.def. A frame is
 *
 *     u32 length of the whole frame   u16 type   u8 descriptors   u8 zero   fields...
 *
 * little-endian, at most FRAME_MAX_BYTES. Blobs above FRAME_INLINE_BYTES travel as memfds beside the
 * frame, sealed against shrinking, growing and writing; the receiver checks seals and size and maps it.
 * Decoded strings and blobs borrow from the frame: copy what must outlive it.
 */
#ifndef SKEP_IPC_CODEC_H
#define SKEP_IPC_CODEC_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/id.h"

#define IPC_PROTOCOL 8
#define FRAME_HEADER_BYTES 8
#define FRAME_MAX_BYTES 65536
#define FRAME_INLINE_BYTES 8192
#define FRAME_STR_BYTES 4096
#define FRAME_FDS_MAX 4
#define FRAME_BLOB_MAX_BYTES (256u << 20)

enum message_type {
	MSG_NONE,
#define MESSAGE(NAME, name, from, to, meaning) MSG_##NAME,
#include "lib/ipc/messages.def"
#undef MESSAGE
	MSG_COUNT
};

const char *message_name(enum message_type type);

enum verdict {
	VERDICT_NONE, /* a first delivery that did not ask: a volatile claim */
	VERDICT_RUN,
	VERDICT_DROP,
	VERDICT_CANCELLED,
	VERDICT_BURY,
	VERDICT_TAKE,
};

enum claim_flag {
	CLAIM_ASKS = 1,        /* waits for the verdict */
	CLAIM_REDELIVERED = 2, /* by the broker's flag */
	CLAIM_NAMELESS = 4,    /* the message has no id; `job` was minted by the worker */
};

enum outcome_flag {
	OUTCOME_NAMELESS = 1,
	OUTCOME_RESULT_CUT = 2, /* stdout was longer than the limit */
	OUTCOME_LOGS_CUT = 4,
	OUTCOME_BURIED = 8, /* never started: the store's own verdict BURY comes back with the body */
};

enum parcel_kind { PARCEL_JOB, PARCEL_REPLY };

enum settle_how {
	SETTLE_CONFIRMED, /* the broker has it, unreturned */
	SETTLE_RETURNED,  /* no queue took it */
	SETTLE_NACKED,    /* the broker refused it for now */
	SETTLE_REFUSED,   /* it can never be published: too large, no permission */
	SETTLE_UNSENT,    /* handed back as it came */
};

/* What one frame holds while it is being read. */
struct frame {
	enum message_type type;
	const uint8_t *p, *end;
	int fds[FRAME_FDS_MAX]; /* closed by frame_release() */
	size_t nfds, fds_used;
	struct {
		void *p;
		size_t n;
	} maps[FRAME_FDS_MAX];
	size_t nmaps;
};

/* Unmaps and closes whatever the frame still holds. */
void frame_release(struct frame *f);

/* A frame being written into `out`; descriptors are collected beside it. */
struct frame_writer {
	struct buf *out;
	size_t start;
	int fds[FRAME_FDS_MAX];
	size_t nfds;
	size_t blob_bytes; /* in those descriptors */
	int rc;
};

typedef uint8_t ipc_u8;
typedef uint16_t ipc_u16;
typedef uint32_t ipc_u32;
typedef uint64_t ipc_u64;
typedef int64_t ipc_i64;
typedef struct id ipc_id;
typedef struct slice ipc_str;
typedef struct slice ipc_blob;

#include "lib/ipc/messages.def"

#define FIELD(type, name) ipc_##type name;
#define MESSAGE(NAME, name, from, to, meaning)                                                     \
	struct msg_##name {                                                                        \
		MSG_##NAME##_FIELDS(FIELD)                                                         \
	};                                                                                         \
	int msg_##name##_encode(struct frame_writer *w, const struct msg_##name *m);               \
	int msg_##name##_decode(struct frame *f, struct msg_##name *ret);
#include "lib/ipc/messages.def"
#undef MESSAGE
#undef FIELD

/* Splits the first whole frame off `in` without consuming it: its length in bytes, 0 if it is not all
 * there, -EPROTO if it cannot be one. The descriptors are the caller's to add. */
int frame_peek(struct slice in, struct frame *ret);

/* How many descriptors the frame at the head of `in` brings (valid after frame_peek() > 0). */
size_t frame_fds(struct slice in);

#endif
