/* SPDX-License-Identifier: BSD-3-Clause
 *
 * trace - a sequence of requests for objects of fixed sizes, read from a file or generated.
 *
 * What      Objects are numbered from 0 in order of first appearance, so that policies can keep
 *           what they know of each in arrays. An object has the size that its first request said.
 * Threads   one.
 * Lifetime  trace_fini gives everything back.
 * Limits    2^32 - 2 objects.
 */
#ifndef TRACE_H
#define TRACE_H

#include "hf_base.h"

struct trace {
	char name[64];
	uint32_t *requests; /* number of the object */
	uint64_t count;
	uint64_t *size; /* of each object's body, bytes */
	uint32_t objects;
};

/* What a generator is told; a file's reader takes `requests` as the most to read (0: all) and
 * `size` for lines without one. */
struct trace_spec {
	uint64_t requests;
	uint32_t objects;
	uint64_t seed;
	uint64_t size; /* of objects that are all alike */
};

/* Lines "id [size]", separated by blanks, tabs or a comma; id is any word, '#' begins a comment.
 * Or, when the name ends in .bin or .oracleGeneral, libCacheSim's records. 0, or a message on stderr
 * and -errno. */
int trace_read(const char *path, const struct trace_spec *spec, struct trace *ret_trace);
/* By name, see trace_gen_names; -ENOENT for others. */
int trace_gen(const char *name, const struct trace_spec *spec, struct trace *ret_trace);
/* Name and what it is, NULL after the last. */
const char *const *trace_gen_names(void);
void trace_fini(struct trace *trace);

/* For the two makers of traces. An object that is new gets SIZE; returns its number. */
struct trace_build;
struct trace_build *trace_build_new(void);
void trace_build_add(struct trace_build *build, uint64_t id, uint64_t size);
void trace_build_end(struct trace_build *build, const char *name, struct trace *ret_trace);

#endif
