/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_sync.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "hf_log.h"
#include "hf_stat.h"
#include "hf_state_file.h"
#include "sync_priv.h"

/* Replaces what was not delivered: the control plane wants to know how it stands now. Takes
 * ERRORS. */
static void take_acknowledge(
	struct hf_sync *sync, const char *version, bool applied, json_t *errors)
{
	json_t *ack = json_pack("{s:s%, s:s, s:o}", "version", version, strlen(version), "status",
		applied ? "applied" : "rejected", "errors", errors);

	free(sync->ack);
	sync->ack = ack ? json_dumps(ack, JSON_COMPACT) : NULL;
	json_decref(ack);
}

/* W/"v1" and "v1" -> v1 */
static void take_version(const char *etag, char *ret_version, size_t cap)
{
	const char *begin = strchr(etag, '"'), *end = strrchr(etag, '"');

	ret_version[0] = '\0';
	if (begin && end > begin)
		(void)snprintf(ret_version, cap, "%.*s", (int)(end - begin - 1), begin + 1);
}

/* Reasons, a line each. */
static void take_refused(struct hf_sync *sync, const char *etag, char *reasons)
{
	json_t *errors = json_array();
	char version[SYNC_ETAG_MAX];
	size_t count = 0;

	hf_stat_inc(HF_STAT_STATE_REJECTED);
	hf_stat_inc(HF_STAT_CLIENT_ERRORS_STATE);
	for (char *line = reasons, *end; line && *line; line = end + 1, count++) {
		end = line + strcspn(line, "\n");
		if (count < SYNC_ERRORS_MAX) {
			hf_log(HF_LOG_WARN, "sync", "client_error: state refused: %.*s",
				(int)(end - line), line);
			(void)json_array_append_new(
				errors, json_stringn(line, (size_t)(end - line)));
		}
		if (!*end)
			break;
	}
	take_version(etag, version, sizeof(version));
	take_acknowledge(sync, version, /* applied= */ false, errors);
}

void sync_take_refuse(struct hf_sync *sync, const char *etag, const char *reason)
{
	char line[256];

	(void)snprintf(line, sizeof(line), "%s", reason);
	take_refused(sync, etag, line);
}

static void take_free(struct sync_kept *kept)
{
	hf_state_unref(kept->state);
	free(kept->text);
}

void sync_take_free_all(struct hf_sync *sync)
{
	while (sync->kept_count > 0)
		take_free(&sync->kept[--sync->kept_count]);
	hf_state_unref(sync->in_force);
	free(sync->ack);
}

static void take_save(struct hf_sync *sync, const struct sync_kept *kept)
{
	const char *file = sync->cfg.conf->control_plane.state_file;
	struct hf_err err;

	if (!*file || hf_state_file_save(file, kept->text, kept->len, &err) == 0)
		return;
	hf_stat_inc(HF_STAT_STATE_FILE_ERRORS);
	hf_log(HF_LOG_ERROR, "sync", "internal_error: %s", err.text);
}

/* The document was parsed before, and what is put into it makes it no bad one. */
static struct hf_state *take_merged(const struct hf_sync *sync, const struct sync_kept *kept)
{
	struct hf_state *state = NULL;
	char *reasons = NULL;
	size_t reasons_len = 0;
	FILE *errors;
	int rc;

	if (hf_state_overlay_is_empty(sync->overlay))
		return hf_state_ref(kept->state);
	errors = open_memstream(&reasons, &reasons_len);
	HF_ASSERT(errors);
	rc = hf_state_parse_with(kept->text, kept->len, sync->overlay, errors, &state);
	(void)fclose(errors);
	HF_ASSERT(rc == 0);
	free(reasons);
	return state;
}

void sync_take_publish(struct hf_sync *sync)
{
	struct hf_registry *registry = sync->cfg.registry;
	struct hf_state *state;

	if (registry && hf_registry_give(registry, sync->overlay) != 0)
		hf_stat_inc(HF_STAT_INTERNAL_ERRORS_MEMORY); /* a later tick tries again */
	state = take_merged(sync, &sync->kept[sync->current]);
	sync->cfg.apply(sync->cfg.arg, state);
	hf_state_overlay_settle(sync->overlay, state);
	if (registry)
		hf_registry_settle(registry, state);
	hf_state_unref(sync->in_force);
	sync->in_force = state;
}

void sync_take_again(struct hf_sync *sync, uint32_t kept)
{
	HF_ASSERT(kept < sync->kept_count);
	sync->current = kept;
	sync->kept[kept].applied_s = hf_clock_unix_s();
	sync_take_publish(sync);
	hf_stat_inc(HF_STAT_STATE_APPLIED);
	hf_log(HF_LOG_INFO, "sync", "state \"%s\" is in force, from %s",
		sync->kept[kept].state->version, sync->kept[kept].source);
	if (*sync->cfg.conf->control_plane.url)
		take_save(sync, &sync->kept[kept]);
}

static void take_keep(struct hf_sync *sync, const struct sync_kept *kept)
{
	if (sync->kept_count == HF_SYNC_HISTORY) {
		struct sync_kept *oldest = &sync->kept[--sync->kept_count];

		if (!oldest->purged)
			hf_log(HF_LOG_ERROR, "sync",
				"internal_error: purges of state \"%s\" were never carried out",
				oldest->state->version);
		take_free(oldest);
	}
	memmove(sync->kept + 1, sync->kept, sync->kept_count * sizeof(*kept));
	sync->kept[0] = *kept;
	sync->kept_count++;
}

/* The same document as the latest: nothing to do, whichever is in force (Y3). */
static bool take_is_known(const struct hf_sync *sync, const char *text, size_t len)
{
	return sync->kept_count > 0 && sync->kept[0].len == len &&
	       memcmp(sync->kept[0].text, text, len) == 0;
}

enum sync_outcome sync_take(
	struct hf_sync *sync, const char *text, size_t len, const char *source, const char *etag)
{
	struct sync_kept kept = { .len = len, .source = source };
	char *reasons = NULL;
	size_t reasons_len = 0;
	FILE *errors;
	int rc;

	if (take_is_known(sync, text, len))
		return SYNC_SAME;
	errors = open_memstream(&reasons, &reasons_len);
	HF_ASSERT(errors);
	rc = hf_state_parse(text, len, errors, &kept.state);
	(void)fclose(errors);
	if (rc) {
		take_refused(sync, etag, reasons);
		free(reasons);
		return SYNC_REFUSED;
	}
	free(reasons);
	kept.text = malloc(len + 1);
	HF_ASSERT(kept.text);
	memcpy(kept.text, text, len);
	kept.text[len] = '\0';
	kept.purged = kept.state->purge_count == 0;
	hf_stat_add(HF_STAT_STATE_UNKNOWN_FIELDS, kept.state->unknown_fields);
	take_keep(sync, &kept);
	sync_take_again(sync, 0);
	take_acknowledge(sync, kept.state->version, /* applied= */ true, json_array());
	return SYNC_DOCUMENT;
}
