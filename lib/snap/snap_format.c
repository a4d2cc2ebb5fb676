/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_snap.h"

#include <errno.h>
#include <string.h>

#include "hf_bytes.h"
#include "hf_siphash.h"

#include "snap_priv.h"

static const char format_magic[8] = "hfsnap\r\n";

/* By kind; the most and the least that a payload may have. */
static const struct {
	char name[4];
	size_t least, most;
} format_kinds[] = {
	[HF_SNAP_HEAD] = { "head", SNAP_HEAD_LEN, SNAP_HEAD_LEN },
	[HF_SNAP_OBJECT] = { "objt", HF_CACHE_RECORD_LEN, HF_SNAP_FRAME_MAX },
	[HF_SNAP_BODY] = { "body", 1, HF_SNAP_BODY_MAX },
	[HF_SNAP_END] = { "end.", SNAP_END_LEN, SNAP_END_LEN },
};

void snap_put_preamble(char *buf)
{
	memcpy(buf, format_magic, sizeof(format_magic));
	hf_store_be32(buf + sizeof(format_magic), HF_SNAP_VERSION);
}

int snap_check_preamble(const char *buf, struct hf_err *err)
{
	uint32_t version = hf_load_be32(buf + sizeof(format_magic));

	if (memcmp(buf, format_magic, sizeof(format_magic)) != 0)
		return hf_err_set(err, -EBADMSG, "no snapshot");
	if (version != HF_SNAP_VERSION)
		return hf_err_set(err, -EBADMSG, "a snapshot of version %u; known: %u", version,
			HF_SNAP_VERSION);
	return 0;
}

static uint64_t format_checksum(const char *buf, size_t len, const struct snap_seal *seal)
{
	struct hf_sipkey key = { (uint64_t)seal->saved_us, seal->number };

	return hf_siphash(&key, buf, len);
}

size_t snap_put_frame(char *buf, enum hf_snap_kind kind, size_t len, const struct snap_seal *seal)
{
	HF_ASSERT(len >= format_kinds[kind].least && len <= format_kinds[kind].most);
	hf_store_be32(buf, (uint32_t)len);
	memcpy(buf + 4, format_kinds[kind].name, 4);
	len += SNAP_FRAME_HEAD;
	hf_store_be64(buf + len, format_checksum(buf, len, seal));
	return len + SNAP_FRAME_TAIL;
}

bool snap_get_frame_head(const char *buf, size_t *ret_len, enum hf_snap_kind *ret_kind)
{
	size_t len = hf_load_be32(buf);

	for (size_t kind = 0; kind < HF_ARRAY_LEN(format_kinds); kind++) {
		if (memcmp(buf + 4, format_kinds[kind].name, 4) != 0)
			continue;
		*ret_len = len;
		*ret_kind = (enum hf_snap_kind)kind;
		return len >= format_kinds[kind].least && len <= format_kinds[kind].most;
	}
	return false;
}

bool snap_check_frame(const char *buf, size_t len, const struct snap_seal *seal)
{
	size_t sealed = SNAP_FRAME_HEAD + len;

	return hf_load_be64(buf + sealed) == format_checksum(buf, sealed, seal);
}
