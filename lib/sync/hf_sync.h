/* SPDX-License-Identifier: BSD-3-Clause
 *
 * sync - gets the state from the control plane, keeps the last good one, and tells when to live on
 * it.
 *
 * What      GET {url}/v1/nodes/{node}/state with If-None-Match every interval; what comes is
 *           checked as a whole, handed to the application, written to the state file, and
 *           acknowledged by POST {url}/v1/nodes/{node}/ack {"version", "status":
 *           "applied"|"rejected", "errors": []}.
 * Picture
 *      200, good -> apply -> history, state file -> purges -> ack GOOD    \
 *      304, or the same document again                            GOOD     \  lib/fallback
 *      200 with a bad document -> NACK with every reason          REFUSED   > -> mode word (lcores,
 *      any other status below 500                                 REFUSED  /     origin threads)
 *      5xx, timeout, refused, reset, dns, tls                     FAILED  /
 * Threads   boot: new, boot, free. The sync thread: run. control: the rest, none of which waits for
 *           the network. apply is called from either, one at a time; purge from the sync thread
 *           only.
 * Promises  Y1 a bad document changes nothing.  Y2 what was acknowledged as applied is in force
 *           and, unless the disk failed (logged, counted), in the state file.  Y3 a version that
 *           the operator rolled back stays away until the control plane says something else.  Y4 a
 *           purge of a document is carried out once, by its id, and again where that is in doubt; a
 *           document is acknowledged when its purges are carried out, and an expired state stays so
 *           until then.  Y5 however many origins register in between, a tick builds one state, and
 *           none where nothing changed.
 * Limits    the HF_SYNC_HISTORY last documents are kept, of at most 8 MiB each; of purges 4096 ids
 *           are remembered.
 * Tests     tests/unit/sync, tests/system/test_control_plane.py
 */
#ifndef HF_SYNC_H
#define HF_SYNC_H

#include <stdatomic.h>

#include "hf_base.h"
#include "hf_conf.h"
#include "hf_fallback.h"
#include "hf_registry.h"
#include "hf_state.h"
#include "hf_state_overlay.h"

#define HF_SYNC_HISTORY 5

struct hf_sync_cfg {
	const struct hf_conf *conf;
	/* STATE is in force from now on; to keep it, take a reference. */
	void (*apply)(void *arg, struct hf_state *state);
	/* Carries it out, and comes back when it is. -errno: it is to be tried again. */
	int (*purge)(void *arg, const struct hf_state_purge *purge);
	void *arg;
	_Atomic uint32_t *mode;       /* enum hf_mode */
	struct hf_registry *registry; /* NULL: none */
};

struct hf_sync;

/* boot */
int hf_sync_new(
	const struct hf_sync_cfg *cfg, struct hf_err *err, struct hf_sync **ret_sync) HF_MUST_CHECK;
/* The first state: the control plane's if it answers in time, else the state file's, else that of
 * bootstrap_state. Tells the log where it came from, or that there is none. */
void hf_sync_boot(struct hf_sync *sync);
/* After run has returned. */
void hf_sync_free(struct hf_sync *sync);

/* The sync thread: until hf_sync_stop. Without a control plane it only sleeps. */
void hf_sync_run(struct hf_sync *sync);
/* control: run returns soon. */
void hf_sync_stop(struct hf_sync *sync);

/* control, one after the other: the thread goes by CONF soon; what lib/conf calls BOOT is as
 * before. */
void hf_sync_conf_set(struct hf_sync *sync, const struct hf_conf *conf);
/* control: it does, and needs no earlier one any more. */
bool hf_sync_conf_is(struct hf_sync *sync, const struct hf_conf *conf);
/* control: asks now instead of at the end of the interval. */
void hf_sync_now(struct hf_sync *sync);
/* control: ON, OFF or AUTO, which without a control plane ends it. */
void hf_sync_hold(struct hf_sync *sync, enum hf_fallback_event event);
/* control: back to a version of the history. -ENOENT: it is not there. */
int hf_sync_rollback(struct hf_sync *sync, const char *version, struct hf_err *err) HF_MUST_CHECK;
/* control: what the operator says about origins, in this state and those that follow. -EINVAL:
 * every reason on `errors`. */
int hf_sync_origin_change(struct hf_sync *sync, enum hf_state_change change, const char *group,
	const char *origin, FILE *errors) HF_MUST_CHECK;
/* control, a few times a second, and when the registry changed: what registered, went or expired
 * takes effect, all of it at once; the first change at once, those after it 50 ms later. Returns
 * when it wants to be called again; UINT64_MAX: nothing waits. */
uint64_t hf_sync_tick(struct hf_sync *sync, uint64_t now_us);
/* control: what is in force, with the operator's changes; a reference. NULL: nothing. */
struct hf_state *hf_sync_state(struct hf_sync *sync);

struct hf_sync_version {
	char version[HF_STATE_VERSION_MAX + 1];
	const char *source;
	int64_t applied_s; /* Unix time */
	uint32_t origins, routes;
	bool current;
};

struct hf_sync_info {
	const char *fallback; /* the machine's state */
	uint32_t mode;
	uint64_t fallback_us; /* in fallback since start */
	int64_t good_age_ms;  /* since the last good answer; -1: none yet */
	const char *last;     /* what came of the last question */
	uint32_t version_count;
	struct hf_sync_version version[HF_SYNC_HISTORY]; /* the latest first */
};

/* control */
void hf_sync_info(struct hf_sync *sync, struct hf_sync_info *ret_info);
/* control: the document in force as it was received; to be freed. NULL: there is none. */
char *hf_sync_document(struct hf_sync *sync);

#endif
