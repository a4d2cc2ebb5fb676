/* SPDX-License-Identifier: BSD-3-Clause
 *
 * origin, inside: one hf_origin, its readers (exchanges it holds) and its fetches.
 *
 * Picture
 *      hf_xchg <-> origin_reader --fetch--> origin_fetch --easy--> curl --> origin
 *                        \--xchg->obj--> hf_obj <--obj--/
 *      A reader waits (no obj, no FAIL yet) or reads; its fetch may be over long before it is.
 *      A fetch is led by the reader whose request was sent; the leader may leave before it ends.
 *      A background reader (stale-while-revalidate) only starts a fetch: it is gone with the answer's head.
 * Threads   origin, all of it but the mailbox.
 * Rule      Within a callback of curl nothing may be started, stopped or unpaused: a callback fills,
 *           posts and queues; what is queued starts in the step.
 */
#ifndef HF_PRIV_ORIGIN
#error "origin_priv.h is private to lib/origin"
#endif
#ifndef ORIGIN_PRIV_H
#define ORIGIN_PRIV_H

#include <pthread.h>

#include <curl/curl.h>

#include "hf_cache_rules.h"
#include "hf_list.h"
#include "hf_log.h"
#include "hf_par.h"
#include "hf_pool.h"
#include "hf_fallback.h"
#include "hf_l2.h"
#include "hf_l2_client.h"
#include "hf_hist.h"
#include "hf_resp.h"
#include "hf_route.h"
#include "hf_snap.h"
#include "hf_stat.h"
#include "hf_timer.h"

#include "hf_origin.h"
#include "origin_adapt.h"
#include "origin_gate.h"
#include "origin_hedge.h"
#include "origin_tunnel.h"

#define ORIGIN_HEAD_MAX        (64 * 1024) /* of an answer, status line to empty line */
/* Bytes of an answer at once: 16 KiB with a head before them. Curl adds one, and that is a size class of malloc. */
#define ORIGIN_READ_LEN        (20 * 1024 - 1)
#define ORIGIN_SCRATCH_LEN     (2 * ORIGIN_HEAD_MAX)
#define ORIGIN_VARY_MAX        8192
#define ORIGIN_INBOX_BATCH     64
#define ORIGIN_MEMO_SETS       1024 /* of four: keys remembered as not to be stored */
#define ORIGIN_MEMO_WAYS       4
#define ORIGIN_MEMO_US         10000000
#define ORIGIN_MEMORY_WAIT_US  5000000 /* of a head or a stream, which then fails */
#define ORIGIN_STORE_WAIT_US   50000   /* of a body to be stored, which then becomes a stream */
#define ORIGIN_LAG_US          1000000 /* twice, and who holds up the others of a stream is cut */
#define ORIGIN_CONNECTIONS_MAX 256     /* idle ones that curl keeps */
#define ORIGIN_SCARCE_WINDOW   (HF_XCHG_WINDOW / 8)
#define ORIGIN_PROBES          8 /* fetches at a time of a group that is not well, but for those who wait */
#define ORIGIN_CLOCK_LAG_US    50000 /* a worker read its clock before: no age may seem to shrink */
#define ORIGIN_OVER_MAX        (64 * 1024) /* of a body that nobody wants: then the connection is cut */
#define ORIGIN_RESUMES_MAX     3           /* of one fetch */
#define ORIGIN_RESUME_PAUSE_US 100000      /* before the first; then twice as long each time */
#define ORIGIN_ONCE_IDLE_S     1 /* a connection that was idle for longer may end under a request */
#define ORIGIN_PREFIX_MAX      16384    /* bytes of a request body that say where it goes */
#define ORIGIN_PREFIX_WAIT_US  100000   /* for them */
#define ORIGIN_RETRIES_MAX     3        /* of one fetch */
#define ORIGIN_RETRY_PAUSE_US  100000   /* before the first; then twice as long each time */
#define ORIGIN_EJECT_ROW       5        /* failures, and it is ejected */
#define ORIGIN_EJECT_US        30000000 /* times the number of ejections lately */
#define ORIGIN_EJECTIONS_MAX   10
#define ORIGIN_CHECKS_KNOWN    8   /* the last ones of an origin */
#define ORIGIN_CHECKS_BAD      3   /* failed ones of them, and it is unhealthy */
#define ORIGIN_CHECKS_MAX      16  /* under way at a time */
#define ORIGIN_THREADS_MAX     512 /* of the process: with more no name is looked up */
#define ORIGIN_TAGS_KNOWN      256 /* purged last: what answers to earlier questions are judged by */
#define ORIGIN_L2_PURGES       1024 /* remembered: the last ones that L2 may not know of */

