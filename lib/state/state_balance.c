/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which origin of a group gets a request: "balance" and "affinity" of a group, checked, then built.
 */
#include "hf_state.h"

#include <string.h>

#include "state_priv.h"

#define BALANCE_ALPHA     1.0
#define BALANCE_ALPHA_MAX 100
#define BALANCE_CAP       65536
#define BALANCE_CAP_MAX   1048576 /* of a group, and of all together */
#define BALANCE_TTL_S     300
#define BALANCE_TTL_MAX_S 86400

static const char *const balance_names[] = {
	[HF_STATE_LEAST_LOADED] = "least_loaded",
	[HF_STATE_HASH] = "hash",
	[HF_STATE_PREFIX_AFFINITY] = "prefix_affinity",
};

const char *hf_state_balance_name(enum hf_state_balance balance)
{
	return balance_names[balance];
}

/* HF_ARRAY_LEN: none of them. What is not said is the first. */
static size_t balance_of(const json_t *value)
{
	const char *text = json_string_value(value);
	size_t i = 0;

	if (!value)
		return HF_STATE_LEAST_LOADED;
	while (i < HF_ARRAY_LEN(balance_names) && !(text && strcmp(text, balance_names[i]) == 0))
		i++;
	return i;
}

static uint32_t balance_cap(const json_t *affinity)
{
	const json_t *cap = json_object_get(affinity, "cap");

	return cap ? (uint32_t)json_integer_value(cap) : BALANCE_CAP;
}

static void balance_check_by(struct state_check *check, const json_t *affinity, const char *path)
{
	const json_t *by = json_object_get(affinity, "by");
	const char *text = json_string_value(by);

	if (by && !(text && (strcmp(text, "path") == 0 || strcmp(text, "body") == 0)))
		state_check_refuse(check, path, "by", by, "path or body");
}

static void balance_check_affinity(
	struct state_check *check, const json_t *affinity, const char *path)
{
	static const char *const known[] = { "by", "alpha", "cap", "ttl", NULL };
	const json_t *alpha = json_object_get(affinity, "alpha");

	state_check_unknown(check, affinity, known);
	balance_check_by(check, affinity, path);
	if (alpha && !(json_is_number(alpha) && json_number_value(alpha) >= 0 &&
			     json_number_value(alpha) <= BALANCE_ALPHA_MAX))
		state_check_refuse(check, path, "alpha", alpha, "0 to 100");
	state_check_number(check, path, affinity, "ttl", 0, BALANCE_TTL_MAX_S, "seconds");
	if (!state_check_number(check, path, affinity, "cap", 1, BALANCE_CAP_MAX, "prefixes"))
		return;
	check->affinity_caps += balance_cap(affinity);
	if (check->affinity_caps > BALANCE_CAP_MAX)
		state_check_refuse(check, path, "cap", json_object_get(affinity, "cap"),
			"at most 1048576 prefixes in all groups together");
}

void state_check_balance(struct state_check *check, const json_t *group, const char *path)
{
	const json_t *balance = json_object_get(group, "balance");
	const json_t *affinity = json_object_get(group, "affinity");
	size_t which = balance_of(balance);
	char at[STATE_PATH_MAX];

	(void)snprintf(at, sizeof(at), "%s.affinity", path);
	if (which == HF_ARRAY_LEN(balance_names))
		state_check_refuse(
			check, path, "balance", balance, "least_loaded, hash or prefix_affinity");
	else if (affinity && which != HF_STATE_PREFIX_AFFINITY)
		state_check_refuse(
			check, at, "", affinity, "nothing, unless balance is prefix_affinity");
	else if (affinity && !json_is_object(affinity))
		state_check_refuse(check, at, "", affinity, "an object of by, alpha, cap and ttl");
	else if (which == HF_STATE_PREFIX_AFFINITY)
		balance_check_affinity(check, affinity, at);
}

void state_build_balance(struct hf_state_group *group, const json_t *from)
{
	const json_t *affinity = json_object_get(from, "affinity");
	const json_t *alpha = json_object_get(affinity, "alpha");
	const json_t *ttl = json_object_get(affinity, "ttl");
	const char *by = json_string_value(json_object_get(affinity, "by"));

	group->balance = (enum hf_state_balance)balance_of(json_object_get(from, "balance"));
	group->affinity = (struct hf_state_affinity){
		.by_body = by && strcmp(by, "body") == 0,
		.alpha = alpha ? json_number_value(alpha) : BALANCE_ALPHA,
		.cap = balance_cap(affinity),
		.ttl_s = ttl ? (uint32_t)json_integer_value(ttl) : BALANCE_TTL_S,
	};
}
