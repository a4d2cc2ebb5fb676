/* SPDX-License-Identifier: BSD-3-Clause
 *
 * origin - an origin thread: takes exchanges, fetches from origins, builds objects, owns its shard.
 *
 * What      One instance per origin thread. Requests for one key join (one fetch, many exchanges);
 *           what may be stored is stored; what may not streams through with bounded memory, both ways.
 *           Connections to origins are libcurl's (multi, with epoll).
 *           What is stored but stale is asked about with its validators (RFC 9111 §4.3): a 304 freshens it
 *           for everyone who waits. Where the origin fails it may stand for the answer (RFC 5861). HEAD
 *           answers update or age what is stored for GET (§4.3.5).
 * Picture
 *      START -> [stored meanwhile? attach] -> [same key in flight? join] -> route -> curl
 *                                                            stored, with a validator: If-None-Match ...
 *      head complete -> 304: freshen -> publish -> HEAD to every exchange that it suits
 *                    -> 500, 502, 503, 504, or no head at all: HEAD with the stale one where that is allowed
 *                    -> admit (RFC 9111 §3) -> object -> HEAD to every exchange
 *                         |  not storable: the first keeps it as a stream; each other fetches for itself,
 *                         |  and the key is remembered so that the next do not wait for one another
 *      body -> fill -> MORE ... -> end -> READY -> publish
 * Threads   origin (step), boot (new, free), control (call, state_set, drain).
 * Promises  G1 one key, one fetch at a time over all workers, for answers that may be shared (G12).
 *           G2 what was cut short or failed is never published.
 *           G3 a purge, a soft one too, also keeps what was asked for before it from being stored; who comes
 *               after it does not get that.
 *           G4 memory ahead of the slowest reader of a stream is at most HF_XCHG_WINDOW, and a sixteenth of
 *               the shard's; that of many together an eighth, but for a little each. Of several readers one
 *               that is half of it behind is cut when another, who has everything, has waited for it for two
 *               seconds.
 *           G5 an origin that breaks off before its head is complete is 502, one that is late 504; after the
 *               head the client's connection is cut, unless G15.
 *           G6 a body that finds no memory to be stored in goes on as a stream: no fetch waits for another
 *               one's whole body.
 *           G7 a 304 counts only for what was asked about and is stored still, unpurged; else it is asked
 *               anew.
 *           G8 what may not be stored any more is not kept either: an answer below 500 to a fetch for all,
 *               or a 304, that may not be stored takes away what was stored for its request.
 *           G9 a stale response is served for an error only where response and request allow it (RFC 9111
 *               §4.2.4), and then the error is not stored.
 *           G10 a refresh in the background asks once, whoever joins it.
 *           G11 the answer to an unsafe request reaches its client when nobody finds any more what it
 *               invalidates (RFC 9111 §4.4), whichever thread owns that.
 *           G12 who has credentials asks for himself until a head has said that the answer may be shared
 *               (RFC 9111 §3.5); one that may not says nothing of what others may have.
 *           G13 of a group of origins that is in fallback, or silent for origin.patience, nobody waits for
 *               an answer who may have a stale response; what it brings still is stored, unless a later
 *               question was answered meanwhile.
 *           G14 no fetch begins to an origin that is drained by the latest state; those under way go on. Where
 *               all of a group are, or it has none, it is 503, or a stale one (G9).
 *           G15 a body that is to be stored, with a strong ETag and a length, and breaks off, is asked for from
 *               there on, at most three times (RFC 9111 §3.4); its bytes are all of one representation. In
 *               the pause before that, as in that of G18, it has no slot.
 *           G16 of a group a fetch goes to the origin that lib/route chooses, among those that may have it, by the
 *               state that is in force when it is sent. For that each thread goes by its own fetches, and by
 *               prefixes that it learnt from them: a table of affinity.cap for each thread and group. Of a body the
 *               first 16 KiB count; they are waited for, for 100 ms.
 *           G17 of safe methods no more than max_in_flight fetches are under way over all origin threads, and at
 *               an origin no more than its group's max_in_flight. Who must wait does so in the order of their
 *               coming within a group, and groups take turns, as origin threads do; no more than max_queue wait,
 *               each no longer than queue_timeout: then 503, or a stale one (G9).
 *           G18 a try that failed is followed by others only where the request may be repeated (RFC 9110 §9.2.2)
 *               and nothing of an answer went to a client; who may have a stale response does not wait for them.
 *           G19 an origin that is ejected or unhealthy gets a fetch only where no other of its group does well; at
 *               most half of a group are ejected.
 *           G20 a fetch that goes to two origins (origin.hedge_after) has a slot for each, is counted once, and
 *               its bytes are all of one answer.
 *           G21 an origin with https is spoken to only behind a certificate that is good for it; no name is looked
 *               up on this thread.
 *           G22 a tunnel takes no slot and is no fetch; what is ahead of its client is bounded by G4.
 *           G23 what is decided together is asked of an auth service once, whichever workers wait for it; a decision
 *               counts only if its credential was not revoked since it was asked about.
 *           G24 a route with an auth flow is fetched from, and joined, only for requests that this flow allowed, by
 *               the state in force when they are sent.
 *           G25 L2 is asked once for all who wait for a key, before a slot is taken, and waited for no longer than
 *               twice l2.read_timeout (names of Vary, then the variant); a value of it is served only within the
 *               life that its origin gave it, and never after a purge that this node knows of. What is stored here
 *               is fresh for the state's l1_ttl at most while there is an L2.
 * Tests     tests/unit/origin, tests/system/test_{revalidate,partition,origin_retry,origin_tls,tunnel,auth,l2}.py
 * Limits    Of each thread: exchanges_max of all workers fetches that take a slot.
 */