enum origin_fetch_state {
	ORIGIN_L2,     /* the second tier is asked */
	ORIGIN_QUEUED, /* waits for its launch, or for a slot */
	ORIGIN_RETRY,  /* a try failed; the next waits, without a slot */
	ORIGIN_SENT,   /* curl has it; no head yet */
	ORIGIN_RESUME, /* the body broke off; its rest is to be asked for, or is: no head yet */
	ORIGIN_ADMIT, /* the head is whole; memory for the object, or an errand's end, is awaited */
	ORIGIN_BODY,  /* the object is being filled */
	ORIGIN_OVER,  /* everyone was answered otherwise: only the connection is to be freed */
};

enum origin_timer {
	ORIGIN_TIMER_QUEUE,
	ORIGIN_TIMER_FIRST_BYTE,
	ORIGIN_TIMER_BETWEEN,
	ORIGIN_TIMER_PREFIX,
	ORIGIN_TIMER_L2,
	ORIGIN_TIMER_RESUME,
	ORIGIN_TIMER_RETRY,
	ORIGIN_TIMER_MEMORY,
	ORIGIN_TIMER_LAG,
	ORIGIN_TIMER_PATIENCE, /* the only kind of fetch->patience */
	ORIGIN_TIMER_CHECK,    /* of an origin_check */
	ORIGIN_TIMER_HEDGE,    /* the only kind of fetch->hedging */
	ORIGIN_TIMER_TUNNEL,   /* of an origin_tunnel */
};

/* An exchange between START and GONE. */
struct origin_reader {
	struct hf_list link;     /* in fetch->readers */
	struct hf_list all_link; /* in origin->reading */
	struct hf_xchg *xchg;
	struct origin_fetch *fetch;   /* NULL: over, or there never was one */
	struct origin_tunnel *tunnel; /* NULL: over, or it is no CONNECT */
	char *extra;                  /* heap; xchg->extra points into it */
	struct hf_xchg_body *body[HF_XCHG_BODIES_MAX];
	uint32_t body_first, body_count;
	uint32_t body_pos; /* bytes of the first that were sent */
	bool body_last;    /* the last byte was taken by curl */
	bool body_unwanted;
	bool answered; /* HEAD or FAIL was posted */
	bool lagging;  /* has held up others for a while, and shall not for another */
	bool whole;    /* a 304 did not fit: its next fetch asks without validators */
	bool passes;   /* its next fetch takes its own conditions and ranges along */
};

enum origin_l2_found {
	ORIGIN_L2_UNKNOWN,  /* it was not asked, or gave no answer */
	ORIGIN_L2_NOTHING,  /* but perhaps the mark of a purge */
	ORIGIN_L2_RESPONSE, /* or what is of no use */
	ORIGIN_L2_NAMES,
};

/* What a fetch knows of the second tier. */
struct origin_l2_fetch {
	struct hf_l2_ask ask;
	enum origin_l2_found found; /* under the key without variant */
	uint64_t mark;              /* with NOTHING; 0: none */
	uint64_t epoch;             /* of the names */
	char *vary; /* heap: under these names its leader's values; NULL: no names */
	uint32_t vary_len;
	bool voided; /* purged while it was asked */
	bool leased; /* other edges wait for us to fetch it */
	uint64_t
		until_us; /* so long we wait for another one at most; 0: there was nothing there yet */
	struct hf_cache_life life; /* of the origin's answer: L1's may be shorter */
};

