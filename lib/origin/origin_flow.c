/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_origin.h"

#include "origin_answer.h"
#include "origin_priv.h"
#include "origin_wire.h"

static struct origin_reader *origin_flow_reader(struct hf_list *link)
{
	return HF_CONTAINER_OF(link, struct origin_reader, link);
}

void origin_flow_more(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct hf_list *it;

	hf_list_for_each (it, &fetch->readers)
		origin_reader_more(origin, origin_flow_reader(it));
}

static bool origin_flow_is_stream(const struct origin_fetch *fetch)
{
	return fetch->obj->flags & HF_OBJ_STREAM;
}

/* Body bytes that every reader is done with. */
static uint64_t origin_flow_consumed(const struct origin_fetch *fetch)
{
	uint64_t least = UINT64_MAX;
	struct hf_list *it;

	hf_list_for_each (it, &fetch->readers)
		least = hf_min_u64(least, atomic_load(&origin_flow_reader(it)->xchg->consumed));
	return hf_list_empty(&fetch->readers) ? 0 : least;
}

/* How far a stream may be ahead of its slowest reader (G4). Readers may stand still: a few must not hold all
 * that a small shard has, nor many all of a large one. Least while anyone waits for memory. */
uint64_t origin_flow_window(const struct hf_origin *origin)
{
	uint64_t most = hf_shard_object_max(origin->shard) / 8;
	uint64_t share = 2 * most / hf_max_u32(origin->in_flight + origin->tunnel_count, 2);

	if (!hf_list_empty(&origin->memory))
		share = 0;
	return hf_min_u64(
		hf_min_u64(most, HF_XCHG_WINDOW), hf_max_u64(share, ORIGIN_SCARCE_WINDOW));
}

/* How many bytes more it may be ahead. */
static uint64_t origin_flow_room(const struct origin_fetch *fetch)
{
	uint64_t filled = atomic_load_explicit(&fetch->obj->filled, memory_order_relaxed);
	uint64_t limit;

	if (!origin_flow_is_stream(fetch))
		return UINT64_MAX;
	limit = origin_flow_consumed(fetch) + origin_flow_window(fetch->origin);
	return limit > filled ? limit - filled : 0;
}

static void origin_flow_want(struct origin_fetch *fetch)
{
	struct hf_list *it;

	/* before the next look at `consumed`: the worker moves that, then looks for this */
	hf_list_for_each (it, &fetch->readers)
		atomic_store(&origin_flow_reader(it)->xchg->credit_wanted, true);
}

/* Is there room worth going on for? If not, every reader will say when it moved. */
static bool origin_flow_may_resume(struct hf_origin *origin, struct origin_fetch *fetch)
{
	uint64_t enough = origin_flow_window(origin) / 4;

	if (!origin_flow_is_stream(fetch))
		return true;
	if (origin_flow_room(fetch) < enough) {
		origin_flow_want(fetch);
		if (origin_flow_room(fetch) < enough)
			return false;
	}
	hf_shard_trim(origin->shard, fetch->obj, origin_flow_consumed(fetch));
	return true;
}

void origin_flow_memory_wait(struct hf_origin *origin, struct origin_fetch *fetch)
{
	bool stores = fetch->state == ORIGIN_BODY && !origin_flow_is_stream(fetch);

	if (!hf_list_empty(&fetch->memory_link))
		return;
	hf_list_add_tail(&origin->memory, &fetch->memory_link);
	origin_fetch_timer(origin, fetch, ORIGIN_TIMER_MEMORY,
		stores ? origin->store_wait_us : origin->memory_wait_us);
}

/* No memory for the next bytes. What a stream's readers leave behind is its own way on. */
static void origin_flow_starve(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (origin_flow_is_stream(fetch)) {
		origin_flow_want(fetch);
		hf_shard_trim(origin->shard, fetch->obj, origin_flow_consumed(fetch));
	}
	origin_flow_memory_wait(origin, fetch);
}

static void origin_flow_watch(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct hf_list *first = hf_list_first(&fetch->readers);

	hf_timer_del(origin->wheel, &fetch->timer);
	if (first && first->next != &fetch->readers)
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_LAG, origin->lag_us);
}

void origin_flow_stand(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct hf_list *it;

	hf_list_for_each (it, &fetch->readers)
		origin_flow_reader(it)->lagging = false;
	origin_flow_watch(origin, fetch);
}

/* Half a window behind FIRST, and not because its worker has no time. */
static bool origin_flow_is_behind(
	const struct hf_origin *origin, const struct origin_reader *reader, uint64_t first)
{
	return atomic_load(&reader->xchg->consumed) + origin_flow_window(origin) / 2 < first &&
	       !atomic_load(&reader->xchg->more_posted);
}

void origin_flow_lag(struct hf_origin *origin, struct origin_fetch *fetch)
{
	uint64_t filled = atomic_load_explicit(&fetch->obj->filled, memory_order_relaxed);
	uint64_t first = 0;
	struct hf_list *it;

	hf_list_for_each (it, &fetch->readers)
		first = hf_max_u64(first, atomic_load(&origin_flow_reader(it)->xchg->consumed));
	hf_list_for_each (it, &fetch->readers) {
		struct origin_reader *reader = origin_flow_reader(it);
		bool lagged = reader->lagging;

		reader->lagging = first == filled && origin_flow_is_behind(origin, reader, first);
		if (!lagged || !reader->lagging)
			continue;
		/* TCP has bytes of the object for it: it is gone, and no more in the way, with FINISH */
		atomic_store(&reader->xchg->laggard, true);
		origin_reader_more(origin, reader);
	}
	origin_flow_watch(origin, fetch);
}

