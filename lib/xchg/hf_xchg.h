/* SPDX-License-Identifier: BSD-3-Clause
 *
 * xchg - an exchange: one request that a worker hands to an origin thread, and the answer's way
 * back.
 *
 * What      The only thing that serve (lcore) and origin (thread) share beside the cache: the
 *           exchange, its messages, and the two rings between each worker and each origin thread.
 *           And what one origin thread wants of another, which owns another part of the keys:
 *           errands.
 * Picture
 *      worker i                                       origin thread j (owner of the key's shard)
 *        START, BODY, CREDIT, FINISH, RECALLED   -- to_origin ring -->
 *                        <-- to_worker ring --   HEAD, MORE, FAIL, BODY_DONE, GONE, RECALL
 *
 *      worker: get -> fill in the request -> START ......... FINISH -> (GONE) -> put
 *      origin:          HEAD (object attached) or FAIL, then MORE when more is readable or it ended
 *      background (a refresh that nobody waits for): START ... GONE, no other message
 *      a question to an auth service: ASK ... GONE, no other message; the worker listens for GONE
 * Threads   The worker owns the exchange before START and after GONE. Between them each side writes
 *           only its own part; `consumed` and the two flags are atomic. Errands: origin threads, by
 *           a mutex.
 * Lifetime  A worker that is done, or whose client left, posts FINISH once, at any time after
 *           START. Until then the object is readable (O2). The origin thread answers GONE, its last
 *           message. A background exchange is the origin thread's from START on: GONE comes without
 *           FINISH.
 * Promises  X1 at most one MORE is under way for an exchange (`more_posted`), one CREDIT
 *           (`credit_posted`).  X2 the rings hold every message that can be under way at once, so
 *           that a post never fails: START 1, FINISH 1, BODY HF_XCHG_BODIES_MAX, CREDIT 1 per
 *           exchange, RECALLED HF_CACHE_RECALLS_MAX; likewise back.  X3 the origin thread reads a
 *           request body only as fast as it sends it: a worker has HF_XCHG_BODIES_MAX buffers out
 *           at most.  X4 what was written of a request (head, lines, key, body) is wiped when its
 *           buffer goes back; an errand's key too.
 * Limits    exchanges_max and bodies_max a worker, from configuration; none free: the caller sheds
 *           (503) or waits (body).
 */
#ifndef HF_XCHG_H
#define HF_XCHG_H

#include <stdatomic.h>

#include "hf_auth.h"
#include "hf_base.h"
#include "hf_cache.h"
#include "hf_http.h"
#include "hf_object.h"
#include "hf_par.h"
#include "hf_pool.h"
#include "hf_ref.h"
#include "hf_stat.h"

#define HF_XCHG_BODIES_MAX 4
#define HF_XCHG_BODY_LEN   16352
/* Bytes of a stream ahead of its slowest reader. More than half of a connection's send queue: then
 * TCP tells of acknowledged bytes while there are others to send. */
#define HF_XCHG_WINDOW     (768 * 1024)

enum hf_xchg_msg {
	/* worker -> origin thread; ptr is the exchange unless said otherwise */
	HF_XCHG_START,
	HF_XCHG_BODY,   /* ptr: hf_xchg_body, which names its exchange */
	HF_XCHG_CREDIT, /* `consumed` moved while the origin thread waits for it */
	HF_XCHG_FINISH,
	HF_XCHG_RECALLED, /* ptr: hf_obj */
	HF_XCHG_ASK,      /* an auth service is to be asked; answered by GONE */
	/* origin thread -> worker */
	HF_XCHG_HEAD, /* `obj` and `extra` are set */
	HF_XCHG_MORE, /* obj->filled or obj->state moved; before HEAD: interim_len did */
	HF_XCHG_FAIL, /* no object: `fail_status` and `fail_reason` say what to tell the client */
	HF_XCHG_BODY_DONE, /* ptr: hf_xchg_body, the worker's again */
	HF_XCHG_GONE,
	HF_XCHG_RECALL, /* ptr: hf_obj */
};

/* Why the request was not answered by a lookup: Cache-Status and statistics (RFC 9211 §2.2). */
enum hf_xchg_cause {
	HF_XCHG_MISS_ABSENT,
	HF_XCHG_MISS_EXPIRED,
	HF_XCHG_MISS_REFUSED, /* fresh, but the request wants it validated, younger or fresher */
	HF_XCHG_MISS_VARY,
	HF_XCHG_BYPASS_METHOD,  /* not GET or HEAD, or HEAD without a stored GET */
	HF_XCHG_BYPASS_REQUEST, /* the request forbids or cannot use a stored answer */
};

struct hf_link;
struct hf_state;
struct hf_state_flow;

/* Of an exchange that was begun by ASK. What is decided is in lib/auth when GONE comes. */
struct hf_xchg_ask {
	struct hf_state *state;           /* a reference; the origin thread's from ASK on */
	const struct hf_state_flow *flow; /* of it */
	struct hf_auth_id id;
	struct hf_span credential; /* in buf */
	bool failed;               /* nothing was decided */
	struct hf_xchg *next;      /* the origin thread's: those who wait for the same */
};

struct hf_xchg_body {
	struct hf_xchg *xchg;
	uint32_t len;
	bool last; /* the request body ends behind these bytes */
	uint8_t data[HF_XCHG_BODY_LEN];
};

