/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_list - doubly linked lists of connections by their place in the pool: a link is 8 bytes.
 *
 * What      A list goes through one of the links of a connection: callers say which. A place is counted in
 *           cache lines, of which a connection has several: no division. The pool begins at place 1, so
 *           that zeroed memory is no list at all.
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
	uint32_t prev, next; /* place, TCP_LIST_END; both 0: on no list */
};

struct tcp_list {
	char *base;      /* where the link of an element at place 0 would be */
	uint32_t offset; /* of the link in the element */
	uint32_t first, last;
	uint32_t count;
};

static inline struct tcp_link *tcp_list_link(const struct tcp_list *list, uint32_t at)
{
	return (struct tcp_link *)(void *)(list->base + (size_t)at * HF_CACHE_LINE);
}

static inline uint32_t tcp_list_at(const struct tcp_list *list, const struct tcp_link *link)
{
	return (uint32_t)((size_t)((const char *)link - list->base) / HF_CACHE_LINE);
}

/* After hf_pool_init. */
static inline void tcp_list_init(struct tcp_list *list, const struct hf_pool *pool, uint32_t offset)
{
	HF_ASSERT(offset >= HF_CACHE_LINE); /* base lies in the pool, too */
	*list = (struct tcp_list){ (char *)pool->memory + offset - HF_CACHE_LINE, offset,
		TCP_LIST_END, TCP_LIST_END, 0 };
}

static inline bool tcp_list_has(const struct tcp_link *link)
{
	return link->next != 0;
}

/* NULL when the list is empty. */
static inline struct hf_tcp_conn *tcp_list_first(const struct tcp_list *list)
{
	if (list->count == 0)
		return NULL;
	return (void *)((char *)tcp_list_link(list, list->first) - list->offset);
}

static inline void tcp_list_add_tail(struct tcp_list *list, struct tcp_link *link)
{
	uint32_t at = tcp_list_at(list, link);

	HF_ASSERT(!tcp_list_has(link));
	*link = (struct tcp_link){ list->last, TCP_LIST_END };
	if (list->last == TCP_LIST_END)
		list->first = at;
	else
		tcp_list_link(list, list->last)->next = at;
	list->last = at;
	list->count++;
}

static inline void tcp_list_del(struct tcp_list *list, struct tcp_link *link)
{
	uint32_t prev = link->prev, next = link->next;

	HF_ASSERT(tcp_list_has(link) && list->count > 0);
	if (prev == TCP_LIST_END)
		list->first = next;
	else
		tcp_list_link(list, prev)->next = next;
	if (next == TCP_LIST_END)
		list->last = prev;
	else
		tcp_list_link(list, next)->prev = prev;
	*link = (struct tcp_link){ 0, 0 };
	list->count--;
}

#endif
