/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "lib/ipc/codec.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static uint8_t big[FRAME_INLINE_BYTES + 1];

/* --- every message of the table, by its fields ------------------------------------------------ */

static void fill_u8(uint8_t *v, unsigned i)
{
	*v = (uint8_t)(1 + i);
}

static void fill_u16(uint16_t *v, unsigned i)
{
	*v = (uint16_t)(0x0102 + i);
}

static void fill_u32(uint32_t *v, unsigned i)
{
	*v = 0x01020304 + i;
}

static void fill_u64(uint64_t *v, unsigned i)
{
	*v = UINT64_C(0x0102030405060708) + i;
}

static void fill_i64(int64_t *v, unsigned i)
{
	*v = -1 - (int64_t)i;
}

static void fill_id(struct id *v, unsigned i)
{
	memset(v->b, (int)i + 1, sizeof v->b);
}

static void fill_str(struct slice *v, unsigned i)
{
	static const char *const texts[] = {"", "a", "text with \0 in it"};

	*v = slice_of(texts[i % 3], i % 3 == 2 ? 17 : strlen(texts[i % 3]));
}

/* Absent, empty, inline and memfd in turn. */
static void fill_blob(struct slice *v, unsigned i)
{
	static const size_t sizes[] = {FRAME_INLINE_BYTES + 1, 0, FRAME_INLINE_BYTES};

	*v = i % 4 == 3 ? slice_of(NULL, 0) : slice_of(big, sizes[i % 4]);
}

static bool same_slice(struct slice a, struct slice b, bool with_absence)
{
	return slice_eq(a, b) && (!with_absence || !a.p == !b.p);
}

#define same_u8(a, b) ((a) == (b))
#define same_u16(a, b) ((a) == (b))
#define same_u32(a, b) ((a) == (b))
#define same_u64(a, b) ((a) == (b))
#define same_i64(a, b) ((a) == (b))
#define same_id(a, b) id_eq(a, b)
#define same_str(a, b) same_slice(a, b, false)
#define same_blob(a, b) same_slice(a, b, true)

