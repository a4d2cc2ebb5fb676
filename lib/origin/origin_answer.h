/* SPDX-License-Identifier: BSD-3-Clause
 *
 * answer - what becomes of an answer: judged, stored, shown to its readers; and what was stored before.
 *
 * Picture
 *      head --> store: judge --> object --> flow: body --> whole --> found, shown
 *                |-- 304, HEAD: reval   |-- error: stale   |-- unsafe method: invalid   \-- cut: resume
 *      purges, snapshots (warm) and new readers (look) meet it there
 * Threads   origin.
 */
#ifndef HF_PRIV_ORIGIN
#error "origin_answer.h is private to lib/origin"
#endif
#ifndef ORIGIN_ANSWER_H
#define ORIGIN_ANSWER_H

#include "origin_priv.h"

/* origin_look.c: what a new reader finds */
struct origin_look {
	const struct hf_http_req *req; /* NULL: the request is nobody's but its own */
	const struct hf_cache_req *cache_req;
	const struct hf_obj *sample; /* any variant: it names the fields that matter */
};

/* True: the reader needs no fetch of its own. */
bool origin_look_find(
	struct hf_origin *origin, struct origin_reader *reader, struct origin_look *look);

/* origin_store.c */
enum origin_store {
	ORIGIN_STORE_DONE,
	ORIGIN_STORE_NO_MEMORY, /* try again */
	ORIGIN_STORE_WAIT,      /* invalidation is under way: origin_flow_admit goes on */
	ORIGIN_STORE_BAD,       /* not a response */
	ORIGIN_STORE_UNWANTED,  /* not to be shared, and its reader left */
	ORIGIN_STORE_OVER,      /* its readers were answered otherwise */
	ORIGIN_STORE_RETRY,     /* it is an error, and asked for again */
};

/* What was found out about an answer. */
struct origin_answer {
	struct hf_http_resp resp;
	struct hf_http_req req; /* the leader's, with shared */
	struct hf_cache_req cache_req;
	struct hf_cache_verdict verdict;
	bool store; /* goes into the cache when it is whole */
	bool share; /* may answer those who wait, too */
	bool no_body;
	uint32_t vary_len;
	char vary[ORIGIN_VARY_MAX];
};

/* The head of the answer is whole: judges it, makes the object, tells the readers. */
enum origin_store origin_store_head(struct hf_origin *origin, struct origin_fetch *fetch);
/* May this request be answered with that object? pending: it was waiting when the head came. */
bool origin_store_suits(const struct hf_origin *origin, const struct hf_obj *obj,
	const struct hf_http_req *req, const struct hf_cache_req *cache_req, bool pending);
/* The largest body that is stored. */
uint64_t origin_store_object_max(const struct hf_origin *origin, const struct origin_fetch *fetch);
/* The head of the request that was sent, though its client may have left. */
struct hf_span origin_store_request(const struct origin_fetch *fetch);
/* Of RESP, as the answer to a GET with the fetch's request: verdict, Vary values, `store` and `share`. */
void origin_store_judge(struct hf_origin *origin, struct origin_fetch *fetch,
	const struct hf_http_resp *resp, struct origin_answer *answer);
/* Head (in scratch), status, life, birth of what is stored. 0: the head is too large. */
size_t origin_store_spec(struct hf_origin *origin, const struct hf_http_resp *resp,
	const struct origin_answer *answer, bool scrub, struct hf_obj_spec *ret_spec);
/* The fields that were left out of what is stored are the leader's own. */
void origin_store_private(struct origin_fetch *fetch, const struct origin_answer *answer);
/* Would any other request get the same verdict? Else the next ones need not be kept apart. */
bool origin_store_is_lasting(const struct origin_answer *answer);
void origin_store_remember(struct hf_origin *origin, const struct origin_fetch *fetch,
	const struct origin_answer *answer);
/* The leader gets the object; every other reader that waited gets it too, or looks again. */
void origin_store_settle(struct hf_origin *origin, struct origin_fetch *fetch, bool share);
/* Every reader looks again. */
void origin_store_again(struct hf_origin *origin, struct origin_fetch *fetch);
/* Nobody joins any more, nobody reads; the transfer ends on its own. */
void origin_store_over(struct origin_fetch *fetch);
/* Its end is shown: there is nothing more to come from the origin but the end of the transfer. */
static inline bool origin_store_is_whole(const struct origin_fetch *fetch)
{
	return fetch->obj && hf_obj_is_ready(fetch->obj);
}
/* Is it for the table, once it is whole? */
bool origin_store_is_kept(const struct origin_fetch *fetch);
/* Its last byte is there: kept first, if it is to be, and then shown, so that nobody who has seen its end
 * is answered with what it replaces. */
void origin_store_whole(struct hf_origin *origin, struct origin_fetch *fetch);

/* RFC 5861 §4 */
bool origin_store_is_failure(uint16_t status);

/* origin_flow.c: body bytes towards readers */
/* How far a stream may be ahead of its slowest reader. */
uint64_t origin_flow_window(const struct hf_origin *origin);
/* Fills the object as far as window and memory allow; returns how many bytes were taken. */
size_t origin_flow_fill(
	struct hf_origin *origin, struct origin_fetch *fetch, const char *data, size_t len);
