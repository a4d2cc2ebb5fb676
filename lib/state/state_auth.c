/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Auth flows and revoked credentials: checked, then built.
 */
#include "hf_state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hf_auth.h"
#include "hf_http.h"
#include "hf_siphash.h"
#include "state_priv.h"

#define AUTH_SECONDS_MAX   86400LL
#define AUTH_TIMEOUT_MAX   60000LL /* ms */
#define AUTH_NEGATIVE_S    10
#define AUTH_TIMEOUT_MS    1000
#define AUTH_CHALLENGE_MAX 255
#define AUTH_NAME_MAX      64

static const char *const auth_in[] = { [HF_STATE_HEADER] = "header",
	[HF_STATE_COOKIE] = "cookie",
	[HF_STATE_QUERY] = "query",
	[HF_STATE_MTLS] = "mtls" };
static const char *const auth_share[] = { [HF_STATE_SHARE_EXPLICIT] = "explicit",
	[HF_STATE_SHARE_NONE] = "none",
	[HF_STATE_SHARE_ANY] = "any" };
static const char *const auth_methods[] = { "GET", "HEAD", "POST" };
static const char *const auth_tell[] = { "method", "host", "path", "query" }; /* bits, in turn */

/* Where TEXT is among COUNT words; COUNT: nowhere. */
static uint32_t auth_word(const char *const *words, uint32_t count, const char *text)
{
	uint32_t at = 0;

	while (at < count && (!text || strcmp(words[at], text) != 0))
		at++;
	return at;
}

/* ---- checks ---- */

/* A word of a list under KEY, which need not be there unless MUST. */
static void auth_check_word(struct state_check *check, const char *path, const json_t *object,
	const char *key, bool must, const char *const *words, uint32_t count)
{
	const json_t *value = json_object_get(object, key);
	char allowed[64] = "";
	size_t len = 0;

	if ((!value && !must) || auth_word(words, count, json_string_value(value)) < count)
		return;
	for (uint32_t i = 0; i < count; i++)
		len += (size_t)snprintf(allowed + len, sizeof(allowed) - len, "%s%s",
			i == 0           ? ""
			: i == count - 1 ? " or "
					 : ", ",
			words[i]);
	state_check_refuse(check, path, key, value, allowed);
}

/* A field that a flow may set, take away or send along: none that frames a message, asks for a
 * part, or is ours to say. */
static bool auth_is_field(const char *name)
{
	struct hf_span span = { name, strlen(name) };

	if (span.len > AUTH_NAME_MAX || !hf_http_is_token(span) ||
		strncasecmp(name, "x-forwarded-", 12) == 0)
		return false;
	switch (hf_http_field_lookup(span)) {
	case HF_HTTP_FIELD_OTHER:
	case HF_HTTP_FIELD_AUTHORIZATION:
	case HF_HTTP_FIELD_COOKIE:
	case HF_HTTP_FIELD_X_AUTH_TOKEN:
	case HF_HTTP_FIELD_X_API_KEY:
	case HF_HTTP_FIELD_X_CSRF_TOKEN:
	case HF_HTTP_FIELD_USER_AGENT:
	case HF_HTTP_FIELD_REFERER:
	case HF_HTTP_FIELD_ACCEPT_LANGUAGE:
		return true;
	default:
		return false;
	}
}

static void auth_check_field(struct state_check *check, const char *path, const json_t *object,
	const char *key, bool must)
{
	const json_t *value = json_object_get(object, key);

	if ((!value && !must) || (json_is_string(value) && auth_is_field(json_string_value(value))))
		return;
	state_check_refuse(check, path, key, value, "the name of a field that a flow may have");
}

/* A list of at most HF_STATE_NAMES_MAX that FITS. */
static void auth_check_list(struct state_check *check, const char *path, const json_t *object,
	const char *key, bool (*fits)(const char *), const char *allowed)
{
	const json_t *list = json_object_get(object, key);
	bool good = !list || (json_is_array(list) && json_array_size(list) <= HF_STATE_NAMES_MAX);

	for (size_t i = 0; good && i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		good = text && fits(text);
	}
	if (!good)
		state_check_refuse(check, path, key, list, allowed);
}

