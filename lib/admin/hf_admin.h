/* SPDX-License-Identifier: BSD-3-Clause
 *
 * admin - the admin listener: HTTP for operators and origins, answered from a table of resources.
 *
 * What      Whoever has something to show or to be told gives resources to the application, which
 *           hands them all over here.
 * Picture
 *      lib/metrics  --resources--+
 *                                +--> hf_admin_new --> libmicrohttpd's thread: head -> [body]
 *                                |                                                  -> answer
 *      lib/registry --resources--+
 * Threads   boot: new, free. Any: release. The functions of resources are called from the
 *           listener's one thread, and hold it up.
 * Promises  A1 without an address there is no thread and no socket.  A2 whatever a client does,
 *           memory is bounded, and the next client is answered: for a connection too many the one
 *           that has been without a request longest is cut.  A3 a body is not waited for where the
 *           head is refused.  A4 what no resource takes is a 4xx that says why, counted and told to
 *           the log.  A5 an answer may be held until what it says is so: that holds up nobody else.
 * Limits    64 connections, 32 from one address; heads of 16 KiB, bodies of body_max; 10 s of
 *           silence; an answer is held for HF_ADMIN_HOLD_US.
 * Tests     tests/unit/admin
 */
#ifndef HF_ADMIN_H
#define HF_ADMIN_H

#include "hf_base.h"

#define HF_ADMIN_HOLD_US 1000000

struct hf_admin;

struct hf_admin_request {
	const char *method;
	const char *path; /* as it came, without the query */
	bool has_query;
	const char *authorization; /* the field; NULL: there is none, or more than one */
	const char *peer;          /* ADDRESS:PORT */
	struct hf_span body;       /* in `answer` */
	bool too_large;            /* more than body_max came, or will: there is no body to see */
};

struct hf_admin_answer {
	unsigned status; /* 0: none yet */
	const char *type;
	char *body; /* of malloc; goes over to the listener */
	size_t len;
	const char *field, *value; /* one more field of the head; NULL: none */
	uint64_t due;              /* not 0: it is held until hf_admin_release names as much */
};

typedef void (*hf_admin_fn)(
	void *arg, const struct hf_admin_request *request, struct hf_admin_answer *ret_answer);

struct hf_admin_resource {
	const char *path;
	bool below;       /* what is below PATH belongs to it, too */
	bool any_method;  /* `answer` knows which; else GET and HEAD */
	size_t body_max;  /* 0: no body, which is 413 */
	hf_admin_fn head; /* may refuse before a body is read; NULL: never */
	hf_admin_fn answer;
	hf_admin_fn released; /* what was held goes now: may change it; NULL: it goes as it is */
	void *arg;
};

struct hf_admin_cfg {
	const char *listen; /* ADDRESS:PORT, as lib/conf checks it; "" nowhere */
	const struct hf_admin_resource *resource; /* lives on */
	size_t resource_count;
};

/* boot. With listen "" NULL. An address that cannot be had is an error. */
int hf_admin_new(const struct hf_admin_cfg *cfg, struct hf_err *err,
	struct hf_admin **ret_admin) HF_MUST_CHECK;
/* Answers that are due at UPTO or before go, and those that were held long enough. NULL is
 * nothing. */
void hf_admin_release(struct hf_admin *admin, uint64_t upto, uint64_t now_us);
/* NULL is nothing. */
void hf_admin_free(struct hf_admin *admin);

#endif
