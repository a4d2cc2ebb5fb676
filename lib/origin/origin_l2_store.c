/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What goes to the second tier: responses that are stored; and what was purged must not come back from it.
 */
#include "hf_origin.h"

#include <stdlib.h>
#include <string.h>

#include "hf_l2.h"

#include "origin_l2.h"
#include "origin_priv.h"

/* ---- responses ---- */

/* write-around: stored here only if the node did not take it. */
struct l2_put {
	struct hf_list link; /* in l2.puts */
	struct hf_l2_ask ask;
	struct hf_origin *origin;
	struct hf_obj *obj; /* a reference */
	uint64_t purges;    /* so many there had been */
};

static void put_end(struct l2_put *put)
{
	hf_list_del(&put->link);
	hf_shard_obj_unref(put->origin->shard, put->obj);
	free(put);
}

void origin_l2_puts_fini(struct hf_origin *origin)
{
	struct hf_list *it;

	while ((it = hf_list_first(&origin->l2.puts)) != NULL)
		put_end(HF_CONTAINER_OF(it, struct l2_put, link));
}

static void put_done(struct hf_l2_ask *ask, enum hf_l2_outcome outcome, struct hf_span value)
{
	struct l2_put *put = HF_CONTAINER_OF(ask, struct l2_put, ask);

	if (outcome != HF_L2_DONE && put->purges == put->origin->purge.count)
		hf_shard_publish(put->origin->shard, put->obj);
	put_end(put);
}

static struct l2_put *put_new(struct hf_origin *origin, struct hf_obj *obj)
{
	struct l2_put *put = calloc(1, sizeof(*put));

	if (!put)
		return NULL;
	hf_shard_obj_ref(origin->shard, obj);
	put->ask.done = put_done;
	put->origin = origin;
	put->obj = obj;
	put->purges = origin->purge.count;
	hf_list_add_tail(&origin->l2.puts, &put->link);
	return put;
}

/* Of a response with Vary: its names are there, with this epoch, for so long. False: that is not known. */
static bool store_names(struct hf_origin *origin, const struct origin_fetch *fetch,
	const struct hf_cache_record *record, int64_t asked_us, uint64_t px_ms, uint64_t *ret_epoch)
{
	struct hf_l2_put put = { .px_ms = HF_L2_NAMES_PX_MS,
		.mark = fetch->l2.mark,
		.if_absent = fetch->l2.found == ORIGIN_L2_NOTHING };
	struct hf_l2_key key;

	if (fetch->l2.found == ORIGIN_L2_UNKNOWN)
		return false;
	origin_l2_key(origin, &fetch->key, &key);
	if (fetch->l2.found == ORIGIN_L2_NAMES && fetch->l2.vary &&
		hf_span_eq(record->vary, (struct hf_span){ fetch->l2.vary, fetch->l2.vary_len })) {
		*ret_epoch = fetch->l2.epoch;
		return hf_l2_keep(origin->l2.client, &key, px_ms, origin->now_us);
	}
	hf_random_fill(ret_epoch, sizeof(*ret_epoch));
	put.key = &key;
	return hf_l2_encode_names(origin->l2.codec, record->key, record->vary, *ret_epoch, asked_us,
		       &put.value) == HF_L2_GOOD &&
	       hf_l2_set(origin->l2.client, &put, NULL, origin->now_us);
}

/* The key under which it is stored. */
static bool store_key(struct hf_origin *origin, const struct origin_fetch *fetch,
	const struct hf_cache_record *record, int64_t asked_us, uint64_t px_ms,
	struct hf_l2_key *ret_key)
{
	struct hf_l2_key key;
	uint64_t epoch;

	origin_l2_key(origin, &fetch->key, record->vary.len > 0 ? &key : ret_key);
	if (record->vary.len == 0)
		return true;
	if (!store_names(origin, fetch, record, asked_us, px_ms, &epoch))
		return false;
	hf_l2_key_variant(&key, epoch, record->vary, ret_key);
	return true;
}

static void store_body(const struct hf_obj *obj, char *body)
{
	struct hf_obj_cursor cursor = { 0 };
	struct hf_span span;

	while ((span = hf_obj_peek(obj, &cursor, SIZE_MAX)).len > 0) {
		memcpy(body, span.ptr, span.len);
		body += span.len;
		hf_obj_advance(&cursor, span.len);
	}
}

/* False: it does not go there. */
static bool store_send(struct hf_origin *origin, const struct origin_fetch *fetch,
	const struct hf_obj *obj, struct hf_l2_ask *ask)
{
	struct hf_cache_record record = hf_cache_record_of(obj, fetch->sent_us);
	uint64_t since_us = origin->now_us - fetch->sent_us;
	int64_t asked_us = hf_clock_unix_us() - (int64_t)since_us;
	struct hf_l2_key key;
	struct hf_l2_put put = { .key = &key, .mark = fetch->l2.mark };
	char *body;

	record.life = fetch->l2.life;
	put.px_ms = hf_l2_px_ms(&record.life, record.age_us + since_us);
	if (put.px_ms == 0 || record.length > origin_l2_set(origin)->value_max ||
		hf_cache_record_has_secret(&record) ||
		!store_key(origin, fetch, &record, asked_us, put.px_ms, &key))
		return false;
	if (hf_l2_encode_begin(origin->l2.codec, &record, asked_us, &body) != HF_L2_GOOD)
		return false;
	store_body(obj, body);
	put.value = hf_l2_encode_end(origin->l2.codec);
	return hf_l2_set(origin->l2.client, &put, ask, origin->now_us);
}

void origin_l2_store(
	struct hf_origin *origin, const struct origin_fetch *fetch, const struct hf_obj *obj)
{
	if (origin_l2_set(origin))
		(void)store_send(origin, fetch, obj, NULL);
}

