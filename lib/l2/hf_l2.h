/* SPDX-License-Identifier: BSD-3-Clause
 *
 * l2 - a second tier that many nodes share: which server keeps a key, what it keeps, when to let it be.
 *
 * What      Keys, the ring, values, what may stay in L1 how long, the breaker: without I/O and without a clock.
 * Picture
 *      URL --hf_l2_key_of--> key --hf_l2_ring_node--> node --hf_l2_breaker_ask--> GET key
 *      record + body --hf_l2_encode_begin, _end--> value --SET key value PX hf_l2_px_ms-->
 *      value --hf_l2_decode--> verdict, record of today's age, body --hf_l2_l1_life--> L1
 * Keys      NAMESPACE ":1:" and 32 hex digits, the SipHash-1-3 of the URL (hf_http_key_build) with two keys, which
 *           are the same everywhere. A variant: then ":v" and 32 more, of its Vary values and the epoch of the
 *           value under the key without them. A lease: then ":l". That it is the same URL, decode sees.
 *           All variants are on the node of the URL. What ends the URL's value ends them all: a value without
 *           them gets another epoch, so nobody finds what was stored before. Hence nobody writes an epoch over
 *           what may have changed since he read it:
 *             GET URL            nothing, a response, or other names in Vary than our answer's: a new epoch
 *             new epoch          SET URL names PX HF_L2_NAMES_PX_MS, if there is nothing still where nothing was
 *             epoch found        PEXPIRE URL px GT
 *             both               SET variant response PX px
 * Marks     A SET may be on its way for long, or stand in a server that hangs, and be carried out behind a purge.
 *           So a purge puts a mark, a number of its own, in the place of what it ends; and while it is there,
 *           HF_L2_MARK_PX_MS, only he stores there who saw it when he asked: who was there before does not.
 * Format    of a value. Numbers are big-endian.
 *             0  4  "hfL2"
 *             4  1  version, 1
 *             5  1  kind: 1 response, 2 names of Vary, 3 mark
 *             6  1  1: the payload is one frame of zstd
 *             7  1  0
 *             8  8  SipHash-1-3 of all from byte 16 on, with the key (SipHash-1-3 of bytes 0 to 7 with (0, 0), 0)
 *            16  8  Unix, us: when the origin was asked for it, or to validate it; of a mark: when it was purged
 *            24  4  n, length of the payload (when plain)
 *            28     payload
 *                     response: a record (hf_cache_record.h), its age that of the time above, and the body
 *                     names:    0  8  epoch    8  4  k   12  4  v   16  k  URL   16+k  v  Vary values, none there
 *                     mark:     0  8  not 0; plain
 * Threads   any; a codec and a breaker belong to one. Rings are immutable.
 * Promises  L1 the same key is on the same node on every edge whose list has the same ids and weights, in
 *           whatever order. L2 without one of n nodes only its keys move, to the others by their weights.
 *           L3 any bytes get a verdict; what is GOOD is a response that could have been stored here: of this URL
 *           and these Vary values, no younger than it was, within its lifetime or windows, without a credential.
 *           L4 nothing with a credential in field or URL is encoded. L5 a copy in L1 is neither fresher nor
 *           longer usable than what it was made of, and not taken without asking L2 after l1_ttl.
 *           L6 a node whose breaker is open gets one request at a time, and after one that failed none for a pause.
 * Limits    HF_L2_NODES_MAX nodes, each of which a lookup looks at (0.7 us for 100). A codec holds up to
 *           four times its value_max (buffers grow by doubling) and 0.7 MiB of zstd.
 *           Edges' clocks agree within HF_L2_SKEW_US: by more than that a value from the future is a miss.
 * Tests     tests/unit/l2, tests/fuzz/fuzz_l2_value.c
 */
#ifndef HF_L2_H
#define HF_L2_H

#include "hf_base.h"
#include "hf_cache.h"
#include "hf_cache_record.h"

/* ---- keys ---- */

#define HF_L2_NAMESPACE_MAX 32
#define HF_L2_KEY_MAX       128

struct hf_l2_key {
	char text[HF_L2_KEY_MAX]; /* with NUL */
	uint32_t len;
	uint64_t place; /* on the ring: of the URL, for its variants and its lease too */
};

