/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_state.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "state_priv.h"

/* Routes stand by host, then by falling length of path, then as in the document: a lookup bisects
 * to the host and takes the first path that fits. */
struct route_order {
	struct hf_state_route route;
	uint32_t index;
};

static int route_compare(const void *a, const void *b)
{
	const struct route_order *x = a, *y = b;
	size_t x_len = strlen(x->route.path), y_len = strlen(y->route.path);
	int order = strcmp(x->route.host, y->route.host);

	if (order != 0)
		return order;
	if (x_len != y_len)
		return x_len > y_len ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

int state_route_sort(struct hf_state *state)
{
	struct route_order *order;

	if (state->route_count == 0)
		return 0;
	order = malloc(state->route_count * sizeof(*order));
	if (!order)
		return -ENOMEM;
	for (uint32_t i = 0; i < state->route_count; i++)
		order[i] = (struct route_order){ .route = state->route[i], .index = i };
	qsort(order, state->route_count, sizeof(*order), route_compare);
	for (uint32_t i = 0; i < state->route_count; i++)
		state->route[i] = order[i].route;
	free(order);
	return 0;
}

static int route_host_compare(const char *host, struct hf_span span)
{
	size_t len = strlen(host);
	int order = memcmp(host, span.ptr, hf_min_size(len, span.len));

	return order != 0 ? order : len < span.len ? -1 : len > span.len;
}

/* Whole segments: /img fits /img and /img/a, not /imgs. */
static bool route_path_fits(const char *prefix, struct hf_span path)
{
	size_t len = strlen(prefix);

	if (path.len < len || memcmp(prefix, path.ptr, len) != 0)
		return false;
	return prefix[len - 1] == '/' || path.len == len || path.ptr[len] == '/' ||
	       path.ptr[len] == '?';
}

/* Among the routes whose host reads exactly HOST. */
static const struct hf_state_route *route_of_host(
	const struct hf_state *state, struct hf_span host, struct hf_span path)
{
	uint32_t low = 0, high = state->route_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (route_host_compare(state->route[middle].host, host) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < state->route_count; low++) {
		const struct hf_state_route *route = &state->route[low];

		if (route_host_compare(route->host, host) != 0)
			return NULL;
		if (route_path_fits(route->path, path))
			return route;
	}
	return NULL;
}

/* Without port and final dot. */
static struct hf_span route_host_trim(struct hf_span host)
{
	size_t end = host.len;

	while (end > 0 && isdigit((unsigned char)host.ptr[end - 1]))
		end--;
	/* the colon of a port, not one within an IPv6 address */
	if (end > 0 && host.ptr[end - 1] == ':' &&
		(host.ptr[0] != '[' || (end > 1 && host.ptr[end - 2] == ']')))
		host.len = end - 1;
	if (host.len > 0 && host.ptr[host.len - 1] == '.')
		host.len--;
	return host;
}

const struct hf_state_route *hf_state_route_lookup(
	const struct hf_state *state, struct hf_span host, struct hf_span path)
{
	char name[1 + STATE_HOST_MAX];
	const struct hf_state_route *route;

	host = route_host_trim(host);
	if (host.len > STATE_HOST_MAX)
		return route_of_host(state, HF_SPAN("*"), path);
	/* name[0] is room for the '*' of "*.suffix" in front of the first dot */
	for (size_t i = 0; i < host.len; i++)
		name[1 + i] = (char)tolower((unsigned char)host.ptr[i]);
	/* a host that reads "*.x" is no host; it must not find the suffix route as its own */
	if (host.len > 0 && name[1] != '*') {
		route = route_of_host(state, (struct hf_span){ name + 1, host.len }, path);
		if (route)
			return route;
	}
	for (size_t i = 1; i < host.len; i++) {
		if (name[1 + i] != '.')
			continue;
		name[i] = '*';
		route = route_of_host(state, (struct hf_span){ name + i, 1 + host.len - i }, path);
		if (route)
			return route;
	}
	return route_of_host(state, HF_SPAN("*"), path);
}
