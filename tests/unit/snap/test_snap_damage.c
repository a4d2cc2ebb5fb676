/* SPDX-License-Identifier: BSD-3-Clause
 *
 * S1: the first frame that is not what it should be ends a load; what came before is whole.
 */
#include "rig.h"

#include "hf_bytes.h"

#define URLS 3

static const char *const urls[URLS] = { "http://a/x", "http://a/yy", "http://a/zzz" };

static char whole[4096];
static size_t whole_len;
static struct rig rig;

static void setup(void)
{
	struct rig one;

	rig_files_new();
	rig_open(&one, 2 * RIG_MIB, 1);
	for (int i = 0; i < URLS; i++)
		rig_put(&one,
			(struct rig_put){ .url = urls[i], .length = 40, .fields = "A: b\r\n" });
	rig_save(&one);
	whole_len = rig_slurp(whole, sizeof(whole));
	rig_close(&one);
	rig_open(&rig, 2 * RIG_MIB, 1);
}

static void teardown(void)
{
	rig_close(&rig);
	rig_files_free();
}

TestSuite(snap_damage, .init = setup, .fini = teardown);

/* How many responses came, each as it was. The cache is empty again then. */
static uint64_t loaded(const char *bytes, size_t len, int *ret_rc)
{
	struct hf_shard *shard = hf_cache_shard(rig.cache, 0);
	uint64_t count = 0;

	rig_spill(bytes, len);
	*ret_rc = rig_load(&rig);
	for (int i = 0; i < URLS; i++) {
		const struct hf_obj *obj = rig_find(&rig, urls[i]);
		struct hf_key key = rig_key(&rig, urls[i]);

		if (obj)
			cr_expect(rig_body_is(obj, urls[i]));
		count += hf_shard_purge(shard, &key, false);
	}
	cr_expect_eq(rig_count(&rig), 0);
	hf_snap_fill_free(rig.fill[0]); /* a load is a fill's last */
	rig.fill[0] = hf_snap_fill_new(rig.cache, 0);
	hf_shard_work(shard, RIG_CLOCK);
	(void)hf_cache_reclaim_step(rig.cache);
	return count;
}

Test(snap_damage, cut_at_any_byte_what_came_before_stays)
{
	uint64_t most = 0;
	int rc;

	for (size_t cut = 0; cut < whole_len; cut++) {
		uint64_t count = loaded(whole, cut, &rc);

		cr_expect_eq(rc, -EBADMSG, "cut at %zu", cut);
		cr_expect_geq(count, most, "cut at %zu", cut);
		most = count;
	}
	cr_expect_eq(most, URLS);
	cr_expect_eq(loaded(whole, whole_len, &rc), URLS);
	cr_expect_eq(rc, 0);
}

Test(snap_damage, with_any_byte_wrong_what_came_before_stays)
{
	uint64_t count, before = 0;
	int rc;

	for (size_t at = 0; at < whole_len; at++) {
		for (unsigned flip = 1; flip < 256; flip = flip == 1      ? 0x80
							   : flip == 0x80 ? 255
									  : 256) {
			whole[at] = (char)(whole[at] ^ flip);
			count = loaded(whole, whole_len, &rc);
			cr_expect_eq(rc, -EBADMSG, "byte %zu", at);
			cr_expect_geq(count, before, "byte %zu", at);
			whole[at] = (char)(whole[at] ^ flip);
		}
		before = count;
	}
	cr_expect_eq(before, URLS, "the end frame was wrong");
}

Test(snap_damage, more_bytes_behind_the_end_are_told)
{
	int rc;

	cr_expect_eq(loaded(whole, whole_len + 1, &rc), URLS);
	cr_expect_eq(rc, -EBADMSG);
}

static void expect_refused(const char *text)
{
	struct hf_err err = { "" };

	rig_spill(whole, whole_len);
	cr_expect_eq(rig_load_err(&rig, RIG_WALL, RIG_CLOCK, &err), -EBADMSG);
	cr_expect_str_eq(err.text, text);
	cr_expect_eq(rig_count(&rig), 0);
}

