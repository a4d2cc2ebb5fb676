/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A request of the admin listener, from its head to its answer.
 *
 *      head -> resource, method, `head` -- refused: answered at once, a body is not read
 *           -> body, up to body_max -> `answer` -- due later: the connection rests until
 *                                                  hf_admin_release
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin_priv.h"
#include "hf_log.h"
#include "hf_stat.h"

#define ADMIN_PEER_MAX (INET6_ADDRSTRLEN + 8)

struct admin_request {
	const struct hf_admin_resource *resource; /* NULL: there is none */
	bool has_body, too_large;
	size_t expected; /* of the body; SIZE_MAX: not known before its end */
	char *body;
	size_t len; /* that came */
	struct hf_admin_answer
		answer; /* status 0: none yet; its body is the request's until it is sent */
	/* while the answer is held, under the listener's lock */
	struct hf_list held_link;
	struct MHD_Connection *connection;
	uint64_t held_until_us;
};

static const char admin_text[] = "text/plain; charset=utf-8";
/* The dashboard is one page and asks nobody but this listener. */
static const char admin_policy[] =
	"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

void admin_request_free(void *request_context)
{
	struct admin_request *request = request_context;

	if (request) {
		free(request->body);
		free(request->answer.body);
	}
	free(request);
}

/* ---- answers that are held ---- */

/* False: the listener ends. */
static bool request_hold(
	struct hf_admin *admin, struct MHD_Connection *connection, struct admin_request *request)
{
	bool held;

	(void)pthread_mutex_lock(&admin->held_lock);
	held = !admin->ending;
	if (held) {
		request->connection = connection;
		request->held_until_us = hf_clock_us() + HF_ADMIN_HOLD_US;
		hf_list_add_tail(&admin->held, &request->held_link);
		MHD_suspend_connection(connection);
	}
	(void)pthread_mutex_unlock(&admin->held_lock);
	return held;
}

void hf_admin_release(struct hf_admin *admin, uint64_t upto, uint64_t now_us)
{
	struct hf_list *it, *next;

	if (!admin)
		return;
	(void)pthread_mutex_lock(&admin->held_lock);
	for (it = admin->held.next; it != &admin->held; it = next) {
		struct admin_request *request =
			HF_CONTAINER_OF(it, struct admin_request, held_link);

		next = it->next;
		if (request->answer.due > upto && now_us < request->held_until_us)
			continue;
		hf_list_del(it);
		MHD_resume_connection(request->connection);
	}
	(void)pthread_mutex_unlock(&admin->held_lock);
}

/* ---- what the resource sees ---- */

static void request_peer(struct MHD_Connection *connection, char *ret_peer)
{
	const struct sockaddr *from =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
			->client_addr;
	const struct sockaddr_in *in4 = (const void *)from;
	const struct sockaddr_in6 *in6 = (const void *)from;
	char address[INET6_ADDRSTRLEN] = "";

	if (from->sa_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &in6->sin6_addr, address, sizeof(address));
		(void)snprintf(ret_peer, ADMIN_PEER_MAX, "[%s]:%u", address, ntohs(in6->sin6_port));
	} else {
		(void)inet_ntop(AF_INET, &in4->sin_addr, address, sizeof(address));
		(void)snprintf(ret_peer, ADMIN_PEER_MAX, "%s:%u", address, ntohs(in4->sin_port));
	}
}

struct request_field {
	const char *value;
	uint32_t count;
};

static enum MHD_Result request_on_field(
	void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct request_field *field = arg;

	if (strcasecmp(name, MHD_HTTP_HEADER_AUTHORIZATION) == 0) {
		field->value = value;
		field->count++;
	}
	return MHD_YES;
}

static const char *request_authorization(struct MHD_Connection *connection)
{
	struct request_field field = { 0 };

	(void)MHD_get_connection_values(connection, MHD_HEADER_KIND, request_on_field, &field);
	return field.count == 1 ? field.value : NULL;
}

static struct hf_admin_request request_view(struct MHD_Connection *connection, const char *method,
	const char *path, const char *peer, const struct admin_request *request)
{
	return (struct hf_admin_request){
		.method = method,
		.path = path,
		.has_query = MHD_get_connection_values(
				     connection, MHD_GET_ARGUMENT_KIND, NULL, NULL) > 0,
		.authorization = request_authorization(connection),
		.peer = peer,
		.body = { request->body ? request->body : "",
			request->too_large ? 0 : request->len },
		.too_large = request->too_large,
	};
}

/* ---- the table ---- */

static const struct hf_admin_resource *request_resource(
	const struct hf_admin *admin, const char *path)
{
	for (size_t i = 0; i < admin->cfg.resource_count; i++) {
		const struct hf_admin_resource *resource = &admin->cfg.resource[i];
		size_t len = strlen(resource->path);

		if (strncmp(path, resource->path, len) == 0 &&
			(!path[len] || (resource->below && path[len] == '/')))
			return resource;
	}
	return NULL;
}

/* What no resource has a word for. */
static void request_refuse(const struct hf_admin_request *view, unsigned status, const char *reason,
	struct hf_admin_answer *ret_answer)
{
	hf_stat_inc(HF_STAT_CLIENT_ERRORS_ADMIN);
	hf_log(HF_LOG_WARN, "admin",
		"error_type=client_error message_type=http peer=%s reason=\"%s\"", view->peer,
		reason);
	ret_answer->status = status;
	ret_answer->body = strdup(reason);
	ret_answer->len = ret_answer->body ? strlen(reason) : 0;
}

/* What can be said before a body is read; status 0: nothing. */
static void request_judge(const struct admin_request *request, const struct hf_admin_request *view,
	struct hf_admin_answer *ret_answer)
{
	const struct hf_admin_resource *resource = request->resource;