#ifndef HF_ORIGIN_H
#define HF_ORIGIN_H

#include "hf_auth.h"
#include "hf_base.h"
#include "hf_cache.h"
#include "hf_conf.h"
#include "hf_l2_client.h"
#include "hf_state.h"
#include "hf_xchg.h"

struct hf_origin;

/* What the origin threads of a node share: how many fetches are under way (G17). boot; freed after them. NULL: no
 * memory. */
struct hf_origin_slots;
struct hf_origin_slots *hf_origin_slots_new(void);
void hf_origin_slots_free(struct hf_origin_slots *slots);

/* boot, and before a new configuration is set: are the files that it names good? -errno, -EINVAL. */
int hf_origin_conf_check(const struct hf_conf *conf, struct hf_err *err) HF_MUST_CHECK;

/* boot */
int hf_origin_new(const struct hf_conf *conf, uint32_t index, struct hf_cache *cache,
	struct hf_xchg_net *net, struct hf_origin_slots *slots, struct hf_err *err,
	struct hf_origin **ret_origin) HF_MUST_CHECK;
/* boot: where decisions of auth services are kept. */
void hf_origin_auth_set(struct hf_origin *origin, struct hf_auth *auth);
/* Cuts what is under way. After the thread has stopped. */
void hf_origin_free(struct hf_origin *origin);
/* boot: a snapshot will be loaded, with HF_ORIGIN_WARM until one without frames. From now on it is remembered
 * what must not come back. -ENOMEM. */
int hf_origin_warm_begin(struct hf_origin *origin) HF_MUST_CHECK;
/* Any thread, one at a time: STATE is in force from the next turn on; what is under way keeps to what it began
 * with. Takes a reference of its own. */
void hf_origin_state_set(struct hf_origin *origin, struct hf_state *state);
/* Any thread: no fetch begins by a state from before the one that was set last. */
bool hf_origin_state_is_taken(const struct hf_origin *origin);
/* CONF is in force from now on, for fetches under way too where they look again; what lib/conf calls BOOT is as
 * before. Origin thread. */
void hf_origin_conf_set(struct hf_origin *origin, const struct hf_conf *conf);
/* enum hf_mode: how it stands from now on; origin thread. */
void hf_origin_mode_set(struct hf_origin *origin, uint32_t mode);
/* One turn: rings, calls, sockets, timers; sleeps in epoll up to `wait_ms` when there is nothing. */
void hf_origin_step(struct hf_origin *origin, uint32_t wait_ms);
/* Any thread: out of its sleep. */
void hf_origin_wake(struct hf_origin *origin);
/* Fetches under way; origin thread. */
uint32_t hf_origin_in_flight(const struct hf_origin *origin);

#define HF_ORIGIN_VARIANTS_MAX 16