static bool auth_is_tell(const char *text)
{
	return auth_word(auth_tell, HF_ARRAY_LEN(auth_tell), text) < HF_ARRAY_LEN(auth_tell);
}

/* ADDRESS or ADDRESS/BITS; IPv4 as ::ffff:a.b.c.d. */
static bool auth_parse_net(const char *text, struct hf_state_net *ret_net)
{
	char address[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "/");
	struct hf_state_net net = { .ip = { [10] = 0xff, [11] = 0xff } };
	unsigned long bits;
	char *end;
	bool is4;

	if (len >= sizeof(address))
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	is4 = inet_pton(AF_INET, address, net.ip + 12) == 1;
	if (!is4 && inet_pton(AF_INET6, address, net.ip) != 1)
		return false;
	net.bits = 128;
	if (text[len] == '/') {
		bits = strtoul(text + len + 1, &end, 10);
		if (text[len + 1] < '0' || text[len + 1] > '9' || *end || bits > (is4 ? 32 : 128))
			return false;
		net.bits = (uint32_t)bits + (is4 ? 96 : 0);
	}
	*ret_net = net;
	return true;
}

static bool auth_is_net(const char *text)
{
	struct hf_state_net net;

	return auth_parse_net(text, &net);
}

static bool auth_is_token(const char *text)
{
	struct hf_span span = { text, strlen(text) };

	return span.len <= AUTH_NAME_MAX && hf_http_is_token(span);
}

/* One whose value logs and operators never see. */
static bool auth_is_parameter(const char *name)
{
	char query[AUTH_NAME_MAX + 8];
	int len = snprintf(query, sizeof(query), "/?%s=x", name);

	return auth_is_token(name) &&
	       hf_http_query_has_secret((struct hf_span){ query, (size_t)len });
}

