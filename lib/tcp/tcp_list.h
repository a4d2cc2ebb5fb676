/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_list - doubly linked lists of connections by their place in the pool: a link is 8 bytes.
 *
 * What      A list names which link of the connection it goes through by its offset. A place is counted in
 *           cache lines, of which a connection has several: no division. It is stored plus one, so that
 *           zeroed memory is no list at all.
 * Promises  tcp_list_has is true from add until del: a connection can tell.
 */
#ifndef TCP_LIST_H
#define TCP_LIST_H

#ifndef HF_PRIV_TCP
#error "tcp_list.h is private to lib/tcp"
#endif

#include "hf_pool.h"

struct hf_tcp_conn;

#define TCP_LIST_END UINT32_MAX /* before the first, behind the last */

struct tcp_link {
	uint32_t prev, next; /* place + 1, TCP_LIST_END; both 0: on no list */
};

struct tcp_list {
	const struct hf_pool *pool;
	uint32_t offset; /* of the link in the element */
	uint32_t first, last;
	uint32_t count;
};

static inline void *tcp_list_elem(const struct tcp_list *list, uint32_t at)
{
	return (char *)list->pool->memory + (size_t)(at - 1) * HF_CACHE_LINE;
}

static inline struct tcp_link *tcp_list_link(const struct tcp_list *list, uint32_t at)
{
	return (struct tcp_link *)((char *)tcp_list_elem(list, at) + list->offset);
}

static inline struct tcp_link *tcp_list_link_of(
	const struct tcp_list *list, struct hf_tcp_conn *conn)
{
	return (struct tcp_link *)((char *)conn + list->offset);
}

static inline uint32_t tcp_list_at(const struct tcp_list *list, const struct hf_tcp_conn *conn)
{
	size_t offset = (size_t)((const char *)conn - (const char *)list->pool->memory);

	return (uint32_t)(offset / HF_CACHE_LINE) + 1;
}

static inline void tcp_list_init(struct tcp_list *list, const struct hf_pool *pool, uint32_t offset)
{
	*list = (struct tcp_list){ pool, offset, TCP_LIST_END, TCP_LIST_END, 0 };
}

static inline bool tcp_list_has(const struct tcp_link *link)
{
	return link->next != 0;
}

/* NULL when the list is empty. */
static inline struct hf_tcp_conn *tcp_list_first(const struct tcp_list *list)
{
	return list->count ? tcp_list_elem(list, list->first) : NULL;
}

static inline void tcp_list_add_tail(struct tcp_list *list, struct hf_tcp_conn *conn)
{
	uint32_t at = tcp_list_at(list, conn);
	struct tcp_link *link = tcp_list_link_of(list, conn);

	HF_ASSERT(!tcp_list_has(link));
	*link = (struct tcp_link){ list->last, TCP_LIST_END };
	if (list->last == TCP_LIST_END)
		list->first = at;
	else
		tcp_list_link(list, list->last)->next = at;
	list->last = at;
	list->count++;
}

static inline void tcp_list_del(struct tcp_list *list, struct hf_tcp_conn *conn)
{
	struct tcp_link *link = tcp_list_link_of(list, conn);

	HF_ASSERT(tcp_list_has(link) && list->count > 0);
	if (link->prev == TCP_LIST_END)
		list->first = link->next;
	else
		tcp_list_link(list, link->prev)->next = link->next;
	if (link->next == TCP_LIST_END)
		list->last = link->prev;
	else
		tcp_list_link(list, link->next)->prev = link->prev;
	*link = (struct tcp_link){ 0, 0 };
	list->count--;
}

#endif
