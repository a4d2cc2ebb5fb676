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

#define ORIGIN_L2_PAUSE_US 20000 /* before L2 is asked again for what another edge fetches */
#define ORIGIN_L2_PURGES   1024  /* remembered: the last ones that L2 may not know of */

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

/* What a fetch knows of the second tier. */
struct origin_l2_fetch {
	struct hf_l2_ask ask;
	enum {
		ORIGIN_L2_UNKNOWN, /* it was not asked, or gave no answer */
		ORIGIN_L2_NOTHING,
		ORIGIN_L2_RESPONSE, /* or what is of no use */
		ORIGIN_L2_NAMES,
	} found;        /* under the key without variant */
	uint64_t epoch; /* of the names */
	char *vary;     /* heap: under these names its leader's values; NULL: no names */
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
/* Authority and path, without query, of a key. */
void origin_view_split(
	const struct hf_key *key, struct hf_span *ret_host, struct hf_span *ret_path);
/* Adds what this thread knows of the call's origins. */
void origin_view_loads(const struct hf_origin *origin, struct hf_origin_call *call);

/* origin_balance.c: which origin of its group gets a fetch */
/* GROUP is new, of OF; BEFORE is that of the same name in the state before, or NULL. */
void origin_balance_fill(struct origin_group *group, const struct hf_state_group *of,
	const struct origin_group *before);
void origin_balance_drop(struct origin_group *group);
/* Of its COUNT origins those that departed; then those of the next state that are new. */
void origin_balance_leave(struct origin_group *group, uint32_t count);
void origin_balance_join(struct origin_group *group, const struct hf_state_group *of);
enum origin_pick {
	ORIGIN_PICK_DONE, /* target and peer are set */
	ORIGIN_PICK_NONE, /* none is usable, full or not */
	ORIGIN_PICK_FULL, /* those that are usable, by the choice that ret_choice says, have no slot */
};

/* Once more when another thread was faster to take the slot there. */
enum origin_pick origin_balance_pick(struct hf_origin *origin, struct origin_fetch *fetch,
	enum origin_choice *ret_choice) HF_MUST_CHECK;
/* Does the choice go by more of its leader's body than is there, and may still come? */
bool origin_balance_wants_body(const struct origin_fetch *fetch);
void origin_balance_explain(struct hf_origin *origin, struct hf_origin_call *call);

/* origin_health.c */
struct origin_health *origin_health_new(const struct hf_origin *origin);
struct origin_health *origin_health_ref(struct origin_health *health);
void origin_health_unref(struct origin_health *health);
/* The configuration has changed. */
void origin_health_limits(const struct hf_origin *origin, struct origin_health *health);
/* Bytes came. */
void origin_health_heard(struct hf_origin *origin, struct origin_fetch *fetch);
/* A head came. */
void origin_health_answer(struct hf_origin *origin, struct origin_fetch *fetch, uint16_t status);
void origin_health_failed(
	struct hf_origin *origin, struct origin_fetch *fetch, enum hf_fallback_trigger trigger);
/* The same, but another try follows: it says nothing of the group yet. */
void origin_health_tried(
	struct hf_origin *origin, struct origin_fetch *fetch, enum hf_fallback_trigger trigger);
/* When the whole group will have been silent for origin.patience, if nothing more comes. */
uint64_t origin_health_silent_us(const struct hf_origin *origin, const struct origin_fetch *fetch);
/* Whatever the node's mode is. */
bool origin_health_is_fallen(const struct origin_health *health);
bool origin_health_is_well(const struct hf_origin *origin, const struct origin_health *health);
uint32_t origin_health_timeout_ms(
	const struct hf_origin *origin, const struct origin_health *health, uint32_t normal_ms);

/* origin_peer.c: how one origin does */
struct origin_peer *origin_peer_new(
	const struct hf_origin *origin, const char *group, const char *id);
/* An answer came, and it is no failure. */
void origin_peer_good(const struct hf_origin *origin, struct origin_peer *peer);
/* A try failed at it. */
void origin_peer_failed(const struct hf_origin *origin, const struct origin_fetch *fetch);
bool origin_peer_is_ejected(const struct hf_origin *origin, const struct origin_peer *peer);
/* Adds how it does. */
void origin_peer_tell(const struct hf_origin *origin, const struct origin_peer *peer,
	struct hf_origin_load *load);
/* May the fetch go to the AT-th origin of its group? */
bool origin_target_usable(const struct hf_origin *origin, const struct origin_fetch *fetch,
	uint32_t at, enum origin_choice choice);

/* origin_check.c: origins are asked whether they are well */
void origin_check_init(struct origin_check *check);
/* Those of NEXT are asked from now on, if their groups say so; who is in the view in force alone is not. */
void origin_check_adopt(struct hf_origin *origin, const struct origin_view *next);
void origin_check_fini(struct hf_origin *origin, struct origin_check *check);
/* Cuts those under way. */
void origin_check_fini_all(struct hf_origin *origin);
void origin_check_due(struct hf_origin *origin, struct origin_check *check);
void origin_check_done(struct hf_origin *origin, CURL *easy, CURLcode code);
/* An answer is known. True: it is well now and was not, or the other way round. */
bool origin_check_note(struct origin_check *check, bool failed);
bool origin_check_is_bad(const struct origin_check *check);

/* origin_auth.c: auth services are asked */
/* ASK: answered by GONE. */
void origin_auth_take(struct hf_origin *origin, struct hf_xchg *xchg);
/* Is what curl keeps for a handle the mark of a question? */
static inline bool origin_auth_is_ask(const struct hf_origin *origin, const void *private)
{
	return private == origin;
}
void origin_auth_done(struct hf_origin *origin, CURL *easy, CURLcode code);
void origin_auth_fini(struct hf_origin *origin);
/* Was the request allowed by what its route asks for now? */
bool origin_auth_fits(const struct hf_origin *origin, const struct hf_xchg *xchg);
bool origin_auth_same(const struct hf_state_route *a, const struct hf_state_route *b);

/* origin_stand.c */
/* Who may have what is stored has it; the fetch goes on with the others, or for the cache's sake, but nobody
 * waits for it any more: it may hang while its origin answers others already. May end the fetch. */
void origin_stand_in(struct hf_origin *origin, struct origin_fetch *fetch);
/* To a group that is not well a few are sent, to see. True: this one need not be, nobody waits for it. */
bool origin_stand_is_enough(struct hf_origin *origin, struct origin_fetch *fetch) HF_MUST_CHECK;
/* fetch->patience is due. May end the fetch. */
void origin_stand_due(struct hf_origin *origin, struct origin_fetch *fetch);

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

/* origin_look.c: what a new reader finds */
struct origin_look {
	const struct hf_http_req *req; /* NULL: the request is nobody's but its own */
	const struct hf_cache_req *cache_req;
	const struct hf_obj *sample; /* any variant: it names the fields that matter */
};

/* True: the reader needs no fetch of its own. */
bool origin_look_find(
	struct hf_origin *origin, struct origin_reader *reader, struct origin_look *look);

/* origin_slots.c */
/* The thread shares the node's slots from now on; it has no fetch any more. */
void origin_slots_join(struct hf_origin *origin);
void origin_slots_part(struct hf_origin *origin);
/* A reference. */
struct origin_site *origin_site_get(
	struct hf_origin_slots *slots, const char *group, const char *id);
void origin_site_put(struct hf_origin_slots *slots, struct origin_site *site);
/* Of a fetch that takes no slot: always. */
bool origin_slot_is_open(
	const struct hf_origin *origin, const struct origin_fetch *fetch, uint32_t at);
/* An origin, and a slot there, for a new fetch or a new try. False: it has to wait. */
bool origin_slot_take(struct hf_origin *origin, struct origin_fetch *fetch) HF_MUST_CHECK;
/* The same for who will not wait. */
bool origin_slot_try(struct hf_origin *origin, struct origin_fetch *fetch) HF_MUST_CHECK;
/* It waits. False: too many do. */
bool origin_slot_wait(struct hf_origin *origin, struct origin_fetch *fetch) HF_MUST_CHECK;
/* It waits no more, if it did; OUTCOME: one of HF_HIST_ORIGIN_QUEUE_*. */
void origin_slot_leave(struct hf_origin *origin, struct origin_fetch *fetch, enum hf_hist outcome);
/* One of those that wait; it has a slot, or there is no origin for it. NULL: none is to go now. */
struct origin_fetch *origin_slot_next(struct hf_origin *origin);
/* Its slot and its origin are free for others: it ends, or waits for its next try. */
void origin_slot_give(struct hf_origin *origin, struct origin_fetch *fetch);
/* The head of an answer came, or FAILED: none, or one that says that the origin has too much to do. */
void origin_slot_sample(struct hf_origin *origin, const struct origin_fetch *fetch, bool failed);
/* Another state is in force: who was not sent is routed by it. */
void origin_slot_again(struct hf_origin *origin);
/* The thread does not wait for a slot at that origin. */
void origin_slot_peer_cancel(struct hf_origin *origin, struct origin_peer *peer);

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

/* origin_l2.c: the second tier is asked */
int origin_l2_init(struct hf_origin *origin, struct hf_err *err) HF_MUST_CHECK;
void origin_l2_fini(struct hf_origin *origin);
/* The configuration has changed. */
void origin_l2_limits(struct hf_origin *origin);
/* The view has. */
void origin_l2_adopt(struct hf_origin *origin);
bool origin_l2_run(struct hf_origin *origin);
/* NULL: there is no second tier now. */
const struct hf_state_l2 *origin_l2_set(const struct hf_origin *origin);
/* How long a response of that age may be used from L1. */
struct hf_cache_life origin_l2_life(
	const struct hf_origin *origin, const struct hf_cache_life *life, uint32_t age_s);
int64_t origin_l2_unix_us(void);
void origin_l2_key(
	const struct hf_origin *origin, const struct hf_key *key, struct hf_l2_key *ret_key);
/* False: it is not asked. Else the fetch is enqueued, or ends, when it has answered; never at once. */
bool origin_l2_ask(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct origin_look *look);
/* ORIGIN_TIMER_L2: what another edge fetches may be there now. */
void origin_l2_due(struct hf_origin *origin, struct origin_fetch *fetch);
/* The fetch ends. */
void origin_l2_forget(struct hf_origin *origin, struct origin_fetch *fetch);

/* origin_l2_store.c: what goes to the second tier */
/* Lets it be found, there and here; here only if it must in write-around mode. */
void origin_l2_publish(
	struct hf_origin *origin, const struct origin_fetch *fetch, struct hf_obj *obj);
/* The same for what is found here already. */
void origin_l2_store(
	struct hf_origin *origin, const struct origin_fetch *fetch, const struct hf_obj *obj);
void origin_l2_puts_fini(struct hf_origin *origin);
/* What is there under the key is of no use. */
void origin_l2_del(struct hf_origin *origin, const struct hf_key *key);
/* That is under way: a question might come before it. */
bool origin_l2_is_deleting(const struct hf_origin *origin, uint64_t hash);
void origin_l2_dels_fini(struct hf_origin *origin);
/* The same for all that WALK names. */
void origin_l2_purge(struct hf_origin *origin, const struct hf_purge_walk *walk);
void origin_l2_purged_fini(struct hf_origin *origin);
/* May a value that an origin was asked for at that time, Unix, be from before a purge of it? */
bool origin_l2_was_purged(
	const struct hf_origin *origin, const struct hf_obj *obj, int64_t asked_us);

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

/* origin_retry.c: further tries */
void origin_retry_init(struct origin_retries *retries, uint64_t now_us);
/* A fetch was begun. */
void origin_retry_earn(struct origin_retries *retries, uint32_t percent);
/* False: there is none left. */
bool origin_retry_spend(struct origin_retries *retries, uint64_t now_us) HF_MUST_CHECK;
/* From a half of it to all of it: not all that an origin failed come back at once. */
uint64_t origin_retry_jitter_us(uint64_t pause_us);
/* So long, or as long as there is for all tries. */
uint64_t origin_retry_left_us(
	const struct hf_origin *origin, const struct origin_fetch *fetch, uint32_t normal_ms);
/* The head of an answer came. True: it is nobody's, the fetch is asked again. */
bool origin_retry_head(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct hf_http_resp *resp);
/* The try ended without a head, CURLE_OK: in the middle of it. True: the fetch is asked again. */
bool origin_retry_failed(struct hf_origin *origin, struct origin_fetch *fetch, CURLcode code);
/* The pause is over. */
void origin_retry_due(struct hf_origin *origin, struct origin_fetch *fetch);

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

/* origin_curl.c */
/* In the data of epoll's events, beside the socket. */
#define ORIGIN_WATCH_IDLE   (1ULL << 32) /* a connection that no transfer has */
#define ORIGIN_WATCH_L2     (1ULL << 33) /* L2's own epoll: the next turn looks there */
#define ORIGIN_WATCH_TUNNEL (1ULL << 34)

int origin_curl_init(struct hf_origin *origin, struct hf_err *err) HF_MUST_CHECK;
void origin_curl_fini(struct hf_origin *origin);
bool origin_curl_run(struct hf_origin *origin, uint32_t wait_ms);
/* -ENOMEM: nothing was started. */
int origin_curl_start(struct hf_origin *origin, struct origin_fetch *fetch) HF_MUST_CHECK;
/* Cuts the transfer if it is not over. */
void origin_curl_stop(struct hf_origin *origin, struct origin_fetch *fetch);
/* Cuts the transfer; the handle may be used again, for the same fetch. */
void origin_curl_cut(struct hf_origin *origin, struct origin_fetch *fetch);
int origin_curl_again(struct hf_origin *origin, struct origin_fetch *fetch) HF_MUST_CHECK;
/* The transfer is the fetch's again: what comes goes to it. */
void origin_curl_adopt(struct origin_fetch *fetch);
/* Its head is whole. False: the transfer shall end. */
bool origin_curl_head(struct hf_origin *origin, struct origin_fetch *fetch);
/* Goes on in the directions that are not paused. May end the fetch. */
void origin_curl_resume(struct hf_origin *origin, struct origin_fetch *fetch);

/* origin_rules.c */
/* What holds for every request to URL, which is copied. */
CURLcode origin_rules_set(const struct hf_origin *origin, CURL *easy, const char *url);

/* origin_request.c */
/* Sets method, target, fields and body of the leader's request. */
int origin_request_set(struct hf_origin *origin, struct origin_fetch *fetch) HF_MUST_CHECK;

/* Of a GET that was sent: the same, for the bytes from FROM on of what has that ETag. */
int origin_request_rest(struct hf_origin *origin, struct origin_fetch *fetch, uint64_t from,
	struct hf_span etag) HF_MUST_CHECK;
/* May it be sent again, unasked (RFC 9110 §9.2.2)? */
bool origin_request_is_repeatable(const struct hf_xchg *xchg);

/* origin_body.c: request bodies */
void origin_body_push(
	struct hf_origin *origin, struct origin_reader *reader, struct hf_xchg_body *body);
/* The first bytes that are there, before any was read; how many. */
size_t origin_body_peek(const struct origin_reader *reader, char *buf, size_t cap);
/* Are LEN bytes there, all of it, or as much as may be there at once? */
bool origin_body_is_at_hand(const struct origin_reader *reader, size_t len);
/* The next bytes, of a reader that has any; empty where only an end is to be told. They are done with. */
struct hf_span origin_body_run(const struct origin_reader *reader);
void origin_body_advance(struct hf_origin *origin, struct origin_reader *reader, size_t len);
/* For curl's read callback. */
size_t origin_body_read(
	struct hf_origin *origin, struct origin_fetch *fetch, char *buf, size_t cap);
/* Gives back what is queued and whatever comes later. */
void origin_body_discard(struct hf_origin *origin, struct origin_reader *reader);

/* origin_call.c */
int origin_call_init(struct hf_origin *origin) HF_MUST_CHECK;
void origin_call_fini(struct hf_origin *origin);
bool origin_call_run(struct hf_origin *origin);

#endif