struct origin_fetch {
	struct hf_origin *origin; /* for curl's callbacks */
	struct hf_list map_link;  /* in flight, by key; only what may be stored */
	struct hf_list
		queue_link; /* QUEUED: health->queue or origin->direct; RESUME: health->queue */
	struct hf_list memory_link; /* waits for memory */
	struct hf_list all_link;
	struct hf_list errands; /* other threads have them: the answer waits */
	struct hf_list readers;
	struct origin_reader *leader; /* whose request is or was sent; NULL once it left */
	enum origin_fetch_state state;
	enum hf_http_method method;
	bool shared;   /* may be stored, if the answer allows */
	bool passes;   /* takes the client's own conditions and ranges along */
	bool joinable; /* further requests may wait for it or read along */
	bool known;    /* something was stored under its key when it began */
	bool purged;   /* G3 */
	bool takes_slot, has_slot;
	bool waits; /* in health->queue */
	bool asks;  /* an origin is asked, or its answer is coming */
	bool recv_paused, send_paused;
	bool cut;         /* RESUME: curl does not have it now */
	bool ended;       /* ADMIT: curl is done with it already */
	bool judged;      /* RESUME: by its head, good or bad, how the origin does is known */
	bool unwanted;    /* nobody may have this answer: end without a word */
	bool invalidated; /* the answer's head was looked at for RFC 9111 §4.4 */
	/* its leader's alone: an error, for which what is stored stood with some of those who waited; or a
	 * tag of it was purged after it was asked for */
	bool refused;
	struct hf_key key; /* heap */
	char *vary; /* heap: its leader's values of the fields that an earlier answer named */
	uint32_t vary_len;
	char *req_head; /* heap: the leader's request head, once it left */
	uint32_t req_head_len;
	char *head; /* heap: the answer's, until admitted; then those of the parts that its rest came in */
	uint32_t head_len, head_cap;
	uint32_t head_kept; /* bytes of whole ones of parts */
	uint32_t resumes;
	struct hf_obj *stale;     /* what its validators are of; a reference */
	bool asked_soft;          /* that was soft-purged already */
	char *conditions;         /* heap: field lines with them */
	struct hf_obj *refreshes; /* its `refreshing` ends with this fetch; a reference */
	uint16_t fwd_status;      /* of the answer, when obj has another */
	struct hf_obj *obj;
	size_t taken; /* bytes at the start of what curl hands over next that were filled already */
	struct origin_view *view;     /* holds group and target */
	struct origin_health *health; /* of the group */
	const struct hf_state_route *route;
	const struct hf_state_group *group;
	const struct hf_state_origin *target; /* of the group; chosen at launch */
	struct origin_peer *peer;             /* the same, across states; NULL: none is asked now */
	const struct origin_peer *tried[ORIGIN_RETRIES_MAX]; /* those that failed it */
	uint32_t retries;
	CURL *easy;
	struct curl_slist *lines;
	uint64_t queued_us, sent_us;
	uint64_t deadline_us; /* of the head of an answer, over all tries; 0: it was never sent */
	uint16_t status;      /* of the answer's head */
	enum hf_stat outcome; /* how it is counted at its end */
	uint64_t stood_us;    /* when what is stored stood in for it; 0: it did not */
	int local_port, remote_port; /* of its connection, from when the request goes out */
	uint64_t tags_purged;        /* when it was sent: origin->purge.tags_purged */
	struct hf_timer timer, patience, hedging;
	struct origin_hedge *hedge; /* SENT: it is asked for at another origin too */
	struct origin_l2_fetch l2;
	bool stored_told; /* what HEAD said in `stored` */
	const char *fail_text;
};

struct origin_memo {
	uint64_t hash, until_us;
	enum hf_cache_reason reason;
};

/* How a group of origins does, whichever state names it: one for all views that have a group of its name. */
struct origin_health {
	uint32_t refs;  /* views */
	uint32_t asked; /* fetches sent to any of its origins */
	struct hf_fallback fallback;
	uint64_t heard_us; /* when one of them last said anything */
	bool suspect;
	struct hf_list queue;     /* fetches that wait for a slot, first come first served */
	uint32_t queued;          /* how many */
	struct hf_list turn_link; /* in origin->turns, while some do */
	struct hf_list waits;     /* peers at whose gates this thread waits for the first of them */
};

