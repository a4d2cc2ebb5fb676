/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "hf_state_overlay.h"
#include "state_priv.h"

HF_STATIC_ASSERT(HF_STATE_URL_MAX == STATE_STRING_MAX, "every URL of an origin fits");

static const char *const registration_known[] = { "url", "weight", "ttl" };

static bool registration_knows(const char *key)
{
	for (size_t i = 0; i < HF_ARRAY_LEN(registration_known); i++)
		if (strcmp(registration_known[i], key) == 0)
			return true;
	return false;
}

/* What is misspelt must not be taken for what was left out. */
static void registration_check_keys(struct state_check *check, json_t *message)
{
	const char *key;
	json_t *value, *shown;

	json_object_foreach(message, key, value)
	{
		if (registration_knows(key))
			continue;
		shown = json_string(key);
		state_check_refuse(check, "$", "", shown, "url, weight and ttl, and no other key");
		json_decref(shown);
	}
}

static uint32_t registration_ttl_s(struct state_check *check, const json_t *message)
{
	const json_t *ttl = json_object_get(message, "ttl");

	if (!ttl)
		return HF_STATE_TTL_DEFAULT_S;
	if (!json_is_integer(ttl) || json_integer_value(ttl) < 1 ||
		json_integer_value(ttl) > HF_STATE_TTL_MAX_S)
		state_check_refuse(check, "$", "ttl", ttl, "1 to 86400 seconds");
	return (uint32_t)json_integer_value(ttl);
}

/* As an origin of a document, once it says where it belongs. */
static int registration_check(
	struct state_check *check, json_t *message, const char *group, const char *id)
{
	if (!json_is_object(message)) {
		state_check_refuse(check, "$", "", message, "an object with url, weight and ttl");
		return 0;
	}
	registration_check_keys(check, message);
	if (json_object_set_new(message, "group", json_string(group)) != 0 ||
		json_object_set_new(message, "id", json_string(id)) != 0)
		return -ENOMEM;
	return state_check_origin(check, message, "$");
}

static void registration_url(const char *url, char *ret_url)
{
	size_t len = strlen(url);

	HF_ASSERT(len > 0 && len <= HF_STATE_URL_MAX);
	memcpy(ret_url, url, len + 1);
	if (url[len - 1] == '/')
		ret_url[len - 1] = '\0';
}

int hf_state_registration_parse(const char *group, const char *id, struct hf_span text,
	FILE *errors, struct hf_state_registration *ret_registration)
{
	struct state_check check = { .errors = errors };
	json_t *message = NULL;
	const json_t *weight;
	uint32_t ttl_s = 0;
	int err;

	check.groups = json_object();
	check.origin_ids = json_object();
	err = check.groups && check.origin_ids ? state_json(text.ptr, text.len, &check, &message)
					       : -ENOMEM;
	if (err == 0)
		err = registration_check(&check, message, group, id);
	if (err == 0)
		ttl_s = registration_ttl_s(&check, message);
	if (err == 0 && check.error_count > 0)
		err = -EINVAL;
	if (err == 0) {
		weight = json_object_get(message, "weight");
		registration_url(
			json_string_value(json_object_get(message, "url")), ret_registration->url);
		ret_registration->weight = weight ? (uint32_t)json_integer_value(weight) : 1;
		ret_registration->ttl_s = ttl_s;
	}
	json_decref(check.groups);
	json_decref(check.origin_ids);
	json_decref(message);
	return err;
}
