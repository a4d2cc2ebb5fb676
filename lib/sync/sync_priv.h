/* SPDX-License-Identifier: BSD-3-Clause
 *
 * sync_priv - what the files of sync share.
 *
 * Picture   sync.c: boot, the loop, the mode -> sync_http.c: one question, one acknowledgement
 *                                            -> sync_take.c: what a document does
 *                                            -> sync_purge.c: what it has purged
 */
#ifndef HF_PRIV_SYNC
#error "sync_priv.h is private to lib/sync"
#endif
#ifndef SYNC_PRIV_H
#define SYNC_PRIV_H

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>

#include "hf_sync.h"

#define SYNC_URL_MAX      1200
#define SYNC_ETAG_MAX     1100 /* a version in quotes fits */
#define SYNC_DOCUMENT_MAX (8UL * 1024 * 1024)
#define SYNC_ERRORS_MAX   100   /* reasons in one acknowledgement */
#define SYNC_TICK_US      50000 /* between two states of what registered */
#define SYNC_PURGES_KNOWN 4096  /* as many as the largest four documents have */

enum sync_outcome {
	SYNC_NONE, /* not asked yet, or stopped while asking */
	SYNC_DOCUMENT,
	SYNC_SAME,
	SYNC_REFUSED,
	SYNC_FAILED, /* and its trigger: sync->trigger */
};

/* A document of the history. */
struct sync_kept {
	struct hf_state *state;
	char *text;
	size_t len;
	const char *source;
	int64_t applied_s;
	bool purged; /* its purges are carried out */
};

/* What an answer brings. */
struct sync_answer {
	char *body;
	size_t len, cap;
	char etag[SYNC_ETAG_MAX]; /* as received, with its quotes; "" none */
	bool too_large;
};

struct hf_sync {
	struct hf_sync_cfg cfg; /* cfg.conf: changed by the sync thread, under the lock */
	_Atomic bool stop, asked;
	const struct hf_conf *_Atomic conf_next; /* NULL: no change */
	/* the sync thread's, and boot's before it */
	CURLM *multi;
	CURL *easy;
	struct sync_answer answer;
	enum hf_fallback_trigger trigger; /* of the last failure */
	uint64_t progress_us;             /* when the question under way last got on */
	char *ack;                        /* JSON that the control plane has not taken yet */
	uint64_t rand;
	json_t *purged; /* ids of purges that were carried out -> true */
	/* of sync and control */
	pthread_mutex_t lock;
	struct hf_fallback fallback;
	char etag[SYNC_ETAG_MAX]; /* of the last document that came; "" none */
	bool refused;             /* it was a bad one */
	uint64_t good_us;         /* the last good answer; 0 none */
	enum sync_outcome last;
	struct sync_kept kept[HF_SYNC_HISTORY]; /* the latest first */
	uint32_t kept_count, current;
	struct hf_state_overlay *overlay; /* the operator's changes */
	struct hf_state *in_force;        /* kept[current] with them; a reference. NULL: none */
	uint64_t tick_due_us;             /* control: a fifth of its time is for states at most */
};

/* sync.c */
/* The configuration that was set since, if one was; between two uses of cfg.conf, without the
 * lock. */
bool sync_conf_adopt(struct hf_sync *sync);
/* One question, and what its answer changes. */
void sync_ask(struct hf_sync *sync);
/* What follows from that when all threads run: purges, as far as they go until then, and behind the
 * last one the acknowledgement. */
void sync_settle(struct hf_sync *sync, uint64_t until_us);

/* sync_http.c */
int sync_http_init(struct hf_sync *sync, struct hf_err *err) HF_MUST_CHECK;
void sync_http_fini(struct hf_sync *sync);
/* Asks for the state; sync->answer has what came. */
enum sync_outcome sync_http_get(struct hf_sync *sync);
/* Tries to deliver sync->ack. */
void sync_http_ack(struct hf_sync *sync);
/* Until the time has passed, or somebody asks or stops. */
void sync_http_sleep(struct hf_sync *sync, uint64_t us);
void sync_http_wake(struct hf_sync *sync);

/* sync_take.c; the lock is held */
/* A text from SOURCE: good, then it is in force and kept; else REFUSED with an acknowledgement that
 * says why. */
enum sync_outcome sync_take(
	struct hf_sync *sync, const char *text, size_t len, const char *source, const char *etag);
/* What arrived was no document at all. */
void sync_take_refuse(struct hf_sync *sync, const char *etag, const char *reason);
void sync_take_free_all(struct hf_sync *sync);
/* In force again. */
void sync_take_again(struct hf_sync *sync, uint32_t kept);
/* The current one with what operator and registry say now. */
void sync_take_publish(struct hf_sync *sync);

/* sync_purge.c */
/* The sync thread, or with the lock. */
bool sync_purge_is_left(struct hf_sync *sync);
/* The sync thread, without the lock. False: some are left. */
bool sync_purge_run(struct hf_sync *sync, uint64_t until_us);

#endif