static void auth_check_credential(
	struct state_check *check, const json_t *credential, const char *flow_path)
{
	static const char *const known[] = { "in", "name", "from", NULL };
	const char *in = json_string_value(json_object_get(credential, "in"));
	const char *name = json_string_value(json_object_get(credential, "name"));
	bool is_mtls = in && strcmp(in, "mtls") == 0;
	bool is_field = is_mtls || (in && strcmp(in, "header") == 0);
	char path[STATE_PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s.credential", flow_path);
	if (!json_is_object(credential)) {
		state_check_refuse(check, path, "", credential, "an object with in and name");
		return;
	}
	state_check_unknown(check, credential, known);
	auth_check_word(
		check, path, credential, "in", /* must= */ true, auth_in, HF_ARRAY_LEN(auth_in));
	if (is_field)
		auth_check_field(check, path, credential, "name", /* must= */ true);
	else if (in && strcmp(in, "query") == 0 && !(name && auth_is_parameter(name)))
		state_check_refuse(check, path, "name", json_object_get(credential, "name"),
			"a parameter that is known to be secret (cache.secret_parameters)");
	else if (!name || !auth_is_token(name))
		state_check_refuse(check, path, "name", json_object_get(credential, "name"),
			"the name of a cookie: 1 to 64 characters of a token");
	if (is_mtls ? json_array_size(json_object_get(credential, "from")) == 0
		    : json_object_get(credential, "from") != NULL)
		state_check_refuse(check, path, "from", json_object_get(credential, "from"),
			is_mtls ? "the addresses of those who may say so"
				: "nothing, but for mtls");
	else
		auth_check_list(check, path, credential, "from", auth_is_net,
			"at most 8 of ADDRESS[/BITS]");
}

static void auth_check_service(
	struct state_check *check, const json_t *service, const char *flow_path)
{
	static const char *const known[] = { "group", "path", "method", "send_as", "timeout_ms",
		"tell", "headers", NULL };
	const char *group, *url_path = NULL;
	char path[STATE_PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s.service", flow_path);
	if (!json_is_object(service)) {
		state_check_refuse(check, path, "", service, "an object with a group");
		return;
	}
	state_check_unknown(check, service, known);
	group = state_check_string(check, path, service, "group");
	if (group && !json_object_get(check->groups, group))
		state_check_refuse(check, path, "group", json_object_get(service, "group"),
			"the group of an origin, or one of groups");
	if (json_object_get(service, "path"))
		url_path = state_check_string(check, path, service, "path");
	if (url_path && (url_path[0] != '/' || strchr(url_path, '#')))
		state_check_refuse(check, path, "path", json_object_get(service, "path"),
			"a path that begins with /");
	auth_check_word(check, path, service, "method", /* must= */ false, auth_methods,
		HF_ARRAY_LEN(auth_methods));
	auth_check_field(check, path, service, "send_as", /* must= */ false);
	(void)state_check_number(
		check, path, service, "timeout_ms", 10, AUTH_TIMEOUT_MAX, "milliseconds");
	auth_check_list(check, path, service, "tell", auth_is_tell,
		"a list of method, host, path and query");
	auth_check_list(check, path, service, "headers", auth_is_field,
		"at most 8 names of fields that a flow may have");
}

/* With fields that are each user's own, answers are too: Vary does not see them. */
static void auth_check_share(struct state_check *check, const json_t *flow, const char *path)
{
	const char *share = json_string_value(json_object_get(flow, "share"));
	const json_t *add = json_object_get(json_object_get(flow, "allow"), "add");

	auth_check_word(check, path, flow, "share", /* must= */ false, auth_share,
		HF_ARRAY_LEN(auth_share));
	if (share && strcmp(share, "any") == 0 && json_array_size(add) > 0)
		state_check_refuse(check, path, "share", json_object_get(flow, "share"),
			"none or explicit, where allow.add makes each user's request its own");
}

/* An object under KEY that need not be there. */
static const json_t *auth_check_object(struct state_check *check, const json_t *flow,
	const char *flow_path, const char *key, const char *const *known)
{
	const json_t *object = json_object_get(flow, key);

	if (object && !json_is_object(object))
		state_check_refuse(check, flow_path, key, object, "an object");
	if (!json_is_object(object))
		return NULL;
	state_check_unknown(check, object, known);
	return object;
}

static void auth_check_outcomes(
	struct state_check *check, const json_t *flow, const char *flow_path)
{
	static const char *const known_allow[] = { "add", "remove", NULL };
	static const char *const known_error[] = { "status", "fallback_ttl", NULL };
	const json_t *allow = auth_check_object(check, flow, flow_path, "allow", known_allow);
	const json_t *error = auth_check_object(check, flow, flow_path, "on_error", known_error);
	const json_t *status = json_object_get(error, "status");
	char path[STATE_PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s.allow", flow_path);
	auth_check_list(check, path, allow, "add", auth_is_field,
		"at most 8 names of fields that a flow may have");
	auth_check_list(check, path, allow, "remove", auth_is_field,
		"at most 8 names of fields that a flow may have");
	(void)snprintf(path, sizeof(path), "%s.on_error", flow_path);
	if (status && json_integer_value(status) != 503 && json_integer_value(status) != 403)
		state_check_refuse(check, path, "status", status, "503 or 403");
	if (error)
		(void)state_check_number(
			check, path, error, "fallback_ttl", 0, AUTH_SECONDS_MAX, "seconds");
}

static void auth_check_challenge(struct state_check *check, const json_t *flow, const char *path)
{
	const json_t *value = json_object_get(flow, "challenge");
	const char *text = json_string_value(value);
	size_t len = text ? strlen(text) : 0;
	bool good = len > 0 && len <= AUTH_CHALLENGE_MAX && text[0] != ' ' && text[len - 1] != ' ';

	for (size_t i = 0; good && i < len; i++)
		good = text[i] >= 0x20 && text[i] <= 0x7e;
	if (value && !good)
		state_check_refuse(
			check, path, "challenge", value, "1 to 255 printable characters of ASCII");
}

int state_check_flow(struct state_check *check, const json_t *flow, const char *path)
{
	static const char *const known[] = { "id", "credential", "cache", "service", "ttl",
		"negative_ttl", "allow", "on_error", "challenge", "share", NULL };
	const char *id, *cache;

	if (!json_is_object(flow)) {
		state_check_refuse(
			check, path, "", flow, "an object with id, credential, cache and service");
		return 0;
	}
	state_check_unknown(check, flow, known);
	id = state_check_string(check, path, flow, "id");
	cache = json_string_value(json_object_get(flow, "cache"));
	if (!cache || hf_auth_cache_of(cache) == HF_AUTH_CACHES)
		state_check_refuse(check, path, "cache", json_object_get(flow, "cache"),
			"agent_identity, agent_api_key, auth_gateway or authorization_check");
	auth_check_credential(check, json_object_get(flow, "credential"), path);
	auth_check_service(check, json_object_get(flow, "service"), path);
	(void)state_check_number(check, path, flow, "ttl", 1, AUTH_SECONDS_MAX, "seconds");
	(void)state_check_number(check, path, flow, "negative_ttl", 1, AUTH_SECONDS_MAX, "seconds");
	auth_check_outcomes(check, flow, path);
	auth_check_challenge(check, flow, path);
	auth_check_share(check, flow, path);
	if (!id)
		return 0;
	if (json_object_get(check->flows, id)) {
		state_check_refuse(check, path, "id", json_object_get(flow, "id"), "each id once");
		return 0;
	}
	return json_object_set_new(check->flows, id,
		       json_integer((json_int_t)json_object_size(check->flows))) == 0
		       ? 0
		       : -ENOMEM;
}

int state_check_revoked(struct state_check *check, const json_t *revoked, const char *path)
{
	uint8_t hash[HF_SHA256_LEN];

	if (!json_is_string(revoked) || !hf_sha256_parse(json_string_value(revoked), hash))
		state_check_refuse(
			check, path, "", revoked, "the SHA-256 of a credential: 64 digits");
	return 0;
}

/* ---- what was checked is built ---- */

static char *auth_copy(const json_t *object, const char *key, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(object, key));

