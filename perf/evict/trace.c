/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hf_bytes.h"

#define TRACE_RECORD_LEN 24 /* oracleGeneral: u32 time, u64 id, u32 size, i64 next access */
#define TRACE_LINE_MAX   256

/* ids to numbers: open addressing, number + 1 in the slot */
struct trace_build {
	uint64_t *ids; /* by number */
	uint32_t *slots;
	uint64_t slot_mask;
	uint64_t requests_cap, objects_cap;
	struct trace trace;
};

static void *trace_grow(void *block, uint64_t count, size_t size)
{
	void *grown = reallocarray(block, count, size);

	HF_ASSERT(grown != NULL);
	return grown;
}

static uint64_t trace_mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

struct trace_build *trace_build_new(void)
{
	struct trace_build *build = calloc(1, sizeof(*build));

	HF_ASSERT(build != NULL);
	build->slot_mask = (1 << 16) - 1;
	build->slots = calloc(build->slot_mask + 1, sizeof(*build->slots));
	HF_ASSERT(build->slots != NULL);
	return build;
}

static uint32_t *trace_slot(const struct trace_build *build, uint64_t id)
{
	uint64_t at = trace_mix(id) & build->slot_mask;

	while (build->slots[at] != 0 && build->ids[build->slots[at] - 1] != id)
		at = (at + 1) & build->slot_mask;
	return &build->slots[at];
}

static void trace_rehash(struct trace_build *build)
{
	free(build->slots);
	build->slot_mask = build->slot_mask * 2 + 1;
	build->slots = calloc(build->slot_mask + 1, sizeof(*build->slots));
	HF_ASSERT(build->slots != NULL);
	for (uint32_t i = 0; i < build->trace.objects; i++)
		*trace_slot(build, build->ids[i]) = i + 1;
}

static uint32_t trace_number(struct trace_build *build, uint64_t id, uint64_t size)
{
	struct trace *trace = &build->trace;
	uint32_t *slot = trace_slot(build, id);

	if (*slot != 0)
		return *slot - 1;
	HF_ASSERT(trace->objects < UINT32_MAX - 1);
	if (trace->objects == build->objects_cap) {
		build->objects_cap = build->objects_cap * 2 + 1024;
		build->ids = trace_grow(build->ids, build->objects_cap, sizeof(*build->ids));
		trace->size = trace_grow(trace->size, build->objects_cap, sizeof(*trace->size));
	}
	build->ids[trace->objects] = id;
	trace->size[trace->objects] = size;
	*slot = ++trace->objects;
	if (trace->objects > build->slot_mask / 2)
		trace_rehash(build);
	return trace->objects - 1;
}

void trace_build_add(struct trace_build *build, uint64_t id, uint64_t size)
{
	struct trace *trace = &build->trace;

	if (trace->count == build->requests_cap) {
		build->requests_cap = build->requests_cap * 2 + 4096;
		trace->requests =
			trace_grow(trace->requests, build->requests_cap, sizeof(*trace->requests));
	}
	trace->requests[trace->count++] = trace_number(build, id, size);
}

void trace_build_end(struct trace_build *build, const char *name, struct trace *ret_trace)
{
	snprintf(build->trace.name, sizeof(build->trace.name), "%s", name);
	*ret_trace = build->trace;
	free(build->ids);
	free(build->slots);
	free(build);
}

void trace_fini(struct trace *trace)
{
	free(trace->requests);
	free(trace->size);
}

static bool trace_ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static uint64_t trace_le(const uint8_t *at, int len)
{
	uint64_t value = 0;

	while (len-- > 0)
		value = value << 8 | at[len];
	return value;
}

static int trace_read_oracle(FILE *file, uint64_t max, struct trace_build *build)
{
	uint8_t record[TRACE_RECORD_LEN];
	size_t got = 0;

	while (build->trace.count < max) {
		got = fread(record, 1, sizeof(record), file);
		if (got < sizeof(record))
			break;
		trace_build_add(build, trace_le(record + 4, 8), trace_le(record + 12, 4));
		got = 0;
	}
	return got == 0 ? 0 : -EBADMSG;
}

/* A number is itself, any other word its hash. */
static uint64_t trace_id(const char *word)
{
	char *end;
	uint64_t id = strtoull(word, &end, 10);

	if (*end == '\0')
		return id;
	for (id = 0; *word; word++)
		id = trace_mix(id + 1 + (uint8_t)*word);
	return id;
}

static int trace_read_lines(
	FILE *file, const struct trace_spec *spec, uint64_t max, struct trace_build *build)
{
	char line[TRACE_LINE_MAX];

	while (build->trace.count < max && fgets(line, sizeof(line), file)) {
		char none[] = "", *save, *end = none;
		char *id = strtok_r(line, " \t,\r\n", &save);
		char *size = id ? strtok_r(NULL, " \t,\r\n", &save) : NULL;
		uint64_t len = size ? strtoull(size, &end, 10) : spec->size;

		if (!id || id[0] == '#')
			continue;
		if (*end != '\0')
			return -EBADMSG;
		trace_build_add(build, trace_id(id), len);
	}
	return 0;
}

int trace_read(const char *path, const struct trace_spec *spec, struct trace *ret_trace)
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	uint64_t max = spec->requests ? spec->requests : UINT64_MAX;
	FILE *file = fopen(path, "rb");
	struct trace_build *build;
	struct trace trace;
	int err;

	if (!file) {
		err = -errno;
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return err;
	}
	build = trace_build_new();
	if (trace_ends_with(path, ".bin") || trace_ends_with(path, ".oracleGeneral"))
		err = trace_read_oracle(file, max, build);
	else
		err = trace_read_lines(file, spec, max, build);
	fclose(file);
	trace_build_end(build, base, &trace);
	if (err == 0 && trace.count == 0)
		err = -ENODATA;
	if (err != 0) {
		fprintf(stderr, "%s: after %lu requests: %s\n", path, (unsigned long)trace.count,
			strerror(-err));
		trace_fini(&trace);
		return err;
	}
	*ret_trace = trace;
	return 0;
}