Test(snap_damage, of_another_version_nothing_is_loaded)
{
	whole[11]++;
	expect_refused("a snapshot of version 2; known: 1");
	whole[0]++;
	expect_refused("no snapshot");
}

/* ---- frames that are sealed well, but in the wrong place, or with the wrong content ---- */

static size_t frame_len(size_t at)
{
	return hf_load_be32(whole + at) + SNAP_FRAME_EXTRA;
}

static size_t first_object(void)
{
	return SNAP_PREAMBLE_LEN + frame_len(SNAP_PREAMBLE_LEN);
}

Test(snap_damage, frames_in_another_order_end_the_load)
{
	size_t a = first_object(), b = a + frame_len(a) + frame_len(a + frame_len(a));
	size_t len = b - a;
	char copy[1024];
	int rc;

	cr_assert_leq(len, sizeof(copy));
	memcpy(copy, whole + a, len);
	memmove(whole + a, whole + b, whole_len - b);
	memcpy(whole + whole_len - len, copy, len);
	cr_expect_eq(loaded(whole, whole_len, &rc), 0);
	cr_expect_eq(rc, -EBADMSG);
}

Test(snap_damage, a_frame_of_another_snapshot_ends_the_load)
{
	size_t at = first_object();
	struct snap_seal other = { RIG_WALL + 1, 1 };
	int rc;

	snap_put_frame(whole + at, HF_SNAP_OBJECT, frame_len(at) - SNAP_FRAME_EXTRA, &other);
	cr_expect_eq(loaded(whole, whole_len, &rc), 0);
	cr_expect_eq(rc, -EBADMSG);
}

/* Seals the first object anew. */
static int reseal(void)
{
	size_t at = first_object();
	struct snap_seal seal = { RIG_WALL, 1 };
	int rc;

	snap_put_frame(whole + at, HF_SNAP_OBJECT, frame_len(at) - SNAP_FRAME_EXTRA, &seal);
	cr_expect_eq(loaded(whole, whole_len, &rc), rc == 0 ? URLS : 0);
	return rc;
}

static int with_byte(size_t offset, uint8_t value)
{
	char *at = whole + first_object() + SNAP_FRAME_HEAD + offset, before = *at;
	int rc;

	*at = (char)value;
	rc = reseal();
	*at = before;
	return rc;
}

Test(snap_damage, what_no_response_can_have_ends_the_load)
{
	size_t text = HF_CACHE_RECORD_LEN, head = text + strlen(urls[2]);

	/* worthiest first: the last one that was stored */
	cr_assert_eq(memcmp(whole + first_object() + SNAP_FRAME_HEAD + text, urls[2], 12), 0);
	cr_expect_eq(reseal(), 0);
	cr_expect_eq(with_byte(0, 1), -EBADMSG, "age");
	cr_expect_eq(with_byte(8, 0x80), -EBADMSG, "length");
	cr_expect_eq(with_byte(15, 41), -EBADMSG, "more body than there is");
	cr_expect_eq(with_byte(15, 39), -EBADMSG, "less");
	cr_expect_eq(with_byte(16, 0x81), -EBADMSG, "lifetime");
	cr_expect_eq(with_byte(20, 0x81), -EBADMSG, "stale-while-revalidate");
	cr_expect_eq(with_byte(24, 0x81), -EBADMSG, "stale-if-error");
	cr_expect_eq(with_byte(33, 100), -EBADMSG, "status");
	cr_expect_eq(with_byte(33, 201), -EBADMSG, "another status than in the head");
	cr_expect_eq(with_byte(34, 8), -EBADMSG, "unknown flag");
	cr_expect_eq(with_byte(34, HF_CACHE_RECORD_NO_BODY), -EBADMSG, "with a body");
	cr_expect_eq(with_byte(35, 16), -EBADMSG, "unknown flag");
	cr_expect_eq(with_byte(35, 2), -EBADMSG, "validated always, but stale too");
	cr_expect_eq(with_byte(36, 1), -EBADMSG, "key longer than all");
	cr_expect_eq(with_byte(39, 11), -EBADMSG, "key shorter");
	cr_expect_eq(with_byte(43, 1), -EBADMSG, "Vary values that are not there");
	cr_expect_eq(with_byte(text, 'f'), -EBADMSG, "no http");
	cr_expect_eq(with_byte(text + 9, ' '), -EBADMSG, "blank in the key");
	cr_expect_eq(with_byte(head, 'h'), -EBADMSG, "no status line");
	cr_expect_eq(with_byte(head + 17, '\0'), -EBADMSG, "NUL in a field");
	cr_expect_eq(with_byte(35, 1), 0, "never stale, and no window");
}