/* How an origin answers what its group has it asked. */
struct origin_check {
	struct hf_list link; /* in origin->checking, while it is asked */
	struct hf_timer timer;
	CURL *easy;
	char *url; /* heap; NULL: it is not asked */
	uint64_t interval_us, due_us;
	uint32_t timeout_ms;
	size_t body_len;
	uint8_t failed; /* a bit for each of the last answers, the latest is bit 0 */
};

/* How an origin does, whichever state names it: one for all views that have its id in a group of that name. */
struct origin_peer {
	uint32_t refs;      /* views */
	uint32_t in_flight; /* fetches */
	uint64_t fetches, failures;
	bool drained;  /* by the latest state that has it */
	bool departed; /* the latest state does not have it */
	struct hf_route_slot slot;
	const struct origin_affinity *slot_of; /* whose table the slot is of; NULL: none */
	uint64_t slot_url;                     /* hf_route_name of the URL that holds something */
	uint32_t failed_row;
	uint32_t ejections; /* lately: each makes the next longer */
	uint64_t ejected_until_us;
	uint64_t calm_us; /* a good answer from then on takes one ejection back */
	struct origin_check check;
	uint32_t max_in_flight;   /* by the latest state that has it; 0: no limit */
	struct origin_site *site; /* the same origin, for all threads; a reference */
	struct hf_list wait_link; /* in health->waits */
};

/* How much is asked of the origin that a fetch goes to: of the first of these that leaves any. */
enum origin_choice {
	ORIGIN_CHOICE_UNTRIED, /* it does well, and has not failed this fetch yet */
	ORIGIN_CHOICE_WELL,    /* neither ejected nor found unhealthy by its checks */
	ORIGIN_CHOICE_ANY,     /* not drained */
	ORIGIN_CHOICES,
};

/* Who holds which prefixes; for as long as states set it alike. */
struct origin_affinity {
	uint32_t refs; /* views */
	struct hf_state_affinity set;
	uint32_t slots_max;
	struct hf_route_table *table;
};

/* What this thread knows of a group of one state. */
struct origin_group {
	struct origin_peer **peer;         /* [origin of the group]; references */
	CURLU **url;                       /* [origin of the group]; NULL: not asked for yet */
	struct hf_route_origin *candidate; /* [origin of the group] */
	struct origin_affinity *affinity;  /* a reference; NULL: not balanced by it */
	struct origin_health *health;      /* a reference */
};

/* How many retries may be begun. */
struct origin_retries {
	uint32_t tokens;
	uint64_t filled_us;
};

struct origin_tag {
	uint32_t len;
	char text[HF_PURGE_TAG_MAX];
};

struct l2_purged;

struct origin_l2 {
	struct hf_l2 *client;
	void (*invalidated)(void *arg, struct hf_span key); /* NULL: nobody is told */
	void *arg;
	struct hf_l2_codec *codec; /* NULL: L2 was never on */
	struct hf_l2_codec_cfg codec_cfg;
	struct hf_list puts, dels;                  /* under way */
	struct l2_purged *purged[ORIGIN_L2_PURGES]; /* in turns */
	uint64_t purged_count;
	int64_t purged_all_us;     /* Unix: what was asked for before counts as purged */
	_Atomic int64_t before_us; /* the same, as other edges say */
};

struct origin_purge {
	_Atomic bool busy; /* control sets it, with `walk` and `text`; unset at the walk's end */
	bool begun;
	struct hf_purge_walk walk;
	char text[HF_PURGE_TEXT_MAX];
	uint64_t count;                           /* of all kinds, so far */
	uint64_t tags_purged;                     /* so far */
	struct origin_tag tag[ORIGIN_TAGS_KNOWN]; /* the last ones, in turns */
};

struct origin_view {
	struct hf_state *state;     /* a reference */
	struct origin_group *group; /* [group of the state] */
	uint32_t fetches;           /* that it routed */
};