	return strdup(text ? text : otherwise);
}

static uint32_t auth_number(const json_t *object, const char *key, uint32_t otherwise)
{
	const json_t *value = json_object_get(object, key);

	return value ? (uint32_t)json_integer_value(value) : otherwise;
}

static void auth_build_names(const json_t *list, struct hf_state_names *names)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		(void)snprintf(names->name[names->count++], sizeof(names->name[0]), "%s",
			json_string_value(json_array_get(list, i)));
}

static int auth_build_credential(struct hf_state_flow *flow, const json_t *credential)
{
	const json_t *from = json_object_get(credential, "from");
	const char *in = json_string_value(json_object_get(credential, "in"));

	flow->in = (enum hf_state_credential)auth_word(auth_in, HF_ARRAY_LEN(auth_in), in);
	flow->name = auth_copy(credential, "name", "");
	for (size_t i = 0; i < json_array_size(from); i++)
		HF_ASSERT(auth_parse_net(json_string_value(json_array_get(from, i)),
			&flow->from[flow->from_count++]));
	return flow->name ? 0 : -ENOMEM;
}

static int auth_build_service(struct hf_state *state, const struct state_check *check,
	struct hf_state_flow *flow, const json_t *service)
{
	const json_t *tell = json_object_get(service, "tell");
	const char *group = json_string_value(json_object_get(service, "group"));
	bool is_field = flow->in == HF_STATE_HEADER || flow->in == HF_STATE_MTLS;

	flow->group = &state->group[json_integer_value(json_object_get(check->groups, group))];
	flow->path = auth_copy(service, "path", "/");
	flow->method = auth_copy(service, "method", "GET");
	flow->send_as = auth_copy(service, "send_as", is_field ? flow->name : "X-Credential");
	flow->timeout_ms = auth_number(service, "timeout_ms", AUTH_TIMEOUT_MS);
	for (size_t i = 0; i < json_array_size(tell); i++)
		flow->tell |= 1U << auth_word(auth_tell, HF_ARRAY_LEN(auth_tell),
				      json_string_value(json_array_get(tell, i)));
	if (!tell && flow->cache == HF_AUTH_AUTHORIZATION_CHECK)
		flow->tell = HF_STATE_TELL_METHOD | HF_STATE_TELL_HOST | HF_STATE_TELL_PATH;
	auth_build_names(json_object_get(service, "headers"), &flow->headers);
	return flow->path && flow->method && flow->send_as ? 0 : -ENOMEM;
}

/* Of all that is said of it: decisions of another one are not its. */
static int auth_build_digest(struct hf_state_flow *flow, const json_t *from)
{
	static const struct hf_sipkey key = { 0 };
	char *text = json_dumps(from, JSON_COMPACT | JSON_SORT_KEYS);

	if (!text)
		return -ENOMEM;
	flow->digest = hf_siphash(&key, text, strlen(text)) | 1;
	free(text);
	return 0;
}

static int auth_build_flow(struct hf_state *state, const struct state_check *check,
	struct hf_state_flow *flow, const json_t *from)
{
	const json_t *allow = json_object_get(from, "allow");
	const json_t *error = json_object_get(from, "on_error");
	const char *share = json_string_value(json_object_get(from, "share"));