/* Letters, digits, '.', '_', '-'; 1 to HF_L2_NAMESPACE_MAX of them. */
bool hf_l2_namespace_is_valid(const char *name);
/* URL: hf_http_key_build. */
void hf_l2_key_of(const char *name, struct hf_span url, struct hf_l2_key *ret_key);
/* Of a key without variant. VARY: hf_cache_vary_rebuild of the names' block, for a request. */
void hf_l2_key_variant(const struct hf_l2_key *key, uint64_t epoch, struct hf_span vary,
	struct hf_l2_key *ret_key);
/* Of a key with or without variant. */
void hf_l2_key_lease(const struct hf_l2_key *key, struct hf_l2_key *ret_key);

/* ---- the ring ---- */

#define HF_L2_NODES_MAX  128
#define HF_L2_WEIGHT_MAX 100

struct hf_l2_node {
	char id[HF_NAME_MAX + 1]; /* by which it is on the ring, whatever its address */
	uint32_t weight;          /* 1 to HF_L2_WEIGHT_MAX */
};

struct hf_l2_ring;

/* The ring after RING (NULL: none yet) with these nodes: RING itself when the list is empty or says the same
 * but for the order; else a new one, the caller's, as RING stays. -EINVAL: an id empty or there twice, a weight or
 * the number out of bounds. -ENOMEM. */
int hf_l2_ring_update(struct hf_l2_ring *ring, const struct hf_l2_node *nodes, uint32_t count,
	struct hf_err *err, struct hf_l2_ring **ret_ring) HF_MUST_CHECK;
void hf_l2_ring_free(struct hf_l2_ring *ring);
uint32_t hf_l2_ring_count(const struct hf_l2_ring *ring);
/* By index, in the order of the list of which it was made. */
const struct hf_l2_node *hf_l2_ring_at(const struct hf_l2_ring *ring, uint32_t index);
/* The index of who keeps the key. */
uint32_t hf_l2_ring_node(const struct hf_l2_ring *ring, const struct hf_l2_key *key);

/* ---- values ---- */

#define HF_L2_VALUE_MAX   (16U << 20) /* what value_max may be */
#define HF_L2_ZSTD_MAX    (1U << 20)  /* longer payloads stay plain: this much takes about 2 ms */
#define HF_L2_SKEW_US     5000000
#define HF_L2_NAMES_PX_MS 86400000
#define HF_L2_MARK_PX_MS  60000
#define HF_L2_MARK_LEN    36

enum hf_l2_verdict {
	HF_L2_GOOD,
	HF_L2_CORRUPT, /* not what encode writes, or not what it wrote; also a response that nobody may store */
	HF_L2_VERSION,   /* a version or a coding that is not known here */
	HF_L2_OTHER,     /* of another URL or other Vary values: their hashes are the same */
	HF_L2_EXPIRED,   /* past its lifetime and windows */
	HF_L2_FUTURE,    /* from a time that is to come */
	HF_L2_SECRET,    /* holds what is a credential here */
	HF_L2_TOO_LARGE, /* for value_max */
	HF_L2_NO_MEMORY,
	HF_L2_VERDICTS
};

/* "good", "corrupt", ... */
const char *hf_l2_verdict_name(enum hf_l2_verdict verdict);
/* Is it of no use to anybody, so that it is to be deleted? */
bool hf_l2_verdict_deletes(enum hf_l2_verdict verdict);

struct hf_l2_codec_cfg {
	uint32_t value_max; /* bytes of a value, plain */
	uint32_t zstd_min;  /* shorter payloads stay plain; 0: all do */
};

struct hf_l2_codec;

/* NULL: no memory. */
struct hf_l2_codec *hf_l2_codec_new(const struct hf_l2_codec_cfg *cfg);
void hf_l2_codec_free(struct hf_l2_codec *codec);

/* Begins a value: RECORD (hf_cache_record_of, but for its life that of the origin's answer, not that of L1) of the
 * age it had at ASKED_US. RECORD->length bytes of body are then to be written to *RET_BODY. GOOD, TOO_LARGE, SECRET,
 * NO_MEMORY; CORRUPT: it may not be stored. */
enum hf_l2_verdict hf_l2_encode_begin(struct hf_l2_codec *codec,
	const struct hf_cache_record *record, int64_t asked_us, char **ret_body) HF_MUST_CHECK;
