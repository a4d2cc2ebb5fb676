/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The origin thread of the worker's exchanges, played by the input: answers as streams, fails, is slow.
 */
#include "stack_rig.h"

static void origin_more(struct fuzz_fetch *fetch)
{
	if (!atomic_exchange(&fetch->xchg->more_posted, true))
		hf_xchg_to_worker(fuzz.link, HF_XCHG_MORE, fetch->xchg);
}

static void origin_bodies(const struct hf_xchg *xchg)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < fuzz.body_count; i++) {
		if (!xchg || fuzz.body[i]->xchg == xchg)
			hf_xchg_to_worker(fuzz.link, HF_XCHG_BODY_DONE, fuzz.body[i]);
		else
			fuzz.body[kept++] = fuzz.body[i];
	}
	fuzz.body_count = kept;
}

static struct fuzz_fetch *origin_fetch(const struct hf_xchg *xchg)
{
	for (int i = 0; i < XCHGS; i++) {
		if (fuzz.fetch[i].xchg == xchg)
			return &fuzz.fetch[i];
	}
	HF_ASSERT(!"an exchange is known, or there is room");
	return NULL;
}

static void origin_finish(struct hf_xchg *xchg)
{
	struct fuzz_fetch *fetch = origin_fetch(xchg);

	if (fetch->filling) {
		hf_shard_fill_fail(fuzz.shard, xchg->obj);
		hf_shard_obj_unref(fuzz.shard, xchg->obj);
	}
	if (xchg->obj)
		hf_shard_obj_unref(fuzz.shard, xchg->obj);
	origin_bodies(xchg);
	hf_xchg_to_worker(fuzz.link, HF_XCHG_GONE, xchg);
	memset(fetch, 0, sizeof(*fetch));
}

void origin_messages(void)
{
	struct hf_xchg *xchg;
	struct hf_msg msg;

	while (hf_ring_drain(fuzz.link->to_origin, &msg, 1) == 1) {
		xchg = msg.ptr;
		switch (msg.kind) {
		case HF_XCHG_START:
			*origin_fetch(NULL) = (struct fuzz_fetch){ .xchg = xchg };
			break;
		case HF_XCHG_BODY:
			fuzz.body[fuzz.body_count++] = msg.ptr;
			break;
		case HF_XCHG_CREDIT:
			if (xchg->obj)
				hf_shard_trim(fuzz.shard, xchg->obj, atomic_load(&xchg->consumed));
			break;
		case HF_XCHG_FINISH:
			origin_finish(xchg);
			break;
		default:
			HF_ASSERT(!"a message to an origin thread");
		}
	}
}

static void origin_answer(struct fuzz_fetch *fetch, uint32_t how)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
	struct hf_obj_spec spec = { .head = { head, sizeof(head) - 1 },
		.length = how & 2 ? HF_OBJ_LENGTH_UNKNOWN : how * 16,
		.born_us = (int64_t)fuzz.now_us,
		.status = 200,
		.flags = HF_OBJ_STREAM };
	struct hf_xchg *xchg = fetch->xchg;

	fetch->answered = true;
	if (how & 1) {
		xchg->fail_status = how & 4 ? 504 : 502;
		xchg->fail_reason =
			how & 4 ? HF_DROP_REQ_ORIGIN_TIMEOUT : HF_DROP_REQ_ORIGIN_FAILED;
		hf_xchg_to_worker(fuzz.link, HF_XCHG_FAIL, xchg);
		return;
	}
	fetch->left = spec.length;
	xchg->obj = hf_shard_obj_new(fuzz.shard, &spec);
	HF_ASSERT(xchg->obj); /* the arena holds all there can be at once */
	hf_shard_obj_ref(fuzz.shard, xchg->obj);
	fetch->filling = true;
	hf_xchg_to_worker(fuzz.link, HF_XCHG_HEAD, xchg);
}

static void origin_fill(struct fuzz_fetch *fetch, uint64_t len)
{
	static const char body[CHUNK] = "body";

	for (len = hf_min_u64(len, fetch->left); len > 0;) {
		size_t n = hf_shard_fill(
			fuzz.shard, fetch->xchg->obj, body, (size_t)hf_min_u64(len, CHUNK));

		HF_ASSERT(n > 0);
		len -= n;
		if (fetch->left != HF_OBJ_LENGTH_UNKNOWN)
			fetch->left -= n;
	}
}

void origin_step(void)
{
	struct fuzz_fetch *fetch = &fuzz.fetch[fuzz_byte() % XCHGS];
	uint32_t what = fuzz_byte();

	if (what & 128)
		origin_bodies(NULL);
	if (!fetch->xchg)
		return;
	if (!fetch->answered) {
		origin_answer(fetch, fuzz_byte());
	} else if (fetch->filling) {
		if (what & 64)
			atomic_store(&fetch->xchg->credit_wanted, true);
		if (what % 8 < 6) {
			origin_fill(fetch, fuzz_u16() % 5000);
		} else {
			if (what % 8 == 6) {
				if (fetch->left != HF_OBJ_LENGTH_UNKNOWN)
					origin_fill(fetch, fetch->left);
				hf_shard_fill_end(fuzz.shard, fetch->xchg->obj);
			} else {
				hf_shard_fill_fail(fuzz.shard, fetch->xchg->obj);
			}
			hf_shard_obj_unref(fuzz.shard, fetch->xchg->obj);
			fetch->filling = false;
		}
		origin_more(fetch);
	}
}
