/* SPDX-License-Identifier: BSD-3-Clause
 *
 * registry_rig - a registry whose clock is a variable, a state in force, and requests as the listener hands them
 * over.
 */
#ifndef REGISTRY_RIG_H
#define REGISTRY_RIG_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "hf_stat.h"
#include "registry_priv.h"

#define RR_SECRET "0123456789abcdef"
#define RR_S      1000000ULL

extern struct hf_registry *rr;
extern uint64_t rr_now_us;
extern struct hf_state *rr_state; /* in force */

/* Has the secret, and a document with an origin "d" of group "g", and a group "h" without any. */
void rr_setup(void);
void rr_teardown(void);
/* What is given becomes a state, as lib/sync does it. */
void rr_publish(void);
/* Of group "g"; NULL: there is none in force. */
const struct hf_state_origin *rr_in_force(const char *id);

/* The status; rr_answer has the rest, rr_body its body. */
extern struct hf_admin_answer rr_answer;
extern char rr_body[1 << 20];
unsigned rr_ask_as(
	const char *authorization, const char *method, const char *path, const char *body);
unsigned rr_ask(const char *method, const char *path, const char *body);
/* The last answer may go; it goes, what it says then. */
bool rr_is_due(void);
const char *rr_released(const char *path);
/* PUT of g/ID with that URL and ttl. */
unsigned rr_put(const char *id, const char *url, uint32_t ttl_s);

#endif