/* The file with this response alone. */
static int load_one(const char *vary, size_t vary_len, const char *head)
{
	struct hf_cache_record object = { .life = { 60 },
		.status = 200,
		.key = HF_SPAN("http://a/x"),
		.vary = { vary, vary_len },
		.head = { head, strlen(head) } };
	struct snap_seal seal = { RIG_WALL, 1 };
	size_t at = first_object(), len;
	int rc;

	len = hf_cache_record_len(&object);
	hf_cache_record_put(whole + at + SNAP_FRAME_HEAD, &object);
	at += snap_put_frame(whole + at, HF_SNAP_OBJECT, len, &seal);
	hf_store_be64(whole + at + SNAP_FRAME_HEAD, 1);
	seal.number++;
	at += snap_put_frame(whole + at, HF_SNAP_END, SNAP_END_LEN, &seal);
	(void)loaded(whole, at, &rc);
	return rc;
}

Test(snap_damage, what_is_one_clients_own_ends_the_load)
{
	cr_expect_eq(load_one("", 0, "HTTP/1.1 200 OK\r\nA: b\r\n"), 0);
	cr_expect_eq(load_one("", 0, "HTTP/1.1 200 OK\r\nA: b\r\nSet-Cookie: c=d\r\n"), -EBADMSG);
	cr_expect_eq(load_one("", 0, "HTTP/1.1 200 OK\r\nAuthorization: x\r\n"), -EBADMSG);
}

Test(snap_damage, what_would_frame_a_message_otherwise_ends_the_load_rfc9112_6)
{
	cr_expect_eq(load_one("", 0, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"), -EBADMSG);
	cr_expect_eq(
		load_one("", 0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"), -EBADMSG);
	cr_expect_eq(load_one("", 0, "HTTP/1.1 200 OK\r\nAge: 1\r\n"), -EBADMSG);
	cr_expect_eq(load_one("", 0, "HTTP/1.1 200 OK\r\n\r\nA: b\r\n"), -EBADMSG);
	cr_expect_eq(load_one("", 0, "HTTP/1.1 200 OK\r\nA: b"), -EBADMSG);
}

Test(snap_damage, vary_values_of_another_kind_end_the_load)
{
	cr_expect_eq(load_one("accept\0-\0", 9, "HTTP/1.1 200 OK\r\n"), 0);
	cr_expect_eq(load_one("accept\0+a\0b\0-\0", 14, "HTTP/1.1 200 OK\r\n"), 0);
	cr_expect_eq(load_one("accept\0a\0", 9, "HTTP/1.1 200 OK\r\n"), -EBADMSG);
	cr_expect_eq(load_one("accept\0-x\0", 10, "HTTP/1.1 200 OK\r\n"), -EBADMSG);
	cr_expect_eq(load_one("accept\0-", 8, "HTTP/1.1 200 OK\r\n"), -EBADMSG);
	cr_expect_eq(load_one("ac cept\0-\0", 10, "HTTP/1.1 200 OK\r\n"), -EBADMSG);
}