struct hf_origin {
	const struct hf_conf *conf;
	_Atomic(struct hf_state *) state_next; /* a reference; NULL: no change */
	struct origin_view *view;              /* NULL: no state yet */
	uint32_t mode;                         /* enum hf_mode */
	uint32_t index, workers;
	struct hf_cache *cache;
	struct hf_shard *shard;
	struct hf_xchg_net *net;
	struct hf_link **link; /* [worker] */
	struct hf_pool readers, fetches;
	struct hf_list all;     /* every fetch */
	struct hf_list reading; /* every reader */
	struct hf_origin_slots *slots;
	_Atomic bool slots_signal; /* a gate is open, and it is this thread's turn */
	bool node_waits;           /* this thread waits at the node's gate */
	struct hf_list turns;      /* groups with a queue: the next one first */
	struct hf_list direct;     /* QUEUED and needs no slot, or has one */
	struct hf_list memory;     /* waiting for memory */
	uint32_t queued, slots_used, slots_max, in_flight;
	uint64_t object_max, memory_wait_us, store_wait_us, lag_us, resume_pause_us, retry_pause_us;
	uint32_t threads_max;
	struct origin_retries retries;
	struct hf_list *map; /* [map_mask + 1] of fetches by key hash */
	uint32_t map_mask;
	struct origin_memo *memo; /* [sets * ways] */
	struct origin_purge purge;
	struct origin_l2 l2;
	struct hf_snap_fill *warm; /* NULL: no snapshot is being loaded */
	struct hf_wheel *wheel;
	uint64_t now_us;
	struct hf_waker waker;
	struct hf_auth *auth; /* NULL: no route is protected */
	struct hf_list asks;  /* questions to auth services under way */
	uint32_t ask_count, ask_turn;
	struct hf_list checking; /* origin_checks under way */
	uint32_t checks;
	struct hf_list hedges; /* origin_hedges under way */
	struct hf_list tunnels;
	uint32_t tunnel_count;
	/* curl */
	CURLM *multi;
	int epoll_fd;
	uint8_t *watched; /* [descriptor of curl's]: what epoll watches it for */
	uint32_t watched_len;
	uint64_t curl_due_us;
	char *scratch; /* ORIGIN_SCRATCH_LEN */
	/* mailbox: control thread and this one */
	pthread_mutex_t call_serial; /* one caller at a time */
	pthread_mutex_t call_mutex;
	pthread_cond_t call_done;
	struct hf_origin_call *call;
	_Atomic bool call_waiting;
};

/* origin_view.c */
/* The state that was set since, if one was. */
void origin_view_adopt(struct hf_origin *origin);
/* The configuration's limits changed. */
void origin_view_limits(struct hf_origin *origin);
/* None is in force. */
void origin_view_drop(struct hf_origin *origin);
/* By the path of a key: the spelling that routes are written in. NULL: none. There is a view. */
const struct hf_state_route *origin_view_route(
	const struct hf_origin *origin, const struct hf_key *key);
/* A fetch is routed by what is in force; its end. */
void origin_view_take(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct hf_state_route *route);
void origin_view_leave(struct hf_origin *origin, struct origin_fetch *fetch);
/* Before it is sent: routed anew, if another state is in force by now. False: there is no route any more. */
bool origin_view_again(struct hf_origin *origin, struct origin_fetch *fetch) HF_MUST_CHECK;
/* The URL of the origin that it goes to, parsed once for all fetches; NULL: curl has no memory. */
CURLU *origin_view_url(const struct origin_fetch *fetch);
/* Authority and path, without query, of a key. */
void origin_view_split(
	const struct hf_key *key, struct hf_span *ret_host, struct hf_span *ret_path);
/* Adds what this thread knows of the call's origins. */
void origin_view_loads(const struct hf_origin *origin, struct hf_origin_call *call);

/* origin_map.c */
int origin_map_init(struct hf_origin *origin, uint32_t fetches_max) HF_MUST_CHECK;
void origin_map_fini(struct hf_origin *origin);
void origin_map_add(struct hf_origin *origin, struct origin_fetch *fetch);
/* The next fetch in flight for that key behind `after` (NULL: the first), or NULL. */
struct origin_fetch *origin_map_next(
	const struct hf_origin *origin, const struct hf_key *key, const struct origin_fetch *after);
/* The key's answers are not to be stored: for a while nobody waits for another's fetch of it. */
void origin_memo_set(struct hf_origin *origin, uint64_t hash, enum hf_cache_reason reason);
void origin_memo_clear(struct hf_origin *origin, uint64_t hash);
const struct origin_memo *origin_memo_find(const struct hf_origin *origin, uint64_t hash);