void origin_l2_publish(
	struct hf_origin *origin, const struct origin_fetch *fetch, struct hf_obj *obj)
{
	const struct hf_state_l2 *set = origin_l2_set(origin);
	struct l2_put *put = set && set->write_around ? put_new(origin, obj) : NULL;

	if (!put) {
		hf_shard_publish(origin->shard, obj);
		origin_l2_store(origin, fetch, obj);
		return;
	}
	hf_shard_fill_end(origin->shard, obj);
	if (!store_send(origin, fetch, obj, &put->ask)) {
		hf_shard_publish(origin->shard, obj);
		put_end(put);
	}
}

/* ---- purges ---- */

/* Of one key or of many: what was asked for before counts as purged, whoever stored it. */
struct l2_purged {
	bool of_key;
	uint64_t hash;
	struct hf_purge_walk walk;
	int64_t at_us; /* Unix */
	char text[];
};

static void purged_add(
	struct hf_origin *origin, const struct hf_purge_walk *walk, uint64_t hash, int64_t at_us)
{
	struct origin_l2 *l2 = &origin->l2;
	size_t len = walk ? walk->text.len : 0;
	struct l2_purged **slot = &l2->purged[l2->purged_count++ % ORIGIN_L2_PURGES];
	struct l2_purged *purged = calloc(1, sizeof(*purged) + len + 1);

	if (*slot || !purged) /* forgotten: all that is as old as it was is */
		l2->purged_all_us = purged ? (*slot)->at_us : at_us;
	free(*slot);
	*slot = purged;
	if (!purged)
		return;
	purged->of_key = !walk;
	purged->hash = hash;
	purged->at_us = at_us;
	if (len > 0)
		memcpy(purged->text, walk->text.ptr, len);
	if (walk)
		purged->walk =
			(struct hf_purge_walk){ .kind = walk->kind, .text = { purged->text, len } };
}

bool origin_l2_was_purged(
	const struct hf_origin *origin, const struct hf_obj *obj, int64_t asked_us)
{
	const struct origin_l2 *l2 = &origin->l2;

	asked_us -= HF_L2_SKEW_US; /* by another's clock */
	if (asked_us <= l2->purged_all_us || asked_us <= atomic_load(&l2->before_us))
		return true;
	for (uint64_t i = 0; i < hf_min_u64(l2->purged_count, ORIGIN_L2_PURGES); i++) {
		const struct l2_purged *purged = l2->purged[i];

		if (!purged || asked_us > purged->at_us)
			continue;
		if (purged->of_key ? purged->hash == obj->hash
				   : hf_purge_matches(&purged->walk, obj))
			return true;
	}
	return false;
}

void hf_origin_l2_before(struct hf_origin *origin, int64_t at_us)
{
	int64_t before_us = atomic_load(&origin->l2.before_us);

	while (before_us < at_us &&
		!atomic_compare_exchange_weak(&origin->l2.before_us, &before_us, at_us))
		;
}

void origin_l2_purged_fini(struct hf_origin *origin)
{
	for (uint32_t i = 0; i < ORIGIN_L2_PURGES; i++)
		free(origin->l2.purged[i]);
}

struct l2_del {
	struct hf_list link; /* in l2.dels */
	struct hf_l2_ask ask;
	struct hf_origin *origin;
	uint64_t hash;
	uint64_t mark;
	int64_t at_us;
};

static void del_end(struct l2_del *del)
{
	hf_list_del(&del->link);
	free(del);
}

static void del_done(struct hf_l2_ask *ask, enum hf_l2_outcome outcome, struct hf_span value)
{
	struct l2_del *del = HF_CONTAINER_OF(ask, struct l2_del, ask);

	if (outcome != HF_L2_DONE)
		purged_add(del->origin, NULL, del->hash, del->at_us);
	del_end(del);
}

void origin_l2_dels_fini(struct hf_origin *origin)
{
	struct hf_list *it;

	while ((it = hf_list_first(&origin->l2.dels)) != NULL)
		del_end(HF_CONTAINER_OF(it, struct l2_del, link));
}

uint64_t origin_l2_deleting(const struct hf_origin *origin, uint64_t hash)
{
	uint64_t mark = 0;
	struct hf_list *it;

	hf_list_for_each (it, &origin->l2.dels) {
		const struct l2_del *del = HF_CONTAINER_OF(it, struct l2_del, link);

		if (del->hash == hash)
			mark = del->mark; /* the last one's stays */
	}
	return mark;
}

static uint64_t del_mark(void)
{
	uint64_t mark;

	hf_random_fill(&mark, sizeof(mark));
	return mark | 1;
}

uint64_t origin_l2_del(struct hf_origin *origin, const struct hf_key *key)
{
	int64_t at_us = hf_clock_unix_us();
	uint64_t mark = del_mark();
	struct hf_l2_key l2_key;
	struct l2_del *del = origin_l2_set(origin) ? calloc(1, sizeof(*del)) : NULL;

	if (del) {
		del->ask.done = del_done;
		del->origin = origin;
		del->hash = key->hash;
		del->mark = mark;
		del->at_us = at_us;
		hf_list_add_tail(&origin->l2.dels, &del->link);
		origin_l2_key(origin, key, &l2_key);
		if (hf_l2_purge(origin->l2.client, &l2_key, mark, at_us, &del->ask, origin->now_us))
			return mark;
		del_end(del);
	}
	/* it cannot be reached, or is not there yet */
	purged_add(origin, NULL, key->hash, at_us);
	return mark;
}

void origin_l2_purge(struct hf_origin *origin, const struct hf_purge_walk *walk)
{
	purged_add(origin, walk, 0, hf_clock_unix_us());
}