/* The value, good until the codec is used again. */
struct hf_span hf_l2_encode_end(struct hf_l2_codec *codec);
/* Names: those of the Vary block, whose values are left out. GOOD, TOO_LARGE, NO_MEMORY. */
enum hf_l2_verdict hf_l2_encode_names(struct hf_l2_codec *codec, struct hf_span url,
	struct hf_span vary, uint64_t epoch, int64_t asked_us,
	struct hf_span *ret_value) HF_MUST_CHECK;
/* MARK: not 0. */
void hf_l2_encode_mark(uint64_t mark, int64_t at_us, char ret_value[HF_L2_MARK_LEN]);

enum hf_l2_kind { HF_L2_RESPONSE = 1, HF_L2_NAMES = 2, HF_L2_PURGED = 3 };

struct hf_l2_want {
	struct hf_span url;
	struct hf_span vary;  /* of the variant; empty: of the URL */
	int64_t now_us;       /* Unix */
	uint32_t max_stale_s; /* the fallback's */
};

/* Spans are the codec's or the bytes', good until the codec is used again or the bytes go. */
struct hf_l2_value {
	enum hf_l2_kind kind;
	int64_t asked_us;
	struct hf_cache_record record; /* of a response; of the age it has now */
	struct hf_span body;
	uint64_t epoch;      /* of names */
	uint64_t mark;       /* of PURGED */
	struct hf_span vary; /* of names: for hf_cache_vary_rebuild */
};

/* BYTES are not the codec's own. */
enum hf_l2_verdict hf_l2_decode(struct hf_l2_codec *codec, struct hf_span bytes,
	const struct hf_l2_want *want, struct hf_l2_value *ret_value) HF_MUST_CHECK;

/* ---- how long ---- */

#define HF_L2_L1_TTL_S 60

/* For SET PX: what is left of lifetime and the longer of the windows; 0: not to be stored. */
uint64_t hf_l2_px_ms(const struct hf_cache_life *life, uint64_t age_us);
/* The life of a copy in L1 that is of that age now. Fresh for l1_ttl_s at most, then L2 is to be asked; within
 * that stale-while-revalidate is what it was; stale-if-error ends when it would have ended, so that L1 stands in
 * when L2 and the origin fail. */
struct hf_cache_life hf_l2_l1_life(
	const struct hf_cache_life *life, uint32_t age_s, uint32_t l1_ttl_s);

/* ---- the breaker, one a node ---- */

enum hf_l2_breaker_state { HF_L2_CLOSED, HF_L2_OPEN, HF_L2_HALF_OPEN };

/* Opens after `failures` in a row, or when of at least HF_L2_BREAKER_SAMPLE answers within about a second half
 * failed; the pause until a probe begins at pause_min_us and doubles with every probe that fails, up to
 * pause_max_us. `successes` probes in a row close it. */
#define HF_L2_BREAKER_SAMPLE    20
#define HF_L2_BREAKER_WINDOW_US 1000000

struct hf_l2_breaker_cfg {
	uint32_t failures, successes; /* 1 at least */
	uint64_t pause_min_us, pause_max_us;
	uint64_t
		probe_max_us; /* a probe of which nobody told by then has failed; longer than any request */
};

struct hf_l2_breaker {
	struct hf_l2_breaker_cfg cfg;
	enum hf_l2_breaker_state state;
	bool probing;
	uint32_t row;       /* of failures when CLOSED, of successes when HALF_OPEN */
	uint64_t pause_us;  /* this time */
	uint64_t until_us;  /* OPEN: when a probe may go; probing: when it has failed */
	uint64_t window_us; /* CLOSED: when the count below began */
	uint32_t good, failed;
	uint64_t opened; /* how often, in all */
};

enum hf_l2_pass { HF_L2_PASS_NO, HF_L2_PASS_GO, HF_L2_PASS_PROBE };

void hf_l2_breaker_init(
	struct hf_l2_breaker *breaker, const struct hf_l2_breaker_cfg *cfg, uint64_t now_us);
/* May a request go to the node? With GO and PROBE hf_l2_breaker_tell has to follow. */
enum hf_l2_pass hf_l2_breaker_ask(struct hf_l2_breaker *breaker, uint64_t now_us) HF_MUST_CHECK;
/* How it ended. Only probes count while it is not closed. */
void hf_l2_breaker_tell(
	struct hf_l2_breaker *breaker, enum hf_l2_pass pass, bool good, uint64_t now_us);
/* "closed", "open", "half-open" */
const char *hf_l2_breaker_name(enum hf_l2_breaker_state state);

#endif