/* origin_inbox.c */
bool origin_inbox_run(struct hf_origin *origin);
bool origin_inbox_empty(const struct hf_origin *origin);
bool origin_inbox_recalls(struct hf_origin *origin);

/* origin_reader.c */
/* For the request log: whom the fetch asked. */
void origin_reader_asked(struct origin_reader *reader, const struct origin_fetch *fetch);
struct origin_reader *origin_reader_new(struct hf_origin *origin, struct hf_xchg *xchg);
/* What they hold; nobody listens any more. */
void origin_reader_fini_all(struct hf_origin *origin);
/* HEAD: the reader has that object. */
void origin_reader_attach(struct hf_origin *origin, struct origin_reader *reader,
	struct hf_obj *obj, bool stored, bool collapsed);
void origin_reader_fail(struct hf_origin *origin, struct origin_reader *reader, uint16_t status,
	enum hf_drop reason);
/* The head of an interim answer, for the client whose request it answers. */
void origin_reader_interim(
	struct hf_origin *origin, struct origin_reader *reader, const struct hf_http_resp *resp);
/* More bytes, or the end: at most one message under way (X1). */
void origin_reader_more(struct hf_origin *origin, struct origin_reader *reader);
/* A background reader has done its part: GONE. */
void origin_reader_drop(struct hf_origin *origin, struct origin_reader *reader);
/* FINISH: gives everything back, GONE. */
void origin_reader_finish(struct hf_origin *origin, struct origin_reader *reader);
/* Its request again, as fields. False when it is no request (never). */
bool origin_reader_parse(const struct origin_reader *reader, struct hf_http_req *ret_req,
	struct hf_cache_req *ret_cache_req) HF_MUST_CHECK;
/* The same for any head that was parsed before. */
bool origin_reader_parse_head(struct hf_span head, struct hf_http_req *ret_req) HF_MUST_CHECK;

/* origin_fetch.c */
/* It is sent when it has a slot; without one in time it fails. */
void origin_fetch_enqueue(struct hf_origin *origin, struct origin_fetch *fetch);
/* More of its leader's body is there. */
void origin_fetch_body_came(struct hf_origin *origin, struct origin_fetch *fetch);
/* Finds the reader an object, a fetch to wait for, or starts one. */
void origin_fetch_submit(struct hf_origin *origin, struct origin_reader *reader);
/* It has an origin, which is asked from now on until origin_slot_give. */
void origin_fetch_asks(struct hf_origin *origin, struct origin_fetch *fetch);
bool origin_fetch_launch(struct hf_origin *origin);
/* Everything of the answer that matters has come. */
void origin_fetch_answered(struct origin_fetch *fetch);
/* The request of LED was sent, or is to be: another leads, or it is kept. May end the fetch. */
void origin_fetch_leader_left(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct hf_xchg *led);
/* What its leader asked is kept while LED is still there. False: no memory. */
bool origin_fetch_keep_request(struct origin_fetch *fetch, const struct hf_xchg *led);
/* The reader leaves. */
void origin_fetch_leave(
	struct hf_origin *origin, struct origin_fetch *fetch, struct origin_reader *reader);
/* curl is done with it. */
void origin_fetch_done(struct hf_origin *origin, struct origin_fetch *fetch, CURLcode code);
void origin_fetch_fail(struct hf_origin *origin, struct origin_fetch *fetch, uint16_t status,
	enum hf_drop reason, const char *text);
bool origin_fetch_timers(struct hf_origin *origin);
void origin_fetch_timer(struct hf_origin *origin, struct origin_fetch *fetch,
	enum origin_timer kind, uint64_t after_us);
void origin_fetch_free_all(struct hf_origin *origin);

/* Its readers have their answers, or there are none. */
void origin_fetch_end(struct hf_origin *origin, struct origin_fetch *fetch);

/* origin_call.c */
int origin_call_init(struct hf_origin *origin) HF_MUST_CHECK;
void origin_call_fini(struct hf_origin *origin);
bool origin_call_run(struct hf_origin *origin);

#endif
