/* SPDX-License-Identifier: BSD-3-Clause
 *
 * list - intrusive doubly linked circular list; the head is a link that is not in an element.
 *
 * Threads   None of its own: the owner of the list.
 * Promises  A link that hf_list_init set or hf_list_del took out says hf_list_empty: so an element
 *           can tell whether it is on a list.
 */
#ifndef HF_LIST_H
#define HF_LIST_H

#include "hf_base.h"

struct hf_list {
	struct hf_list *next;
	struct hf_list *prev;
};

static inline void hf_list_init(struct hf_list *list)
{
	list->next = list;
	list->prev = list;
}

static inline bool hf_list_empty(const struct hf_list *list)
{
	return list->next == list;
}

static inline void hf_list_add_between(
	struct hf_list *link, struct hf_list *prev, struct hf_list *next)
{
	link->prev = prev;
	link->next = next;
	prev->next = link;
	next->prev = link;
}

static inline void hf_list_add_tail(struct hf_list *list, struct hf_list *link)
{
	hf_list_add_between(link, list->prev, list);
}

static inline void hf_list_add_head(struct hf_list *list, struct hf_list *link)
{
	hf_list_add_between(link, list, list->next);
}

static inline void hf_list_del(struct hf_list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	hf_list_init(link);
}

/* The first link, or NULL. */
static inline struct hf_list *hf_list_first(const struct hf_list *list)
{
	return list->next == list ? NULL : list->next;
}

#define hf_list_for_each(it, list) for ((it) = (list)->next; (it) != (list); (it) = (it)->next)

/* The body may delete `it`. */
#define hf_list_for_each_safe(it, after, list)                                                     \
	for ((it) = (list)->next, (after) = (it)->next; (it) != (list);                            \
		(it) = (after), (after) = (it)->next)

#endif