	flow->id = auth_copy(from, "id", "");
	flow->challenge = auth_copy(from, "challenge", "Bearer");
	flow->cache = hf_auth_cache_of(json_string_value(json_object_get(from, "cache")));
	flow->ttl_s = auth_number(from, "ttl", hf_auth_cache_ttl_s(flow->cache));
	flow->negative_ttl_s = auth_number(from, "negative_ttl", AUTH_NEGATIVE_S);
	flow->error_status = (uint16_t)auth_number(error, "status", 503);
	flow->fallback_ttl_s = auth_number(error, "fallback_ttl", 0);
	auth_build_names(json_object_get(allow, "add"), &flow->add);
	auth_build_names(json_object_get(allow, "remove"), &flow->remove);
	if (share)
		flow->share =
			(enum hf_state_share)auth_word(auth_share, HF_ARRAY_LEN(auth_share), share);
	if (!flow->id || !flow->challenge ||
		auth_build_credential(flow, json_object_get(from, "credential")) != 0 ||
		auth_build_service(state, check, flow, json_object_get(from, "service")) != 0)
		return -ENOMEM;
	return auth_build_digest(flow, from);
}

int state_build_auth(
	struct hf_state *state, const struct state_check *check, const json_t *document)
{
	const json_t *flows = json_object_get(document, "auth_flows");
	const json_t *revoked = json_object_get(document, "auth_revoked");
	int rc = 0;

	state->flow = calloc(json_array_size(flows) + 1, sizeof(*state->flow));
	state->revoked = calloc(json_array_size(revoked) + 1, sizeof(*state->revoked));
	if (!state->flow || !state->revoked)
		return -ENOMEM;
	for (size_t i = 0; rc == 0 && i < json_array_size(flows); i++)
		rc = auth_build_flow(
			state, check, &state->flow[state->flow_count++], json_array_get(flows, i));
	for (size_t i = 0; i < json_array_size(revoked); i++)
		HF_ASSERT(hf_sha256_parse(json_string_value(json_array_get(revoked, i)),
			state->revoked[state->revoked_count++]));
	return rc;
}

void state_free_auth(struct hf_state *state)
{
	for (uint32_t i = 0; i < state->flow_count; i++) {
		struct hf_state_flow *flow = &state->flow[i];

		free(flow->id);
		free(flow->name);
		free(flow->path);
		free(flow->method);
		free(flow->send_as);
		free(flow->challenge);
	}
	free(state->flow);
	free(state->revoked);
}

/* ---- questions ---- */

bool hf_state_is_revoked(const struct hf_state *state, const uint8_t hash[HF_SHA256_LEN])
{
	for (uint32_t i = 0; i < state->revoked_count; i++)
		if (memcmp(state->revoked[i], hash, HF_SHA256_LEN) == 0)
			return true;
	return false;
}

bool hf_state_flow_trusts(const struct hf_state_flow *flow, const uint8_t ip[16])
{
	for (uint32_t i = 0; i < flow->from_count; i++) {
		const struct hf_state_net *net = &flow->from[i];
		uint32_t bytes = net->bits / 8, rest = net->bits % 8;

		if (memcmp(net->ip, ip, bytes) == 0 &&
			(rest == 0 || ((net->ip[bytes] ^ ip[bytes]) >> (8 - rest)) == 0))
			return true;
	}
	return false;
}

const struct hf_state_route *hf_state_route_of_key(
	const struct hf_state *state, struct hf_span host, struct hf_span target)
{
	const char *query = memchr(target.ptr, '?', target.len);

	if (query)
		target.len = (size_t)(query - target.ptr);
	return hf_state_route_lookup(state, host, target);
}
