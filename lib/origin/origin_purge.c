/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Purges: of one key, in one turn; of many, a step of the shard's walk a turn.
 *
 * What was asked for before a purge, and comes after it, is as old as what the purge was to take (G3).
 * By key or prefix that is known at once; by tag where the head is there. Of all others the purged tags
 * are remembered until their heads come: the last ones, and who asked before those is stored in no case.
 */
#include "hf_origin.h"

#include <errno.h>
#include <string.h>

#include "origin_answer.h"
#include "origin_l2.h"
#include "origin_priv.h"

/* Its answer is only for those who wait for it now. */
static void purge_fetch(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (fetch->state == ORIGIN_L2)
		fetch->l2.voided = true;
	if (fetch->state < ORIGIN_SENT)
		return; /* to be asked for after the purge */
	fetch->purged = true;
	fetch->joinable = false;
	if (fetch->obj && hf_list_empty(&fetch->readers) && !origin_store_is_whole(fetch))
		hf_shard_to_stream(
			origin->shard, fetch->obj); /* of nobody: its next bytes end it */
}

uint32_t origin_purge_key(struct hf_origin *origin, const struct hf_key *key, bool soft)
{
	struct origin_fetch *fetch = NULL;

	while ((fetch = origin_map_next(origin, key, fetch)) != NULL)
		purge_fetch(origin, fetch);
	origin->purge.count++;
	origin_l2_del(origin, key);
	origin_warm_forget(origin, key->hash);
	return hf_shard_purge(origin->shard, key, soft);
}

/* ---- of many ---- */

static bool purge_names(const struct hf_purge_walk *walk, const struct origin_fetch *fetch)
{
	if (walk->kind != HF_PURGE_TAG)
		return hf_purge_names_key(walk, (struct hf_span){ fetch->key.ptr, fetch->key.len });
	return (fetch->obj && hf_purge_matches(walk, fetch->obj)) ||
	       (fetch->stale && hf_purge_matches(walk, fetch->stale));
}

static void purge_remember_tag(struct origin_purge *purge)
{
	struct origin_tag *tag = &purge->tag[purge->tags_purged++ % ORIGIN_TAGS_KNOWN];

	HF_ASSERT(purge->walk.text.len <= sizeof(tag->text));
	memcpy(tag->text, purge->text, purge->walk.text.len);
	tag->len = (uint32_t)purge->walk.text.len;
}

static void purge_begin(struct hf_origin *origin)
{
	struct origin_purge *purge = &origin->purge;
	struct hf_list *it;

	hf_shard_purge_begin(origin->shard, &purge->walk);
	purge->count++;
	origin_l2_purge(origin, &purge->walk);
	origin_warm_forget_many(origin, &purge->walk);
	hf_list_for_each (it, &origin->all) {
		struct origin_fetch *fetch = HF_CONTAINER_OF(it, struct origin_fetch, all_link);

		if (purge_names(&purge->walk, fetch))
			purge_fetch(origin, fetch);
	}
	if (purge->walk.kind == HF_PURGE_TAG)
		purge_remember_tag(purge);
	purge->begun = true;
}

bool origin_purge_run(struct hf_origin *origin)
{
	struct origin_purge *purge = &origin->purge;

	if (!atomic_load_explicit(&purge->busy, memory_order_acquire))
		return false;
	if (!purge->begun)
		purge_begin(origin);
	if (hf_shard_purge_step(origin->shard, &purge->walk)) {
		purge->begun = false;
		atomic_store_explicit(&purge->busy, false, memory_order_release);
	}
	return true;
}

bool origin_purge_tagged(const struct hf_origin *origin, const struct origin_fetch *fetch,
	const struct hf_http_fields *fields, const struct hf_obj *base)
{
	const struct origin_purge *purge = &origin->purge;

	if (purge->tags_purged - fetch->tags_purged > ORIGIN_TAGS_KNOWN)
		return true;
	for (uint64_t i = fetch->tags_purged; i < purge->tags_purged; i++) {
		const struct origin_tag *tag = &purge->tag[i % ORIGIN_TAGS_KNOWN];
		const struct hf_purge_walk walk = { .kind = HF_PURGE_TAG,
			.text = { tag->text, tag->len } };

		if (hf_purge_fields_have(fields, walk.text) ||
			(base && hf_purge_matches(&walk, base)))
			return true;
	}
	return false;
}

void origin_purge_fini(struct hf_origin *origin)
{
	if (origin->purge.begun)
		hf_list_del(&origin->purge.walk.link); /* the shard is not used any more */
	origin->purge.begun = false;
}

/* ---- control ---- */

int hf_origin_purge_begin(struct hf_origin *origin, const struct hf_purge_walk *what)
{
	struct origin_purge *purge = &origin->purge;

	HF_ASSERT(hf_thread_own != HF_THREAD_LCORE && hf_thread_own != HF_THREAD_ORIGIN);
	if (atomic_load_explicit(&purge->busy, memory_order_acquire))
		return -EBUSY;
	if (what->text.len > (what->kind == HF_PURGE_TAG ? HF_PURGE_TAG_MAX : HF_PURGE_TEXT_MAX))
		return -E2BIG;
	if (what->text.len > 0)
		memcpy(purge->text, what->text.ptr, what->text.len);
	purge->walk = (struct hf_purge_walk){
		.kind = what->kind, .soft = what->soft, .text = { purge->text, what->text.len }
	};
	atomic_store_explicit(&purge->busy, true, memory_order_release);
	hf_origin_wake(origin);
	return 0;
}

bool hf_origin_purge_done(const struct hf_origin *origin, uint64_t *ret_count)
{
	if (atomic_load_explicit(&origin->purge.busy, memory_order_acquire))
		return false;
	*ret_count = origin->purge.walk.count;
	return true;
}