struct hf_xchg {
	/* the worker's */
	struct hf_ref ref;  /* spans queued in TCP hold it; the last put posts FINISH */
	void *owner;        /* serve's request; NULL once its client is gone */
	struct hf_link *to; /* the origin thread that has it */
	struct hf_list link;
	uint16_t worker, shard;
	uint16_t bodies_out;
	bool finished;
	/* the request: written before START, then read-only; `cause` the origin thread's until
	 * HEAD */
	enum hf_xchg_cause cause;
	enum hf_http_method method;
	/* a GET whose answer may be stored and shared, if it allows: coalesce by key */
	bool shared;
	/* stale-while-revalidate's refresh (RFC 5861 §3): has no owner and gets no answer; the
	 * worker posts START only and has it back with GONE */
	bool background;
	bool has_authorization;
	uint64_t auth; /* digest of the flow that allowed it (lib/state); 0: none was asked */
	struct hf_xchg_ask ask;
	bool has_body, body_length_known; /* of CONNECT all that follows is body */
	uint64_t body_length;
	uint64_t started_us;
	struct hf_key key;          /* in buf */
	struct hf_span method_text; /* in buf */
	struct hf_span authority;   /* in buf */
	struct hf_span path_query;  /* in buf */
	struct hf_span lines;       /* what goes to the origin: "Name: value\r\n" each; in buf */
	struct hf_span head; /* the request head as received, for Vary: parse again; in buf */
	/* the origin thread's: written before HEAD or FAIL */
	struct hf_obj *obj;
	struct hf_span extra; /* field lines for this client alone, "" or whole lines */
	uint16_t fail_status;
	enum hf_drop fail_reason;
	/* how the answer came (RFC 9211) */
	bool stored;    /* it is stored, or being stored */
	bool collapsed; /* joined a fetch that another request began */
	bool local;     /* the origin was not asked, or gave no answer: `obj` was stored before */
	bool stale;     /* stale-if-error (RFC 5861 §4): `obj` stands for the origin's failure */
	uint16_t fwd_status; /* the origin's, where it is not that of `obj`; 0 */
	char asked[48];      /* GROUP/ID of the origin, for the request log; "": none */
	bool led;            /* its own request was what the origin got, for traces */
	void *origin;        /* origin thread's own bookkeeping */
	/* both */
	_Atomic uint64_t consumed; /* body bytes acknowledged by the client; worker writes */
	_Atomic bool more_posted;  /* origin sets, worker clears before it reads `filled` */
	/* heads of interim answers (RFC 9110 §15.2) behind `lines`, in buf; origin adds whole
	 * ones */
	_Atomic uint32_t interim_len;
	_Atomic bool
		credit_wanted; /* origin sets when it waits, worker clears when it posts CREDIT */
	_Atomic bool laggard;  /* origin sets before MORE: it holds up others, and is to be cut */
	uint32_t buf_len;
	char buf[];
};

/* Where the heads of interim answers begin. */
static inline char *hf_xchg_interim(struct hf_xchg *xchg)
{
	return xchg->buf + (xchg->lines.ptr - xchg->buf) + xchg->lines.len;
}

/* The rings between one worker and one origin thread. */
struct hf_link {
	struct hf_ring *to_origin, *to_worker;
	struct hf_waker *origin_waker; /* set by the origin thread's owner at boot */
};

struct hf_xchg_cfg {
	uint32_t workers, origins;
	uint32_t exchanges_max; /* per worker */
	uint32_t buf_len;       /* bytes for key, head and lines of one request */
};

struct hf_xchg_net;

/* boot */
int hf_xchg_net_new(const struct hf_xchg_cfg *cfg, struct hf_err *err,
	struct hf_xchg_net **ret_net) HF_MUST_CHECK;
void hf_xchg_net_free(struct hf_xchg_net *net);
struct hf_link *hf_xchg_link(struct hf_xchg_net *net, uint32_t worker, uint32_t origin);
uint32_t hf_xchg_workers(const struct hf_xchg_net *net);

/* Worker: a free exchange with everything but buf zeroed and worker set, or NULL. */
struct hf_xchg *hf_xchg_get(struct hf_xchg_net *net, uint32_t worker);
void hf_xchg_put(struct hf_xchg_net *net, struct hf_xchg *xchg);
struct hf_xchg_body *hf_xchg_body_get(struct hf_xchg_net *net, struct hf_xchg *xchg);
void hf_xchg_body_put(struct hf_xchg_net *net, struct hf_xchg_body *body);
uint32_t hf_xchg_out_count(const struct hf_xchg_net *net, uint32_t worker);

/* Either side: posts, and wakes the origin thread where it sleeps. */
void hf_xchg_to_origin(struct hf_link *link, enum hf_xchg_msg kind, void *ptr);
void hf_xchg_to_worker(struct hf_link *link, enum hf_xchg_msg kind, void *ptr);

/* ---- errands: origin thread to origin thread ---- */

/* "Let nobody find this key any more": from one origin thread to the key's owner, and back when
 * done. */
struct hf_errand {
	struct hf_list link; /* in a letter box */
	uint32_t from;
	bool done;
	/* the asker's own */
	struct hf_list asker_link;
	void *asker;
	struct hf_key key; /* in buf */
	char buf[];
};

/* A copy of the key. NULL: no memory. */
struct hf_errand *hf_errand_new(const struct hf_key *key, uint32_t from);
void hf_errand_free(struct hf_errand *errand);
/* Any origin thread; wakes the other. What nobody takes is freed with the net. */
void hf_errand_post(struct hf_xchg_net *net, uint32_t to, struct hf_errand *errand);
/* The next one for this origin thread, or NULL. */
struct hf_errand *hf_errand_take(struct hf_xchg_net *net, uint32_t own);
bool hf_errand_waits(struct hf_xchg_net *net, uint32_t own);

#endif