/* A stored response; its secrets are hidden. */
struct hf_origin_variant {
	uint64_t length, cost;
	int64_t age_s, ttl_s;  /* ttl: 0 or less once it is stale */
	uint32_t swr_s, sie_s; /* RFC 5861 windows past its lifetime */
	uint16_t status;
	bool fresh, soft_purged;
	bool validated; /* no-cache: by the origin before each use */
	bool auth_ok;   /* may answer requests with Authorization */
	char key[512], vary[160], tags[256];
};

/* What is known of an origin, across states that have its group and id. */
struct hf_origin_load {
	uint32_t in_flight; /* fetches */
	uint32_t queued;    /* that wait for any of its group */
	uint64_t fetches, failures;
	bool fallen;    /* what is stored stands in for its group */
	bool unhealthy; /* its checks failed */
	uint64_t
		ejected_us; /* for so long nothing goes to it, unless no other does well; 0: it does */
};

/* What stands for an origin of the group when a GET of a URL comes now. */
struct hf_origin_candidate {
	uint32_t pending, depth; /* depth, score: where the group is balanced by affinity */
	double score;
	bool usable, chosen;
};

/* A question of the control thread: to the owner of a key, with LIST, LOADS and L2 to each. */
struct hf_origin_call {
	enum {
		HF_ORIGIN_PURGE,
		HF_ORIGIN_SHOW,
		HF_ORIGIN_LIST,
		HF_ORIGIN_LOADS,
		HF_ORIGIN_WARM,
		HF_ORIGIN_EXPLAIN,
		HF_ORIGIN_L2
	} what;
	struct hf_key key;
	bool soft;                    /* PURGE: stale instead of gone */
	struct hf_purge_walk filter;  /* LIST: kind and text */
	uint64_t slot;                /* LIST: where to begin, 0; answered: where to go on */
	const struct hf_state *state; /* LOADS: of its origins, group by group */
	struct hf_origin_load *load;  /* LOADS: one for each; what this thread knows is added */
	/* WARM: frames of a snapshot (hf_snap_run), for this thread; none: that was all */
	struct hf_span frames;
	int64_t saved_clock_us;
	/* EXPLAIN, answered; the caller drops state and candidates */
	const struct hf_state_route *route; /* NULL: none, and no more is set */
	struct hf_state *routed_by;
	struct hf_origin_candidate *candidate; /* [origin of the route's group] */
	uint32_t blocks;
	double mean;
	/* L2: how its nodes do, for this thread; `count` of them, L2_CAP at most are told */
	struct hf_l2_node_status *l2;
	uint32_t l2_cap;
	/* the answer */
	uint32_t count;   /* purged, or found */
	bool end;         /* LIST: that was all */
	bool in_flight;   /* a fetch for it is under way */
	bool uncacheable; /* remembered as not to be stored */
	char reason[96];  /* why, if known */
	struct hf_origin_variant variant[HF_ORIGIN_VARIANTS_MAX];
};

/* Control, sync: carries the call out on the origin thread and waits for it; -ETIMEDOUT after a second. */
int hf_origin_call(struct hf_origin *origin, struct hf_origin_call *call) HF_MUST_CHECK;
/* Control or sync, one at a time: a purge of many (kind, soft and text, which is copied) begins on this
 * thread, besides its other work. -EBUSY: an earlier one is under way still; -E2BIG: the text is longer than
 * HF_PURGE_*_MAX. */
int hf_origin_purge_begin(
	struct hf_origin *origin, const struct hf_purge_walk *purge) HF_MUST_CHECK;
/* The same: none is under way. Then how many objects the last one met. */
bool hf_origin_purge_done(const struct hf_origin *origin, uint64_t *ret_count);

/* boot: FN hears, on the origin thread, of each key that an unsafe request invalidates while there is an L2: other
 * edges do not know of it. */
void hf_origin_invalidated_set(
	struct hf_origin *origin, void (*fn)(void *arg, struct hf_span key), void *arg);
/* What a configuration says of L2. */
struct hf_l2_limits hf_origin_l2_limits(const struct hf_conf *conf);
/* Any thread: values of L2 that an origin was asked for before that time, Unix, us, count as purged. */
void hf_origin_l2_before(struct hf_origin *origin, int64_t at_us);

#endif