#define FILL(type, name) fill_##type(&m.name, i++);
#define SAME(kind, name)                                                                           \
	if (!same_##kind(m.name, back.name))                                                       \
		fail_msg("field " #name " of %s", message_name(f.type));

/* A frame as peer.c hands it out. */
static int receive(struct slice in, const int *fds, size_t nfds, struct frame *ret)
{
	int length = frame_peek(in, ret);

	for (size_t i = 0; i < nfds; i++)
		ret->fds[ret->nfds++] = fds[i];
	return length;
}

/* Every cut of the frame, told as whole in its length, must be refused; so must one byte more. */
#define MESSAGE(NAME, name, from, to, meaning)                                                     \
	static void check_##name(unsigned i)                                                       \
	{                                                                                          \
		struct msg_##name m, back;                                                         \
		struct frame_writer w = {0};                                                       \
		struct frame f;                                                                    \
		struct buf out;                                                                    \
                                                                                                   \
		buf_init(&out, 1 << 20);                                                           \
		w.out = &out;                                                                      \
		MSG_##NAME##_FIELDS(FILL) assert_int_equal(msg_##name##_encode(&w, &m), 0);        \
		assert_int_equal(frame_fds(buf_slice(&out)), w.nfds);                              \
		assert_int_equal(receive(buf_slice(&out), w.fds, w.nfds, &f), buf_size(&out));     \
		assert_int_equal(f.type, MSG_##NAME);                                              \
		assert_int_equal(msg_##name##_decode(&f, &back), 0);                               \
		MSG_##NAME##_FIELDS(SAME) frame_release(&f);                                       \
		for (size_t n = FRAME_HEADER_BYTES; n <= buf_size(&out) + 1;                       \
		     n += n < 400 ? 1 : 4099) {                                                    \
			uint8_t *cut = xcalloc(1, n);                                              \
                                                                                                   \
			memcpy(cut, buf_head(&out), n < buf_size(&out) ? n : buf_size(&out));      \
			memcpy(cut, &(uint32_t){(uint32_t)n}, 4);                                  \
			if (n != buf_size(&out) && receive(slice_of(cut, n), NULL, 0, &f) > 0 &&   \
			    msg_##name##_decode(&f, &back) != -EPROTO)                             \
				fail_msg("%s of %zu bytes was read", #NAME, n);                    \
			frame_release(&f);                                                         \
			free(cut);                                                                 \
		}                                                                                  \
		buf_free(&out);                                                                    \
	}
#include "lib/ipc/messages.def"
#undef MESSAGE

static void test_every_message_and_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (uint8_t)i;
	for (unsigned i = 0; i < 4; i++) {
#define MESSAGE(NAME, name, from, to, meaning) check_##name(i);
#include "lib/ipc/messages.def"
#undef MESSAGE
	}
}

/* --- frames that are none --------------------------------------------------------------------- */

static void test_what_can_be_no_frame(void **state)
{
	static const struct {
		uint8_t bytes[12];
		size_t n;
		int is;
	} cases[] = {
	    {{0}, 0, 0},
	    {{9, 0, 0, 0, 1, 0, 0}, 7, 0},
	    {{9, 0, 0, 0, 1, 0, 0, 0}, 8, 0},
	    {{9, 0, 0, 0, 1, 0, 0, 0, 5}, 9, 9},
	    {{7, 0, 0, 0, 1, 0, 0, 0}, 8, -EPROTO},
	    {{0, 0, 0, 0, 1, 0, 0, 0}, 8, -EPROTO},
	    {{1, 0, 1, 0, 1, 0, 0, 0}, 8, -EPROTO},
	    {{0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0}, 8, -EPROTO},
	    {{9, 0, 0, 0, 0, 0, 0, 0, 5}, 9, -EPROTO},
	    {{9, 0, 0, 0, MSG_COUNT, 0, 0, 0, 5}, 9, -EPROTO},
	    {{9, 0, 0, 0, 1, 0xff, 0, 0, 5}, 9, -EPROTO},
	    {{9, 0, 0, 0, 1, 0, 5, 0, 5}, 9, -EPROTO},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct frame f;
		int rc = frame_peek(slice_of(cases[i].bytes, cases[i].n), &f);

		if (rc != cases[i].is)
			fail_msg("case %zu: %d", i, rc);
	}
}

static void test_a_frame_is_decoded_as_what_it_is(void **state)
{
	struct frame_writer w = {0};
	struct msg_buried wrong;
	struct frame f;
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	w.out = &out;
	assert_int_equal(msg_credit_encode(&w, &(struct msg_credit){5}), 0);
	assert_true(receive(buf_slice(&out), NULL, 0, &f) > 0);
	assert_int_equal(msg_buried_decode(&f, &wrong), -EPROTO);
	frame_release(&f);
	buf_free(&out);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(message_name(MSG_CLAIM), "CLAIM");
	assert_string_equal(message_name(MSG_NONE), "NONE");
	assert_string_equal(message_name(MSG_COUNT), "unknown");
}

/* --- blobs ------------------------------------------------------------------------------------ */

static int memfd(size_t n, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)n), 0);
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* A frame SUBMIT whose last field, the body, says `form` and `n`, with these descriptors. */
static int decode_blob(uint8_t form, uint32_t n, const int *fds, size_t nfds)
{
	struct frame_writer w = {0};
	struct msg_submit m = {.envelope = slice_of("e", 1)}, back;
	struct frame f;
	struct buf out;
	int rc;

	buf_init(&out, 1 << 20);
	w.out = &out;
	assert_int_equal(msg_submit_encode(&w, &m), 0);
	memcpy(buf_head(&out) + buf_size(&out) - 5, &form, 1);
	memcpy(buf_head(&out) + buf_size(&out) - 4, &n, 4);
	assert_true(receive(buf_slice(&out), fds, nfds, &f) > 0);
	rc = msg_submit_decode(&f, &back);
	if (rc == 0 && form == 2)
		assert_int_equal(back.body.p[n - 1], 0);
	frame_release(&f);
	buf_free(&out);
	return rc;
}

static int decode_memfd(uint32_t n, int fd)
{
	int rc = decode_blob(2, n, &fd, 1);

	assert_int_equal(fcntl(fd, F_GETFD), -1); /* the frame owned it, whatever came of it */
	return rc;
}

static void test_memfds_are_checked(void **state)
{
	const uint32_t n = FRAME_INLINE_BYTES + 1;
	int pipes[2], two[2];

	(void)state;
	assert_int_equal(decode_memfd(n, memfd(n, SEALS)), 0);
	assert_int_equal(decode_memfd(n, memfd(n, SEALS | F_SEAL_SEAL)), 0);
	assert_int_equal(decode_memfd(n, memfd(n, 0)), -EPROTO);
	assert_int_equal(decode_memfd(n, memfd(n, F_SEAL_SHRINK | F_SEAL_GROW)), -EPROTO);
	assert_int_equal(decode_memfd(n, memfd(n, F_SEAL_WRITE | F_SEAL_GROW)), -EPROTO);
	assert_int_equal(decode_memfd(n, memfd(n + 1, SEALS)), -EPROTO);
	assert_int_equal(decode_memfd(n, memfd(n - 1, SEALS)), -EPROTO);
	assert_int_equal(decode_memfd(n, memfd(0, SEALS)), -EPROTO);
	assert_int_equal(
	    decode_memfd(FRAME_INLINE_BYTES, memfd(FRAME_INLINE_BYTES, SEALS)), -EPROTO);
	assert_int_equal(decode_memfd(UINT32_MAX, memfd(UINT32_MAX, SEALS)), -EPROTO);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(decode_memfd(n, pipes[0]), -EPROTO);
	close(pipes[1]);
	assert_int_equal(decode_memfd(n, open("/dev/zero", O_RDONLY | O_CLOEXEC)), -EPROTO);
	/* none where one is due, and one too many */
	assert_int_equal(decode_blob(2, n, NULL, 0), -EPROTO);
	two[0] = memfd(n, SEALS);
	two[1] = memfd(n, SEALS);
	assert_int_equal(decode_blob(2, n, two, 2), -EPROTO);
	two[0] = memfd(n, SEALS);
	assert_int_equal(decode_blob(0, 0, two, 1), -EPROTO);
}

static void test_forms_of_blobs(void **state)
{
	(void)state;
	assert_int_equal(decode_blob(0, 0, NULL, 0), 0);
	assert_int_equal(decode_blob(1, 0, NULL, 0), 0);
	assert_int_equal(decode_blob(0, 1, NULL, 0), -EPROTO);
	assert_int_equal(decode_blob(1, 1, NULL, 0), -EPROTO);
	assert_int_equal(decode_blob(1, UINT32_MAX, NULL, 0), -EPROTO);
	assert_int_equal(decode_blob(3, 0, NULL, 0), -EPROTO);
}

static void test_bounds_of_writing(void **state)
{
	static char text[FRAME_STR_BYTES + 10];
	struct frame_writer w = {0};
	struct msg_ready cut;
	struct frame f;
	struct buf out;

	(void)state;
	memset(text, 'x', sizeof text);
	buf_init(&out, 100);
	w.out = &out;
	assert_int_equal(buf_adds(&out, "before"), 0);
	assert_int_equal(
	    msg_submit_encode(&w, &(struct msg_submit){.envelope = slice_of(big, sizeof big)}), 0);
	assert_int_equal(w.nfds, 1);
	close(w.fds[0]);
	buf_truncate(&out, 6);
	/* What does not fit leaves neither bytes nor descriptors. */
	assert_int_equal(
	    msg_submit_encode(&w, &(struct msg_submit){.envelope = slice_of(big, sizeof big),
				      .body = slice_of(big, 100)}),
	    -ENOBUFS);
	assert_int_equal(buf_size(&out), 6);
	assert_int_equal(w.nfds, 0);
	/* Checked before a byte of it is read. */
	assert_int_equal(
	    msg_submit_encode(
		&w, &(struct msg_submit){.body = slice_of(big, (size_t)FRAME_BLOB_MAX_BYTES + 1)}),
	    -EMSGSIZE);
	assert_int_equal(buf_size(&out), 6);
	buf_free(&out);

	buf_init(&out, 1 << 16);
	assert_int_equal(
	    msg_ready_encode(&w, &(struct msg_ready){.text = slice_of(text, sizeof text)}), 0);
	assert_true(receive(buf_slice(&out), NULL, 0, &f) > 0);
	assert_int_equal(msg_ready_decode(&f, &cut), 0);
	assert_int_equal(cut.text.n, FRAME_STR_BYTES);
	frame_release(&f);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_message_and_every_cut),
	    cmocka_unit_test(test_what_can_be_no_frame),
	    cmocka_unit_test(test_a_frame_is_decoded_as_what_it_is),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_memfds_are_checked),
	    cmocka_unit_test(test_forms_of_blobs),
	    cmocka_unit_test(test_bounds_of_writing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