	if (!resource) {
		request_refuse(view, MHD_HTTP_NOT_FOUND,
			"path: found another one; allowed: those that holdfastd(8) lists",
			ret_answer);
	} else if (!resource->any_method && strcmp(view->method, "GET") != 0 &&
		   strcmp(view->method, "HEAD") != 0) {
		request_refuse(view, MHD_HTTP_METHOD_NOT_ALLOWED,
			"method: found another one; allowed: GET, HEAD", ret_answer);
		ret_answer->field = MHD_HTTP_HEADER_ALLOW;
		ret_answer->value = "GET, HEAD";
	} else if (request->has_body && resource->body_max == 0) {
		request_refuse(view, MHD_HTTP_CONTENT_TOO_LARGE, "body: found one; allowed: none",
			ret_answer);
	} else {
		if (resource->head)
			resource->head(resource->arg, view, ret_answer);
		if (ret_answer->status == 0 && request->too_large)
			resource->answer(resource->arg, view, ret_answer);
	}
}

/* ---- from the head to the answer ---- */

static enum MHD_Result request_send(
	struct MHD_Connection *connection, const struct hf_admin_answer *answer, bool close)
{
	enum MHD_Result sent;
	struct MHD_Response *response =
		MHD_create_response_from_buffer(answer->len, answer->body, MHD_RESPMEM_MUST_FREE);

	if (!response) {
		free(answer->body);
		return MHD_NO;
	}
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	(void)MHD_add_response_header(response, "Content-Security-Policy", admin_policy);
	(void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	if (close)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (answer->field)
		(void)MHD_add_response_header(response, answer->field, answer->value);
	sent = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return sent;
}

static void request_expect(struct MHD_Connection *connection, struct admin_request *request)
{
	const char *length = MHD_lookup_connection_value(
		connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	size_t max = request->resource ? request->resource->body_max : 0;

	if (MHD_lookup_connection_value(
		    connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING))
		request->expected = SIZE_MAX;
	else if (length)
		request->expected = strtoull(length, NULL, 10); /* the library has checked it */
	request->has_body = request->expected > 0;
	request->too_large = request->expected != SIZE_MAX && request->expected > max;
}

/* The head is there. What has no body is answered in the next call, which lets the connection live
 * on. */
static enum MHD_Result request_begin(struct hf_admin *admin, struct MHD_Connection *connection,
	const char *path, const char *method, void **request_context)
{
	struct admin_request *request = calloc(1, sizeof(*request));
	struct hf_admin_answer answer = { .type = admin_text };
	struct hf_admin_request view;
	char peer[ADMIN_PEER_MAX];

	if (!request) {
		hf_stat_inc(HF_STAT_INTERNAL_ERRORS_MEMORY);
		return MHD_NO;
	}
	*request_context = request;
	hf_stat_inc(HF_STAT_ADMIN_REQUESTS);
	request->resource = request_resource(admin, path);
	request_expect(connection, request);
	if (!request->has_body)
		return MHD_YES;
	request_peer(connection, peer);
	view = request_view(connection, method, path, peer, request);
	request_judge(request, &view, &answer);
	return answer.status ? request_send(connection, &answer, /* close= */ true) : MHD_YES;
}

static enum MHD_Result request_take(struct admin_request *request, const char *upload, size_t len)
{
	size_t cap = hf_min_size(request->expected, request->resource->body_max);

	request->too_large |= len > cap - hf_min_size(request->len, cap);
	if (!request->too_large && !request->body) {
		request->body = malloc(cap);
		if (!request->body) {
			hf_stat_inc(HF_STAT_INTERNAL_ERRORS_MEMORY);
			return MHD_NO;
		}
	}
	if (!request->too_large)
		memcpy(request->body + request->len, upload, len);
	request->len += len;
	if (request->len <= ADMIN_SWALLOW_MAX)
		return MHD_YES;
	hf_stat_inc(
		HF_STAT_CLIENT_ERRORS_ADMIN); /* the library has no answer in the middle of it */
	return MHD_NO;
}

/* Once more when an answer was held. */
static enum MHD_Result request_finish(struct hf_admin *admin, struct MHD_Connection *connection,
	const char *path, const char *method, struct admin_request *request)
{
	const struct hf_admin_resource *resource = request->resource;
	struct hf_admin_answer *answer = &request->answer, sent;
	bool held = answer->status != 0;
	struct hf_admin_request view;
	char peer[ADMIN_PEER_MAX];

	request_peer(connection, peer);
	view = request_view(connection, method, path, peer, request);
	if (!held) {
		answer->type = admin_text;
		if (!request->has_body)
			request_judge(request, &view, answer);
		if (answer->status == 0)
			resource->answer(resource->arg, &view, answer);
		HF_ASSERT(answer->status >= 200);
		if (answer->due != 0 && request_hold(admin, connection, request))
			return MHD_YES;
	} else if (resource->released) {
		resource->released(resource->arg, &view, answer);
	}
	sent = *answer;
	answer->body = NULL;
	return request_send(connection, &sent, /* close= */ request->too_large);
}

enum MHD_Result admin_on_request(void *arg, struct MHD_Connection *connection, const char *path,
	const char *method, const char *version, const char *upload, size_t *upload_len,
	void **request_context)
{
	struct admin_request *request = *request_context;
	size_t len = *upload_len;

	if (!request)
		return request_begin(arg, connection, path, method, request_context);
	*upload_len = 0;
	return len > 0 ? request_take(request, upload, len)
		       : request_finish(arg, connection, path, method, request);
}