static void origin_flow_memory_got(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (hf_list_empty(&fetch->memory_link))
		return;
	hf_list_del(&fetch->memory_link);
	hf_timer_del(origin->wheel, &fetch->timer);
}

/* A body of unannounced length outgrew what is stored: those who read it go on, nobody joins. */
static void origin_flow_outgrown(struct hf_origin *origin, struct origin_fetch *fetch)
{
	fetch->joinable = false;
	hf_shard_to_stream(origin->shard, fetch->obj);
	origin_memo_set(origin, fetch->key.hash, HF_CACHE_WHY_TOO_LARGE);
}

size_t origin_flow_fill(
	struct hf_origin *origin, struct origin_fetch *fetch, const char *data, size_t len)
{
	uint64_t filled = atomic_load_explicit(&fetch->obj->filled, memory_order_relaxed);
	uint64_t room;
	size_t want, got;

	HF_ASSERT(fetch->state == ORIGIN_BODY);
	if (!origin_flow_is_stream(fetch) && filled + len > origin_store_object_max(origin, fetch))
		origin_flow_outgrown(origin, fetch);
	if (origin_flow_is_stream(fetch) && hf_list_empty(&fetch->readers)) {
		fetch->unwanted = true;
		return 0;
	}
	room = origin_flow_room(fetch);
	if (room < len) {
		origin_flow_want(fetch);
		room = origin_flow_room(fetch);
	}
	want = (size_t)hf_min_u64(len, room);
	if (want == 0)
		return 0;
	if (origin_flow_is_stream(fetch))
		hf_shard_trim(origin->shard, fetch->obj, origin_flow_consumed(fetch));
	got = hf_shard_fill(origin->shard, fetch->obj, data, want);
	HF_ASSERT(got <= want);
	hf_stat_add(HF_STAT_ORIGIN_BYTES, got);
	if (got > 0) {
		origin_flow_memory_got(origin, fetch);
		if (fetch->obj->flags & HF_OBJ_WHOLE)
			origin_store_whole(origin, fetch);
		origin_flow_more(origin, fetch);
	}
	if (got < want)
		origin_flow_starve(origin, fetch);
	return got;
}

static void origin_flow_resume(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (!fetch->recv_paused)
		return;
	/* purged while it waited: no reader would ever say that he moved */
	if (fetch->obj && origin_flow_is_stream(fetch) && hf_list_empty(&fetch->readers)) {
		fetch->unwanted = true;
		origin_fetch_done(origin, fetch, CURLE_WRITE_ERROR);
		return;
	}
	if (fetch->state != ORIGIN_OVER && !origin_flow_may_resume(origin, fetch)) {
		bool waited = !hf_list_empty(&fetch->memory_link);

		origin_flow_memory_got(origin, fetch); /* it waits for a reader, not for memory */
		if (waited)
			origin_flow_stand(origin, fetch);
		return;
	}
	fetch->recv_paused = false;
	origin_curl_resume(origin, fetch);
}

void origin_flow_credit(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (fetch->state == ORIGIN_BODY)
		origin_flow_resume(origin, fetch);
}

void origin_flow_admit(struct hf_origin *origin, struct origin_fetch *fetch)
{
	switch (origin_store_head(origin, fetch)) {
	case ORIGIN_STORE_NO_MEMORY:
		origin_flow_memory_wait(origin, fetch); /* unless it does */
		return;
	case ORIGIN_STORE_WAIT:
		return;
	case ORIGIN_STORE_BAD:
		origin_fetch_fail(origin, fetch, 502, HF_DROP_REQ_ORIGIN_FAILED, "bad head");
		return;
	case ORIGIN_STORE_UNWANTED:
		fetch->unwanted = true;
		origin_fetch_done(origin, fetch, CURLE_WRITE_ERROR);
		return;
	case ORIGIN_STORE_RETRY:
		HF_ASSERT(!"only at once");
		return;
	case ORIGIN_STORE_DONE:
	case ORIGIN_STORE_OVER:
		origin_flow_memory_got(origin, fetch);
		if (fetch->ended)
			origin_fetch_done(origin, fetch, CURLE_OK);
		else
			origin_flow_resume(origin, fetch);
		return;
	}
}

void origin_flow_memory(struct hf_origin *origin)
{
	struct hf_list waiting, *it;

	/* each gets one try: who finds none again queues behind the others */
	hf_list_init(&waiting);
	while ((it = hf_list_first(&origin->memory)) != NULL) {
		hf_list_del(it);
		hf_list_add_tail(&waiting, it);
	}
	while ((it = hf_list_first(&waiting)) != NULL) {
		struct origin_fetch *fetch = HF_CONTAINER_OF(it, struct origin_fetch, memory_link);

		hf_list_del(it);
		hf_list_add_tail(&origin->memory, it);
		if (fetch->state == ORIGIN_ADMIT)
			origin_flow_admit(origin, fetch);
		else
			origin_flow_resume(origin, fetch);
	}
	origin_tunnel_memory(origin);
}

void origin_flow_memory_late(struct hf_origin *origin, struct origin_fetch *fetch)
{
	hf_list_del(&fetch->memory_link);
	if (fetch->state == ORIGIN_ADMIT || origin_flow_is_stream(fetch)) {
		origin_fetch_fail(origin, fetch, 503, HF_DROP_REQ_NO_MEMORY, "no cache memory");
		return;
	}
	/* It is one of those that hold the memory the others wait for: it gives up being stored, and
	 * what its readers have had is free. */
	fetch->joinable = false;
	hf_shard_to_stream(origin->shard, fetch->obj);
	if (hf_list_empty(&fetch->readers)) {
		fetch->unwanted = true;
		origin_fetch_done(origin, fetch, CURLE_WRITE_ERROR);
		return;
	}
	origin_flow_starve(origin, fetch);
	origin_flow_resume(origin, fetch);
}