/* A reader moved: what is behind all of them goes, what waited comes. */
void origin_flow_credit(struct hf_origin *origin, struct origin_fetch *fetch);
/* Memory came free. */
void origin_flow_memory(struct hf_origin *origin);
void origin_flow_memory_wait(struct hf_origin *origin, struct origin_fetch *fetch);
/* The transfer stands still until its readers have moved. */
void origin_flow_stand(struct hf_origin *origin, struct origin_fetch *fetch);
/* It did so for too long: who is far behind the first reader is cut. */
void origin_flow_lag(struct hf_origin *origin, struct origin_fetch *fetch);
/* The wait for memory was too long. */
void origin_flow_memory_late(struct hf_origin *origin, struct origin_fetch *fetch);
/* The head waited for its object, or for an errand. */
void origin_flow_admit(struct hf_origin *origin, struct origin_fetch *fetch);
void origin_flow_more(struct hf_origin *origin, struct origin_fetch *fetch);

/* origin_resume.c: the rest of a body that broke off (RFC 9111 §3.4) */
/* False: it cannot be asked for, or not once more. */
bool origin_resume_begin(struct hf_origin *origin, struct origin_fetch *fetch);
/* It is time to ask, with a slot or as soon as it has one. Either may end the fetch. */
void origin_resume_due(struct hf_origin *origin, struct origin_fetch *fetch);
void origin_resume_ask(struct hf_origin *origin, struct origin_fetch *fetch);
/* A head came. False: not the rest; `fail_text` says why, or is NULL when it may be asked for again. */
bool origin_resume_head(struct hf_origin *origin, struct origin_fetch *fetch);
/* It is whole. */
void origin_resume_publish(struct hf_origin *origin, struct origin_fetch *fetch);

/* origin_reval.c: validation (RFC 9111 §4.3) */
/* Before a fetch is sent: what is stored and its validators, if it can be asked about. */
void origin_reval_begin(struct hf_origin *origin, struct origin_fetch *fetch);
/* What was asked about no longer matters. */
void origin_reval_forget(struct hf_origin *origin, struct origin_fetch *fetch);
/* STORED with what ANSWER says instead (§3.2); spans of both. False: too many lines. */
bool origin_reval_merge(const struct hf_http_fields *stored, uint16_t status,
	const struct hf_http_resp *answer, struct hf_http_resp *ret_resp);
/* Judges BASE under the head that answer->resp leads to, makes it and lets it be found. NULL: it cannot be
 * updated. Otherwise the caller has a reference. */
struct hf_obj *origin_reval_update(struct hf_origin *origin, struct origin_fetch *fetch,
	struct hf_obj *base, struct origin_answer *answer);
/* A 304 came. */
enum origin_store origin_reval_answer(
	struct hf_origin *origin, struct origin_fetch *fetch, struct origin_answer *answer);
/* A HEAD was answered with 200: what is stored for the GET is updated by it, or stale from now on. */
void origin_reval_head(
	struct hf_origin *origin, struct origin_fetch *fetch, struct origin_answer *answer);
/* An answer came that is not stored, and is no error of the origin's: what was stored for the request is no
 * longer it, unless the reason is this request's alone. */
void origin_reval_superseded(struct hf_origin *origin, const struct origin_fetch *fetch,
	const struct origin_answer *answer);

/* origin_invalid.c: invalidation (RFC 9111 §4.4) */
/* True: other threads were asked; the head is for nobody yet. */
bool origin_invalid_begin(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct hf_http_resp *resp);
/* The fetch ends. */
void origin_invalid_end(struct origin_fetch *fetch);
/* What other threads ask of this one, and what they have done for it. */
bool origin_invalid_run(struct hf_origin *origin);

/* origin_stale.c: RFC 5861 */
/* The origin failed: has the reader been answered with what is stored? why: what counts it, of
 * HF_STAT_CACHE_STALE_*; fwd_status: the origin's answer, or 0. */
bool origin_stale_serve(struct hf_origin *origin, struct origin_reader *reader,
	const struct origin_fetch *fetch, enum hf_stat why, uint16_t fwd_status);
/* The same for everyone who waits; how many. They have left the fetch. */
uint32_t origin_stale_serve_all(struct hf_origin *origin, struct origin_fetch *fetch,
	enum hf_stat why, uint16_t fwd_status);
/* Is what is stored for the reader never to be served stale (RFC 9111 §4.2.4)? */
bool origin_stale_is_forbidden(const struct hf_origin *origin, const struct origin_reader *reader,
	const struct origin_fetch *fetch);
/* Is there something stored that may stand for an error, if a request does not mind? */
bool origin_stale_stands(const struct hf_origin *origin, const struct origin_fetch *fetch);
/* The fetch does what a background reader came for. */
void origin_stale_refresh_begin(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct hf_http_req *req);
void origin_stale_refresh_end(struct hf_origin *origin, struct origin_fetch *fetch);
/* No fetch does: a later hit shall ask again. */
void origin_stale_refresh_none(struct hf_origin *origin, const struct origin_reader *reader);

/* origin_purge.c */
/* What is stored for the key is gone, or stale with `soft`; how many variants. What was asked for before is
 * not stored (G3). */
uint32_t origin_purge_key(struct hf_origin *origin, const struct hf_key *key, bool soft);
/* A step of a purge of many. */
bool origin_purge_run(struct hf_origin *origin);
/* Was a tag of this answer, or of what it is to freshen (or NULL), purged after it was asked for? */
bool origin_purge_tagged(const struct hf_origin *origin, const struct origin_fetch *fetch,
	const struct hf_http_fields *fields, const struct hf_obj *base);
void origin_purge_fini(struct hf_origin *origin);

/* origin_warm.c */
void origin_warm_take(struct hf_origin *origin, const struct hf_origin_call *call);
void origin_warm_fini(struct hf_origin *origin);
/* While a snapshot is loaded: nothing of it for this key any more, nor what the purge names. */
void origin_warm_forget(struct hf_origin *origin, uint64_t hash);
void origin_warm_forget_many(struct hf_origin *origin, const struct hf_purge_walk *walk);

#endif
